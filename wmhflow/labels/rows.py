"""A region as the tables have it: made of labels of one label image, or where two meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wmhflow.labels.digits import LETTER_BOTH


@dataclass(frozen=True)
class TableRegion:
    """A region of the tables: how it is named, and which labels of which images it holds.

    Where regions of two label images meet, ``index`` is made of both numbers.
    """

    seg: str
    index: int
    name: str
    hemisphere: str
    homologue: int | None
    terms: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def is_unsided(self) -> bool:
        """Whether it lies on both sides without being made of one region of each."""
        return self.hemisphere == LETTER_BOTH and self.terms[0][1] == (self.index,)

    @property
    def described(self) -> dict[str, object]:
        """The cells that begin each of its rows."""
        return {key: getattr(self, key) for key in ("seg", "index", "name", "hemisphere")}

    def as_dict(self) -> dict[str, object]:
        """Return what JSON can hold; :func:`region_of` reads it."""
        return asdict(self)


def region_of(content: Mapping[str, Any]) -> TableRegion:
    """Make a region from what :meth:`TableRegion.as_dict` gave, with JSON's lists."""
    terms = tuple((name, tuple(labels)) for name, labels in content["terms"])
    return TableRegion(**{**content, "terms": terms})
