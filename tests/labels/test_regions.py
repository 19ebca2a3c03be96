"""The registries hold together: numbers, names, homologues, parents, FreeSurfer's codes, maps."""

from __future__ import annotations

from pathlib import Path

import pytest

from wmhflow.core.align.quality import ACCEPTABLE
from wmhflow.errors import UsageError
from wmhflow.labels import digits
from wmhflow.labels.freesurfer import load_freesurfer_codes
from wmhflow.labels.regions import Region, leaves_of, load_regions, registered_images
from wmhflow.labels.shells import shell_regions
from wmhflow.registries.bibliography import bibliography
from wmhflow.registries.maps import load_maps
from wmhflow.registries.quality import find_measure, load_quality_measures, quality_table

SEGS = ("tissue", "zones", "continuity", "majority", "lobes", "bullseye", "shells")


def regions_of(seg: str) -> dict[int, Region]:
    return shell_regions() if seg == "shells" else load_regions(seg)


@pytest.mark.parametrize("seg", SEGS)
def test_names_abbreviations_and_colours(seg: str) -> None:
    regions = regions_of(seg).values()
    assert len({region.name for region in regions}) == len(regions)
    assert len({region.abbreviation for region in regions}) == len(regions)
    assert all(len(region.colour) == 7 and region.colour[0] == "#" for region in regions)


@pytest.mark.parametrize("seg", SEGS)
def test_homologues_are_mutual_and_on_the_other_side(seg: str) -> None:
    by_name = {region.name: region for region in regions_of(seg).values()}
    for region in by_name.values():
        if region.hemisphere == "B":
            assert region.homologue is None
            continue
        other = by_name[region.homologue or ""]
        assert other.homologue == region.name
        assert {region.hemisphere, other.hemisphere} == {"L", "R"}
        assert region.name.startswith("left" if region.hemisphere == "L" else "right")


@pytest.mark.parametrize("seg", SEGS)
def test_both_sides_together_are_the_union_of_the_sides(seg: str) -> None:
    regions = regions_of(seg)
    leaves = leaves_of(regions)
    for index, region in regions.items():
        sides = {regions[leaf].hemisphere for leaf in leaves[index]}
        assert sides == ({"L", "R"} if region.hemisphere == "B" else {region.hemisphere})


def test_the_registry_agrees_with_the_numbers_that_core_computes() -> None:
    tissues = load_regions("tissue")
    assert [tissues[number].abbreviation for number in range(1, 8)] == [
        *("CSF", "LV", "CTX", "DGM", "WM", "WMH", "INF")
    ]
    assert tissues[digits.WMH].name == "white matter hyperintensity"
    assert tissues[digits.CORTEX].name == "cerebral cortex"
    assert tissues[digits.VENTRICLES].name == "lateral ventricle"
    zones = load_regions("zones")
    for index, abbreviation in {
        digits.JUXTAVENTRICULAR: "JV",
        digits.PERIVENTRICULAR: "PV",
        digits.DEEP: "D",
        digits.JUXTACORTICAL: "JC",
    }.items():
        assert zones[index].abbreviation == abbreviation
        assert zones[digits.with_side(index, digits.LEFT)].hemisphere == "L"
        assert zones[digits.with_side(index, digits.RIGHT)].hemisphere == "R"


def test_the_registry_names_all_but_the_shells() -> None:
    assert (*registered_images(), "shells") == SEGS
    with pytest.raises(KeyError, match="shells"):
        load_regions("shells")


def test_freesurfer_codes_have_matching_sides() -> None:
    codes = load_freesurfer_codes()
    for left, right in ((2, 41), (3, 42), (4, 43), (5, 44), (31, 63), (10, 49), (17, 53)):
        assert (codes[left].hemisphere, codes[right].hemisphere) == ("L", "R")
        assert codes[left].tissue == codes[right].tissue
    assert {codes[code].tissue for code in (4, 5, 31, 43, 44, 63)} == {digits.VENTRICLES}
    assert codes[14].tissue == codes[15].tissue == digits.CSF
    for code in range(1001, 1036):
        assert codes[code].lobe == codes[code + 1000].lobe
        assert codes[code].name[4:6] == "lh"
        assert codes[code + 1000].name[4:6] == "rh"
    assert codes[1035].tissue == digits.CORTEX
    assert codes[77].tissue == digits.WHITE_MATTER


def test_maps_and_bibliography_load() -> None:
    maps = load_maps()
    assert {"FA", "MD", "CBF", "Chimap"} <= set(maps)
    assert all(entry["doi"].startswith("10.") for entry in bibliography().values())


@pytest.mark.parametrize(
    "text",
    [
        '[[map]]\nname = "X"\nunit = "1"\nquery = {suffix = "x"}',
        '[[map]]\nname = "X"\nunit = "1"\nvalid_range = [2, 1]\nquery = {suffix = "x"}',
        '[[map]]\nname = "X y"\nunit = "1"\nvalid_range = [0, 1]\nquery = {suffix = "x"}',
        "[[map",
    ],
)
def test_a_wrong_file_of_maps_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="--maps"):
        load_maps(path)


def test_every_bound_of_quality_has_a_reason_and_encloses_something() -> None:
    measures = load_quality_measures()
    assert len({entry.metric for entry in measures}) == len(measures)
    for entry in measures:
        bounds = [edge for edge in (entry.low, entry.high) if edge is not None]
        assert bounds == sorted(bounds)
        assert bool(bounds) == (entry.reason is not None), entry.metric
        assert (f"`{entry.metric}`" in quality_table()) == bool(bounds)


def test_a_measure_is_found_by_its_name_or_by_how_it_ends() -> None:
    found = find_measure("map_MD_registration_rotation_deg")
    assert found is not None
    assert found.high == 45
    assert find_measure("no_such_measure") is None
    # the bounds of NAWM are not those of everything that a map covers
    assert find_measure("map_FA_coverage_WMH") != find_measure("map_FA_coverage_NAWM")


def test_an_alignment_is_judged_by_the_same_bounds_as_its_row() -> None:
    for name, bounds in ACCEPTABLE.items():
        known = find_measure(f"other_anatomical_registration_{name}")
        assert known is not None
        assert (known.low, known.high) == bounds
