"""Steps that measure distances, and divide white matter by them: zones, shells, lobes, bullseye."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.distance import distance_to, subtract_inner_distance
from wmhflow.core.regions.bullseye import bullseye_labels, depth
from wmhflow.core.regions.lobes import propagate_lobes
from wmhflow.core.regions.shells import shell_labels
from wmhflow.core.regions.zones import zone_labels
from wmhflow.core.space.geometry import spacing_of
from wmhflow.core.space.grids import Grid3D
from wmhflow.labels.digits import (
    BASAL_GANGLIA,
    CORPUS_CALLOSUM,
    CORTEX,
    LEFT,
    RIGHT,
    WHITE_OR_WMH,
    class_of,
    is_right,
    with_side,
)
from wmhflow.labels.schemes import zone_schemes
from wmhflow.steps.kinds import LabelImage, MaskImage, Table, step

# Farther from the brain than this no distance is measured; masks of other lesions may reach out.
BESIDE_BRAIN_MM = 10.0


class Distance(NamedTuple):
    """Distance of every voxel, in mm; a depth has no unit."""

    distance: Grid3D


@step(mem_gb=1.0)
def measure_distance(target: MaskImage, tissue: LabelImage) -> Distance:
    """Measure the exact distance to a mask in mm, 0 inside.

    Parameters
    ----------
    target
        Such as the lateral ventricles.
    tissue
        seg-tissue: far from the brain the distance is infinite.
    """
    sizes = spacing_of(target.affine)
    found = distance_to(target.data, sizes, within=_near_brain(tissue))
    return Distance(Grid3D(found, target.affine))


def _near_brain(tissue: LabelImage) -> NDArray[np.bool_]:
    """Mark the brain and what lies beside it: lesions of other kinds may reach out of it."""
    sizes = spacing_of(tissue.affine)
    return np.isfinite(distance_to(tissue.data > 0, sizes, limit=BESIDE_BRAIN_MM))


@step(mem_gb=1.0)
def measure_cortex_distance(tissue: LabelImage) -> Distance:
    """Measure the exact distance to the cortex in mm.

    Parameters
    ----------
    tissue
        seg-tissue with lesions in it.
    """
    return measure_distance(MaskImage(class_of(tissue.data) == CORTEX, tissue.affine), tissue)


@step(mem_gb=1.0)
def measure_edge_distance(target: MaskImage, tissue: LabelImage) -> Distance:
    """Measure the exact distance to the edge of a mask in mm, negative inside.

    Parameters
    ----------
    target
        Lesions.
    tissue
        seg-tissue: far from the brain the distance is infinite.
    """
    found = measure_distance(target, tissue).distance
    subtract_inner_distance(found.data, target.data, spacing_of(target.affine))
    return Distance(found)


@step(mem_gb=1.0)
def measure_depth(ventricle_distance: Grid3D, cortex_distance: Grid3D) -> Distance:
    """Measure the depth of every voxel: 0 at the ventricle, 1 at the cortex.

    Parameters
    ----------
    ventricle_distance, cortex_distance
        In mm.
    """
    found = depth(ventricle_distance.data, cortex_distance.data)
    return Distance(Grid3D(found, cortex_distance.affine))


class Zones(NamedTuple):
    """White matter by distance."""

    zones: LabelImage


@step(mem_gb=1.0)
def divide_into_zones(
    tissue: LabelImage, ventricle_distance: Grid3D, cortex_distance: Grid3D, scheme: str
) -> Zones:
    """Divide white matter, lesions included, by distance.

    Parameters
    ----------
    tissue
        seg-tissue.
    ventricle_distance, cortex_distance
        In mm.
    scheme
        Name of a zone scheme.
    """
    labels = zone_labels(
        ventricle_distance.data,
        cortex_distance.data,
        np.isin(class_of(tissue.data), WHITE_OR_WMH),
        is_right(tissue.data),
        zone_schemes()[scheme],
    )
    return Zones(LabelImage(labels, tissue.affine))


class Shells(NamedTuple):
    """Shells around lesions and inside, and per label the count and sum of true distances."""

    shells: LabelImage
    distances: Table


@step(mem_gb=2.0)
def divide_into_shells(
    lesions: LabelImage,
    nawm: MaskImage,
    tissue: LabelImage,
    is_periventricular: list[bool],
    width_mm: float,
    max_mm: float,
) -> Shells:
    """Make the shells around the lesions, and inwards.

    Parameters
    ----------
    lesions, nawm, tissue
        seg-lesions, normal-appearing white matter, seg-tissue.
    is_periventricular
        Per lesion.
    width_mm, max_mm
        Thickness of a shell, and outer edge of the last one.
    """
    labels, _, distance = shell_labels(
        lesions.data,
        len(is_periventricular),
        np.array(is_periventricular, dtype=bool),
        nawm.data,
        spacing_of(lesions.affine),
        is_right(tissue.data),
        width_mm=width_mm,
        max_mm=max_mm,
    )
    return Shells(LabelImage(labels, lesions.affine), _distance_sums(labels, distance))


def _distance_sums(labels: Any, distance: Any) -> dict[str, list[float]]:
    """Return voxel count and sum of distances per shell label, which any union can add up."""
    inside = (labels > 0) & np.isfinite(distance)
    counts = np.bincount(labels[inside])
    sums = np.bincount(labels[inside], weights=distance[inside].astype(np.float64))
    return {str(label): [int(counts[label]), sums[label]] for label in np.flatnonzero(counts)}


class Lobes(NamedTuple):
    """White matter and deep nuclei by lobe."""

    lobes: LabelImage


@step(mem_gb=2.0)
def divide_into_lobes(tissue: LabelImage, cortex_lobes: LabelImage) -> Lobes:
    """Give white matter the lobe of the nearest cortex of its own hemisphere.

    Parameters
    ----------
    tissue
        seg-tissue.
    cortex_lobes
        Lobe of cortex and of deep nuclei.
    """
    given = cortex_lobes.data
    classes, right = class_of(tissue.data), is_right(tissue.data)
    cortex = np.where(classes == CORTEX, given, 0)
    white = np.isin(classes, WHITE_OR_WMH)
    labels = propagate_lobes(cortex, right, white, right, spacing_of(tissue.affine))
    # nuclei and corpus callosum keep what the parcellation gave them
    own = np.isin(given, (BASAL_GANGLIA, CORPUS_CALLOSUM)) & (classes > 0)
    labels = labels.astype(np.uint8)
    labels[own] = with_side(given[own], np.where(right[own], RIGHT, LEFT))
    return Lobes(LabelImage(labels, tissue.affine))


class Bullseye(NamedTuple):
    """White matter, and the deep nuclei, by depth and lobe."""

    bullseye: LabelImage


@step(mem_gb=1.0)
def divide_into_bullseye(depth: Grid3D, lobes: LabelImage, layers: int) -> Bullseye:
    """Divide white matter, and the deep nuclei, by depth and lobe.

    Parameters
    ----------
    depth
        0 at the ventricle, 1 at the cortex.
    lobes
        seg-lobes.
    layers
        Number of layers.
    """
    cells = bullseye_labels(depth.data, lobes.data, layers)
    return Bullseye(LabelImage(cells, lobes.affine))
