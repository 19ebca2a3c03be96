"""How far tissues lie from where an image or a map shows them, by the border of two of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.boxes import bounding_box, grown_box
from wmhflow.core.arrays.validation import check_same_shape, checked_mask, checked_spacing
from wmhflow.core.checks.fit import climbed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from wmhflow.core.arrays.validation import Spacing

# With less of a border, or fewer voxels with a value near it (within the reach of a move), nothing
# is told. So many voxels are drawn from the whole grid, and at most so many near the border used.
LEAST_BORDER_MM2, LEAST_NEAR = 2000.0, 1000
DRAWN, MOST_NEAR = 400_000, 10_000
STEP_MM, REACH_MM = 1.0, 4.0
# How a voxel blurs, as the SD of a bell over its edge.
VOXEL_SD = 0.45
# Less than this share of a voxel says nothing: in simulated slices of 5 and 8 mm of training heads
# right tissues seemed up to 0.18 of one beside along the slices.
LEAST_SHARE = 0.25
# The share of the variance that the tissues explain has to be so much less 3 mm away. In simulated
# maps of training heads the least was 0.10 (an uptake blurred by 6 mm in voxels of 2 mm, found to
# 0.7 mm, and a noisy CBF of 3.4 mm, to 0.3 mm); noise alone has 0.
AWAY_MM, LEAST_MORE = 3.0, 0.05
LEAST_RANK = 1e-6


def tissue_shifts_mm(
    images: Mapping[str, tuple[NDArray[np.floating], NDArray[np.bool_]]],
    to_image: NDArray[np.float64],
    white: NDArray[np.bool_],
    cortex: NDArray[np.bool_],
    spacing: Spacing,
    beside: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray[np.float64] | None]:
    """Find the shift that brings two tissues to where images or maps on one grid show them.

    A voxel holds shares of white matter, of cortex, of other tissue and of what is none of them,
    and its value is their mixture. How much of the variance near the border these shares explain is
    largest where the tissues lie right. Fluid beside thin cortex, of which most voxels of a map
    hold some, pulls nothing in this way.

    Parameters
    ----------
    images
        Values and where they are known, by name: any quantity in which the tissues differ. All of
        one shape.
    to_image
        Leads from voxels of the tissues to voxels of the images.
    white, cortex
        Shape (X, Y, Z): two tissues that touch each other all over the brain.
    spacing
        Their voxel size in mm.
    beside
        Other tissue, which is not as what surrounds the brain: the cerebellum, for instance, lies
        below the cortex and nowhere else.

    Returns
    -------
    dict
        Along each axis of the tissues' array, mm. None where there are few values or little of a
        border, and where the image hardly shows the tissues.

    Examples
    --------
    >>> x, y, z = np.indices((60, 60, 60)) - 30
    >>> white = x**2 + y**2 + z**2 < 20**2
    >>> cortex = (x**2 + y**2 + z**2 < 24**2) & ~white
    >>> values = np.roll(np.select([white, cortex], [3.0, 2.0], 1.0), (2, -1), axis=(0, 1))
    >>> images = {"FA": (values, np.ones(values.shape, dtype=bool))}
    >>> tissue_shifts_mm(images, np.eye(4), white, cortex, (1, 1, 1))["FA"].round() + 0.0
    array([ 2., -1.,  0.])
    """
    white, cortex = checked_mask(white, "white"), checked_mask(cortex, "cortex")
    tissues = [white, cortex] if beside is None else [white, cortex, checked_mask(beside, "beside")]
    check_same_shape(**dict(zip(("white", "cortex", "beside"), tissues, strict=False)))
    check_same_shape(**{name: values for name, (values, _) in images.items()})
    sizes = checked_spacing(spacing)
    shape = next(iter(images.values()))[0].shape
    # the edges of the image's voxels, in voxels of the tissues
    edges = np.linalg.inv(to_image)[:3, :3]
    longest_mm = float(np.linalg.norm(sizes[:, None] * edges, axis=0).max())
    reach_mm = STEP_MM * np.ceil(max(REACH_MM, longest_mm) / STEP_MM)
    around = bounding_box(white | cortex)
    if around is None:
        return dict.fromkeys(images)
    # beyond it nothing is looked up
    box = grown_box(around, np.ceil(3 * reach_mm / sizes).astype(np.int64), white.shape)
    tissues = [one[box] for one in tissues]
    from_box = np.eye(4)
    from_box[:3, 3] = [side.start for side in box]
    to_image = to_image @ from_box
    border = tissues[0] & ndimage.binary_dilation(tissues[1])
    if np.count_nonzero(border) * np.prod(sizes) ** (2 / 3) < LEAST_BORDER_MM2:
        return dict.fromkeys(images)
    places, voxels = _places_near(border, sizes, to_image, shape)
    blur = VOXEL_SD * np.linalg.norm(edges, axis=1)
    shares = _shares_at(tissues, blur, places, sizes)
    reach = np.full(3, int(reach_mm / STEP_MM))
    return {
        name: _shift(values[voxels], valid[voxels], shares, reach)
        for name, (values, valid) in images.items()
    }


def _shares_at(
    tissues: Sequence[NDArray[np.bool_]],
    blur: NDArray[np.float64],
    places: NDArray[np.float64],
    sizes: NDArray[np.float64],
) -> Callable[[tuple[float, ...]], NDArray[np.float64]]:
    """Return what tells shares at places once the tissues are moved; it keeps what it told."""
    parts = [ndimage.gaussian_filter(one.astype(np.float32), blur) for one in tissues]

    @cache
    def shares(mm: tuple[float, ...]) -> NDArray[np.float64]:
        there = places - (np.array(mm) / sizes)[:, None]
        return np.stack([ndimage.map_coordinates(one, there, np.float64, order=1) for one in parts])

    return shares


def _shift(
    values: NDArray[np.floating],
    valid: NDArray[np.bool_],
    shares: Callable[[tuple[float, ...]], NDArray[np.float64]],
    reach: NDArray[np.int64],
) -> NDArray[np.float64] | None:
    """Find the shift with which shares of tissues explain most; None where they explain little."""
    if np.count_nonzero(valid) < LEAST_NEAR:
        return None
    seen = values[valid].astype(np.float64)
    # single voxels that are far off count as the last that are not
    seen = np.clip(seen, *np.percentile(seen, (1, 99)))
    largest = np.abs(seen).max()
    if not largest > 0:
        return None
    seen /= largest
    seen -= seen.mean()
    if not seen.any():
        return None

    def explained(mm: NDArray[np.float64]) -> float:
        return _explained(seen, shares(tuple(mm.tolist()))[:, valid])

    found = STEP_MM * climbed(lambda steps: explained(STEP_MM * np.array(steps)), reach)
    ways = AWAY_MM * np.vstack([np.eye(3), -np.eye(3)])
    away = float(np.mean([explained(found + way) for way in ways]))
    return found if explained(found) - away > LEAST_MORE else None


def _explained(seen: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """Return the share of the variance that tissues' shares explain of what has a mean of 0."""
    parts = [one - one.mean() for one in shares]
    # sums that do not depend on the number of threads, as a product of matrices may
    products = np.array([[(one * other).sum() for other in parts] for one in parts])
    with_seen = np.array([(one * seen).sum() for one in parts])
    # a share that is everywhere the same, or the others' sum, explains nothing more
    weights = np.linalg.pinv(products, rcond=LEAST_RANK, hermitian=True) @ with_seen
    return float(weights @ with_seen / (seen * seen).sum())


