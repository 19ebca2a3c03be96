"""The documentation's list of maps is the registry."""

from __future__ import annotations

from wmhflow.registries.maps import load_maps
from wmhflow.registries.maps_table import maps_table, named


def test_every_map_and_every_published_width_is_listed() -> None:
    text = maps_table()
    for name, entry in load_maps().items():
        assert f"| `{name}` | {entry.description}" in text
        assert all(width.doi in text for width in entry.published)
    assert (
        "| `Ktrans` | Volume transfer constant | `_Ktrans` | `1/min`; `1/s` (has to be stated)"
        in text
    )
    assert "CBF` | lower | all: 12 mm" in text


def test_each_family_stands_together() -> None:
    heads = [line for line in maps_table().splitlines() if line.startswith("###")]
    assert heads[0] == "### Diffusion"
    assert len(heads) >= 8


def test_a_query_is_written_as_a_name() -> None:
    assert named({"suffix": ["ADC", "adc"]}) == "_ADC"
    assert named({"suffix": "bold", "desc": "cvr"}) == "_desc-cvr_bold"
