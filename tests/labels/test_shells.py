"""The shells' names say their millimetres, whatever the width."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmhflow.core.regions.shells import shell_edges
from wmhflow.errors import UsageError
from wmhflow.labels.digits import REST, shell_class, shell_ordinal, shell_side
from wmhflow.labels.edges import has_whole_shells, interval_mm, shell_count
from wmhflow.labels.shells import shell_regions
from wmhflow.labels.tables import regions_tables
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.dataset import look_up_table
from wmhflow.products.rows import in_images, table_regions
from wmhflow.settings import Regions, Settings, build

NARROW = Regions(shell_width=1.5, shell_max=6.0)


def outer(width: float, largest: float) -> list[str]:
    regions = shell_regions(width, largest)
    return [one.name for index, one in regions.items() if index <= REST and "inner" not in one.name]


def test_outer_shells_of_a_run_say_their_millimetres() -> None:
    assert outer(1.5, 6) == [
        "outer shell 0-1.5 mm of all lesions",
        "outer shell 1.5-3 mm of all lesions",
        "outer shell 3-4.5 mm of all lesions",
        "outer shell 4.5-6 mm of all lesions",
        "white matter beyond 6 mm of all lesions",
    ]


def test_a_last_shell_that_is_cut_says_so() -> None:
    assert outer(2, 5)[2] == "outer shell 4-5 mm of all lesions"
    assert outer(5, 2)[0] == "outer shell 0-2 mm of all lesions"


def test_inner_shells_say_how_deep_they_lie() -> None:
    regions = shell_regions(1.5, 6)
    assert regions[1151].name == "left inner shell 0-1.5 mm of periventricular lesions"
    assert regions[2252].name == "right inner shell 1.5-3 mm of deep lesions"
    # the last one holds whatever lies deeper
    assert regions[90].name == "inner shell beyond 58.5 mm of all lesions"


@given(st.sampled_from([0.1, 0.35, 0.7, 1.0, 1.5, 2.0, 3.3]), st.integers(1, 40))
def test_names_edges_and_distances_agree(width: float, count: int) -> None:
    largest = count * width
    regions, edges = shell_regions(width, largest), shell_edges(width, largest)
    assert shell_count(width, largest) == len(edges) - 1 == count
    assert has_whole_shells(width, largest)
    assert interval_mm(REST, width, largest) == (largest, inf)
    for ordinal in range(1, count + 1):
        low, high = interval_mm(ordinal, width, largest)
        assert (low, high) == pytest.approx(tuple(edges[ordinal - 1 : ordinal + 1]))
        assert regions[ordinal].name == f"outer shell {low:g}-{high:g} mm of all lesions"
        inside = interval_mm(REST + ordinal, width, largest)
        assert inside[1] == pytest.approx(-low)
        assert inside[0] == (pytest.approx(-high) if ordinal < 40 else -inf)
    names = {region.name for region in regions.values()}
    assert len(names) == len(regions) == 9 * (40 + count + 1)


@pytest.mark.parametrize(("width", "largest"), [(1.5, 6.0), (2.0, 5.0), (2.0, 14.0)])
def test_homologues_parents_and_numbers_hold_together(width: float, largest: float) -> None:
    regions = shell_regions(width, largest)
    number = {region.name: index for index, region in regions.items()}
    for index, region in regions.items():
        side, kind, ordinal = shell_side(index), shell_class(index), shell_ordinal(index)
        assert region.hemisphere == "BLR"[side]
        assert region.abbreviation.startswith(("ALL", "PV", "DEEP")[kind])
        assert ("rest" in region.abbreviation) == (ordinal == REST)
        assert ("inner" in region.name) == (ordinal > REST)
        if side:
            # the other side's number differs by the side alone
            assert number[region.homologue or ""] - index == (1000 if side == 1 else -1000)
        assert {number[parent] for parent in region.parents} == (
            ({index - 1000 * side} if side else set()) | ({index - 100 * kind} if kind else set())
        )


def test_look_up_tables_and_tables_take_the_names_of_the_run() -> None:
    table = look_up_table(in_images("shells", NARROW)).splitlines()
    assert "1104\tleft outer shell 4.5-6 mm of periventricular lesions\tPV+4-L" in "\n".join(table)
    assert not any(line.startswith("1105\t") for line in table)
    settings = Settings(Path("in"), Path("out"), "participant", regions=NARROW)
    names = {row.name for row in table_regions(VisitPlan("01", None), settings)}
    assert "outer shell 4.5-6 mm of all lesions" in names
    assert not any("shell 1 " in name or "shells" in name for name in names)


def test_the_documentation_has_the_default_shells() -> None:
    assert "| 103 | 1103 | 2103 | PV+3 | outer shell 4-6 mm of periventricular lesions |" in (
        regions_tables()
    )


@pytest.mark.parametrize(("width", "largest"), [(2.0, 5.0), (0.3, 14.0), (2.0, 1.0), (2, 82)])
def test_settings_want_whole_shells_and_at_most_forty(width: float, largest: float) -> None:
    with pytest.raises(UsageError, match="is not 1 to 40 times --shell-width"):
        chosen(width, largest)


@pytest.mark.parametrize(("width", "largest"), [(0.7, 2.1), (0.35, 14.0), (1.5, 6.0), (3.3, 9.9)])
def test_settings_take_what_makes_whole_shells(width: float, largest: float) -> None:
    assert chosen(width, largest).regions.shell_max == largest


def test_settings_and_core_count_the_same_shells() -> None:
    width, largest = 2.0, 14.000001
    assert len(shell_edges(width, largest)) - 1 == 8
    with pytest.raises(UsageError, match="--shell-max"):
        chosen(width, largest)


def chosen(width: float, largest: float) -> Settings:
    options = {"regions": {"shell_width": width, "shell_max": largest}}
    return build(Path("in"), Path("out"), "participant", options)
