"""The apparent diffusion coefficient: one number from volumes without weighting and of one b."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.diffusion.gradients import (
    UNIT_TOLERANCE,
    Gradients,
    Shell,
    UnfitSeriesError,
    b0_limit,
    directions_by_volume,
    shells_of,
)
from wmhflow.core.diffusion.selection import Selection

# The logarithm of the signal is a straight line between perfusion and kurtosis (2 % for scanners
# that write 1510), s/mm²; of several b-values the one nearest to that of clinical scans counts.
ADC_B = (490.0, 1530.0)
USUAL_B = 1000.0
# Vectors shorter than this are no direction: scanners write 0 for the trace.
NO_DIRECTION = 0.1
# By how much noise may grow, against a plain mean, where directions are weighted so that each axis
# counts alike.
LARGEST_NOISE = 1.5
EXACT = 1e-2
# By how much the mean of directions may prefer an axis where they are averaged plainly.
UNEVEN = 0.06


class Trace(NamedTuple):
    """Volumes of one b whose weighted mean is that of all directions.

    ``n_directions`` is 0 where they are the trace already, and None where no table tells.
    """

    shell: Shell
    shares: tuple[float, ...]
    n_directions: int | None

    @property
    def words(self) -> str:
        """What is averaged, in words."""
        n = len(self.shell.volumes)
        if self.n_directions:
            return f"{self.n_directions} with b = {self.shell.b:.0f}"
        told = "" if self.n_directions == 0 else ", taken for the trace since no table tells more"
        return f"{n} with b = {self.shell.b:.0f} (trace image{'s' * (n > 1)}{told})"


def adc_volumes(
    bvals: NDArray[np.float64],
    vectors: NDArray[np.float64] | None,
    n_volumes: int,
    within: tuple[float, float] = ADC_B,
) -> tuple[Selection, Trace]:
    """Choose the volumes without weighting, and those of the one b that is nearest to 1000.

    Parameters
    ----------
    bvals : ndarray of shape (g,)
        s/mm².
    vectors : ndarray of shape (3, g) or (g, 3), or None
        Directions along any axes; 0 is a trace image. Without them a single volume, or three and
        more, are taken for the trace.
    n_volumes
        Of the series.
    within
        The b-values that will do, s/mm².

    Returns
    -------
    tuple of Selection and Trace
        The volumes, and how those of the one b are averaged.

    Raises
    ------
    UnfitSeriesError
        If counts differ, no volume is without weighting, no b-value will do, or the directions of
        none give the mean of all directions.

    Examples
    --------
    >>> chosen, trace = adc_volumes(np.array([0.0, 1000.0]), np.zeros((2, 3)), 2)
    >>> chosen.volumes, trace.n_directions, trace.words
    ((0, 1), 0, '1 with b = 1000 (trace image)')
    """
    if len(bvals) != n_volumes:
        raise UnfitSeriesError(f"it has {n_volumes} volumes and {len(bvals)} b-values")
    if not np.isfinite(bvals).all() or bvals.min() < 0:
        raise UnfitSeriesError("its b-values are not all finite and 0 or larger")
    limit = b0_limit(bvals)
    listed = None if vectors is None else directions_by_volume(bvals, vectors, n_volumes)
    table = Gradients(bvals, np.zeros((n_volumes, 3)), limit)
    shells = [one for one in shells_of(table) if within[0] <= one.b <= within[1]]
    if not shells:
        there = ", ".join(f"{one.b:.0f}" for one in shells_of(table)) or "none above 0"
        raise UnfitSeriesError(
            f"it has no b of {within[0]:.0f} to {within[1]:.0f} (its b-values: {there})"
        )
    faults = []
    for shell in sorted(shells, key=lambda one: abs(one.b - USUAL_B)):
        try:
            trace = _trace_of(shell, listed)
        except UnfitSeriesError as error:
            faults.append(str(error))
            continue
        b0 = tuple(table.b0.tolist())
        used = tuple(sorted((*b0, *trace.shell.volumes)))
        counted = (trace.n_directions or 0,)
        return Selection(used, (trace.shell,), len(b0), counted, 1.0, len(used) - 2), trace
    raise UnfitSeriesError("; ".join(faults))


def _trace_of(shell: Shell, vectors: NDArray[np.float64] | None) -> Trace:
    """Weight the volumes of a shell so that they give the mean of all directions."""
    count = len(shell.volumes)
    if vectors is None:
        if count == 2:
            raise UnfitSeriesError(
                f"two volumes of b = {shell.b:.0f} without a table of directions are no trace"
            )
        return Trace(shell, (1 / count,) * count, None)
    mine = vectors[list(shell.volumes)]
    lengths = np.linalg.norm(mine, axis=1)
    if not np.isfinite(lengths).all():
        raise UnfitSeriesError(f"its directions of b = {shell.b:.0f} are not all finite")
    without = lengths < NO_DIRECTION
    if without.all():
        return Trace(shell, (1 / count,) * count, 0)
    directed = lengths[~without]
    if (np.abs(directed - 1) > UNIT_TOLERANCE).any():
        raise UnfitSeriesError(f"its directions of b = {shell.b:.0f} are not of length 1")
    # what a scanner made of its directions says what they say; and a direction that the table has
    # lost is 0, too, and no trace
    shares = _even_shares(mine[~without] / directed[:, None])
    if shares is None:
        what = f"{directed.size} directions that are not spread evenly"
        what = "one direction" if directed.size == 1 else what
        raise UnfitSeriesError(
            f"b = {shell.b:.0f} has {what}, which cannot give the mean of all directions"
        )
    volumes = tuple(np.asarray(shell.volumes)[~without].tolist())
    return Trace(Shell(shell.b, volumes), tuple(shares.tolist()), len(volumes))


def _even_shares(vectors: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Weight directions so that a tensor's mean comes out whatever its axes; None if not possible.

    Of all such weights those nearest to a plain mean.
    """
    x, y, z = vectors.T
    products = np.stack([x * x, y * y, z * z, x * y, x * z, y * z])
    aim = np.array([1, 1, 1, 0, 0, 0]) / 3
    plain = np.full(len(vectors), 1 / len(vectors))
    shares = plain + np.linalg.lstsq(products, aim - products @ plain, rcond=1e-6)[0]
    is_exact = np.abs(products @ shares - aim).max() <= EXACT
    noise = float(np.sqrt(len(vectors) * (shares**2).sum()))
    return shares / shares.sum() if is_exact and noise <= LARGEST_NOISE else None


