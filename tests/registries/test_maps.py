"""The registry of maps says of each map enough to find it, and to tell its unit by its values."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from wmhflow.bids.entities import entities_of
from wmhflow.bids.query import FoundFile, matches
from wmhflow.errors import UsageError
from wmhflow.registries.maps import MapDefinition, load_maps
from wmhflow.registries.units import (
    factor_between,
    is_reciprocal,
    parse_unit,
    reciprocal_factor,
)

MAPS = load_maps()
# Of the issue that asked for them.
ASKED_FOR = """
FA MD AD RD MK AK RK MKT KFA FW FAt MDt ICVF OD ISOVF TF IVIMD IVIMf IVIMDstar WMlike
GMlike CSFlike ADC R1map T1map R2map T2map R2starmap T2starmap R2primemap T1wT2w MTRmap MTsat MWFmap
GMT2 PDmap MTVmap Chimap Chipos Chineg CBF CBV MTT ATT ABV Ktrans PS Ki VL Vp CVR CVRdelay CVRtau
SUVR NAA
"""


def test_all_maps_are_there() -> None:
    assert set(ASKED_FOR.split()) <= set(MAPS)


@pytest.mark.parametrize("entry", MAPS.values(), ids=MAPS)
def test_an_entry_says_what_it_needs(entry: MapDefinition) -> None:
    parse_unit(entry.unit)
    assert entry.family
    assert entry.description
    low, high = entry.valid_range
    # a map that means something below 0 must be allowed to be there, and no other
    assert (low < 0) == entry.can_be_negative
    if entry.plausible is not None:
        assert 0 < entry.plausible[0] < entry.plausible[1] <= high
    for width in entry.published:
        assert re.fullmatch(r"10\.\d{4,}/\S+", width.doi)


@pytest.mark.parametrize(
    "entry", [one for one in MAPS.values() if not one.must_declare and one.plausible], ids=str
)
def test_values_tell_one_unit_at_most(entry: MapDefinition) -> None:
    """The typical sizes in all units of a map, as the file holds them, do not overlap."""
    assert entry.plausible is not None
    low, high = entry.plausible
    factors = [factor_between(unit, entry.unit) for unit in (entry.unit, *entry.other_units)]
    raw = sorted((low / factor, high / factor) for factor in factors if factor is not None)
    assert all(one[1] < other[0] for one, other in pairwise(raw))
    # nor would the reciprocal be taken for the map in its own unit
    for unit in entry.other_units:
        if is_reciprocal(unit, entry.unit):
            factor = reciprocal_factor(unit, entry.unit)
            assert factor / low < low or factor / high > high


FILES = {
    "sub-1_model-dki_param-md_dwimap": ["MD"],
    "sub-1_model-tensor_param-md_dwimap": ["MD"],
    "sub-1_param-md_dwimap": ["MD"],
    "sub-1_model-dkimicro_param-md_dwimap": [],
    "sub-1_model-dkimicro_param-awf_dwimap": ["AWF"],
    "sub-1_model-fwdti_param-fa_dwimap": ["FAt"],
    "sub-1_model-fwdti_param-md_dwimap": ["MDt"],
    "sub-1_model-fwdti_param-fwf_dwimap": ["FW"],
    "sub-1_model-noddi_param-isovf_dwimap": ["ISOVF"],
    "sub-1_model-noddi_param-isovf_desc-modulated_dwimap": [],
    "sub-1_model-noddi_param-icvf_dwimap": ["ICVF"],
    "sub-1_model-noddi_param-icvf_desc-modulated_dwimap": [],
    "sub-1_model-noddi_param-od_dwimap": ["OD"],
    "sub-1_model-noddi_param-tf_dwimap": ["TF"],
    "sub-1_model-dki_param-ak_dwimap": ["AK"],
    "sub-1_model-dki_param-mkt_dwimap": ["MKT"],
    "sub-1_model-dki_param-kfa_dwimap": ["KFA"],
    "sub-1_Chimap": ["Chimap"],
    "sub-1_desc-total_Chimap": ["Chimap"],
    "sub-1_desc-paramagnetic_Chimap": ["Chipos"],
    "sub-1_desc-diamagnetic_Chimap": ["Chineg"],
    "sub-1_cbf": ["CBF"],
    "sub-1_desc-basil_cbf": ["CBF"],
    "sub-1_desc-basilGM_cbf": [],
    "sub-1_desc-basilWM_cbf": [],
    "sub-1_desc-timeseries_cbf": [],
    "sub-1_abat": ["ABAT"],
    "sub-1_abv": ["ABV"],
    "sub-1_task-gas_desc-cvr_bold": ["CVR"],
    "sub-1_task-gas_desc-delaymasked_bold": ["CVRdelay"],
    "sub-1_task-gas_bold": [],
    "sub-1_task-gas_desc-preproc_bold": [],
    "sub-1_trc-FDG_meas-SUVR_mimap": ["SUVR"],
    "sub-1_trc-FDG_meas-BPND_mimap": ["BPND"],
    "sub-1_trc-FDG_meas-VT_mimap": [],
    "sub-1_R2primemap": ["R2primemap"],
    "sub-1_PDmap": ["PDmap"],
    "sub-1_MTVmap": ["MTVmap"],
    "sub-1_Ktrans": ["Ktrans"],
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_answers_for_the_right_map_and_no_other(name: str) -> None:
    file = FoundFile(Path(name), entities_of(f"{name}.nii.gz"), "maps", Path())
    found = [one.name for one in MAPS.values() if any(matches(file, q) for q in one.queries)]
    assert found == FILES[name]


def test_another_unit_for_tables_changes_ranges_with_it() -> None:
    shown = load_maps(units=[("Chimap", "ppb")])["Chimap"]
    own = MAPS["Chimap"]
    assert (shown.unit, shown.own_unit) == ("ppb", "ppm")
    assert shown.valid_range == (-1000.0, 1000.0)
    assert own.plausible is not None
    assert shown.plausible == tuple(pytest.approx(edge * 1000) for edge in own.plausible)
    assert "ppm" in shown.other_units
    assert shown.in_unit("ppm").unit == "ppm"


@pytest.mark.parametrize(
    ("name", "unit", "said"),
    [("Chimap", "s", "measured in ppm"), ("Nothing", "s", "there is no map Nothing")],
)
def test_a_unit_that_cannot_be_a_maps_is_refused(name: str, unit: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_maps(units=[(name, unit)])


ENTRY = '[[map]]\nname = "Flow"\nunit = "1"\nvalid_range = [0, 1]\nquery = { suffix = "flow" }\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY.replace('unit = "1"\n', ""), "unit"),
        (ENTRY.replace('"1"', '" "'), "unit, which is empty"),
        (f'{ENTRY}other_units = ["s"]\n', "other_units, of which 's' cannot become '1'"),
        (f'{ENTRY}other_units = "s"\n', "other_units, which is no list of texts"),
        (f"{ENTRY}plausible = [2, 1]\n", "plausible, which is no pair"),
        (f'{ENTRY}plausible = ["a", 1]\n', "plausible, which is no pair of numbers"),
        (f"{ENTRY}must_declare = 1\n", "must_declare = 1"),
        (f"{ENTRY}component = 0\n", "component = 0, which is no number of a volume"),
        (f"{ENTRY}component = true\n", "component = True, which is no number of a volume"),
        (f'{ENTRY}component = "2"\n', "component = '2', which is no number of a volume"),
        (f'{ENTRY}family = "x"\n', "family, which is none of diffusion"),
        (f'{ENTRY}in_wmh = "up"\n', "in_wmh, which is none of lower"),
        (f"{ENTRY}free_water = 0\n", "free_water, which is no number above 0"),
        (f'{ENTRY}in_fluid = "mixed"\n', "in_fluid, which is none of lower, higher, far lower"),
        (f"{ENTRY}also = [{{}}]\n", "also, which is no list of entities"),
        (f'{ENTRY}registry_unit = "s"\n', "'registry_unit', which is no field"),
        (f'{ENTRY}published = [{{ lesions = "x", width_mm = [1, 2], doi = "1" }}]\n', "published"),
        (f'{ENTRY}published = [{{ lesions = "all", width_mm = [1, 2] }}]\n', "doi"),
    ],
)
def test_a_users_map_that_says_something_else_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "maps.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(said)):
        load_maps(path)


def test_a_users_map_can_be_of_a_family_and_say_no_desc(tmp_path: Path) -> None:
    path = tmp_path / "maps.toml"
    path.write_text(ENTRY.replace('"flow" }', '"flow", desc = "" }\nfamily = "perfusion"'))
    flow = load_maps(path)["Flow"]
    assert flow.query == {"suffix": "flow", "desc": None}
    assert flow.transform_from == MAPS["CBF"].transform_from


def test_the_registry_is_read_once_and_nobody_changes_it_for_others():
    first = load_maps()
    count = len(first)
    first.clear()
    again = load_maps()
    assert len(again) == count
    assert again["FA"] is load_maps()["FA"]
