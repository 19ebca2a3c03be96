"""Steps on the trace of a diffusion series: ADC, and the image of one b."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.diffusion.apparent import (
    Trace,
    adc_volumes,
    apparent_diffusion,
    trace_signal,
)
from wmhflow.core.diffusion.gradients import UnfitSeriesError, b0_limit
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.forms import trusted_affine
from wmhflow.files.gradients import load_directions
from wmhflow.files.images import load_series, load_volume
from wmhflow.steps.diffusion import count_uneven, head_mask
from wmhflow.steps.kinds import Facts, computed_or_nothing, step
from wmhflow.steps.levels import series_without_level

ADC_FACTS = ("n_voxels", "n_without_fit", "uneven_volumes", "air_share")


class AdcMap(NamedTuple):
    """The apparent diffusion coefficient, mm²/s."""

    adc: Grid3D
    facts: Facts


@step(mem_gb=2.0, seconds=5, gives_maps=True)
def map_adc(
    image: Path,
    bval: Path,
    volumes: list[int],
    bvec: Path | None = None,
    table: Path | None = None,
    mask: Path | None = None,
    trust: str | None = None,
) -> AdcMap:
    """Compute the apparent diffusion coefficient from volumes without weighting and of one b.

    Parameters
    ----------
    image, bval, bvec, table, mask
        The files of the series; without a mask the head is found by its brightness.
    volumes
        Numbers of the volumes that are used.
    trust
        The form of the header that is believed.
    """
    data, affine, bvals, trace, air = _load_trace(image, bval, bvec, table, volumes, trust)
    head = Grid3D(data[..., 0], affine)

    def compute() -> tuple[NDArray[np.floating], Facts]:
        plain = bvals <= b0_limit(bvals)
        counted = head_mask(data[..., plain]) if mask is None else load_volume(mask)[0] != 0
        found = np.full(counted.shape, np.nan)
        signals = data[counted]
        try:
            n_uneven = count_uneven(signals, bvals, b0_limit(bvals), volumes, image)
        except InputError as error:
            raise UnfitImageError(str(error).rstrip(".")) from error
        values = apparent_diffusion(signals, bvals, trace)
        found[counted] = values
        n_without = int(np.count_nonzero(np.isnan(values)))
        return found, dict(zip(ADC_FACTS, (len(values), n_without, n_uneven, air), strict=True))

    return AdcMap(*computed_or_nothing("ADC", head, compute, ADC_FACTS))


class TraceImage(NamedTuple):
    """The trace of a diffusion-weighted image of one b."""

    image: Grid3D


@step(mem_gb=2.0, seconds=5, gives_maps=True)
def average_weighted(
    image: Path,
    bval: Path,
    volumes: list[int],
    bvec: Path | None = None,
    table: Path | None = None,
    trust: str | None = None,
) -> TraceImage:
    """Average the volumes of one b of a series geometrically; NaN where one is not above 0.

    Parameters
    ----------
    image, bval, bvec, table
        The files of the series.
    volumes
        Numbers of the volumes that are used, those without weighting among them.
    trust
        The form of the header that is believed.
    """
    data, affine, _, trace, _ = _load_trace(image, bval, bvec, table, volumes, trust)
    flat = trace_signal(data.reshape(-1, data.shape[3]), trace)
    return TraceImage(Grid3D(flat.reshape(data.shape[:3]).astype(np.float32), affine))


@step(mem_gb=1.0, gives_maps=True)
def trace_image(image: Grid3D) -> TraceImage:
    """Show a scanner's own trace image by itself.

    Parameters
    ----------
    image
        The image.
    """
    return TraceImage(image)


def _load_trace(
    image: Path,
    bval: Path,
    bvec: Path | None,
    table: Path | None,
    volumes: list[int],
    trust: str | None,
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64], Trace, float]:
    """Load volumes of a series, their b-values, how those of one b are averaged, and their air."""
    bvals, vectors = load_directions(bval, bvec, table)
    bvals = bvals[volumes]
    if vectors is not None:
        by_axis = vectors if vectors.shape[0] == 3 else vectors.T
        vectors = by_axis[:, volumes]
    try:
        _, trace = adc_volumes(bvals, vectors, len(volumes))
    except UnfitSeriesError as error:
        raise InputError(f"{image}: {error}") from error
    data, affine = load_series(image, volumes)
    data, air = series_without_level(str(image), data, int(np.argmin(bvals)))
    return data, trusted_affine(image, affine, trust), bvals, trace, air
