"""Whether what finished visits were made from was edited since: their tables are of before.

Every file is looked at, and only those that were written after the visit was finished are read. A
record and the description are anybody's, so that nothing but regular files is opened.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from wmhflow.bids.writer import read_object
from wmhflow.errors import InputError
from wmhflow.files.checksums import checksum
from wmhflow.settings import Settings

# So many files are named.
MOST_NAMED = 4


class Changed:
    """Inputs that hold something else than when their visits were made.

    Parameters
    ----------
    settings
        The run's: where the raw dataset and the ``-d`` datasets are; those that are not given are
        found by what the participant level noted.
    """

    def __init__(self, settings: Settings) -> None:
        # links were noted from where the folder is, wherever a link leads to it
        out = settings.output_dir.resolve()
        links = read_object(out / "dataset_description.json").get("DatasetLinks")
        noted = links.items() if isinstance(links, dict) else ()
        self._roots = {
            name: Path(os.path.normpath(out / link))
            for name, link in noted
            if isinstance(link, str)
        }
        self._roots |= {one.name: one.path for one in settings.inputs.derivatives}
        self._roots["raw"] = settings.bids_dir
        self._found: list[str] = []
        self._visits: set[str] = set()

    def note(self, visit: str, path: Path, record: Mapping[str, Any]) -> None:
        """Look at what a visit was made from.

        Parameters
        ----------
        visit
            How it is named.
        path
            Its record, which was written last.
        record
            What the record holds; nothing in it is believed to be of a type.
        """
        inputs = record.get("inputs")
        try:
            finished = path.stat().st_mtime_ns
        except OSError:
            return
        for uri, held in inputs.items() if isinstance(inputs, dict) else ():
            file = self._place(uri)
            if file is None or not isinstance(held, str):
                continue
            if _is_newer(file, finished) and _holds_other(file, held):
                self._found.append(f"{file} of {visit}")
                self._visits.add(visit)

    def _place(self, uri: str) -> Path | None:
        """Return where a file lies by its BIDS URI; None if it leads out of its dataset."""
        scheme, dataset, inside = (*uri.split(":", 2), "", "")[:3]
        path = PurePosixPath(inside)
        if scheme != "bids" or dataset not in self._roots or not path.parts:
            return None
        if path.is_absolute() or ".." in path.parts or "\0" in inside:
            return None
        return self._roots[dataset] / path

    def say(self) -> None:
        """Name what was edited, on standard error."""
        if not self._found:
            return
        left = len(self._found) - MOST_NAMED
        more = f" and {left} more" if left > 0 else ""
        n = len(self._visits)
        print(
            f"Inputs of {n} visit{'s'[: n != 1]} were edited after the tables were made: "
            f"{'; '.join(self._found[:MOST_NAMED])}{more}. Their rows are of before: run the "
            "participant level again, which makes these visits anew and no others.",
            file=sys.stderr,
        )


def _is_newer(file: Path, than_ns: int) -> bool:
    """Tell whether a file is there and was written after a time."""
    try:
        about = file.stat()
    except OSError:
        # what was taken away since says nothing of the tables
        return False
    return stat.S_ISREG(about.st_mode) and about.st_mtime_ns > than_ns


def _holds_other(file: Path, held: str) -> bool:
    try:
        return checksum(file) != held
    except InputError:
        # it cannot be read now
        return False
