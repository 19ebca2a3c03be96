"""How the registries' files are read."""

from __future__ import annotations

import csv
from importlib.resources import files


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("wmhflow") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))
