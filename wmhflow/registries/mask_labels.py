"""What the numbers in given masks of lesions mean, by name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class MaskLabels:
    """Numbers that are WMH, and those of other lesions; both empty where any number is WMH."""

    wmh: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    title: str = ""
    source: str = ""


@cache
def load_mask_labels() -> dict[str, MaskLabels]:
    """Read the registry, by name.

    Examples
    --------
    >>> load_mask_labels()["challenge"].other
    (2,)
    """
    text = (files("wmhflow") / "data" / "mask_labels.toml").read_text(encoding="utf-8")
    return {
        name: MaskLabels(tuple(row["wmh"]), tuple(row["other"]), row["title"], row["source"])
        for name, row in tomllib.loads(text).items()
    }


def find_mask_labels(words: Sequence[str]) -> MaskLabels:
    """Say what numbers mean, by the words of ``--wmh-labels``.

    Parameters
    ----------
    words
        One name of the registry, or the numbers that are WMH.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> find_mask_labels(["1", "3"]).wmh
    (1, 3)
    >>> find_mask_labels([])
    MaskLabels(wmh=(), other=(), title='', source='')
    """
    known = load_mask_labels()
    if len(words) == 1 and words[0] in known:
        return known[words[0]]
    numbers = [int(word) for word in words if word.isascii() and word.isdigit()]
    if len(numbers) != len(words) or any(not 0 < number < 2**31 for number in numbers):
        raise ValueError(
            f"'{' '.join(words)}' is neither one of {', '.join(known)} nor whole numbers above 0"
        )
    return MaskLabels(tuple(dict.fromkeys(numbers)))


def mask_labels_table() -> str:
    """Return the registry as Markdown for the documentation."""
    lines = ["| name | masks of | WMH | other lesions | source |", "| --- " * 5 + "|"]
    for name, row in load_mask_labels().items():
        cells = (f"`{name}`", row.title, _numbers(row.wmh), _numbers(row.other), row.source)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "–"
