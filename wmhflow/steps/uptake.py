"""Steps that compute uptake ratios (SUVR) from a PET and a region of reference."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.transforms import resample_through
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.contrasts.uptake import (
    LEAST_MM3,
    mean_over_frames,
    reference_region,
    uptake_ratio,
)
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.core.space.grids import Grid3D
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_series
from wmhflow.files.values import read_labels
from wmhflow.steps.echoes import Shown, share_on
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, Space, computed_or_nothing, step
from wmhflow.steps.levels import without_level

UPTAKE_FACTS = (
    *("reference_code", "reference_mm3", "reference_mean", "reference_coverage"),
    *("reference_lesion_share", "air_share"),
)
# A region of which lesions are more than this is no reference.
MOST_LESION = 0.5
log = logging.getLogger("wmhflow")


class Region(NamedTuple):
    """The codes of a region of reference on the reference grid; 0 elsewhere."""

    region: LabelImage


class Uptake(NamedTuple):
    """Uptake relative to a region of reference."""

    ratio: Grid3D
    facts: Facts


@step(mem_gb=4.0, seconds=5, gives_maps=True)
def mean_activity(activity: Path, trust: str | None = None) -> Shown:
    """Show a PET by the mean of its frames.

    Parameters
    ----------
    activity
        The PET.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.
    """
    series, affine = load_series(activity)
    return Shown(Grid3D(series.mean(axis=3), trusted_affine(activity, affine, trust)))


@step(mem_gb=1.5)
def lay_reference(
    in_file: Path,
    space: Space,
    codes: list[list[int]],
    transforms: list[Path] | None = None,
    trust: str | None = None,
) -> Region:
    """Read a region of reference from a parcellation.

    Parameters
    ----------
    in_file
        Label image as given.
    space
        The grid to fill.
    codes
        FreeSurfer codes; the first list of which there is any counts.
    transforms
        From the parcellation's space to the reference.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.
    """
    labels, own_affine = read_labels(in_file)
    affine = trusted_affine(in_file, own_affine, trust)
    kept = next((some for some in codes if np.isin(labels, some).any()), codes[-1])
    if kept != codes[0] and np.isin(labels, kept).any():
        first, other = (", ".join(map(str, some)) for some in (codes[0], kept))
        log.warning(
            "%s has no FreeSurfer code %s: the region of reference of the PET is that of code %s.",
            in_file, first, other,
        )  # fmt: skip
    only = np.where(np.isin(labels, kept), labels, 0).astype(np.float32)
    chain = [str(path) for path in transforms or []]
    found = resample_through(Grid3D(only, affine), space.empty, chain, "nearest")
    return Region(LabelImage(np.rint(found).astype(np.int32), space.affine))


@step(mem_gb=5.0, seconds=10, gives_maps=True)
def map_uptake(
    activity: Path,
    region: LabelImage,
    wmh: MaskImage,
    name: str,
    reference_name: str,
    volumes: list[int],
    starts_s: list[float],
    durations_s: list[float],
    damaged: list[MaskImage] | None = None,
    transform: Path | None = None,
    trust: str | None = None,
) -> Uptake:
    """Divide the uptake of a tracer by its mean in a region of reference without lesions.

    Parameters
    ----------
    activity
        The PET, of one frame or several.
    region
        The codes of the region on the reference grid.
    wmh, damaged
        WMH, and infarcts, acute lesions and bleeds: none of them is reference.
    name, reference_name
        What the map and the region are called in messages.
    volumes, starts_s, durations_s
        The frames that are averaged, and their times; none where there is but one frame.
    transform
        From the PET to the reference; None where the headers agree.
    trust
        The form of the PET's header that is believed, ``sform`` or ``qform``.
    """
    series, own_affine = load_series(activity, volumes or [0])
    affine = trusted_affine(activity, own_affine, trust)
    grid = Grid3D(series[..., 0], affine)

    def compute() -> tuple[NDArray[np.floating], Facts]:
        values = series[..., 0]
        shown = [
            bool(np.any(np.isfinite(frame) & (frame != 0))) for frame in np.moveaxis(series, 3, 0)
        ]
        if not all(shown):
            number = (volumes or [0])[shown.index(False)] + 1
            raise UnfitImageError(f"frame {number} of the PET holds no value other than 0")
        if volumes:
            window = min(starts_s), max(a + b for a, b in zip(starts_s, durations_s, strict=True))
            values = mean_over_frames(series, starts_s, durations_s, window)
        (moved,), air = without_level(name, [np.asarray(values, np.float32)])
        inner, facts = _inner_region(region, [wmh, *(damaged or [])], reference_name)
        share = share_on(grid, inner, region, transform)
        # a tracer leaves no place of the brain empty: 0 is the end of the field of view
        share = np.where(np.isfinite(moved) & (moved != 0), share, 0.0)
        seen = float(share.sum(dtype=np.float64) * voxel_mm3(affine))
        whole = float(np.count_nonzero(inner) * voxel_mm3(region.affine))
        if seen < LEAST_MM3:
            raise UnfitImageError(
                f"the PET shows {seen / 1000:.2f} of {whole / 1000:.2f} ml of the region of "
                f"reference ({reference_name}): at least {LEAST_MM3 / 1000:g} ml are needed"
            )
        ratio, mean = uptake_ratio(moved, share)
        return ratio, facts | {
            "air_share": air,
            "reference_mm3": seen,
            "reference_mean": mean,
            "reference_coverage": seen / whole,
        }

    return Uptake(*computed_or_nothing(name, grid, compute, UPTAKE_FACTS))


def _inner_region(
    region: LabelImage, lesions: list[MaskImage], name: str
) -> tuple[NDArray[np.bool_], Facts]:
    """Return a region of reference without border and lesions, and what is to be told of it."""
    whole, sizes = region.data > 0, spacing_of(region.affine)
    if not whole.any():
        raise UnfitImageError(f"the parcellation has no {name} on the reference image")
    hurt = np.any([mask.data for mask in lesions], axis=0)
    share = float(np.count_nonzero(hurt & whole) / np.count_nonzero(whole))
    if share > MOST_LESION:
        raise UnfitImageError(
            f"{100.0 * share:.0f} % of the region of reference ({name}) are WMH or other lesions"
        )
    inner = reference_region(whole, [hurt], sizes, erode_mm=float(max(sizes)))
    code = int(region.data[whole].min())
    return inner, {"reference_code": code, "reference_lesion_share": share}
