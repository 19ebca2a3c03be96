"""Regions of atlases in the report: sides together, most lesions first, one colour everywhere."""

from __future__ import annotations

from pathlib import Path

from wmhflow.labels.foreign import named_regions
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.reports.atlas_regions import (
    SHOWN_REGIONS,
    atlas_volumes,
    colours_of,
    pairs_of,
    palette,
)


def atlas(count: int) -> AtlasPlan:
    names = {2 * n + s: f"artery {chr(65 + n)} {side}" for n in range(count)
             for s, side in ((1, "left"), (2, "right"))}  # fmt: skip
    regions = named_regions(names | {900: "midline"}, "mine")
    return AtlasPlan("mine", "mine=x", Path("x"), "labels", regions, "T", None)


def row(index: int, volume: float, wmh: float, n_lesions: int) -> dict[str, str]:
    return {
        "seg": "mine", "index": str(index), "volume_mm3": str(volume),
        "wmh_volume_mm3": str(wmh), "n_lesions": str(n_lesions),
    }  # fmt: skip


def test_sides_come_together_and_what_has_none_stays_alone() -> None:
    pairs = pairs_of(atlas(2).regions)
    assert [(p.name, p.left, p.right, p.other) for p in pairs] == [
        ("artery A", 1, 2, None),
        ("artery B", 3, 4, None),
        ("midline", None, None, 900),
    ]


def test_the_table_has_most_lesions_first_and_adds_no_lesion_twice() -> None:
    rows = [row(1, 1000, 10, 2), row(2, 3000, 30, 1), row(3, 1000, 0, 0), row(4, 1000, 500, 3)]
    first, second = atlas_volumes([*rows, row(900, 10, 0, 0)], atlas(2))
    assert (first.name, first.wmh, first.wmh_percent) == (
        "artery B", ("0", "0.500", "0.500"), "25.0",
    )  # fmt: skip
    assert (second.volumes, second.n_lesions) == (("1.00", "3.00", "4.00"), "2 + 1")


def test_picture_and_table_have_one_colour_for_a_region() -> None:
    made = atlas(26)
    rows = [row(index, 100, index, 1) for index in made.regions]
    colours = colours_of(rows, made)
    assert len(colours) == len(set(colours.values())) == SHOWN_REGIONS
    assert [pair.name for pair in colours] == [
        pair.name for pair in pairs_of(made.regions) if pair in colours
    ]
    by_name = {pair.name: colour for pair, colour in colours.items()}
    table = atlas_volumes(rows, made)
    assert {one.name: one.colour for one in table} == by_name
    # the one with least is not among them
    assert "artery A" not in by_name


def test_colours_differ() -> None:
    assert len(set(palette(SHOWN_REGIONS))) == SHOWN_REGIONS
