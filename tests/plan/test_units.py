"""A map's unit: what its sidecar says, else what its values say, else the map is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import cube, describe, save_image
from tests.plan.test_participant import plan_one
from wmhflow.bids.query import FoundFile
from wmhflow.bids.sidecars import read_sidecar
from wmhflow.cli.main import main
from wmhflow.errors import InputError
from wmhflow.plan.judging import judge_visit
from wmhflow.plan.units import settle_unit
from wmhflow.plan.visit import Computed, Given, MapPlan, VisitPlan
from wmhflow.registries.maps import load_maps
from wmhflow.registries.producers import ProducerFile

NOT_STATED = object()
DWI, ANAT, PERF, PET, FUNC = "dwi", "anat", "perf", "pet", "func"
TENSOR = "model-tensor_param"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    root = describe(tmp_path / "raw")
    save_image(root / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    save_image(root / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", cube(150))
    return root


def give(root: Path, ending: str, typical: float, units: Any = NOT_STATED) -> Path:
    """Write a map of tissue about a typical value, masked, and its sidecar."""
    describe(root, DatasetType="derivative")
    spread = np.random.default_rng(5).normal(1, 0.1, (8, 9, 10))
    data = np.zeros((8, 9, 10))
    data[1:7, 1:8, 1:9] = (typical * spread)[1:7, 1:8, 1:9]
    kind = DWI if ending.endswith("dwimap") else ANAT
    path = root / "sub-01" / kind / f"sub-01_space-T1w_{ending}.nii.gz"
    save_image(path, data, dtype=np.float64)
    if units is not NOT_STATED:
        sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
        sidecar.write_text(json.dumps({"Units": units}), encoding="utf-8")
    return path


def the_map(visit: VisitPlan) -> MapPlan:
    assert visit.problem is None
    # rates are computed from given times
    (entry,) = [one for one in visit.maps if isinstance(one.values, Given)]
    return entry


STATED = [
    # ending, typical value in the file, Units, factor to the registry's unit
    ("Chimap", 0.02, "ppm", 1.0),
    ("Chimap", 20.0, "ppb", 1e-3),
    (f"{TENSOR}-md_dwimap", 8e-4, "mm^2/s", 1.0),
    (f"{TENSOR}-md_dwimap", 0.8, "μm^2/ms", 1e-3),
    (f"{TENSOR}-md_dwimap", 0.8, "10^-3 mm^2/s", 1e-3),
    (f"{TENSOR}-md_dwimap", 8e-10, "m^2/s", 1e6),
    (f"{TENSOR}-fa_dwimap", 0.4, "1", 1.0),
    (f"{TENSOR}-fa_dwimap", 0.4, "arbitrary", 1.0),
    (f"{TENSOR}-fa_dwimap", 40.0, "%", 1e-2),
    ("T1map", 0.9, "s", 1.0),
    ("T1map", 900.0, "ms", 1e-3),
    ("R1map", 1.1, "1/s", 1.0),
    ("R1map", 1.1e-3, "1/ms", 1e3),
    ("att", 1.2, "s", 1.0),
    ("att", 1200.0, "ms", 1e-3),
    ("MWFmap", 12.0, "%", 1.0),
    ("MWFmap", 0.12, "1", 100.0),
    ("MTRmap", 0.45, "fraction", 100.0),
    ("MTsat", 0.03, "1", 100.0),
    ("cbf", 25.0, "mL/100 g/min", 1.0),
    ("cbf", 0.25, "mL/g/min", 100.0),
    ("Ktrans", 1e-3, "1/min", 1.0),
    ("Ktrans", 2e-5, "1/s", 60.0),
    ("Ki", 0.5, "10^-3 min^-1", 1e-3),
    ("PS", 0.2, "mL/100 g/min", 1.0),
    ("cvr", 0.2, "%BOLD/mmHg", 1.0),
    ("R2starmap", 20.0, "Hz", 1.0),
    ("T2map", 80000.0, "microseconds", 1e-6),
    ("MTRmap", 45.0, "pu", 1.0),
    ("MTRmap", 450.0, "permille", 0.1),
    # once the factor of percent was taken twice
    ("MTRmap", 45.0, "percent (%)", 1.0),
    ("MTRmap", 0.45, "fraction (0-1)", 100.0),
    ("VL", 2.0, "percent (%)", 1.0),
    ("Ve", 20.0, "[0-100]", 1e-2),
    ("Ve", 0.2, "[-]", 1.0),
    ("cbf", 25.0, "mL/hg/min", 1.0),
    ("R2starmap", 20.0, "Hertz (Hz)", 1.0),
]


@pytest.mark.parametrize(("ending", "typical", "units", "factor"), STATED)
def test_the_sidecar_says_it(
    raw: Path, tmp_path: Path, ending: str, typical: float, units: str, factor: float
) -> None:
    give(tmp_path / "maps", ending, typical, units)
    visit = plan_one(raw, tmp_path / "maps")
    entry = the_map(visit)
    assert entry.read_as is not None
    assert (entry.read_as.factor, entry.read_as.by) == (pytest.approx(factor), "sidecar")
    said = [one.why for one in visit.decisions if "times" in one.why]
    assert bool(said) == (factor != 1)
    judge_visit(visit)


TOLD = [
    # the same maps without a sidecar: only where values tell it
    *(
        (ending, typical, factor)
        for ending, typical, units, factor in STATED
        if ending not in ("Ktrans", "Ki", "PS", "cvr", "VL", "Ve")
        and units not in ("arbitrary", "microseconds", "permille")
    ),
    (f"{TENSOR}-fa_dwimap", 400.0, 1e-3),
]


@pytest.mark.parametrize(("ending", "typical", "factor"), TOLD)
def test_the_values_say_it(
    raw: Path, tmp_path: Path, ending: str, typical: float, factor: float
) -> None:
    give(tmp_path / "maps", ending, typical)
    visit = plan_one(raw, tmp_path / "maps")
    entry = the_map(visit)
    assert entry.read_as is not None
    assert (entry.read_as.factor, entry.read_as.by) == (pytest.approx(factor), "values")
    assert any("no text says its unit" in one.why for one in visit.decisions)
    judge_visit(visit)


# texts that say nothing of a scale: the values tell
LITTLE = [
    ("MTRmap", 45.0, "unitless", 1.0),
    ("MTRmap", 0.45, "dimensionless", 100.0),
    ("MWFmap", 12.0, "[-]", 1.0),
    ("Chimap", 20.0, "dimensionless", 1e-3),
    (f"{TENSOR}-md_dwimap", 8e-4, "None", 1.0),
    (f"{TENSOR}-md_dwimap", 0.8, "n/a", 1e-3),
    (f"{TENSOR}-fa_dwimap", 40.0, "unknown", 1e-2),
    ("cbf", 25.0, "n/a", 1.0),
    ("T1map", 900.0, "not specified", 1e-3),
]


@pytest.mark.parametrize(("ending", "typical", "units", "factor"), LITTLE)
def test_a_text_that_says_no_scale_is_none(
    raw: Path, tmp_path: Path, ending: str, typical: float, units: str, factor: float
) -> None:
    give(tmp_path / "maps", ending, typical, units)
    entry = the_map(plan_one(raw, tmp_path / "maps"))
    assert entry.read_as is not None
    assert (entry.read_as.factor, entry.read_as.by) == (pytest.approx(factor), "values")


REFUSED = [
    # between two readings, or with no text where values tell nothing: both readings are said
    ("Chimap", 0.7, NOT_STATED, ["0.7", " ppm if it holds 'ppm'", " ppm if it holds 'ppb'"]),
    (f"{TENSOR}-fa_dwimap", 3.0, NOT_STATED, ["if it holds '1'", "if it holds '%'"]),
    (f"{TENSOR}-md_dwimap", 0.02, NOT_STATED, ["if it holds 'mm^2/s'", "if it holds 'um^2/ms'"]),
    ("T1map", 30.0, NOT_STATED, ["s if it holds 's'", "s if it holds 'ms'"]),
    ("MWFmap", 0.7, NOT_STATED, ["% if it holds '%'", "% if it holds '1'"]),
    ("Ktrans", 1e-3, NOT_STATED, ["does not say", "1/min if it holds '1/min'", "holds '1/s'"]),
    ("Vp", 0.02, NOT_STATED, ["does not say", "if it holds '1'", "if it holds '%'"]),
    ("VL", 0.2, NOT_STATED, ["does not say its unit"]),
    # T2* in s lies under the name of its reciprocal; the same values could be R2* in 1/ms
    ("R2starmap", 0.05, NOT_STATED, ["50.1 1/s if it holds '1/ms'", "its reciprocal in 's'"]),
    ("R2starmap", 0.18, NOT_STATED, ["is that of its reciprocal, in s"]),
    ("R1map", 900.0, NOT_STATED, ["is that of its reciprocal, in ms"]),
    ("R2starmap", 0.05, "s", ["of which that is the reciprocal"]),
    ("Chimap", 0.02, "Hz", ["which that cannot become one"]),
    ("Chimap", 0.02, "Klingon", ["'Klingon' by its sidecar"]),
    ("cbf", 25.0, "ml/100ml/min", ["which that cannot become one"]),
    # divided by a reference's, or blood flow per g that nobody has
    *(("cbf", size, NOT_STATED, ["relative to a reference"]) for size in (0.82, 1.0, 1.48)),
    ("Chimap", 0.02, ["ppm"], ["where a text such as 'ppm' is meant"]),
    ("Ktrans", 1e-3, "arbitrary", ["does not say its unit"]),
    ("VL", 0.2, "unitless", ["does not say its unit"]),
    ("Vp", 0.02, "n/a", ["does not say its unit"]),
    ("VL", 2.0, "% * 10", ["which that cannot become one"]),
    (f"{TENSOR}-md_dwimap", 8e-4, "dimensionless", ["which that cannot become one"]),
]


@pytest.mark.parametrize(("ending", "typical", "units", "said"), REFUSED)
def test_what_stays_open_is_refused_and_costs_that_map_alone(
    raw: Path, tmp_path: Path, ending: str, typical: float, units: Any, said: list[str]
) -> None:
    path = give(tmp_path / "maps", ending, typical, units)
    give(tmp_path / "maps", "PDmap", 70.0, "%")
    visit = plan_one(raw, tmp_path / "maps")
    assert the_map(visit).name == "PDmap"
    (why,) = visit.refused
    assert str(path) in why
    assert all(words in why for words in said), why


CONTRADICTED = [
    ("Chimap", 20.0, "ppm", "'ppb'"),
    (f"{TENSOR}-md_dwimap", 0.8, "mm^2/s", "'um^2/ms'"),
    (f"{TENSOR}-fa_dwimap", 40.0, "arbitrary", "'%'"),
    ("T1map", 900.0, "s", "'ms'"),
    ("MWFmap", 0.12, "%", "'1'"),
    ("cbf", 0.25, "mL/100g/min", "'mL/g/min'"),
    ("R2starmap", 0.05, "1/s", "'1/ms' or the reciprocal in 's'"),
]


@pytest.mark.parametrize(("ending", "typical", "units", "fits"), CONTRADICTED)
def test_a_sidecar_is_not_believed_against_the_values(
    raw: Path, tmp_path: Path, ending: str, typical: float, units: str, fits: str
) -> None:
    give(tmp_path / "maps", ending, typical, units)
    visit = plan_one(raw, tmp_path / "maps")
    # it costs the map, and what would be computed from it, and not the visit
    lines = [line for line in judge_visit(visit) if line.state == "unusable"]
    assert lines[0].what == the_map(visit).name
    assert "by its sidecar" in lines[0].why or "valid range" in lines[0].why
    if "by its sidecar" in lines[0].why:
        assert fits in lines[0].why
    assert [line.what for line in lines[1:]] == (["R1map"] if ending == "T1map" else [])


def test_unusual_tissue_is_no_other_unit(raw: Path, tmp_path: Path) -> None:
    """A stated unit holds where the values fit no other one; the QC table says how far off."""
    give(tmp_path / "maps", f"{TENSOR}-md_dwimap", 4e-3, "mm^2/s")
    judge_visit(plan_one(raw, tmp_path / "maps"))


@pytest.mark.parametrize("units", ["relative", "a.u.", "arbitrary units"])
@pytest.mark.parametrize("typical", [1.0, 30.0, 900.0])
def test_flow_in_arbitrary_units_keeps_its_unit(
    raw: Path, tmp_path: Path, typical: float, units: str
) -> None:
    give(tmp_path / "maps", "cbf", typical, units)
    visit = plan_one(raw, tmp_path / "maps")
    entry = the_map(visit)
    assert entry.read_as is not None
    assert (entry.definition.unit, entry.read_as.factor) == ("arbitrary", 1.0)
    judge_visit(visit)


def test_arbitrary_reactivity_keeps_its_unit(raw: Path, tmp_path: Path) -> None:
    give(tmp_path / "maps", "cvr", 1234.0, "arbitrary units")
    entry = the_map(plan_one(raw, tmp_path / "maps"))
    assert entry.definition.unit == "arbitrary"
    assert entry.read_as is not None
    assert entry.read_as.factor == 1


def test_display_units_change_the_factor_and_not_the_reading(raw: Path, tmp_path: Path) -> None:
    give(tmp_path / "maps", "Chimap", 20.0, "ppb")
    entry = the_map(plan_one(raw, tmp_path / "maps", more=("--units", "Chimap=ppb")))
    assert entry.read_as is not None
    assert (entry.definition.unit, entry.read_as.factor) == ("ppb", 1.0)
    give(tmp_path / "maps", "Chimap", 0.02)
    entry = the_map(plan_one(raw, tmp_path / "maps", more=("--units", "Chimap=ppb")))
    assert entry.read_as is not None
    assert entry.read_as.by == "sidecar", "the sidecar of before says ppb"


def test_a_map_that_is_there_once_per_tracer(raw: Path, tmp_path: Path) -> None:
    for tracer in ("FDG", "PIB"):
        give(tmp_path / "maps", f"trc-{tracer}_meas-SUVR_mimap", 1.2)
    give(tmp_path / "maps", "meas-SUVR_mimap", 1.1)
    visit = plan_one(raw, tmp_path / "maps")
    assert [entry.name for entry in visit.maps] == ["SUVR", "SUVRFDG", "SUVRPIB"]
    assert {entry.definition.unit for entry in visit.maps} == {"1"}


def test_a_refused_map_is_printed_and_ends_a_run_with_1(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give(tmp_path / "maps", "Ktrans", 1e-3)
    words = [str(raw), str(tmp_path / "out"), "participant", "-d", f"maps={tmp_path / 'maps'}"]
    assert main([*words, "--dry-run"]) == 0
    assert "Ktrans" in capsys.readouterr().out


@pytest.mark.parametrize("volumes", [3, 6, 30])
def test_a_map_of_several_volumes_is_refused_and_the_others_go_on(
    raw: Path, tmp_path: Path, volumes: int
) -> None:
    path = give(tmp_path / "maps", f"{TENSOR}-fa_dwimap", 0.4, "1")
    save_image(path, np.ones((8, 9, 10, volumes)))
    give(tmp_path / "maps", "PDmap", 70.0, "%")
    visit = plan_one(raw, tmp_path / "maps")
    assert the_map(visit).name == "PDmap"
    (why,) = visit.refused
    assert path.name in why
    assert "it is 4D, a series of images" in why


VECTOR = """
[[map]]
name = "Part"
unit = "1"
valid_range = [0, 1]
query = { suffix = "dwimap", param = "fa" }
component = NUMBER
"""


@pytest.mark.parametrize(
    ("number", "volumes", "units", "said"),
    [
        (1, 3, NOT_STATED, None),
        (3, 3, "1", None),
        (3, 3, "a.u.", None),
        (2, 3, "%", None),
        (1, 1, NOT_STATED, None),
        (4, 3, NOT_STATED, "has 3 volumes, and the definition of Part names component 4"),
        (2, 1, NOT_STATED, "has 1 volume, and the definition of Part names component 2"),
        (2, 3, "mm2/s", "is in 'mm2/s' by its sidecar; Part is measured in '1'"),
    ],
)
def test_a_component_is_a_map_if_the_series_has_it(
    raw: Path, tmp_path: Path, number: int, volumes: int, units: Any, said: str | None
) -> None:
    path = give(tmp_path / "maps", f"{TENSOR}-fa_dwimap", 0.4, units)
    save_image(path, np.ones((8, 9, 10, volumes)))
    give(tmp_path / "maps", "PDmap", 70.0, "%")
    (tmp_path / "more.toml").write_text(VECTOR.replace("NUMBER", str(number)), encoding="utf-8")
    visit = plan_one(raw, tmp_path / "maps", more=("--maps", str(tmp_path / "more.toml")))
    found = {one.name: one for one in visit.maps}
    assert set(found) - {"FA"} == ({"PDmap"} if said else {"PDmap", "Part"})
    if said is None:
        values = found["Part"].values
        assert isinstance(values, Computed)
        factor = 0.01 if units == "%" else 1.0
        assert values.options == {"name": "Part", "number": number, "factor": factor}
    else:
        assert any(said in why for why in visit.refused)


@pytest.mark.parametrize(
    ("typical", "units", "factor", "said"),
    [
        (0.4, NOT_STATED, 1.0, None),
        (40.0, NOT_STATED, 0.01, None),
        (40.0, "%", 0.01, None),
        (40.0, "1", None, "are those of '%'"),
        (0.4, "%", None, "are those of '1'"),
        (3.0, NOT_STATED, None, "'1'"),
        (None, NOT_STATED, None, "sub-01_space-T1w_model-tensor_param-fa_dwimap.nii.gz"),
    ],
)
def test_the_unit_of_a_component_is_told_as_that_of_a_map(
    raw: Path, tmp_path: Path, typical: float | None, units: Any, factor: float | None,
    said: str | None,
) -> None:  # fmt: skip
    path = give(tmp_path / "maps", f"{TENSOR}-fa_dwimap", typical or 0.4, units)
    values = np.asanyarray(nib.load(path).dataobj)
    save_image(path, np.stack([0 * values + 7, values], axis=-1), dtype=np.float64)
    if typical is None:
        path.write_bytes(path.read_bytes()[:-2000])
    more = 'other_units = ["%"]\nplausible = [0.1, 0.9]\n'
    text = VECTOR.replace("NUMBER", "2") + more
    (tmp_path / "more.toml").write_text(text.replace("[0, 1]", "[0, 200]"), encoding="utf-8")
    visit = plan_one(raw, tmp_path / "maps", more=("--maps", str(tmp_path / "more.toml")))
    parts = [one.values for one in visit.maps if one.name == "Part"]
    if said is None:
        (values_of,) = parts
        assert isinstance(values_of, Computed)
        assert values_of.options["factor"] == factor
    else:
        assert not parts
        assert any(said in why for why in visit.refused)


@pytest.mark.parametrize(
    ("kind", "told", "factor"),
    [
        (ProducerFile("A program", "Ktrans", "Ktrans.nii", unit="1/s"), "producer", 60.0),
        (ProducerFile("A program", "Ktrans", "Ktrans.nii"), None, None),
        (None, None, None),
    ],
)
def test_a_known_producer_says_it_where_no_sidecar_does(
    raw: Path, tmp_path: Path, kind: ProducerFile | None, told: str | None, factor: float | None
) -> None:
    path = give(tmp_path / "maps", "Ktrans", 2e-5)
    file = FoundFile(path, {"suffix": "Ktrans"}, "maps", tmp_path / "maps", kind)
    planning = SimpleNamespace(say=lambda *_: None, names=None)
    if told is None:
        with pytest.raises(InputError, match="does not say its unit"):
            settle_unit(planning, load_maps()["Ktrans"], file)
        return
    _, reading = settle_unit(planning, load_maps()["Ktrans"], file)
    assert (reading.by, reading.factor) == (told, factor)
    give(tmp_path / "maps", "Ktrans", 1e-3, "1/min")
    assert settle_unit(planning, load_maps()["Ktrans"], file)[1].by == "sidecar"


# ---- inheritance ---------------------------------------------------------------------------------


def at(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"Units": name, name.split("/")[-1]: 1}), encoding="utf-8")


def test_the_nearest_sidecar_counts_and_the_others_add(tmp_path: Path) -> None:
    image = tmp_path / "sub-01" / "ses-2" / "dwi" / "sub-01_ses-2_model-dti_param-md_dwimap.nii.gz"
    file = FoundFile(image, {}, "maps", tmp_path)
    assert read_sidecar(file) == {}
    applies = [
        "dwimap.json",
        "param-md_dwimap.json",
        "model-dti_param-md_dwimap.json",
        "sub-01/sub-01_dwimap.json",
        "sub-01/ses-2/sub-01_ses-2_param-md_dwimap.json",
        "sub-01/ses-2/dwi/sub-01_ses-2_model-dti_param-md_dwimap.json",
    ]
    at(tmp_path, "param-fa_dwimap.json", "md_dwimap.json", "sub-01/ses-2/dwi/sub-01_dwimap.json")
    at(tmp_path, "model-dti_param-md_desc-x_dwimap.json", "sub-02_dwimap.json")
    assert read_sidecar(file) == {}
    for name in applies:
        at(tmp_path, name)
        assert read_sidecar(file)["Units"] == name
    assert set(read_sidecar(file)) == {"Units", *(name.split("/")[-1] for name in applies)}


def test_a_damaged_sidecar_counts_as_absent(raw: Path, tmp_path: Path) -> None:
    path = give(tmp_path / "maps", "Chimap", 20.0, "ppb")
    path.with_name(path.name.replace(".nii.gz", ".json")).write_text("{", encoding="utf-8")
    entry = the_map(plan_one(raw, tmp_path / "maps"))
    assert entry.read_as is not None
    assert (entry.read_as.by, entry.read_as.factor) == ("values", 1e-3)
