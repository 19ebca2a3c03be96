"""What the dictionaries of gathered tables say of texts in them: measures of quality, and maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from wmhflow.bids.writer import Column, dictionary_of, read_object
from wmhflow.group.study import Visit
from wmhflow.products.dictionary import NAMING


class Meanings:
    """Collects the names that occur in a gathered table, with what the visits' dictionaries say.

    It holds names, of which there are as many as measures and maps, however many visits there are.

    Parameters
    ----------
    kind
        The kind of table.
    columns
        All of the gathered table.
    """

    def __init__(self, kind: str, columns: Sequence[Column]) -> None:
        self.kind = kind
        self.columns = tuple(columns)
        self._measures: dict[str, None] = {}
        self._levels: dict[str, dict[str, str]] = {
            one.name: dict(one.levels) for one in columns if one.name in NAMING
        }

    def add(self, rows: pa.Table, visits: Iterable[Visit]) -> None:
        """Take note of the names in some rows, and of what they mean where that is new.

        Parameters
        ----------
        rows
            Rows of the gathered table.
        visits
            Those that they are of.
        """
        for column in self.columns:
            if column.holds_measures:
                self._measures |= dict.fromkeys(_texts(rows, column.name))
        for name, levels in self._levels.items():
            missing = set(_texts(rows, name)) - levels.keys()
            for visit in visits if missing else ():
                levels |= {text: told for text, told in self._told(visit, name).items()
                           if text in missing}  # fmt: skip
                missing -= levels.keys()
                if not missing:
                    break

    def _told(self, visit: Visit, column: str) -> dict[str, str]:
        """Return what a visit says of names; how its own files were read is left out."""
        said: Any = read_object(visit.table(self.kind).with_suffix(".json")).get(column)
        levels: Any = said.get("Levels") if isinstance(said, dict) else None
        if not isinstance(levels, Mapping):
            return {}
        return {str(name): str(text).partition("; ")[0] for name, text in levels.items()}

    def dictionary(self) -> dict[str, dict[str, Any]]:
        """Return the data dictionary of the gathered table."""
        columns = [
            one._replace(levels=tuple(sorted(self._levels[one.name].items())))
            if one.name in self._levels
            else one
            for one in self.columns
        ]
        return dictionary_of(columns, self._measures)


def _texts(rows: pa.Table, column: str) -> list[str]:
    return [text for text in rows.column(column).unique().to_pylist() if text is not None]
