"""Which label images a run has, and the rows that the tables get from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wmhflow.errors import UsageError
from wmhflow.labels.rows import TableRegion, region_of
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.rows import (
    _crossed,
    check_crosses,
    in_images,
    possible_images,
    regions_of,
    table_regions,
    tabulated_images,
)
from wmhflow.settings import Regions, Settings

VISIT = VisitPlan("01", None, lobes="parcellation", zones=("pv10", "nearer"))


def settings(**options: object) -> Settings:
    regions = Regions(zones=VISIT.zones, **options)  # type: ignore[arg-type]
    return Settings(Path("in"), Path("out"), "participant", regions=regions)


def test_the_first_scheme_has_the_plain_name_and_others_their_own() -> None:
    assert tabulated_images(VISIT) == (
        *("tissue", "zones", "zonesnearer", "continuity"),
        *("majority", "majoritynearer", "lobes", "bullseye", "shells"),
    )
    without = tabulated_images(replace(VISIT, lobes=None))
    assert set(tabulated_images(VISIT)) - set(without) == {"lobes", "bullseye"}


def test_zones_that_a_scheme_cannot_give_are_no_rows() -> None:
    found = regions_of("zones", settings().regions)
    assert {region.abbreviation for region in found.values()} == {
        *("PV", "D", "PV-L", "D-L", "PV-R", "D-R")
    }
    assert {region.seg for region in regions_of("zonesnearer", settings().regions).values()} == {
        "zonesnearer"
    }


@pytest.mark.parametrize("layers", [1, 4, 8])
def test_the_bullseye_has_so_many_layers(layers: int) -> None:
    options = settings(bullseye_layers=layers).regions
    assert len(in_images("bullseye", options)) == 2 * 6 * layers
    ring = {region.name for region in regions_of("bullseye", options).values()}
    assert f"layer {layers}" in ring
    assert f"layer {layers + 1}" not in ring


@pytest.mark.parametrize("seg", possible_images(Regions()))
def test_only_leaves_occur_in_images(seg: str) -> None:
    for region in in_images(seg, Regions()):
        assert region.hemisphere in "LR"
        assert region.seg == seg


def test_crossed_rows_hold_both_terms_of_one_side() -> None:
    rows = table_regions(VISIT, settings(cross=(("zones", "lobes"),)))
    crossed = [row for row in rows if row.seg == "zones:lobes"]
    zones = {row.index: row for row in rows if row.seg == "zones"}
    lobes = {row.index: row for row in rows if row.seg == "lobes"}
    assert len({row.index for row in crossed}) == len(crossed)
    for row in crossed:
        zone, lobe = zones[row.index // 100_000], lobes[row.index % 100_000]
        assert row.terms == (*zone.terms, *lobe.terms)
        assert row.name == f"{zone.name}: {lobe.name}"
        assert zone.hemisphere == lobe.hemisphere == row.hemisphere
    assert len(crossed) == 3 * (len(zones) // 3) * (len(lobes) // 3)


def test_a_region_without_sides_meets_those_of_either_side() -> None:
    sides = {
        "L": TableRegion("zones", 11, "left", "L", 21, (("zones", (11,)),)),
        "R": TableRegion("zones", 21, "right", "R", 11, (("zones", (21,)),)),
        "B": TableRegion("zones", 1, "both", "B", None, (("zones", (11, 21)),)),
    }
    stem = TableRegion("arteries", 7, "basilar", "B", None, (("arteries", (7,)),))
    found = list(_crossed(list(sides.values()), [stem]))
    assert [row.hemisphere for row in found] == ["L", "R", "B"]
    assert len(list(_crossed(list(sides.values()), list(sides.values())))) == 3


def test_the_homologue_of_a_crossed_row_is_crossed_from_homologues() -> None:
    rows = table_regions(VISIT, settings(cross=(("zones", "lobes"),)))
    by_index = {row.index: row for row in rows if row.seg == "zones:lobes"}
    row = by_index[12 * 100_000 + 11]
    assert row.homologue == 22 * 100_000 + 21
    assert by_index[row.homologue].homologue == row.index


def test_rows_survive_json() -> None:
    import json

    for region in table_regions(VISIT, settings()):
        assert region_of(json.loads(json.dumps(region.as_dict()))) == region


def test_a_cross_with_an_unknown_image_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no label image 'arteries'; there are tissue, zones"):
        check_crosses(settings(cross=(("zones", "arteries"),)).regions)