def check_even(shells: Sequence[Shell], vectors: NDArray[np.float64]) -> None:
    """Refuse shells whose plain mean, of logarithms, is not that of all directions.

    Parameters
    ----------
    shells
        The shells.
    vectors : ndarray of shape (g, 3)
        A direction for each volume of the series; 0 is a trace image.

    Raises
    ------
    UnfitSeriesError
        With the first such b.

    Examples
    --------
    >>> check_even([Shell(200.0, (0, 1, 2))], np.eye(3))
    """
    for shell in shells:
        mine = vectors[list(shell.volumes)]
        lengths = np.linalg.norm(mine, axis=1)
        if (lengths < NO_DIRECTION).all():
            continue
        units = mine[lengths >= NO_DIRECTION] / lengths[lengths >= NO_DIRECTION, None]
        traces = np.count_nonzero(lengths < NO_DIRECTION) * np.eye(3) / 3
        mean = (units.T @ units + traces) / len(mine)
        # NaN is not small
        if not np.abs(mean - np.eye(3) / 3).max() <= UNEVEN:
            raise UnfitSeriesError(
                f"the directions of b = {shell.b:.0f} ({len(mine)}) are not spread evenly, so that "
                "their mean is not that of all directions"
            )


def apparent_diffusion(
    signals: NDArray[np.floating], bvals: NDArray[np.float64], trace: Trace
) -> NDArray[np.float64]:
    """Compute the apparent diffusion coefficient: what the logarithm of the signal loses by b.

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        A row for each voxel, a column for each volume of the series. A voxel of which a signal that
        counts is not finite or not above 0 has none.
    bvals : ndarray of shape (g,)
        s/mm².
    trace
        How the volumes of the one b are averaged; those without weighting are averaged, too.

    Returns
    -------
    ndarray of shape (n,)
        mm²/s; NaN where there is none.

    References
    ----------
    Stejskal EO, Tanner JE. Spin diffusion measurements: spin echoes in the presence of a
    time-dependent field gradient. Journal of Chemical Physics 1965;42:288-292.
    doi:10.1063/1.1695690

    Examples
    --------
    >>> b = np.array([0.0, 1000.0])
    >>> _, trace = adc_volumes(b, None, 2)
    >>> found = apparent_diffusion(np.array([[100, 100 * np.exp(-0.8)], [100, 0]]), b, trace)
    >>> found.round(7).tolist()
    [0.0008, nan]
    """
    weighted = list(trace.shell.volumes)
    plain = np.flatnonzero(bvals <= b0_limit(bvals)).tolist()
    used = [*plain, *weighted]
    sound = (np.isfinite(signals[:, used]) & (signals[:, used] > 0)).all(axis=1)
    logs = np.log(np.asarray(signals[sound], dtype=np.float64))
    apart = bvals[weighted] - bvals[plain].mean()
    lost = logs[:, plain].mean(axis=1)[:, None] - logs[:, weighted]
    found = np.full(len(signals), np.nan)
    found[sound] = (lost / apart) @ np.array(trace.shares)
    return found


def trace_signal(signals: NDArray[np.floating], trace: Trace) -> NDArray[np.float64]:
    """Average the volumes of one b geometrically, which leaves no direction.

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        A row for each voxel, a column for each volume of the series.
    trace
        How the volumes are averaged.

    Returns
    -------
    ndarray of shape (n,)
        In the unit of the signals; NaN where one of them is not finite or not above 0.
    """
    mine = signals[:, list(trace.shell.volumes)]
    sound = (np.isfinite(mine) & (mine > 0)).all(axis=1)
    found = np.full(len(signals), np.nan)
    logs = np.log(np.asarray(mine[sound], dtype=np.float64))
    found[sound] = np.exp(logs @ np.array(trace.shares))
    return found
