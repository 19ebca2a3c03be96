"""The tensor: its known answers, and the same numbers as dipy's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.builders import DATA
from tests.core.diffusion.series import STICK, noisy, table, tensor_signal, turned
from wmhflow.core.diffusion import (
    Gradients,
    as_matrices,
    fit_tensor,
    main_directions,
    read_gradients,
)
from wmhflow.files.images import load_series

REAL = DATA / "diffusion" / "ds000114_sub-01_ses-test_desc-trunc_dwi.nii.gz"


def dipy_fit(signals: np.ndarray, gradients: Gradients):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dipy.core.gradients import gradient_table
        from dipy.reconst.dti import TensorModel

        told = gradient_table(gradients.bvals, bvecs=gradients.vectors, b0_threshold=50)
        return TensorModel(told, fit_method="WLS").fit(signals.astype(np.float64))


def test_a_tensor_without_noise_comes_back() -> None:
    bvals, vectors = table((1000, 30))
    shapes = [turned(turned(STICK, 35, 0), angle, 2) for angle in (0, 20, 130)]
    shapes += [np.eye(3) * 0.8e-3, np.diag([1.0e-3, 0.9e-3, 0.2e-3])]
    signals = np.stack([tensor_signal(one, bvals, vectors) for one in shapes])
    fit = fit_tensor(signals.astype(np.float64), Gradients(bvals, vectors))
    assert np.allclose(as_matrices(fit.tensors), shapes, atol=1e-12)
    values = np.linalg.eigvalsh(np.stack(shapes))
    assert np.allclose(fit.md, values.mean(axis=1), atol=1e-12)
    assert np.allclose(fit.ad, values[:, 2], atol=1e-11)
    assert np.allclose(fit.rd, values[:, :2].mean(axis=1), atol=1e-11)
    mean = values.mean(axis=1, keepdims=True)
    fa = np.sqrt(1.5 * ((values - mean) ** 2).sum(axis=1) / (values**2).sum(axis=1))
    assert np.allclose(fit.fa, fa, atol=1e-9)
    along = main_directions(fit.tensors[:1])[0]
    assert abs(along @ np.linalg.eigh(shapes[0])[1][:, 2]) == pytest.approx(1, abs=1e-9)


def test_it_equals_dipys_where_there_is_noise() -> None:
    bvals, vectors = table((1000, 30))
    gradients = Gradients(bvals, vectors)
    signals = np.concatenate(
        [noisy(tensor_signal(turned(STICK, 40, axis), bvals, vectors), 25, 200, axis)
         for axis in range(3)]
    )  # fmt: skip
    ours, theirs = fit_tensor(signals, gradients), dipy_fit(signals, gradients)
    assert np.abs(ours.fa - theirs.fa).max() < 1e-6
    for name in ("md", "ad", "rd"):
        assert np.abs(getattr(ours, name) / getattr(theirs, name) - 1).max() < 1e-6


@pytest.mark.skipif(not REAL.exists(), reason="the real series lies in shared/data/diffusion")
def test_it_equals_dipys_on_a_real_series() -> None:
    data, affine = load_series(REAL)
    start = str(REAL).removesuffix(".nii.gz")
    bvals, vectors = np.loadtxt(f"{start}.bval"), np.loadtxt(f"{start}.bvec")
    gradients = read_gradients(bvals, vectors, affine, "FSL", data.shape[3])
    signals = data[(data > 0).all(axis=3) & (data[..., 0] > 200)][::5]
    ours, theirs = fit_tensor(signals, gradients), dipy_fit(signals, gradients)
    # dipy raises eigenvalues below 0 to 1e-9 mm²/s
    sound = theirs.evals.min(axis=-1) > 1e-8
    assert sound.mean() > 0.7
    assert np.abs(ours.fa - theirs.fa)[sound].max() < 1e-6
    assert np.abs(ours.md / theirs.md - 1)[sound].max() < 1e-6
    assert ours.n_negative == np.count_nonzero(~sound)


def test_a_voxel_without_signal_has_no_fit_and_spoils_no_other() -> None:
    bvals, vectors = table((1000, 12))
    signals = np.tile(tensor_signal(STICK, bvals, vectors), (5, 1)).astype(np.float32)
    signals[1, 3], signals[2, 0], signals[3, 5], signals[4, 5] = 0, np.nan, -1, np.inf
    fit = fit_tensor(signals, Gradients(bvals, vectors))
    assert np.isfinite(fit.fa).tolist() == [True, False, False, False, False]
    assert np.isnan(fit.tensors[1:]).all()
    assert fit.fa[0] == pytest.approx(0.799, abs=1e-3)


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    bvals, vectors = table((1000, 12))
    signals = noisy(tensor_signal(STICK, bvals, vectors), 15, 4000)
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(fit_tensor(signals, Gradients(bvals, vectors)).tensors)
    assert np.array_equal(*found)
