"""The methods text cites what was used."""

from __future__ import annotations

from wmhflow.cli.parser import parse_settings
from wmhflow.products.methods import methods_text


def test_pybids_is_cited_where_it_indexed_the_dataset() -> None:
    words = ["in", "out", "participant"]
    assert "PyBIDS" not in methods_text(parse_settings(words))
    text = methods_text(parse_settings([*words, "--bids-database-dir", "index"]))
    assert "in BIDS [@bids], indexed with PyBIDS" in text
    assert "[@pybids], were processed" in text
