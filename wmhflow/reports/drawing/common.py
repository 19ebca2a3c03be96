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
    from matplotlib.backend_bases import GraphicsContextBase
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    renderer.clear()
    if ground is not None:
        # not as one of the figure's images, which are resampled for half of a picture's time
        figure.patch.set_visible(False)
        renderer.draw_image(GraphicsContextBase(), 0, 0, _opaque(ground[::-1]))
    figure.draw(renderer)
    colours = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    if step > FINE:
        colours = (step * np.rint(np.arange(256) / step)).astype(np.uint8)[colours]
    stream = io.BytesIO()
    image = Image.fromarray(colours)
    image.save(stream, "png", dpi=(DPI, DPI), compress_level=PACKING)
    return stream.getvalue()


def _opaque(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns, _ = colours.shape
    full = np.full((rows, columns, 4), 255, dtype=np.uint8)
    full[..., :3] = colours
    return full


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
