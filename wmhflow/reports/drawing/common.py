"""What all figures share: their resolution, their bytes, and how units are written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100


def png_bytes(figure: Figure) -> bytes:
    """Return the same bytes for the same picture: the Agg renderer, and no date or version."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
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
