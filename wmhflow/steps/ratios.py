"""Steps that compute maps from two images, or from one and a region of reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.transforms import average_through
from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.arrays.masks import deeper
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.contrasts import (
    background_noise,
    check_fluid_is_bright,
    check_scaled_together,
    rate_from_time,
    relative_ratio,
    transfer_ratio,
)
from wmhflow.core.space.geometry import spacing_of
from wmhflow.core.space.grids import Grid3D
from wmhflow.core.tissue.bias import correct_bias
from wmhflow.labels.digits import VENTRICLES, WHITE_MATTER, class_of
from wmhflow.steps.echoes import IN_BRAIN, WHOLLY, Shown, share_on
from wmhflow.steps.kinds import (
    Facts,
    LabelImage,
    MaskImage,
    computed_or_nothing,
    step,
)
from wmhflow.steps.levels import without_level
from wmhflow.steps.meeting import apart_fact

# What is found out of a map, by its step.
TRANSFER_FACTS = ("noise", "unfitted_voxels", "apart_mm", "air_share")
PULSES = ("the image without the pulse", "the one with the pulse")
RATE_FACTS = ("seconds_per_unit",)
RATIO_FACTS = ("reference_ratio", "reference_voxels", "air_share")


class Transfer(NamedTuple):
    """The magnetisation transfer ratio."""

    ratio: Grid3D
    facts: Facts


class Relaxation(NamedTuple):
    """A rate of relaxation."""

    rate: Grid3D
    facts: Facts


@step(mem_gb=1.0, gives_maps=True)
def without_pulse(off: Grid3D) -> Shown:
    """Show a pair of images by the one without the pulse, which is the brighter one.

    Parameters
    ----------
    off
        The image without the pulse.
    """
    return Shown(off)


@step(mem_gb=1.0, gives_maps=True)
def map_transfer(off: Grid3D, on: Grid3D) -> Transfer:
    """Compute the magnetisation transfer ratio.

    Parameters
    ----------
    off, on
        The images without and with the pulse, on one grid.
    """

    def compute() -> tuple[NDArray[np.floating], Facts]:
        check_scaled_together([off.data, on.data])
        (without, pulsed), air = without_level("MTRmap", [off.data, on.data])
        noise = background_noise(without)
        ratio = transfer_ratio(pulsed, without, noise=noise)
        return ratio, {
            "noise": noise,
            "unfitted_voxels": int(np.count_nonzero(np.isnan(ratio))),
            "apart_mm": apart_fact("MTRmap", [off, on], PULSES),
            "air_share": air,
        }

    return Transfer(*computed_or_nothing("MTRmap", off, compute, TRANSFER_FACTS))


@step(mem_gb=1.0, gives_maps=True)
def relaxation_time(time: Grid3D) -> Shown:
    """Show a map of a time by itself.

    Parameters
    ----------
    time
        The map.
    """
    return Shown(time)


@step(mem_gb=1.0, gives_maps=True)
def map_rate(time: Grid3D, seconds_per_unit: float, without: Sequence[str] = ()) -> Relaxation:
    """Compute R1 from a map of T1.

    Parameters
    ----------
    time
        T1.
    seconds_per_unit
        What it is multiplied with to be in seconds.
    without
        Names of maps that cannot be used; where R1map is among them, the T1 is not to be believed.
    """

    def compute() -> tuple[NDArray[np.floating], Facts]:
        if "R1map" in without:
            raise UnfitImageError("the T1map that it would be computed from cannot be used")
        found = rate_from_time(time.data * np.float32(seconds_per_unit))
        return found.rate, {"seconds_per_unit": seconds_per_unit * found.seconds_per_unit}

    return Relaxation(*computed_or_nothing("R1map", time, compute, RATE_FACTS))


class Ratio(NamedTuple):
    """The ratio of two images, relative to far white matter."""

    ratio: Grid3D
    facts: Facts


@step(mem_gb=1.0, gives_maps=True)
def t2w_image(image: Grid3D) -> Shown:
    """Show a T2w image by itself.

    Parameters
    ----------
    image
        The image.
    """
    return Shown(image)


@step(mem_gb=4.0, seconds=30, gives_maps=True)
def map_t1_over_t2(
    image: Grid3D,
    t1w: Grid3D,
    tissue: LabelImage,
    wmh: MaskImage,
    far_mm: float,
    transform: Path | None = None,
) -> Ratio:
    """Divide T1w by T2w, on the grid of the T2w, and by white matter far from lesions.

    Parameters
    ----------
    image
        The T2w image.
    t1w
        The T1w image.
    tissue, wmh
        Tissues and lesions on the reference.
    far_mm
        White matter farther than this from lesions becomes 1.
    transform
        From the T2w to the reference; None where the headers agree.
    """
    sizes = spacing_of(tissue.affine)
    classes = class_of(tissue.data)
    white = deeper((classes == WHITE_MATTER) & ~wmh.data, float(max(sizes)), sizes)
    far = white & (distance_to(wmh.data, sizes, limit=far_mm) > far_mm)
    brain, fluid, reference, inner = (
        share_on(image, mask, tissue, transform)
        for mask in (tissue.data > 0, classes == VENTRICLES, far, white)
    )

    def compute() -> tuple[NDArray[np.floating], Facts]:
        # the T1w's is taken off where it is prepared
        (t2w,), air = without_level("T1wT2w", [image.data], signed=True)
        check_fluid_is_bright(t2w, fluid >= WHOLLY, inner >= WHOLLY)
        through = [] if transform is None else [str(transform)]
        moved = average_through(t1w, image, through, [True] * len(through))
        inside = brain > IN_BRAIN
        top, bottom = (
            correct_bias(values.astype(np.float32), inside, image.voxel_sizes_mm)
            for values in (moved, t2w)
        )
        ratio, middle = relative_ratio(top, bottom, reference >= WHOLLY)
        return np.where(inside, ratio, np.nan), {
            "reference_ratio": middle,
            "reference_voxels": int(np.count_nonzero(reference >= WHOLLY)),
            "air_share": air,
        }

    return Ratio(*computed_or_nothing("T1wT2w", image, compute, RATIO_FACTS))
