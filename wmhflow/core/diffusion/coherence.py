"""Whether directions of diffusion follow fibres from voxel to voxel, as they do in a right table.

A wrong convention of the table of gradients leaves FA and diffusivities as they are and turns all
directions. Of the 24 tables that differ from the given one by exchanged or reversed axes of the
image, the right one makes neighbours along a fibre agree most often (Schilling et al. 2019,
doi:10.1016/j.mri.2019.01.018).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# A fibre leads from a voxel to a neighbour, and on, within this angle.
LARGEST_ANGLE_DEG = 30.0
LEAST_FA = 0.2
# If the second best table reaches more of the best one's score, nobody can tell.
LARGEST_SECOND = 0.95
# Nor where the two differ by fewer pairs of neighbours than chance would have them: so many times
# the root of their number. Directions at random reach 0.8 in 60 fields of 14³ to 22³ voxels
# (as made in tests/core/diffusion/test_coherence.py), bundles along circles 3.5.
LEAST_ROOTS = 1.5
# Tissue with fibres: diffusivity in mm²/s. Noise and fluid have directions that follow nothing.
TISSUE_MD = (0.3e-3, 1.5e-3)
AXES = "xyz"
# Neighbours in one half of all directions: a direction and its opposite are one.
OFFSETS = np.array(
    [o for o in np.ndindex(3, 3, 3) if o > (1, 1, 1)]
) - 1  # fmt: skip


@dataclass(frozen=True)
class Coherence:
    """How well a table of gradients fits the fibres.

    Attributes
    ----------
    scores : ndarray of shape (24,)
        The summed FA of agreeing neighbours for each table; the first is the given one.
    best : int
        The number of the best one.
    second : float
        The second best's score in shares of the best one's.
    roots : float
        By how many roots of their number the pairs of neighbours differ that agree in the two.
    """

    scores: NDArray[np.float64]
    best: int
    second: float
    roots: float

    @property
    def is_clear(self) -> bool:
        """Whether one table is better than all others."""
        return self.second <= LARGEST_SECOND and self.roots >= LEAST_ROOTS

    @property
    def is_right(self) -> bool | None:
        """Whether the given table is the best one; None where nobody can tell."""
        return self.best == 0 if self.is_clear else None

    @property
    def words(self) -> str:
        """Which table is the best one, in words."""
        if not self.is_clear:
            return "cannot tell"
        return "as given" if self.best == 0 else name_of(conventions()[self.best])


def conventions() -> list[NDArray[np.float64]]:
    """List the 24 ways in which axes can be exchanged and reversed; the first changes nothing.

    Examples
    --------
    >>> len(conventions()), conventions()[0].tolist()[0]
    (24, [1.0, 0.0, 0.0])
    """
    return [
        np.eye(3)[list(order)] * np.array(signs, dtype=float)[:, None]
        for order in permutations(range(3))
        for signs in ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1))
    ]


def name_of(convention: NDArray[np.float64]) -> str:
    """Say in words what a convention does to the axes of the image.

    Examples
    --------
    >>> name_of(np.diag([1.0, -1.0, 1.0]))
    'y reversed'
    """
    order = np.abs(convention).argmax(axis=1)
    parts = []
    if (order != np.arange(3)).any():
        parts.append(f"axes in the order {''.join(AXES[i] for i in order)}")
    signs = convention[np.arange(3), order]
    parts += [f"{AXES[i]} reversed" for i in range(3) if signs[i] < 0]
    return ", ".join(parts) or "as given"


def fibre_coherence(
    directions: NDArray[np.float64], fa: NDArray[np.float64], spacing_mm: NDArray[np.float64]
) -> Coherence:
    """Score the given table of gradients and the 23 others.

    One fit of tensors is enough, for directions turn with the table.

    Parameters
    ----------
    directions : ndarray of shape (X, Y, Z, 3)
        Main directions of diffusion along the axes of the image, of length 1.
    fa : ndarray of shape (X, Y, Z)
        Fractional anisotropy; voxels below 0.2 or NaN do not count.
    spacing_mm : ndarray of shape (3,)
        Voxel size.

    Returns
    -------
    Coherence
    """
    steps = OFFSETS * np.asarray(spacing_mm)
    steps = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    turned = np.ascontiguousarray(np.stack(conventions()))
    scores, counts = _scores(
        np.ascontiguousarray(directions),
        np.ascontiguousarray(fa),
        OFFSETS,
        # neighbour's direction, seen from each table
        np.ascontiguousarray(np.einsum("cij,ki->ckj", turned, steps)),
        np.cos(np.radians(LARGEST_ANGLE_DEG)),
        LEAST_FA,
    )
    order = np.argsort(-scores, kind="stable")
    top = float(scores[order[0]])
    second = float(scores[order[1]]) / top if top > 0 else 1.0
    n_best, n_second = counts[order[:2]]
    roots = float((n_best - n_second) / np.sqrt(max(n_best + n_second, 1)))
    return Coherence(scores, int(order[0]), second, roots)


def tissue_fa(
    fa: NDArray[np.float64], md: NDArray[np.float64], rd: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return FA where there may be fibres, and NaN in noise, fluid and failed fits.

    Parameters
    ----------
    fa, md, rd : ndarray
        Fractional anisotropy, mean and radial diffusivity in mm²/s.
    """
    low, high = TISSUE_MD
    return np.where((md > low) & (md < high) & (rd > 0), fa, np.nan)


@njit(cache=True, nogil=True)
def _scores(directions, fa, offsets, steps, limit, least):  # type: ignore[no-untyped-def]
    """Sum FA over neighbours whose directions agree with each other and with the step there."""
    n_tables = steps.shape[0]
    scores, counts = np.zeros(n_tables), np.zeros(n_tables)
    nx, ny, nz = fa.shape
    for x in range(nx):
        for y in range(ny):
            for z in range(nz):
                if not fa[x, y, z] > least:
                    continue
                for k in range(offsets.shape[0]):
                    u, v, w = x + offsets[k, 0], y + offsets[k, 1], z + offsets[k, 2]
                    if u < 0 or v < 0 or w < 0 or u >= nx or v >= ny or w >= nz:
                        continue
                    if not fa[u, v, w] > least:
                        continue
                    one, other = directions[x, y, z], directions[u, v, w]
                    agree = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
                    if abs(agree) < limit:
                        continue
                    for c in range(n_tables):
                        step = steps[c, k]
                        along = one[0] * step[0] + one[1] * step[1] + one[2] * step[2]
                        back = other[0] * step[0] + other[1] * step[1] + other[2] * step[2]
                        if abs(along) >= limit and abs(back) >= limit:
                            scores[c] += fa[x, y, z] + fa[u, v, w]
                            counts[c] += 1
    return scores, counts
