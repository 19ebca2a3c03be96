"""Maps that were given under each other's names, where each by itself could be true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.reports.conftest import found
from tests.steps.test_measures import volumes_with
from wmhflow.plan.visit import Given, MapPlan, UnitReading
from wmhflow.products.relations import relating
from wmhflow.registries.maps import load_maps
from wmhflow.registries.quality import find_measure
from wmhflow.registries.relations import CORTEX, DEEP_GREY, NAWM, is_summed, load_relations
from wmhflow.steps.measures import gather_quality
from wmhflow.steps.relations import contradictions, tissue_facts

# medians in NAWM, cortex and deep grey matter of grown-ups at 3 T, in the registry's units
USUAL: dict[str, tuple[float, float, float]] = {
    "FA": (0.42, 0.18, 0.25),
    "MD": (7.6e-4, 9.0e-4, 7.8e-4),
    "AD": (1.10e-3, 1.0e-3, 1.0e-3),
    "RD": (5.9e-4, 8.5e-4, 6.7e-4),
    "AK": (0.75, 0.6, 0.6),
    "MK": (1.0, 0.65, 0.8),
    "RK": (1.4, 0.7, 0.9),
    "FAt": (0.5, 0.2, 0.3),
    "MDt": (6.0e-4, 6.1e-4, 6.0e-4),
    "ICVF": (0.55, 0.4, 0.45),
    "ISOVF": (0.08, 0.2, 0.1),
    "TF": (0.92, 0.8, 0.9),
    "OD": (0.25, 0.45, 0.35),
    "T1map": (0.85, 1.35, 1.1),
    "R1map": (1 / 0.85, 1 / 1.35, 1 / 1.1),
    "T2map": (0.075, 0.09, 0.07),
    "R2map": (1 / 0.075, 1 / 0.09, 1 / 0.07),
    "T2starmap": (0.048, 0.055, 0.045),
    "R2starmap": (1 / 0.048, 1 / 0.055, 1 / 0.045),
    "R2primemap": (1 / 0.048 - 1 / 0.075, 7.0, 8.0),
    "MTRmap": (42, 30, 35),
    "MTsat": (3.8, 1.8, 2.4),
    "MWFmap": (11, 3, 5),
    "PDmap": (70, 82, 78),
    "MTVmap": (0.3, 0.18, 0.22),
    "T1wT2w": (1.0, 0.7, 0.85),
    "Chimap": (-0.015, 0.01, 0.05),
    "Chipos": (0.015, 0.02, 0.06),
    "Chineg": (-0.035, -0.02, -0.015),
    "CBF": (22, 55, 48),
    "CBV": (2.0, 4.0, 3.5),
    "ATT": (1.5, 1.2, 1.2),
    "ABAT": (1.1, 0.8, 0.8),
    "Vp": (0.01, 0.03, 0.03),
    "WMlike": (0.8, 0.2, 0.4),
    "CSFlike": (0.05, 0.2, 0.1),
}
TISSUES = (NAWM, CORTEX, DEEP_GREY)


def told(values: dict[str, tuple[float, float, float]]) -> dict[str, float]:
    return {
        f"map_{name}_{statistic}_{tissue}": value
        for name, three in values.items()
        for tissue, value in zip(TISSUES, three, strict=True)
        for statistic in ("median", "mean")
    }


def given(names: Any, **units: str) -> list[MapPlan]:
    """Plan maps of one fit that are given, in the registry's unit or another one."""
    known = load_maps(None, units.items())
    return [
        MapPlan(known[name], Given(found(Path(f"{name}.nii"))), None, read_as=UnitReading("x"))
        for name in names
    ]


def broken(values: dict[str, tuple[float, float, float]], **units: str) -> set[str]:
    applied = relating(given(values, **units)).get("relations", [])
    facts = contradictions(told(values), applied)
    assert all(value is not None for value in facts.values())
    return {
        name.removeprefix("maps_").removesuffix("_contradict")
        for name, value in facts.items()
        if value
    }


def test_usual_maps_do_not_contradict_each_other() -> None:
    assert broken(USUAL) == set()
    asked = {one.relation.name for one in relating(given(USUAL))["relations"]}
    # all but one whose map nobody listed here
    assert {one.name for one in load_relations()} - asked == {"IVIMDstaraboveIVIMD"}


EXCHANGED: dict[tuple[str, ...], set[str]] = {
    ("AD", "RD"): {"ADaboveRD"},
    ("AD", "MD"): {"ADaboveMD"},
    ("MD", "RD"): {"MDaboveRD"},
    ("AD", "RD", "MD"): {"ADaboveRD", "ADaboveMD", "MDofADandRD"},
    ("AK", "RK"): {"RKaboveAK"},
    ("MK", "RK"): {"RKaboveMK"},
    ("FA", "FAt"): {"FAtaboveFA"},
    ("MD", "MDt"): {"MDaboveMDt"},
    ("ICVF", "ISOVF"): {"ICVFaboveISOVF", "ICVFinNAWM"},
    ("ICVF", "OD"): {"ICVFinNAWM", "ODincortex"},
    ("TF", "ISOVF"): {"TFaboveISOVF"},
    ("T1map", "T2map"): {"T1mapaboveT2map"},
    ("T2map", "T2starmap"): {"T2mapaboveT2starmap"},
    ("R1map", "R2map"): {"R2mapaboveR1map"},
    ("R2map", "R2starmap"): {"R2starmapaboveR2map"},
    ("T1map", "R1map"): {"T1mapincortex", "R1mapinNAWM"},
    ("Chipos", "Chineg"): {"Chiposindeepgrey", "ChineginNAWM"},
    ("CBF", "ATT"): {"CBFincortex"},
    ("ABAT", "ATT"): {"ATTaboveABAT"},
    ("PDmap", "MTVmap"): {"PDmapincortex", "MTVmapinNAWM"},
    ("MTRmap", "PDmap"): {"MTRmapinNAWM", "PDmapincortex"},
    ("FA", "OD"): {"FAinNAWM", "ODincortex"},
}


