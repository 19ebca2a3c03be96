"""Steps that compare each region with the place that lies opposite to it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wmhflow.ants.transforms import resample_through
from wmhflow.core.measure.coverage import CoverageWeights, merge_regions
from wmhflow.core.measure.mirror import asymmetry_index, free_of_lesions
from wmhflow.core.measure.regional import means_of, membership_of, statistics_of
from wmhflow.core.regions.partition import Partition, Row
from wmhflow.core.space.grids import Grid3D
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import LETTER_BOTH, LETTER_LEFT
from wmhflow.labels.rows import TableRegion
from wmhflow.steps.kinds import Folder, LabelImage, Rows, Table, step
from wmhflow.steps.measures import LoadedMaps, MapOptions
from wmhflow.steps.partition import as_partition, as_regions
from wmhflow.steps.purity import NO_GUARD, Purity, fluid_rows, keep_sides

TRIVIAL_LOADS = re.compile(r"tissue|continuity|majority.*|shells")


class Mirrored(NamedTuple):
    """The partition without the lesions of either side, and its mirror image without them too."""

    own: LabelImage
    opposite: LabelImage


@step(mem_gb=2.0)
def mirror_partition(
    labels: LabelImage, columns: Table, forward: Path, inverse: Path, folder: Folder
) -> Mirrored:
    """Reflect the finest partition at the template's midplane, by its warp there and back.

    Parameters
    ----------
    labels, columns
        The finest partition.
    forward, inverse
        From the reference to the template, and back.
    folder
        Where the reflection is written.
    """
    flip = write_itk_affine(np.diag([-1.0, 1.0, 1.0, 1.0]), folder / "flip.txt")
    # a point goes to the template, to the other side of it, and back
    grid = Grid3D(labels.data.astype(np.float32), labels.affine)
    reflected = resample_through(grid, grid, [str(inverse), flip, str(forward)], "nearest")
    mirrored = np.rint(reflected).astype(np.int32)
    own, opposite = free_of_lesions(as_partition(labels, columns), mirrored)
    return Mirrored(LabelImage(own.labels, grid.affine), LabelImage(opposite.labels, grid.affine))


def opposite_rows(
    options: Sequence[MapOptions],
    loaded: LoadedMaps,
    sides: Sequence[Partition],
    weights: Sequence[CoverageWeights],
    regions: Sequence[TableRegion],
    purity: Purity = NO_GUARD,
) -> Rows:
    """Sample maps in every region of one side, and in the place opposite to it.

    Parameters
    ----------
    options, loaded
        What is known of maps on one grid, and what they hold.
    sides
        The partition without the lesions of either side, and its mirror image without them.
    weights
        What each number of these covers of the maps' grid.
    regions
        The tables' regions.
    purity
        Which map voxels count for a region.
    """
    sided = one_sided(regions)
    rows = [Row(region.terms) for region in sided]
    if purity.acts:
        # the fluid that is there, on either side, rather than what lies opposite to it
        fluid = merge_regions(weights[0], membership_of(sides[0], fluid_rows(regions)))
        merged = (
            merge_regions(part, membership_of(side, rows))
            for side, part in zip(sides, weights, strict=True)
        )
        sampled = [
            statistics_of(loaded.maps, keep_sides(covered, sided, fluid, purity))
            for covered in merged
        ]
    else:
        sampled = [
            means_of(side, part, loaded.maps, rows)
            for side, part in zip(sides, weights, strict=True)
        ]
    return [
        described(region, one.name, one.unit)
        | compared(
            region,
            *(_cells(side[one.name], i) for side in sampled),
            has_ratio=not one.arbitrary_zero,
        )
        for one in options
        for i, region in enumerate(sided)
    ]


def _cells(statistics: dict[str, Any], i: int) -> dict[str, float]:
    return {
        "n": int(statistics["n"][i]),
        "volume_mm3": float(statistics["volume_mm3"][i]),
        "value": float(statistics["mean"][i]),
    }


def one_sided(regions: Sequence[TableRegion]) -> list[TableRegion]:
    """Keep the regions of one side: only they have an opposite."""
    return [region for region in regions if region.hemisphere != LETTER_BOTH]


def described(region: TableRegion, measure: str, unit: str) -> dict[str, Any]:
    """Begin a row of the table of asymmetry."""
    return region.described | {"measure": measure, "unit": unit}


def compared(
    region: TableRegion,
    own: dict[str, float],
    opposite: dict[str, float],
    *,
    has_ratio: bool = True,
) -> dict[str, Any]:
    """Set a region beside its opposite; the index is left against right for either side's row.

    There is none where the quantity's 0 does not mean that there is none of it.
    """
    left, right = (own, opposite) if region.hemisphere == LETTER_LEFT else (opposite, own)
    return {
        **own,
        **{f"opposite_{name}": value for name, value in opposite.items()},
        "difference": left["value"] - right["value"],
        "asymmetry": asymmetry_index(left["value"], right["value"]) if has_ratio else math.nan,
    }


class Asymmetry(NamedTuple):
    """Rows of the table of asymmetry."""

    table: Rows


@step(mem_gb=0.5)
def compare_sides(volumes: Rows, regions: Rows, maps: list[Rows] | None = None) -> Asymmetry:
    """Set the load of every region beside its homologue's, and gather what the maps say.

    Parameters
    ----------
    volumes
        Rows of the table of volumes.
    regions
        The tables' regions.
    maps
        Rows of :func:`opposite_rows`.
    """
    rows = {(row["seg"], row["index"]): row for row in volumes}
    table = [
        described(region, "wmh_fraction", "1")
        | compared(
            region,
            _load(rows[region.seg, region.index]),
            _load(rows[region.seg, region.homologue]),
        )
        for region in one_sided(as_regions(regions))
        if (region.seg, region.homologue) in rows and not has_trivial_load(region)
    ]
    return Asymmetry([*table, *(row for group in maps or [] for row in group)])


def has_trivial_load(region: TableRegion) -> bool:
    """Tell whether a region is all lesion or none by what it is."""
    return any(TRIVIAL_LOADS.fullmatch(name) for name, _ in region.terms)


def _load(row: dict[str, Any]) -> dict[str, float]:
    return {"n": row["n_lesions"], "volume_mm3": row["volume_mm3"], "value": row["wmh_fraction"]}
