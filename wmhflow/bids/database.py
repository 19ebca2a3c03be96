"""The index of a dataset in ``--bids-database-dir``: the one module that asks pybids."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.bids.scan import IGNORED, IGNORED_DERIVED, belongs, scan_person
from wmhflow.files.streams import first_line

# Beside an index: of what and when it was made. One without it was not made to its end.
MADE = "made.json"
log = logging.getLogger("wmhflow")


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
        # whether this process made the index, so that to make it again would change nothing
        self._is_new = False

    def person(self, subject: str) -> list[tuple[Path, dict[str, Any]]]:
        """List a person's files as :func:`wmhflow.bids.scan.scan_person` does.

        An index that does not list just these files is out of date, and is made again, once.

        Parameters
        ----------
        subject
            Label without ``sub-``.

        Raises
        ------
        InputError
            If one of the person's folders cannot be read.
        """
        there = dict(scan_person(self.root, subject, raw=self.raw))
        try:
            indexed = self._current(subject, set(there))
        except Exception as error:  # noqa: BLE001 - whatever pybids and its database say
            log.warning(
                "--bids-database-dir: %s cannot be indexed (%s); its folders are looked into.",
                self.root, first_line(error),
            )  # fmt: skip
            return list(there.items())
        # what pybids does not list, such as a folder called as an image, is there all the same
        return [(path, indexed.get(path, entities)) for path, entities in there.items()]

    def _current(self, subject: str, there: set[Path]) -> dict[Path, dict[str, Any]]:
        """Ask the index for a person; one that is damaged or out of date is made again, once."""
        why = ""
        try:
            indexed = self._indexed(subject)
            if indexed.keys() != there:
                why = (
                    f"{self._made()}, lists {len(indexed)} files of sub-{subject}, and other ones, "
                    f"{len(there)}, are there now"
                )
        except Exception as error:
            if self._is_new:
                raise
            why = f"cannot be read ({first_line(error)})"
        if why and not self._is_new:
            log.warning(
                "--bids-database-dir: the index of %s %s; it is made again.", self.root, why
            )
            self._layout = self._make()
            indexed = self._indexed(subject)
        return indexed

    def _indexed(self, subject: str) -> dict[Path, dict[str, Any]]:
        if self._layout is None:
            self._layout = self._open() if (self.path / MADE).is_file() else self._make()
        return {
            Path(file.path): dict(file.get_entities())
            for file in self._layout.get(subject=[subject])
            if belongs(Path(file.path), self.root)
        }

    def _made(self) -> str:
        """Say when the index was made, and of how many files."""
        told = json.loads((self.path / MADE).read_text(encoding="utf-8"))
        return f"made {told['time']} of {told['files']} files"

    def _make(self) -> Any:
        """Make the index beside its place, and put it there whole; others may use the old one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".index-") as partial:
            folder, old = Path(partial) / "new", Path(partial) / "old"
            layout = _layout(self.root, folder, raw=self.raw)
            told = {
                "root": str(self.root),
                "files": len(layout.files),
                "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
            }
            layout.connection_manager.session.close()
            (folder / MADE).write_text(json.dumps(told), encoding="utf-8")
            folder.chmod(0o755)
            if self.path.exists():
                self.path.replace(old)
            folder.replace(self.path)
        self._is_new = True
        return self._open()

    def _open(self) -> Any:
        return _layout(self.root, self.path, raw=self.raw)


def _layout(root: Path, folder: Path, *, raw: bool) -> Any:
    """Open the index in a folder, which is made if there is none."""
    from bids import BIDSLayout, BIDSLayoutIndexer

    # pybids has no entity 'param', which tells FA from MD in a dwimap
    extra = str(files("wmhflow") / "data" / "bids_entities.json")
    indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=_ignored(raw=raw))
    return BIDSLayout(
        root,
        validate=False,
        indexer=indexer,
        is_derivative=not raw,
        config=["bids", "derivatives", extra],
        database_path=folder,
    )


def _ignored(*, raw: bool) -> list[re.Pattern[str]]:
    """Patterns of what is not worth walking into: folders without images."""
    unread = "|".join(sorted(IGNORED if raw else IGNORED_DERIVED))
    return [
        re.compile(r"^/(sourcedata|derivatives|code|stimuli|logs|models|\.[^/]*)(/|$)"),
        re.compile(rf"^/sub-[^/]+/(ses-[^/]+/)?({unread})(/|$)"),
        # a name that is no UTF-8, which the database cannot hold
        re.compile("[\udc80-\udcff]"),
    ]