@pytest.mark.parametrize(
    ("names", "said"), EXCHANGED.items(), ids=["-".join(names) for names in EXCHANGED]
)
def test_exchanged_names_are_found(names: tuple[str, ...], said: set[str]) -> None:
    """Each file's values could be those of its name, so that nothing was said."""
    turned = dict(zip(names, [USUAL[name] for name in (*names[1:], names[0])], strict=True))
    assert broken({name: USUAL[name] for name in names}) == set()
    assert broken(turned) == said


ANOTHER: dict[str, tuple[str, tuple[float, float, float], tuple[str, ...], str]] = {
    "the axial one as mean": ("MD", USUAL["AD"], ("AD", "RD"), "MDofADandRD"),
    "a T1 of another scan": ("T1map", (1.3, 1.9, 1.7), ("R1map",), "T1mapofR1map"),
    "a rate of another": ("R2primemap", (20, 20, 20), ("R2map", "R2starmap"), "R2starofR2"),
    "one minus it": ("TF", USUAL["ISOVF"], ("ISOVF",), "TFandISOVF"),
    "one minus FA": ("FA", (0.58, 0.82, 0.75), (), "FAinNAWM"),
    "a turned susceptibility": ("Chimap", (0.015, -0.01, -0.05), (), "Chimapindeepgrey"),
    "one minus R1": ("R1map", USUAL["T1map"], (), "R1mapinNAWM"),
}


@pytest.mark.parametrize(("name", "values", "beside", "said"), ANOTHER.values(), ids=ANOTHER)
def test_another_quantity_is_found(
    name: str, values: tuple[float, float, float], beside: tuple[str, ...], said: str
) -> None:
    maps = {name: values} | {one: USUAL[one] for one in beside}
    assert any(one.startswith(said) for one in broken(maps))


def test_what_differs_by_less_than_noise_is_no_contradiction() -> None:
    close = {"AD": (7.5e-4, 0, 0), "MD": (7.6e-4, 0, 0), "CBF": (22, 21.5, 0)}
    assert broken(close) == set()


def test_units_of_the_tables_make_no_difference() -> None:
    values = {"T1map": USUAL["T1map"], "T2map": (75, 90, 70), "R1map": USUAL["R1map"]}
    assert broken(values, T2map="ms") == set()
    assert "T1mapaboveT2map" in broken(values)


def test_what_was_not_fitted_together_does_not_add_up() -> None:
    entries = given(("AD", "MD", "RD"))
    own = found(Path("acq-b_MD.nii"))
    apart = [
        replace(one, values=Given(replace(own, entities={"acquisition": "b"})))
        if one.name == "MD"
        else one
        for one in entries
    ]
    names = {one.relation.name for one in relating(apart)["relations"]}
    assert names == {"ADaboveMD", "MDaboveRD", "ADaboveRD"}


def test_without_values_nothing_is_told() -> None:
    applied = relating(given(("AD", "MD")))["relations"]
    for facts in ({}, {"map_AD_median_NAWM": None}, told({"AD": (float("nan"),) * 3})):
        assert contradictions(facts, applied) == {"maps_ADaboveMD_contradict": None}
    assert relating(given(("AD", "NAA"))) == {}


@pytest.mark.parametrize(("volume", "known"), [(2000.0, True), (900.0, False)])
def test_little_of_a_tissue_tells_nothing(volume: float, known: bool) -> None:
    places = {("tissue", 5, "NAWM"): 0, ("tissue", 3, "all"): 1}
    sampled = {"median": [22.0, 55.0], "mean": [23.0, 54.0], "volume_mm3": [volume] * 2}
    facts = tissue_facts("CBF", sampled | {"coverage": [0.9, 1.0]}, places)
    assert facts == {
        "map_CBF_median_NAWM": 22.0 if known else None,
        "map_CBF_median_cortex": 55.0 if known else None,
    }
    assert is_summed("MD")
    told_of_md = tissue_facts("MD", sampled | {"coverage": [1.0, 1.0]}, places)
    assert set(told_of_md) == {"map_MD_median_NAWM", "map_MD_mean_NAWM"}


def test_the_table_marks_it_and_the_log_says_which_files(caplog: Any) -> None:
    values = {"AD": USUAL["RD"], "RD": USUAL["AD"]}
    applied = relating(given(values))["relations"]
    rows = gather_quality([told(values)], [""], volumes_with(9000.0), applied).rows
    (row,) = [one for one in rows if one["metric"] == "maps_ADaboveRD_contradict"]
    assert (row["value"], row["verdict"]) == (1, "check")
    (line,) = caplog.messages
    assert line.startswith("AD.nii and RD.nii cannot all be what their names say: the medians are")
    assert "0.00059 for AD in NAWM and 0.0011 for RD in NAWM" in line
    assert find_measure("maps_ADaboveRD_contradict") is not None


def test_every_map_of_a_relation_is_one_that_is_known() -> None:
    known = load_maps()
    for one in load_relations():
        assert set(one.maps) <= set(known), one.name
    assert len({one.name for one in load_relations()}) == len(load_relations())
