"""Tables of gradients as few have them: b-values without shells, and no volume of b = 0.

Each gave normal-looking numbers: a mean diffusivity a third too low where b-values up to 3000 went
on in equal steps, and a twentieth to a tenth too low where the lowest b was 50 or 100; or, for
IVIM, the diffusivity along one axis under the name of that of all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.core.diffusion.series import directions, tensor_signal
from wmhflow.core.diffusion import (
    Shell,
    UnfitSeriesError,
    fit_free_water,
    fit_tensor,
    read_gradients,
    shells_of,
)
from wmhflow.core.diffusion.apparent import check_even
from wmhflow.core.diffusion.selection import kurtosis_volumes, tensor_volumes

TENSOR = np.array([[1.7, 0, 0], [0, 0.4, 0.1], [0, 0.1, 0.3]]) * 1e-3
MD = np.trace(TENSOR) / 3
FA = np.sqrt(1.5) * np.linalg.norm(TENSOR - MD * np.eye(3)) / np.linalg.norm(TENSOR)


def read(bvals: Any, vectors: Any) -> Any:
    return read_gradients(np.asarray(bvals, float), vectors.T, np.diag([-1, 1, 1, 1.0]), "FSL",
                          len(bvals))  # fmt: skip


# ---- no volume of b = 0 --------------------------------------------------------------------------


def lowest(b: float, vectors: Any) -> tuple[Any, Any, Any]:
    bvals = np.repeat([b, 1000.0], (len(vectors), 30))
    every = np.concatenate([vectors, directions(30)])
    return bvals, every, tensor_signal(TENSOR, bvals, every)


@pytest.mark.parametrize("b", [20, 50, 60, 100])
def test_a_lowest_b_that_has_directions_is_no_b_of_0(b: float) -> None:
    bvals, vectors, signal = lowest(b, directions(6))
    table = read(bvals, vectors)
    assert len(table.b0) == 6
    fit = fit_tensor(signal[None].astype(np.float32), table)
    assert fit.md[0] == pytest.approx(MD, rel=1e-4)
    assert fit.fa[0] == pytest.approx(FA, abs=1e-3)


@pytest.mark.parametrize("b", [20, 50, 60, 100])
@pytest.mark.parametrize("missing", [0.0, np.nan])
def test_a_lowest_b_of_a_trace_is_no_b_of_0(b: float, missing: float) -> None:
    bvals, vectors, signal = lowest(b, np.full((6, 3), missing))
    signal[:6] = np.exp(-b * MD)
    table = read(bvals, vectors)
    fit = fit_tensor(signal[None].astype(np.float32), table)
    assert fit.md[0] == pytest.approx(MD, rel=1e-4)
    # dipy would take it for 0
    again = read([*bvals, *[2000.0] * 30], np.concatenate([vectors, directions(30)]))
    with pytest.raises(UnfitSeriesError, match=rf"volumes with b = {b} .* have no direction"):
        kurtosis_volumes(again)


def test_free_water_counts_it_too() -> None:
    bvals = np.repeat([50.0, 1000, 2000], (6, 30, 30))
    vectors = np.concatenate([np.zeros((6, 3)), directions(30), directions(30)])
    tissue = tensor_signal(TENSOR, bvals, vectors)
    tissue[:6] = np.exp(-50 * MD)
    signal = 1000 * (0.8 * tissue + 0.2 * np.exp(-bvals * 3e-3))
    found = fit_free_water(signal[None].astype(np.float32), read(bvals, vectors))
    assert found.fraction[0] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("b", [0, 5, 10])
def test_what_scanners_write_for_0_is_0(b: float) -> None:
    bvals, vectors, _ = lowest(b, directions(6))
    table = read(bvals, vectors)
    assert not table.bvals[:6].any()
    assert not table.vectors[:6].any()


# ---- b-values without shells ---------------------------------------------------------------------

STEPS: dict[str, tuple[Any, int]] = {
    "steps of 50": (np.linspace(50, 3000, 60), 1),
    "steps of 96": (np.linspace(96, 2400, 25), 4),
    "steps of 100": (np.arange(100, 3001, 100), 3),
    "anywhere": (np.random.default_rng(2).uniform(60, 3000, 90), 1),
}


@pytest.mark.parametrize(("steps", "times"), STEPS.values(), ids=STEPS)
def test_a_tensor_is_fitted_to_no_b_above_1500_whatever_lies_between(
    steps: Any, times: int
) -> None:
    bvals = np.concatenate([[0], np.repeat(steps, times)])
    turned = np.random.default_rng(3).permutation(directions(len(bvals) - 1))
    chosen = tensor_volumes(read(bvals, np.concatenate([np.zeros((1, 3)), turned])))
    used = bvals[list(chosen.volumes)]
    assert 1350 < used.max() <= 1530
    assert len(used) == np.count_nonzero(bvals <= used.max())
    assert len(chosen.words) < 100


SCATTERS: dict[str, tuple[Any, list[float]]] = {
    "two of 10": (lambda rng: [rng.uniform(b - 10, b + 10, 40) for b in (1e3, 2e3)], [1e3, 2e3]),
    "of a tenth": (lambda rng: [rng.uniform(900, 1100, 60)], [1e3]),
    "high": (lambda rng: [rng.uniform(2700, 3300, 60)], [3e3]),
    "four that are 100 apart": (lambda rng: [np.repeat([700, 800, 900, 1000.0], 10)],
                                [700, 800, 900, 1000]),
}  # fmt: skip


@pytest.mark.parametrize(("draw", "means"), SCATTERS.values(), ids=SCATTERS)
def test_what_scatters_is_a_shell(draw: Callable[[Any], Any], means: list[float]) -> None:
    bvals = np.concatenate([[0], *draw(np.random.default_rng(1))])
    vectors = np.concatenate([np.zeros((1, 3)), directions(len(bvals) - 1)])
    found = shells_of(read(bvals, vectors))
    assert [one.b for one in found] == pytest.approx(means, rel=0.02)


# ---- directions that are no trace ----------------------------------------------------------------

X = np.array([[1.0, 0, 0]])
EVEN: dict[str, tuple[Any, bool]] = {
    "a trace": (np.zeros((1, 3)), True),
    "three axes": (np.eye(3), True),
    "six": (directions(6), True),
    "a trace beside its axes": (np.concatenate([np.zeros((1, 3)), np.eye(3)]), True),
    "one direction": (X, False),
    "one direction three times": (np.repeat(X, 3, axis=0), False),
    "two of three axes": (np.eye(3)[[0, 1, 0, 1]], False),
    "one of NaN": (np.full((1, 3), np.nan), False),
}


@pytest.mark.parametrize(("vectors", "is_even"), EVEN.values(), ids=EVEN)
def test_directions_of_ivim_are_those_of_a_trace(vectors: Any, is_even: bool) -> None:
    shells = [Shell(300.0, tuple(range(len(vectors))))]
    if is_even:
        check_even(shells, vectors)
        return
    with pytest.raises(UnfitSeriesError, match=r"b = 300 .* not spread evenly"):
        check_even(shells, vectors)
