"""Look-up tables: what the numbers in a label image mean, in the form of BIDS."""

from __future__ import annotations

from collections.abc import Iterable

from wmhflow.bids.writer import table_text
from wmhflow.labels.regions import Region


def look_up_table(regions: Iterable[Region]) -> str:
    """Write a label image's look-up table in the form of BIDS."""
    rows = [
        {
            "index": region.index,
            "name": region.name,
            "abbreviation": region.abbreviation,
            "color": region.colour,
        }
        for region in regions
    ]
    return table_text(["index", "name", "abbreviation", "color"], rows)
