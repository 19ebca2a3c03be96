"""The value of no signal in images that maps are made of: taken off where it is far from 0."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.checks.zero import without_zero_level

log = logging.getLogger("wmhflow")


def without_level(
    source: str, images: Sequence[NDArray[np.float32]], *, signed: bool = False
) -> tuple[list[NDArray[np.float32]], float]:
    """Take the value of no signal off images of one scan, where it is far from 0, and say it.

    Parameters
    ----------
    source
        The map, or the file, for the warning.
    images
        Magnitudes, the brightest one first.
    signed
        Whether a value below 0 is taken off, too.

    Returns
    -------
    images : list of arrays
        As :func:`without_zero_level` gives them.
    share : float
        The value of no signal as given, beside what is bright, which goes to the QC table.
    """
    found, level, share = without_zero_level(images, signed=signed)
    _say(source, level)
    return found, share


def series_without_level(
    source: str, series: NDArray[np.float32], first: int
) -> tuple[NDArray[np.float32], float]:
    """Take one value of no signal off all volumes of a series, where it is far from 0.

    Parameters
    ----------
    source
        The file, for the warning.
    series : (X, Y, Z, n) array
        Its volumes.
    first
        Which of them shows air and tissue best, such as one without weighting.

    Returns
    -------
    series, share
        As for :func:`without_level`.
    """
    _, level, share = without_zero_level([series[..., first]])
    _say(source, level)
    return (series - np.float32(level) if level else series), share


def _say(source: str, level: float) -> None:
    if level:
        log.warning(
            "%s: where there is no signal, its images have %.6g, as where a header lost its "
            "intercept; that is taken off. It is marked 'check'.", source, level,
        )  # fmt: skip
