"""All distances and regions of a head with the kernels of ``wmhflow.core``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kernels.atlases import LABELS, Atlases, lay
from benchmarks.kernels.scene import Scene
from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.measure.load import load_curve
from wmhflow.core.measure.regional import region_volumes
from wmhflow.core.regions.bullseye import bullseye_labels, depth
from wmhflow.core.regions.lesions import lesion_centres
from wmhflow.core.regions.lobes import propagate_lobes
from wmhflow.core.regions.lookup import voxels_of
from wmhflow.core.regions.partition import IN_NAWM, IN_WMH, Row, partition
from wmhflow.core.regions.probabilities import weighted_volumes
from wmhflow.core.regions.shells import shell_labels
from wmhflow.core.regions.zones import lesion_continuity, zone_labels
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.rows import table_regions
from wmhflow.settings import Settings

FRAMEWORKS, DEEPEST_SHELL = ("zones", "lobes", "bullseye", "shells"), 54
DEPTH_EDGES, MM_EDGES = np.linspace(0, 1, 21).tolist(), [*np.arange(41.0).tolist(), np.inf]


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


def tables(scene: Scene, atlases: Atlases) -> list[dict[str, float]]:
    """Masks and warps in; volume, WMH and lesions of every region of every framework out."""
    to_ventricle, to_cortex, _, _, zones, shells, deep, cells = everything(scene)
    wmh = scene.lesions > 0
    laid = lay(scene, atlases)
    images = {"zones": zones, "shells": shells, "lobes": cells // 10, "bullseye": cells}
    images |= {f"labels{number}": image for number, image in enumerate(laid.labels)}
    images["tracts"] = laid.combinations
    found = partition(images | {IN_WMH: wmh, IN_NAWM: scene.nawm})
    voxel_mm3 = float(np.prod(scene.spacing))
    centres = lesion_centres(scene.lesions, scene.affine)
    regions = [*wanted_regions(), *atlas_regions(laid.members)]
    rows = [Row(((seg, leaves),)) for seg, leaves in regions]
    measured = region_volumes(found, rows, scene.lesions, centres, voxel_mm3)
    for position, edges in ((deep, DEPTH_EDGES), (to_ventricle, MM_EDGES), (to_cortex, MM_EDGES)):
        load_curve(position, scene.white, wmh, edges, voxel_mm3)
    weighted_volumes(laid.steps, wmh[tuple(voxels_of(scene.brain).T)], voxel_mm3)
    return measured


def atlas_regions(members: dict[int, list[int]]) -> list[tuple[str, tuple[int, ...]]]:
    """List the atlases' regions likewise; a tract's labels are the combinations that hold it."""
    labelled = [
        (f"labels{number}", (label,))
        for number, n_regions in enumerate(LABELS)
        for label in range(1, n_regions + 1)
    ]
    return labelled + [("tracts", tuple(combinations)) for combinations in members.values()]


def wanted_regions() -> list[tuple[str, tuple[int, ...]]]:
    """List the regions of the tables: label image, and the labels that make each up."""
    visit = VisitPlan("01", None, lobes="parcellation")
    settings = Settings(Path(), Path(), "participant")
    terms = [region.terms[0] for region in table_regions(visit, settings)]
    # inner shells of the tables end at a person's deepest one
    return [
        (seg, leaves)
        for seg, leaves in terms
        if seg in FRAMEWORKS and not (seg == "shells" and min(leaves) % 100 > DEEPEST_SHELL)
    ]
