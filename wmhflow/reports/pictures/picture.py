"""A picture of the report, and the row that says which function makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wmhflow.reports.context import VisitContext

ORIENTATION = "Left is left."


@dataclass(frozen=True)
class Picture:
    """A finished picture: what its file is called, and what it shows.

    In the section of maps, one with a ``map_name`` stands beside what is said of that map; all
    other pictures stand at the end of their section.
    """

    desc: str
    suffix: str
    png: bytes
    alt: str
    caption: str
    map_name: str | None = None


Made = Picture | Iterable[Picture] | None


def always(context: VisitContext) -> bool:
    """Exist in every visit."""
    return True


@dataclass(frozen=True)
class PictureMaker:
    """A row of the table of pictures.

    Parameters
    ----------
    key
        Names the row.
    section
        Key of the section where its pictures stand.
    make
        Draws one picture, several, or none of a finished visit.
    exists
        Whether a finished visit has it at all.
    needs_tables
        Whether it shows what stands in a table. All others are drawn as soon as the images are
        written.
    """

    key: str
    section: str
    make: Callable[[VisitContext], Made]
    exists: Callable[[VisitContext], bool] = always
    needs_tables: bool = False

    def pictures(self, context: VisitContext) -> tuple[Picture, ...]:
        """Draw what the row has to show of a visit.

        Parameters
        ----------
        context
            A finished visit.
        """
        made = self.make(context) if self.exists(context) else None
        if made is None:
            return ()
        return (made,) if isinstance(made, Picture) else tuple(made)
