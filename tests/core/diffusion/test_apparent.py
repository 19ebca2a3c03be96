"""The apparent diffusion coefficient: which volumes, and what was planted comes back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.diffusion.series import STICK, directions, table, tensor_signal, turned
from wmhflow.core.diffusion import (
    UnfitSeriesError,
    adc_volumes,
    apparent_diffusion,
    trace_signal,
)

AXES = np.eye(3)
SIX = np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]]) / 2**0.5


def series(b: float, vectors: np.ndarray, n_b0: int = 1) -> tuple[np.ndarray, np.ndarray]:
    bvals = np.array([0.0] * n_b0 + [b] * len(vectors))
    return bvals, np.concatenate([np.zeros((n_b0, 3)), vectors])


@pytest.mark.parametrize(
    "vectors", [AXES, AXES @ turned(np.diag([1.0, 1, -1]), 33, 1), SIX, directions(12),
                directions(31)]
)  # fmt: skip
@pytest.mark.parametrize("angle", [0, 30, 71])
def test_it_is_the_mean_of_a_tensor_whatever_its_axes(vectors: np.ndarray, angle: float) -> None:
    bvals, listed = series(1000, vectors, n_b0=2)
    tensor = turned(turned(STICK, angle, 2), 25, 0)
    signals = 700 * tensor_signal(tensor, bvals, listed)[None]
    _, trace = adc_volumes(bvals, listed, len(bvals))
    found = apparent_diffusion(signals, bvals, trace)
    assert found[0] == pytest.approx(np.trace(tensor) / 3, rel=1e-9)
    expected = 700 * np.exp(-1000 * np.trace(tensor) / 3)
    assert trace_signal(signals, trace)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("place", [0, 2, 3])
def test_directions_count_and_not_the_trace_that_a_scanner_made_of_them(place: int) -> None:
    """Which says the same; and a direction that the table has lost is 0, too, and is no trace."""
    bvals, listed = series(1000, np.insert(SIX, place, 0, axis=0))
    tensor = turned(turned(STICK, 30, 2), 25, 0)
    signals = 700 * tensor_signal(tensor, bvals, listed)[None]
    signals[0, 1 + place] = 3.0
    chosen, trace = adc_volumes(bvals, listed, 8)
    assert 1 + place not in chosen.volumes
    assert trace.n_directions == 6
    found = apparent_diffusion(signals, bvals, trace)
    assert found[0] == pytest.approx(np.trace(tensor) / 3, rel=1e-9)


@pytest.mark.parametrize("n_traces", [1, 3])
def test_traces_without_a_direction_beside_them_are_averaged(n_traces: int) -> None:
    bvals, listed = series(1000, np.zeros((n_traces, 3)))
    chosen, trace = adc_volumes(bvals, listed, 1 + n_traces)
    assert (chosen.volumes, trace.n_directions) == (tuple(range(1 + n_traces)), 0)
    signals = np.array([[100, *[100 * np.exp(-0.62)] * n_traces]])
    assert apparent_diffusion(signals, bvals, trace)[0] == pytest.approx(0.62e-3, rel=1e-12)


def test_weighting_of_what_counts_as_none_is_taken_off() -> None:
    bvals = np.array([20.0, 40, 1000])
    signals = 90 * np.exp(-bvals * 0.8e-3)
    _, trace = adc_volumes(bvals, None, 3)
    assert apparent_diffusion(signals[None], bvals, trace)[0] == pytest.approx(0.8e-3, rel=1e-12)


def test_where_a_signal_is_none_there_is_no_number() -> None:
    bvals = np.array([0.0, 1000])
    _, trace = adc_volumes(bvals, None, 2)
    signals = np.array([[100, 0], [0, 40], [np.nan, 40], [100, np.inf], [-5, -2], [100, 50]])
    found = apparent_diffusion(signals, bvals, trace)
    assert np.isnan(found[:5]).all()
    assert found[5] == pytest.approx(np.log(2) / 1000)
    assert np.isnan(trace_signal(signals, trace)[[0, 3, 4]]).all()


@pytest.mark.parametrize(
    ("shells", "b"),
    [(((700, 15), (2000, 15)), 700), (((500, 6), (1200, 6)), 1200), (((1000, 6), (950, 1)), 996)],
)
def test_the_one_b_nearest_to_1000_counts(shells, b: float) -> None:
    bvals, vectors = table(*shells)
    chosen, trace = adc_volumes(bvals, vectors.T, len(bvals))
    if len(shells[1]) and shells[1][1] == 1:
        assert trace.shell.b == pytest.approx(6950 / 7)
    else:
        assert trace.shell.b == b
    assert set(chosen.volumes) == {0, 1, *trace.shell.volumes}


@pytest.mark.parametrize(
    ("bvals", "vectors", "why"),
    [
        ([0, 1000], AXES[:2], "one direction"),
        ([0, 1000, 1000], [*AXES[:1], *AXES[:2]], "2 directions that are not spread"),
        ([0, 1000, 1000, 1000], [AXES[0]] * 4, "3 directions that are not spread"),
        ([0, 1000, 1000], None, "without a table of directions"),
        # of two directions no trace was made: the third has lost its own
        ([0, 1000, 1000, 1000], [*AXES[:1], *AXES[:2], [0, 0, 0]], "2 directions that are not"),
        ([0, 200, 400], None, "no b of 490 to 1530"),
        ([0, 2000], None, "its b-values: 2000"),
        ([500, 1000], None, "without diffusion weighting"),
        ([0, -1000], None, "0 or larger"),
        ([0, 1000, 1000], AXES[:2], "3 volumes, 3 b-values and 2 directions"),
        ([0, 1000], [[0, 0, 0], [np.nan, 0, 1]], "not all finite"),
        ([0, 1000], [[0, 0, 0], [0.5, 0, 0]], "not of length 1"),
    ],
)
def test_what_gives_no_mean_of_all_directions_is_refused(bvals, vectors, why: str) -> None:
    told = None if vectors is None else np.array(vectors, float).T
    with pytest.raises(UnfitSeriesError, match=why):
        adc_volumes(np.array(bvals, float), told, len(bvals))


def test_another_number_of_volumes_is_refused() -> None:
    with pytest.raises(UnfitSeriesError, match="3 volumes and 2 b-values"):
        adc_volumes(np.array([0.0, 1000]), None, 3)
