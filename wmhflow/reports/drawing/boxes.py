"""Boxes at any angle, such as voxels of spectroscopy, on the grid of the reference."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.reports.drawing.volumes import Box, Volume


def box_mask(box: NDArray[np.float64], grid: Volume) -> NDArray[np.bool_]:
    """Return the voxels of a grid whose centres lie in a box; at least the one in its middle.

    Parameters
    ----------
    box
        From the cube between -0.5 and 0.5 to the world, RAS mm, (4, 4).
    grid
        The reference.

    Returns
    -------
    ndarray of bool
        Of the grid's shape; empty if the box lies outside of it.

    Examples
    --------
    >>> from wmhflow.reports.drawing.volumes import Volume
    >>> grid = Volume(np.zeros((9, 9, 9)), np.eye(4))
    >>> middle = np.array([[3.0, 0, 0, 4], [0, 1, 0, 4], [0, 0, 1, 4], [0, 0, 0, 1]])
    >>> np.argwhere(box_mask(middle, grid)).tolist()
    [[3, 4, 4], [4, 4, 4], [5, 4, 4]]
    """
    to_grid = np.linalg.inv(grid.affine) @ box
    corners = np.array([*product((-0.5, 0.5), repeat=3)])
    reached = corners @ to_grid[:3, :3].T + to_grid[:3, 3]
    shape = np.array(grid.data.shape[:3])
    low = np.clip(np.floor(reached.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(reached.max(axis=0)) + 1, 0, shape).astype(int)
    mask = np.zeros(shape, dtype=bool)
    if (high <= low).any():
        return mask
    places = np.indices(high - low).reshape(3, -1).T + low
    to_box = np.linalg.inv(to_grid)
    inside = np.abs(places @ to_box[:3, :3].T + to_box[:3, 3]).max(axis=1) <= 0.5
    mask[tuple(places[inside].T)] = True
    middle = middle_of(box, grid)
    if np.all((middle >= 0) & (middle < shape)):
        # thick slices may have no centre in a small box
        mask[tuple(middle)] = True
    return mask


def middle_of(box: NDArray[np.float64], grid: Volume) -> NDArray[np.int64]:
    """Return the voxel of a grid that is nearest to the middle of a box; it may lie outside.

    Parameters
    ----------
    box, grid
        As of :func:`box_mask`.
    """
    place = np.linalg.inv(grid.affine) @ box[:, 3]
    return np.rint(place[:3]).astype(np.int64)


def with_masks(shown: Box, masks: list[NDArray[np.bool_]]) -> Box:
    """Return what is shown of a grid, enlarged so far that masks are seen whole.

    Parameters
    ----------
    shown
        What is shown without them.
    masks
        On the grid.
    """
    edges = [[edge.start, edge.stop] for edge in shown]
    for mask in masks:
        for axis, places in enumerate(np.nonzero(mask)):
            if places.size:
                edges[axis][0] = min(edges[axis][0], int(places.min()))
                edges[axis][1] = max(edges[axis][1], int(places.max()) + 1)
    first, second, third = (slice(low, high) for low, high in edges)
    return first, second, third
