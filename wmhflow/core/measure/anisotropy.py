"""Whether an anisotropy can be that of the diffusivities beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def anisotropy_range(
    axial: NDArray[np.floating], radial: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tell between which values FA lies, by the axial and the radial diffusivity.

    Both leave open how much the second and the third eigenvalue differ, whose mean the radial one
    is: not at all, or so much that the second is the axial one or the third is 0.

    Parameters
    ----------
    axial, radial
        Of shape (N,), in one unit, any.

    Returns
    -------
    lowest, highest : ndarray
        Of shape (N,), 0 to 1; NaN where a diffusivity is not above 0, or the radial one is above
        the axial one.

    References
    ----------
    Basser PJ, Pierpaoli C. Microstructural and physiological features of tissues elucidated by
    quantitative-diffusion-tensor MRI. J Magn Reson B 1996. doi:10.1006/jmrb.1996.0086

    Examples
    --------
    >>> low, high = anisotropy_range(np.array([1.7, 1.0]), np.array([0.2, 1.0]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.87, 0.0], [0.882, 0.0])
    """
    along, across = (np.asarray(one, np.float64) for one in (axial, radial))
    is_known = (along > 0) & (across > 0) & (along >= across)
    along, across = (np.where(is_known, one, np.nan) for one in (along, across))
    apart = np.minimum(across, along - across)
    difference, squares = (along - across) ** 2, along**2 + 2 * across**2
    lowest = np.sqrt(difference / squares)
    highest = np.sqrt((difference + 3 * apart**2) / (squares + 2 * apart**2))
    return lowest, highest


def outside_range(
    values: NDArray[np.floating], lowest: NDArray[np.floating], highest: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Tell how far values lie outside of ranges; 0 within them, NaN where one is not known.

    Parameters
    ----------
    values, lowest, highest
        Of one shape, in one unit.

    Examples
    --------
    >>> outside_range(np.array([0.5, 0.1, 0.9]), np.full(3, 0.4), np.full(3, 0.6)).round(3).tolist()
    [0.0, 0.3, 0.3]
    """
    return np.maximum(np.maximum(lowest - values, values - highest), 0.0)
