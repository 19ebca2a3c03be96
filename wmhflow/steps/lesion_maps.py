"""Steps that sample maps in each lesion by itself, and beside what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.transforms import resample_through
from wmhflow.core.measure.coverage import CoverageWeights, coverage_weights, merge_regions
from wmhflow.core.measure.purity import holds_more, keep_pure
from wmhflow.core.measure.regional import statistics_of
from wmhflow.core.space.grids import Grid3D, box_of, cropped
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import WHITE_MATTER, class_of
from wmhflow.steps.kinds import Folder, LabelImage, MaskImage, Rows, step
from wmhflow.steps.measures import LoadedMaps, MapOptions
from wmhflow.steps.purity import FLUID, NO_GUARD, Purity

CELLS = ("n", "volume_mm3", "coverage", "mean", "sd", "median")
FAR = ("all", "rest")


class MirroredLesions(NamedTuple):
    """The normal-appearing white matter that lies opposite to each lesion, by its number."""

    opposite: LabelImage


@step(mem_gb=2.0)
def mirror_lesions(
    lesions: LabelImage,
    tissue: LabelImage,
    forward: Path,
    inverse: Path,
    folder: Folder,
    infarct: MaskImage | None = None,
) -> MirroredLesions:
    """Reflect each lesion at the template's midplane, and keep the white matter that it falls on.

    Parameters
    ----------
    lesions, tissue
        seg-lesions and seg-tissue.
    forward, inverse
        From the reference to the template, and back.
    folder
        Where the reflection is written.
    infarct
        What is no normal tissue, either.
    """
    flip = write_itk_affine(np.diag([-1.0, 1.0, 1.0, 1.0]), folder / "flip.txt")
    grid = Grid3D(lesions.data.astype(np.float32), lesions.affine)
    wanted = (lesions.data == 0) & (class_of(tissue.data) == WHITE_MATTER)
    if infarct is not None:
        wanted &= ~infarct.data
    opposite = np.zeros(wanted.shape, np.int32)
    if wanted.any():
        box = box_of(wanted)
        # a point goes to the template, to the other side of it, and back
        chain = [str(inverse), flip, str(forward)]
        reflected = resample_through(grid, cropped(grid, box), chain, "nearest")
        opposite[box] = np.where(wanted[box], np.rint(reflected), 0)
    return MirroredLesions(LabelImage(opposite, grid.affine))


def lesion_rows(
    options: Sequence[MapOptions],
    loaded: LoadedMaps,
    count: int,
    weights: Sequence[CoverageWeights],
    tissue: LabelImage,
    purity: Purity = NO_GUARD,
) -> Rows:
    """Sample maps that share a grid in each lesion, and in the white matter opposite to it.

    Parameters
    ----------
    options, loaded
        What is known of maps on one grid, and what they hold.
    count
        Of lesions.
    weights
        What each lesion covers of the maps' grid, and what lies opposite to it.
    tissue
        seg-tissue.
    purity
        Which map voxels count.
    """
    too_wet = _too_wet(tissue, weights[0].map_shape, loaded.affine, purity)
    sides = []
    for part in weights:
        merged = merge_regions(part, [(i, [i]) for i in range(1, count + 1)])
        sides.append(statistics_of(loaded.maps, keep_pure(merged, purity.least, too_wet)))
    own, beside = sides
    return [
        {"index": i + 1, "map": one.name, "unit": one.unit}
        | {name: _number(own[one.name][name][i]) for name in CELLS}
        | {f"opposite_{name}": _number(beside[one.name][name][i])
           for name in ("n", "volume_mm3", "mean")}
        for one in options
        for i in range(count)
    ]  # fmt: skip


def _too_wet(
    tissue: LabelImage, shape: tuple[int, ...], map_affine: NDArray[np.float64], purity: Purity
) -> NDArray[np.bool_] | None:
    """Find map voxels of which more is CSF than may be."""
    if purity.most_csf >= 1:
        return None
    fluid = np.isin(class_of(tissue.data), FLUID).astype(np.int32)
    weights = coverage_weights(fluid, tissue.affine, shape, map_affine)
    return holds_more(weights, range(weights.index.size), purity.most_csf)


def _number(value: Any) -> int | float:
    number = value.item()
    return number if isinstance(number, int) else float(number)


class LesionTable(NamedTuple):
    """Rows of the table of maps in lesions."""

    table: Rows


@step(mem_gb=0.5)
def arrange_lesions(
    rows: list[Rows], profiles: Rows, names: list[str], without_ratio: list[str]
) -> LesionTable:
    """Set each lesion beside far normal-appearing white matter and what lies opposite to it.

    Parameters
    ----------
    rows
        Rows of :func:`lesion_rows`, of every group of maps.
    profiles
        Rows of the table of profiles, which has the far reference.
    names
        All maps, in registry order.
    without_ratio
        Maps whose zero is chosen by the program that made them.
    """
    far = far_means(profiles)
    gathered = [row for group in rows for row in group]
    table = []
    for name in names:
        has_ratio = name not in without_ratio
        for row in (row for row in gathered if row["map"] == name):
            reference = far.get(name, math.nan)
            against_far = contrast(row["mean"], reference, has_ratio=has_ratio)
            opposite = contrast(row["mean"], row["opposite_mean"], has_ratio=has_ratio)
            table.append(
                row
                | {"reference_mean": reference, **against_far}
                | {f"opposite_{key}": value for key, value in opposite.items()}
            )
    return LesionTable(table)


def far_means(profiles: list[dict[str, Any]]) -> dict[str, float]:
    """Return every map's mean in far normal-appearing white matter.

    Parameters
    ----------
    profiles
        Rows of the table of profiles.

    Examples
    --------
    >>> far_means([{"map": "FA", "lesion_class": "all", "shell": "rest", "mean": 0.4}])
    {'FA': 0.4}
    """
    return {
        row["map"]: math.nan if row["mean"] is None else row["mean"]
        for row in profiles
        if (row["lesion_class"], row["shell"]) == FAR
    }


def contrast(value: float, reference: float, *, has_ratio: bool) -> dict[str, float]:
    """Compare a value with a reference, by what it is more and by how many times.

    Parameters
    ----------
    value, reference
        NaN where there is none.
    has_ratio
        Whether the quantity's 0 means none of it.

    Returns
    -------
    dict
        ``difference`` and ``ratio``; the ratio is NaN where the two differ in sign, or the
        reference is 0.

    Examples
    --------
    >>> round(contrast(0.3, 0.4, has_ratio=True)["ratio"], 3)
    0.75
    >>> contrast(-0.016, -0.008, has_ratio=False)["ratio"]
    nan
    """
    is_known = has_ratio and value * reference > 0
    ratio = value / reference if is_known else math.nan
    return {"difference": value - reference, "ratio": ratio}
