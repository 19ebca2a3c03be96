"""What all figures share: their resolution, their bytes, and how units are written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DPI = 100
# Of 256 shades each fifth is drawn of a scan, whose noise is most of a picture's bytes: these are
# two thirds of what they were, and no eye tells.
FINE, COARSE = 1, 5
# How hard pictures are compressed. By 6, the usual choice, they are 8 % smaller in twice the time.
PACKING = 4


def pixel_size(figure: Figure) -> tuple[int, int]:
    """Return how many rows and columns of pixels a figure has, as it will be drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    columns, rows = FigureCanvasAgg(figure).get_width_height()
    return rows, columns


def png_bytes(figure: Figure, step: int = FINE, ground: NDArray[np.uint8] | None = None) -> bytes:
    """Return the same bytes for the same picture: the Agg renderer, and no date or version.

    Parameters
    ----------
    figure
        Of ``DPI`` dots per inch, on an opaque ground.
    step
        Between two shades of a colour that are drawn; black and white are among them.
    ground
        What the figure is drawn on, as (rows, columns, 3) of its size, the uppermost row first;
        the figure's own ground if not said.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    renderer.clear()
    pixels = np.asarray(canvas.buffer_rgba())
    if ground is not None:
        # not as one of the figure's images, which are resampled for half of a picture's time
        figure.patch.set_visible(False)
        pixels[..., :3], pixels[..., 3] = ground, 255
    figure.draw(renderer)
    image = Image.fromarray(pixels).convert("RGB")
    if step > FINE:
        shades = (step * np.rint(np.arange(256) / step)).astype(np.uint8)
        image = image.point(shades.tolist() * 3)
    stream = io.BytesIO()
    image.save(stream, "png", dpi=(DPI, DPI), compress_level=PACKING)
    return stream.getvalue()


def pretty_unit(unit: str) -> str:
    """Write a unit with raised digits; nothing for a number without one.

    Examples
    --------
    >>> pretty_unit("mm^2/s"), pretty_unit("1")
    ('mm²/s', '')
    """
    if unit in ("1", "n/a"):
        return ""
    return unit.replace("^2", "²").replace("^3", "³").replace("^-1", "⁻¹")
