"""Pictures that show images alone, drawn while maps are sampled, and kept until the page is made.

A page is the last that is written of a person, by one process alone. Most of its pictures need no
table, and where maps are sampled, images are there long before the tables are.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING

from wmhflow.reports.context import VisitContext
from wmhflow.reports.pictures import PICTURES, Picture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wmhflow.reports.tables import TableRow

INDEX = "index.json"
# By the key of the row of `PICTURES` that makes them.
Drawn = dict[str, tuple[Picture, ...]]


class WithoutTables(VisitContext):
    """A visit whose images are written, and whose tables are not."""

    def table(self, key: str) -> list[TableRow]:
        """Refuse: a picture of a table that is not there yet would be empty without a word."""
        raise RuntimeError(f"the table {key} is asked for before it is written")


def draw_early(context: WithoutTables) -> Drawn:
    """Draw the pictures of a visit that need no table.

    Parameters
    ----------
    context
        A visit whose images are written.
    """
    import matplotlib.style

    # a user's matplotlibrc must not change the pictures
    with matplotlib.style.context("default"):
        makers = [maker for maker in PICTURES if not maker.needs_tables]
        return {maker.key: maker.pictures(context) for maker in makers}


def save_drawn(path: Path, label: str, drawn: Mapping[str, tuple[Picture, ...]]) -> None:
    """Keep a visit's pictures in a file.

    Parameters
    ----------
    path
        Of the file.
    label
        The visit's.
    drawn
        What :func:`draw_early` gave.
    """
    index: dict[str, list[dict[str, str | None]]] = {}
    with zipfile.ZipFile(path, "w") as stored:
        for key, pictures in drawn.items():
            told = [{**asdict(picture), "png": f"{key}{n}"} for n, picture in enumerate(pictures)]
            for picture, one in zip(pictures, told, strict=True):
                stored.writestr(one["png"], picture.png)
            index[key] = told
        stored.writestr(INDEX, json.dumps({"visit": label, "pictures": index}))


def load_drawn(path: Path) -> tuple[str, Drawn]:
    """Read what :func:`save_drawn` wrote: the visit's label and its pictures.

    Parameters
    ----------
    path
        Of the file.
    """
    with zipfile.ZipFile(path) as stored:
        index = json.loads(stored.read(INDEX))
        drawn = {
            key: tuple(Picture(**{**one, "png": stored.read(one["png"])}) for one in told)
            for key, told in index["pictures"].items()
        }
    return index["visit"], drawn