def _places_near(
    border: NDArray[np.bool_],
    sizes: NDArray[np.float64],
    to_image: NDArray[np.float64],
    shape: tuple[int, ...],
) -> tuple[NDArray[np.float64], tuple[NDArray[np.int64], ...]]:
    """Draw voxels of an image near the border: their places among the tissues, and indices."""
    wide = 2 * np.ceil(REACH_MM / sizes).astype(int) + 3
    near = ndimage.maximum_filter(border.view(np.uint8), size=tuple(wide.tolist()), mode="constant")
    n_voxels = int(np.prod(shape))
    numbers: NDArray[np.int64] = np.arange(n_voxels)
    if n_voxels > DRAWN:
        numbers = np.sort(np.random.default_rng(0).integers(0, n_voxels, DRAWN))
    voxels = np.stack(np.unravel_index(numbers, shape))
    back = np.linalg.inv(to_image)
    places = back[:3, :3] @ voxels + back[:3, 3:]
    nearest = np.rint(places).astype(np.int64)
    inside = np.all((nearest >= 0) & (nearest < np.array(border.shape)[:, None]), axis=0)
    inside[inside] = near[tuple(nearest[:, inside])] > 0
    chosen = np.flatnonzero(inside)
    chosen = chosen[:: max(chosen.size // MOST_NEAR, 1)]
    return places[:, chosen], tuple(voxels[:, chosen])


def without_parts(
    mm: NDArray[np.float64], sizes: NDArray[np.float64], to_image: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Leave out of a shift what is a small part of a voxel along an axis of an image.

    Parameters
    ----------
    mm
        Along each axis of the tissues' array.
    sizes
        Voxel size of the tissues in mm.
    to_image
        Leads from voxels of the tissues to voxels of the image.

    Returns
    -------
    ndarray of shape (3,)
        mm; what is left.

    Examples
    --------
    >>> in_slices = np.diag([1, 1, 1 / 5, 1])
    >>> without_parts(np.array([0.2, 0.5, 1.0]), np.ones(3), in_slices).tolist()
    [0.0, 0.5, 0.0]
    """
    voxels = to_image[:3, :3] @ (mm / sizes)
    kept = np.where(np.abs(voxels) < LEAST_SHARE, 0.0, voxels)
    shift: NDArray[np.float64] = np.linalg.solve(to_image[:3, :3], kept) * sizes
    return shift
