"""The index of a dataset in ``--bids-database-dir``: the one module that asks pybids."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.bids.scan import IGNORED, belongs


class Database:
    """The index of one dataset, made by pybids at the first question and kept in a folder.

    Parameters
    ----------
    folder
        Where indexes are kept.
    name, root
        The dataset's.
    raw
        Whether it is the raw dataset.
    """

    def __init__(self, folder: Path, name: str, root: Path, *, raw: bool) -> None:
        # another dataset of the same name must not find this one's index
        key = hashlib.sha256(str(root).encode()).hexdigest()[:12]
        self.path = folder / f"{name}-{key}"
        self.root = root
        self.raw = raw
        self._layout: Any = None

    def person(self, subject: str) -> list[tuple[Path, dict[str, Any]]]:
        """List a person's files as :func:`wmhflow.bids.scan.scan_person` does."""
        if self._layout is None:
            self._layout = self._open()
        found = (
            (Path(file.path), dict(file.get_entities()))
            for file in self._layout.get(subject=[subject])
            if belongs(Path(file.path), self.root)
        )
        return sorted(found, key=lambda one: str(one[0]))

    def _open(self) -> Any:
        from bids import BIDSLayout, BIDSLayoutIndexer

        # pybids has no entity 'param', which tells FA from MD in a dwimap
        extra = str(files("wmhflow") / "data" / "bids_entities.json")
        indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=_ignored())
        return BIDSLayout(
            self.root,
            validate=False,
            indexer=indexer,
            is_derivative=not self.raw,
            config=["bids", "derivatives", extra],
            database_path=self.path,
        )


def _ignored() -> list[re.Pattern[str]]:
    """Patterns of what is not worth walking into: folders without images."""
    unread = "|".join(sorted(IGNORED))
    return [
        re.compile(r"^/(sourcedata|derivatives|code|stimuli|logs|models|\.[^/]*)(/|$)"),
        re.compile(rf"^/sub-[^/]+/(ses-[^/]+/)?({unread})(/|$)"),
    ]
