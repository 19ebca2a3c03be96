"""Slow changes of intensity, corrected with N4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.ants.images import ants_image, single_threaded_ants
from wmhflow.core.space.grids import Grid3D

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Mesh, and shrinking by 4 at 1 mm, are antspyx's defaults. Iterations and tolerance are less than
# its 4 x 50 and 1e-7, to save time; that was measured with all the rest of the anatomy
# (docs/benchmarks.md, heads with a simulated bias field), not by itself.
N4_ITERATIONS, N4_TOLERANCE = (30, 30, 20), 1e-5


def correct_bias(
    grid: Grid3D, mask: NDArray[np.bool_], seed: int, weight: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Correct slow changes of intensity with N4.

    Parameters
    ----------
    grid
        Image in any unit.
    mask
        Where the model counts.
    seed
        Seed of everything random in ANTs.
    weight
        Voxels within the mask that the model is fitted to; all if None.

    Returns
    -------
    ndarray
        Corrected image, with the same mean over the mask as before.

    References
    ----------
    Tustison NJ et al. N4ITK: improved N3 bias correction. IEEE Trans Med Imaging 2010.
    doi:10.1109/TMI.2010.2046908
    """
    ants = single_threaded_ants(seed)
    # N4 takes logarithms: nothing may be zero or below inside the mask.
    floor = float(np.percentile(grid.data[mask], 99)) * 1e-3 if mask.any() else 1.0
    data = np.maximum(grid.data, max(floor, float(np.finfo(np.float32).tiny)))
    counted = mask if weight is None else mask & weight
    field = ants.n4_bias_field_correction(
        ants_image(Grid3D(data, grid.affine), seed),
        mask=ants_image(Grid3D(counted.astype(np.float32), grid.affine), seed),
        shrink_factor=max(round(4.0 / grid.finest_mm), 1),
        convergence={"iters": list(N4_ITERATIONS), "tol": N4_TOLERANCE},
        spline_param=[1, 1, 1],
        return_bias_field=True,
    ).numpy()
    corrected = grid.data / np.where(field > 0, field, 1)
    scale = grid.data[mask].mean() / corrected[mask].mean() if mask.any() else 1.0
    return (corrected * scale).astype(np.float32)
