"""Keys of a unit's products: what nobody makes, and what two make, is refused by its names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from wmhflow.bids.query import FoundFile
from wmhflow.errors import ProductError
from wmhflow.products.product import From, Image, Place, Recipe, Work
from wmhflow.products.unit import Unit
from wmhflow.steps.kinds import step

GIVEN = FoundFile(Path("/raw/sub-01/x.nii.gz"), {}, "raw", Path("/raw"))


class Made(NamedTuple):
    """Something."""

    made: Path


@step()
def make(it: Path | None = None, other: Path | None = None) -> Made:
    """Make something."""
    return Made(it or other or Path())


def unit(*recipes: Recipe) -> Unit:
    return Unit("sub-01 ses-1", ("sub_01_wf",), Place("01", "1"), recipes)


def image(key: str) -> Image:
    return Image(key, "mask", {"label": key}, "Something", "mask")


def test_what_nobody_makes_is_refused_wherever_it_is_taken() -> None:
    for how in ({"takes": {"it": "gone"}}, {"beside": {"it": ["a", "gone"]}}, {"after": "gone"}):
        broken = unit(Recipe("first", make, {"made": Work("a")}), Recipe("taker", make, {}, **how))
        with pytest.raises(ProductError, match=r"sub-01 ses-1: taker takes gone"):
            broken.check()
    with pytest.raises(ProductError, match=r"sub-01 ses-1: no step makes gone; a"):
        unit(Recipe("first", make, {"made": Work("a")})).product("gone")


def test_what_two_make_is_refused_and_so_are_two_steps_of_one_name() -> None:
    twice = unit(
        Recipe("one", make, {"made": Work("a")}), Recipe("two", make, {"made": image("a")})
    )
    with pytest.raises(ProductError, match=r"sub-01 ses-1: one and two both make a"):
        twice.check()
    named = unit(Recipe("one", make, {}), Recipe("one", make, {"made": Work("b")}))
    with pytest.raises(ProductError, match=r"sub-01 ses-1: two steps are called one"):
        named.check()


def test_order_does_not_matter_and_other_units_are_not_asked_for() -> None:
    unit(
        Recipe("taker", make, {}, {"it": "later", "other": From("study", "template")}),
        Recipe("maker", make, {"made": Work("later")}),
    ).check()


def test_sources_follow_what_is_not_written_and_stop_at_what_is() -> None:
    chain = unit(
        Recipe("one", make, {"made": Work("a")}, {"it": GIVEN}),
        Recipe("two", make, {"made": image("b")}, {"it": "a", "other": From("study", "x")}),
        Recipe("three", make, {"made": Work("c")}, {"it": ["b", None, "a"]}, {"other": "seen"}),
        Recipe("four", make, {"made": image("d")}, {"it": "c", "other": "b"}),
        Recipe("five", make, {"made": Work("seen")}),
    )
    chain.check()
    mine = "bids::sub-01/ses-1/anat/sub-01_ses-1_label-b_mask.nii.gz"
    assert chain.sources("b") == ["bids:raw:sub-01/x.nii.gz"]
    # what only judges, or says where voxels lie, is no source; each source is named once
    assert chain.sources("d") == [mine, "bids:raw:sub-01/x.nii.gz"]
    assert [str(path) for path in chain.files] == [
        f"sub-01/ses-1/anat/sub-01_ses-1_label-{key}_mask{ending}"
        for key in "bd"
        for ending in (".nii.gz", ".json")
    ]


def test_what_another_unit_wrote_is_a_source_by_its_own_place() -> None:
    earlier = unit(
        Recipe("one", make, {"made": image("kept")}, {"it": GIVEN}),
        Recipe("two", make, {"made": Work("passed")}, {"it": GIVEN}),
    )
    taken = {"it": From(earlier.name, "kept"), "other": From(earlier.name, "passed")}
    pair = Unit(
        "sub-01 pair",
        ("sub_01_wf",),
        Place("01", "2"),
        (Recipe("change", make, {"made": image("change")}, taken),),
        others=(earlier,),
    )
    kept = f"bids::{earlier.path('kept').as_posix()}"
    assert "ses-1" in kept
    assert pair.sources("change") == [kept, "bids:raw:sub-01/x.nii.gz"]
