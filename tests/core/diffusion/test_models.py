"""Free water, kurtosis, IVIM and fractions: what is planted comes back, and dipy's own numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.core.diffusion.series import STICK, directions, noisy, table, tensor_signal, turned
from wmhflow.core.diffusion import (
    Gradients,
    fit_free_water,
    fit_ivim,
    fit_kurtosis,
    shell_means,
    tissue_fractions,
)

TWO_SHELLS = table((700, 20), (2000, 20))


def gradient_table(bvals: np.ndarray, vectors: np.ndarray):
    from dipy.core.gradients import gradient_table as made

    return made(bvals, bvecs=vectors, b0_threshold=50)


def watery(share: float, tensor: np.ndarray = STICK) -> np.ndarray:
    bvals, vectors = TWO_SHELLS
    return (1 - share) * tensor_signal(tensor, bvals, vectors) + share * np.exp(-bvals * 3e-3)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.69])
def test_planted_free_water_comes_back_with_the_tensor_beside_it(share: float) -> None:
    fit = fit_free_water(1000 * watery(share)[None], Gradients(*TWO_SHELLS))
    assert fit.fraction[0] == pytest.approx(share, abs=0.01)
    assert fit.fa[0] == pytest.approx(0.799, abs=0.02)
    assert fit.md[0] == pytest.approx(0.7667e-3, rel=0.03)


def test_free_water_is_dipys_to_the_letter() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dipy.reconst.fwdti import FreeWaterTensorModel

        model = FreeWaterTensorModel(gradient_table(*TWO_SHELLS), fit_method="WLS")
    signals = np.concatenate([1000 * noisy(watery(share), 30, 12, seed=int(100 * share))
                              for share in (0.0, 0.3, 0.6, 0.9)])  # fmt: skip
    theirs = model.fit(signals.astype(np.float64))
    ours = fit_free_water(signals, Gradients(*TWO_SHELLS))
    assert np.abs(ours.fraction - theirs.f).max() < 1e-6
    kept = np.isfinite(ours.md)
    assert (kept == (theirs.f <= 0.7)).all()
    assert np.abs(ours.md[kept] / theirs.md[kept] - 1).max() < 1e-5


def test_where_free_water_is_most_there_is_no_tensor_and_without_signal_nothing() -> None:
    signals = np.stack([watery(0.85), watery(1.0), watery(0.2)]).astype(np.float32)
    signals[2, 4] = np.nan
    fit = fit_free_water(signals, Gradients(*TWO_SHELLS))
    assert fit.fraction[0] == pytest.approx(0.85, abs=0.02)
    assert fit.fraction[1] == 1
    assert np.isnan([*fit.fa, *fit.md, fit.fraction[2]]).all()


def test_planted_kurtosis_comes_back() -> None:
    from dipy.sims.voxel import multi_tensor_dki

    bvals, vectors = table((1000, 30), (2000, 30))
    values = np.array([[0.99, 0, 0], [2.26, 0.87, 0.87]]) * 1e-3
    signal, _, kurtosis = multi_tensor_dki(
        gradient_table(bvals, vectors), mevals=values, S0=100, fractions=[50, 50], snr=None
    )
    from dipy.reconst import dki

    # the mean of what was planted over many directions, by hand
    many = directions(4000)
    diffusivity = values.mean(axis=0)
    quartic = dki.directional_kurtosis(
        np.array([diffusivity[0], 0, diffusivity[1], 0, 0, diffusivity[2]]),
        diffusivity.mean(), kurtosis, many, min_kurtosis=-10,
    )  # fmt: skip
    fit = fit_kurtosis(np.stack([signal, signal]), Gradients(bvals, vectors))
    # 4000 directions give the mean to 1e-4
    assert fit.mk[0] == pytest.approx(quartic.mean(), abs=2e-4)
    assert fit.bounded_fraction == 0
    # across the fibres one half does not move at all: 3 variances over the squared mean are 3
    assert fit.rk[0] == pytest.approx(3, abs=1e-3)
    along = values[:, 0]
    assert fit.ak[0] == pytest.approx(3 * along.var() / along.mean() ** 2, abs=1e-3)
    for values_of in (fit.kfa, fit.mkt):
        assert 0 < values_of[0] < 3


@pytest.mark.parametrize("apart", [0, 1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 0.1])
def test_planted_kurtosis_comes_back_where_eigenvalues_are_nearly_one(apart: float) -> None:
    from dipy.reconst import dki
    from dipy.sims.voxel import multi_tensor_dki

    bvals, vectors = table((1000, 30), (2000, 30))
    signals, expected = [], []
    for across, angles in ((0.3, ((0, 0), (0, 0))), (0.5, ((20, 70), (20, 70))),
                           (0.4, ((90, 10), (35, 120)))):  # fmt: skip
        slow = [1.8, across, across * (1 + apart)]
        fast = [1.1, 1.2 * across, 1.2 * across * (1 + apart)]
        signal, tensor, kurtosis = multi_tensor_dki(
            gradient_table(bvals, vectors), mevals=np.array([slow, fast]) * 1e-3, S0=100,
            angles=list(angles), fractions=[40, 60], snr=None,
        )  # fmt: skip
        mean = (tensor[0] + tensor[2] + tensor[5]) / 3
        of_each = dki.directional_kurtosis(
            tensor, mean, kurtosis, directions(8000), min_kurtosis=-10
        )
        signals.append(signal)
        expected.append(of_each.mean())
    fit = fit_kurtosis(np.stack(signals), Gradients(bvals, vectors))
    assert np.allclose(fit.mk, expected, rtol=0, atol=1e-3)


def test_gaussian_diffusion_has_no_kurtosis_and_bad_voxels_have_none() -> None:
    bvals, vectors = table((1000, 20), (2000, 20))
    below = np.exp(-bvals * 0.8e-3 - (bvals * 0.8e-3) ** 2 / 6)
    signals = np.stack([tensor_signal(STICK, bvals, vectors), below, below])
    signals[2, 3] = 0
    fit = fit_kurtosis(signals, Gradients(bvals, vectors))
    assert abs(np.nan_to_num(fit.mk[0])) < 1e-6
    assert np.isnan(fit.mk[1])
    assert np.isnan(fit.mk[2])
    assert fit.bounded_fraction >= 0.5


def test_kurtosis_beyond_three_is_three_and_counted() -> None:
    bvals, vectors = table((1000, 20), (2000, 20))
    high = np.exp(-bvals * 0.6e-3 + 4.0 * (bvals * 0.6e-3) ** 2 / 6)
    fit = fit_kurtosis(high[None], Gradients(bvals, vectors))
    assert fit.mk[0] == pytest.approx(3, abs=1e-9)
    assert fit.bounded_fraction == 1


@pytest.mark.parametrize(("slow", "share"), [(0.7e-3, 0.05), (1.0e-3, 0.1), (1.5e-3, 0.15)])
def test_planted_ivim_comes_back(slow: float, share: float) -> None:
    bvals = np.array([0, 0, 20, 40, 80, 120, 200, 300, 500, 800, 1000], dtype=float)
    signal = 500 * ((1 - share) * np.exp(-bvals * slow) + share * np.exp(-bvals * 0.05))
    fit = fit_ivim(np.stack([signal, signal * 0]), bvals)
    assert fit.diffusivity[0] == pytest.approx(slow, rel=0.01)
    assert fit.fraction[0] == pytest.approx(share, abs=0.01)
    assert np.isnan([fit.diffusivity[1], fit.fraction[1]]).all()


def test_directions_of_one_b_are_averaged_to_the_trace() -> None:
    tensor = turned(STICK, 30, 1)
    bvals = np.repeat([0.0, 200, 500, 1000], 3)
    vectors = np.tile(np.eye(3), (4, 1))
    fit = fit_ivim(tensor_signal(tensor, bvals, vectors)[None], bvals)
    assert fit.diffusivity[0] == pytest.approx(np.trace(tensor) / 3, rel=1e-9)
    assert fit.fraction[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_planted_fractions_come_back_through_noise() -> None:
    bvals, vectors = table((1000, 30), (2000, 30), n_b0=6)
    rng = np.random.default_rng(3)
    planted = rng.dirichlet([1, 1, 1], 1500)
    turns = [turned(turned(STICK, a, 0), b, 2) for a, b in rng.uniform(0, 180, (60, 2))]
    white = np.stack([tensor_signal(one, bvals, vectors) for one in turns])
    grey, fluid = 1.2 * np.exp(-bvals * 0.8e-3), 2.5 * np.exp(-bvals * 3e-3)
    clean = (
        planted[:, :1] * white[rng.integers(60, size=1500)]
        + planted[:, 1:2] * grey + planted[:, 2:] * fluid
    )  # fmt: skip
    signals = np.hypot(clean + rng.normal(0, 0.02, clean.shape), rng.normal(0, 0.02, clean.shape))
    shells = [range(6), range(6, 36), range(36, 66)]
    pure = np.stack([white.mean(axis=0), grey, fluid]).astype(np.float32)
    found = tissue_fractions(
        shell_means(signals.astype(np.float32), shells), shell_means(pure, shells)
    )
    assert np.allclose(found.sum(axis=1), 1)
    assert found.min() >= 0
    for column in range(3):
        assert np.corrcoef(found[:, column], planted[:, column])[0, 1] >= 0.96
        assert abs((found - planted)[:, column].mean()) <= 0.02


def test_fractions_are_those_of_non_negative_least_squares() -> None:
    from scipy.optimize import lsq_linear

    rng = np.random.default_rng(5)
    pure = np.array([[1.0, 0.5, 0.3], [1.2, 0.55, 0.25], [2.5, 0.12, 0.01]])
    means = rng.uniform(0.01, 2, (100, 3))
    expected = np.stack(
        [lsq_linear(pure.T, one, (0, np.inf), method="bvls", tol=1e-14).x for one in means]
    )
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(tissue_fractions(means, pure), expected, atol=1e-9)
    assert np.isnan(tissue_fractions(np.array([[1.0, np.nan, 1], [0, 1, 1]]), pure)).all()
