"""The diffusion tensor by dipy's robust fit, which leaves out volumes that do not agree."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.diffusion.gradients import Gradients
from wmhflow.core.diffusion.tensor import TensorFit

# dipy raises eigenvalues below 0 to about 1e-9 mm²/s.
RAISED = 1e-8


def fit_tensor_robustly(
    fit: TensorFit, signals: NDArray[np.float32], gradients: Gradients, chosen: NDArray[np.bool_]
) -> TensorFit:
    """Fit some voxels again by iterated weights that leave outliers out (dipy's ``RWLS``).

    Parameters
    ----------
    fit
        The plain fit of all voxels.
    signals : ndarray of shape (n, g)
        A row for each voxel.
    gradients
        Of the g volumes.
    chosen : ndarray of shape (n,)
        The voxels that are fitted again, if they have a plain fit.

    Returns
    -------
    TensorFit
        The robust fit of these, and the plain one of the others.

    References
    ----------
    Collier et al. 2015, doi:10.1002/mrm.25351.
    """
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    again = np.flatnonzero(chosen & np.isfinite(fit.fa))
    if not again.size:
        return fit
    with warnings.catch_warnings():
        # dipy warns of its own arguments
        warnings.simplefilter("ignore")
        table = gradient_table(
            gradients.bvals, bvecs=gradients.vectors, b0_threshold=gradients.b0_limit
        )
        model = TensorModel(table, fit_method="RWLS")
        robust = model.fit(np.asarray(signals[again], dtype=np.float64))
    changed = {name: getattr(fit, name).copy() for name in ("tensors", "fa", "md", "ad", "rd")}
    changed["tensors"][again] = robust.lower_triangular()
    for name in ("fa", "md", "ad", "rd"):
        changed[name][again] = getattr(robust, name)
    before = int(np.count_nonzero(fit.rd[again] <= 0))
    after = int(np.count_nonzero(robust.evals.min(axis=-1) < RAISED))
    return replace(fit, **changed, n_negative=max(fit.n_negative - before + after, 0))
