"""All distances and regions of a head with the kernels of ``wmhflow.core``."""

from __future__ import annotations

from typing import Any

from benchmarks.kernels.scene import Scene
from wmhflow.core.bullseye import bullseye_labels, depth, propagate_lobes
from wmhflow.core.distance import distance_to
from wmhflow.core.shells import shell_labels
from wmhflow.core.zones import lesion_continuity, zone_labels


def everything(scene: Scene) -> tuple[Any, ...]:
    """Masks in; distances, zones, shells, depth and bullseye out."""
    spacing, within = scene.spacing, scene.brain
    to_ventricle = distance_to(scene.ventricles, spacing, within=within)
    to_cortex = distance_to(scene.cortex, spacing, within=within)
    n_lesions = int(scene.lesions.max())
    periventricular = lesion_continuity(scene.lesions, n_lesions, to_ventricle)
    shells, owners, distance = shell_labels(
        scene.lesions, n_lesions, periventricular, scene.nawm, spacing, scene.right, within=within
    )
    zones = zone_labels(to_ventricle, to_cortex, scene.white, scene.right)
    deep = depth(to_ventricle, to_cortex)
    cells = bullseye_labels(
        deep, propagate_lobes(scene.lobes, scene.right, scene.white, scene.right, spacing)
    )
    return to_ventricle, to_cortex, distance, owners, zones, shells, deep, cells
