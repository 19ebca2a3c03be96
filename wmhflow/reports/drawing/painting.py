"""Slices and labels as pixels of one picture; lines and letters are drawn above them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from wmhflow.reports.drawing.layout import Panel
    from wmhflow.reports.drawing.overlays import Fill

# The colour where an image has no value, which is neither black nor a grey.
OUTSIDE = "#23232b"


@dataclass(frozen=True)
class Tile:
    """A slice to paint: where it stands, its brightness, and the labels over it, if any.

    ``grey`` runs from 0 (black) to 1 (white), NaN outside of the image; its rows run upwards, and
    so do those of ``labels``.
    """

    panel: Panel
    grey: NDArray[np.float32]
    labels: NDArray[Any] | None = None


def paint(
    tiles: Sequence[Tile],
    size: tuple[int, int],
    pixels_per_mm: float,
    below_mm: float,
    fill: Fill | None,
) -> NDArray[np.uint8]:
    """Paint slices, and labels over them, onto black.

    Parameters
    ----------
    tiles
        What is painted.
    size
        Rows and columns of the picture.
    pixels_per_mm
        Of the canvas on which the slices stand.
    below_mm
        How far the picture reaches below the canvas.
    fill
        The colours of labels; needed where a tile has some.

    Returns
    -------
    ndarray of uint8, (rows, columns, 3)
        Red, green and blue, the uppermost row first.
    """
    picture = np.zeros((*size, 3), dtype=np.uint8)
    enlarged: dict[tuple[int, int, int], NDArray[np.float32]] = {}
    for tile in tiles:
        panel = tile.panel
        left, right = (
            round(edge * pixels_per_mm) for edge in (panel.left, panel.left + panel.width)
        )
        low, high = (
            size[0] - round((edge + below_mm) * pixels_per_mm)
            for edge in (panel.bottom, panel.bottom + panel.height)
        )
        shape = low - high, right - left
        # a slice is often shown twice, with lines and without
        key = id(tile.grey), *shape
        if key not in enlarged:
            enlarged[key] = _enlarged(tile.grey, shape)
        where = picture[high:low, left:right]
        where[...] = _shades(enlarged[key])
        if tile.labels is not None and fill is not None:
            _colour(where, nearest(tile.labels, shape), fill)
    return picture


def _enlarged(grey: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Interpolate a slice linearly at the pixels of a picture, its uppermost row first."""
    from PIL import Image

    known = np.isfinite(grey)
    upright = np.where(known, grey, 0).astype(np.float32)[::-1]
    found = np.asarray(
        Image.fromarray(np.ascontiguousarray(upright)).resize(
            shape[::-1], Image.Resampling.BILINEAR
        )
    )
    return found if known.all() else np.where(nearest(known, shape), found, np.float32(np.nan))


def nearest(values: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Give each pixel of a picture the value of the array's element that it lies in.

    Parameters
    ----------
    values
        2D, rows upwards.
    shape
        Rows and columns of pixels.

    Returns
    -------
    ndarray
        The uppermost row first.

    Examples
    --------
    >>> nearest(np.array([[1, 2], [3, 4]]), (2, 4)).tolist()
    [[3, 3, 4, 4], [1, 1, 2, 2]]
    """
    rows, columns = (
        ((np.arange(pixels) + 0.5) * length / pixels).astype(int)
        for pixels, length in zip(shape, values.shape, strict=True)
    )
    return values[::-1][np.ix_(rows, columns)]


def _shades(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the red, green and blue of a brightness from 0 to 1; NaN is outside."""
    from matplotlib.colors import to_rgb

    outside = np.isnan(grey)
    shades = np.rint(255 * np.where(outside, 0, grey)).astype(np.uint8)[..., None]
    if not outside.any():
        return shades
    colour = np.rint(255 * np.asarray(to_rgb(OUTSIDE))).astype(np.uint8)
    return np.where(outside[..., None], colour, shades)


def _colour(shades: NDArray[np.uint8], labels: NDArray[Any], fill: Fill) -> None:
    """Lay the translucent colours of labels over shades, in place."""
    from matplotlib.colors import to_rgb

    for label, colour, _ in fill.entries:
        where = labels == label
        if where.any():
            over = 255 * fill.opacity * np.asarray(to_rgb(colour))
            seen = over + (1 - fill.opacity) * shades[where]
            shades[where] = np.rint(seen).astype(np.uint8)


def greys_under(tiles: Sequence[Tile]) -> dict[int, float]:
    """Return the median brightness of what lies under each label, over all tiles that have some.

    Examples
    --------
    >>> grey, labels = np.array([[0.25, 0.5, 0.75, np.nan]], np.float32), np.array([[1, 1, 1, 2]])
    >>> greys_under([Tile(None, grey, labels), Tile(None, grey)])
    {1: 0.5}
    """
    labelled = [(tile.labels, tile.grey) for tile in tiles if tile.labels is not None]
    if not labelled:
        return {}
    number = np.concatenate([labels.ravel() for labels, _ in labelled])
    grey = np.concatenate([values.ravel() for _, values in labelled])
    counted = (number != 0) & np.isfinite(grey)
    number, grey = number[counted], grey[counted]
    order = np.argsort(number, kind="stable")
    found, starts = np.unique(number[order], return_index=True)
    parts = np.split(grey[order], starts)[1:]
    return {int(label): float(np.median(part)) for label, part in zip(found, parts, strict=True)}
