"""Diffusion kurtosis, by dipy's weighted least squares."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.diffusion.gradients import Gradients

# Kurtosis below 0 is the mark of a fit that noise or fibres in one direction have spoilt, and so is
# more than this (Tabesh et al. 2011, doi:10.1002/mrm.22655).
LARGEST_KURTOSIS = 3.0
# Wider than anything that is kept, so that it is seen what lies beyond.
UNBOUNDED = (-1e3, 1e3)


@dataclass(frozen=True)
class KurtosisFit:
    """Measures of kurtosis, without unit; NaN where there is no fit, or one below 0.

    Attributes
    ----------
    mk, ak, rk : ndarray of shape (n,)
        Mean, axial and radial kurtosis; at most 3.
    kfa : ndarray of shape (n,)
        Fractional anisotropy of kurtosis.
    mkt : ndarray of shape (n,)
        Mean of the kurtosis tensor, which is less moved by noise than MK; at most 3.
    bounded_fraction : float
        Share of fitted voxels whose MK is below 0 or above 3 before that.
    """

    mk: NDArray[np.float64]
    ak: NDArray[np.float64]
    rk: NDArray[np.float64]
    kfa: NDArray[np.float64]
    mkt: NDArray[np.float64]
    bounded_fraction: float


def fit_kurtosis(signals: NDArray[np.float32], gradients: Gradients) -> KurtosisFit:
    """Fit tensors of diffusion and kurtosis (Jensen et al. 2005, doi:10.1002/mrm.20508).

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        A row for each voxel. A voxel with a signal that is not finite or not above 0 has no fit.
    gradients
        Of the g volumes: two shells and more of 15 directions each.

    Returns
    -------
    KurtosisFit
    """
    # heavy, and of no use to whoever gives maps
    from dipy.core.gradients import gradient_table
    from dipy.reconst import dki

    sound = (np.isfinite(signals) & (signals > 0)).all(axis=1)
    found = {name: np.full(len(signals), np.nan) for name in ("mk", "ak", "rk", "kfa", "mkt")}
    if not sound.any():
        return KurtosisFit(**found, bounded_fraction=0.0)
    with warnings.catch_warnings():
        # dipy warns of its own arguments
        warnings.simplefilter("ignore")
        table = gradient_table(
            gradients.bvals, bvecs=gradients.vectors, b0_threshold=gradients.b0_limit
        )
        model = dki.DiffusionKurtosisModel(table, fit_method="WLS")
        fit = model.fit(np.asarray(signals[sound], dtype=np.float64))
        low, high = UNBOUNDED
        raw = {
            "mk": fit.mk(min_kurtosis=low, max_kurtosis=high),
            "ak": fit.ak(min_kurtosis=low, max_kurtosis=high),
            "rk": fit.rk(min_kurtosis=low, max_kurtosis=high),
            "mkt": fit.mkt(min_kurtosis=low, max_kurtosis=high),
        }
        kfa = np.asarray(fit.kfa)
    beyond = (raw["mk"] < 0) | (raw["mk"] > LARGEST_KURTOSIS)
    for name, values in raw.items():
        kept = np.where(values < 0, np.nan, np.minimum(values, LARGEST_KURTOSIS))
        found[name][sound] = kept
    found["kfa"][sound] = np.where(raw["mk"] < 0, np.nan, kfa)
    return KurtosisFit(**found, bounded_fraction=float(beyond.mean()))
