"""What a PNG shows, read from its pixels."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from wmhflow.reports.drawing.layout import Canvas, Panel
from wmhflow.reports.drawing.slices import PIXELS_PER_MM


def pixels(png: bytes) -> np.ndarray:
    """Rows from the top, columns, and red, green and blue from 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def coloured(image: np.ndarray, colour: str, within: int = 60) -> np.ndarray:
    """Row and column of every pixel of nearly one colour."""
    wanted = np.array(to_rgb(colour)) * 255
    return np.argwhere(np.abs(image - wanted).sum(axis=2) < within)


def slices_of(image: np.ndarray, canvas: Canvas) -> np.ndarray:
    """The picture without its legend, which stands below the canvas."""
    return image[: round(canvas.height * PIXELS_PER_MM)]


def panel_of(image: np.ndarray, canvas: Canvas, panel: Panel) -> np.ndarray:
    """One slice of a picture."""
    left, right, low, high = (edge * PIXELS_PER_MM for edge in panel.extent)
    top = canvas.height * PIXELS_PER_MM
    return image[round(top - high) : round(top - low), round(left) : round(right)]


def letter_in(corner: np.ndarray) -> str:
    """Tell L from R: only one has ink in the upper right of what its letter covers."""
    ink = corner.sum(axis=2) > 300
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    letter = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = letter.shape
    return "R" if letter[: height // 2, width // 2 :].any() else "L"
