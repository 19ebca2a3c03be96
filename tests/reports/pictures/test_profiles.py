"""Each map has a profile, where a shell has a value."""

from __future__ import annotations

from wmhflow.bids.writer import table_text, write_text
from wmhflow.products.columns import PROFILES, names
from wmhflow.products.visit import visit_unit
from wmhflow.reports.context import VisitContext
from wmhflow.reports.pictures.profiles import profiles


def test_a_map_has_one_profile_that_stands_beside_it(world):
    (picture,) = profiles(world.saved())
    assert (picture.desc, picture.map_name) == ("profileFA", "FA")
    assert "Dotted lines" in picture.caption


def test_without_a_value_there_is_no_profile(world):
    world.save()
    rows = [{"map": "FA", "lesion_class": "all", "shell": shell} for shell in ("1", "2", "rest")]
    path = world.settings.output_dir / visit_unit(world.visit, world.settings).path(
        "table_profiles"
    )
    write_text(path, table_text(names(PROFILES), rows))
    assert not list(profiles(VisitContext(world.settings, world.visit)))
