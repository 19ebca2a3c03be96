"""Which maps of diffusion are planned, from which volumes and by which convention, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.builders import describe, save_image
from tests.core.diffusion.series import table
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.plan.visit import Computed, Given, VisitPlan
from wmhflow.products.visit import visit_unit
from wmhflow.steps.images import convert_transform

TENSOR = {"FA", "MD", "AD", "RD"}
KURTOSIS = {"MK", "AK", "RK", "KFA", "MKT"}
WATER = {"FW", "FAt", "MDt"}
FRACTIONS = {"WMlike", "GMlike", "CSFlike"}
IVIM = {"IVIMD", "IVIMf"}
ADC = {"ADC"}
ALL = TENSOR | KURTOSIS | WATER | FRACTIONS | IVIM | ADC


class Prepared:
    """A dataset with a series, and the plan of a run over it."""

    def __init__(self, raw: Path, folder: Path) -> None:
        self.raw, self.root = raw, describe(folder / "prep", DatasetType="derivative")
        self.out = folder / "out"
        self.start = self.root / "sub-01" / "dwi" / "sub-01_desc-preproc_dwi"

    def write(self, *shells: tuple[float, int], n_b0: int = 2) -> None:
        bvals, vectors = table(*shells, n_b0=n_b0)
        save_image(self.start.with_name(f"{self.start.name}.nii"), np.ones((8, 9, 10, len(bvals))))
        np.savetxt(f"{self.start}.bval", bvals[None], fmt="%g")
        np.savetxt(f"{self.start}.bvec", vectors.T)

    def plan(self, *more: str) -> VisitPlan:
        words = [str(self.raw), str(self.out), "participant", "-d", f"prep={self.root}", *more]
        settings = parse_settings([*words, "-w", str(self.out.with_name("work"))])
        visit = next(iter(make_plans(settings))).visits[0]
        assert visit.problem is None, visit.problem
        unit = visit_unit(visit, settings)
        unit.check()
        return visit


@pytest.fixture
def prepared(raw: Path, tmp_path: Path) -> Prepared:
    return Prepared(raw, tmp_path)


def computed(visit: VisitPlan) -> dict[str, Computed]:
    return {one.name: one.values for one in visit.maps if isinstance(one.values, Computed)}


def why_not(visit: VisitPlan) -> dict[str, str]:
    return {one.what: one.why for one in visit.decisions if one.why.startswith("not computed")}


CASES = [
    (
        ((1000, 30), (2000, 30)),
        ADC | TENSOR | KURTOSIS | WATER | FRACTIONS,
        {"IVIMD": "IVIM needs"},
    ),
    (((1000, 30),), ADC | TENSOR, {"FW": "10.1002/mrm.28599", "MK": "two shells", "WMlike": "two"}),
    (((1700, 30),), TENSOR, {"FW": "raised diffusivity", "ADC": "its b-values: 1700"}),
    (((900, 30), (1150, 30)), ADC | TENSOR, {"MK": "900 and 1150", "FW": "900 and 1150"}),
    (((1000, 10), (2000, 10)), ADC | TENSOR | WATER | FRACTIONS, {"MK": "15 directions"}),
    (((1000, 5),), set(), {"FA": "at most 5", "ADC": "not spread evenly"}),
    (
        ((20, 6), (50, 6), (100, 6), (200, 6), (500, 6), (800, 6), (1000, 6)),
        ADC | TENSOR | IVIM | WATER | FRACTIONS,
        {"MK": "two shells"},
    ),
    (
        ((20, 6), (50, 6), (100, 6), (200, 6), (500, 1), (800, 6), (1000, 6)),
        ADC | TENSOR | WATER | FRACTIONS,
        {"IVIMD": "the directions of b = 500 (1) are not spread evenly"},
    ),
]


@pytest.mark.parametrize(("shells", "names", "reasons"), CASES)
def test_a_series_gives_what_it_can_carry_and_the_rest_has_a_reason(
    prepared: Prepared, shells, names: set[str], reasons: dict[str, str]
) -> None:
    prepared.write(*shells)
    visit = prepared.plan()
    assert set(computed(visit)) == names
    told = why_not(visit)
    assert set(told) == ALL - names
    for name, reason in reasons.items():
        assert reason in told[name]


def test_the_tensor_is_fitted_to_the_lower_shell_alone(prepared: Prepared) -> None:
    prepared.write((1000, 30), (2000, 30))
    values = computed(prepared.plan())
    assert values["FA"].options["volumes"] == list(range(32))
    assert values["MK"].options["volumes"] == list(range(62))
    assert values["FA"].told["shells"] == [1000]
    assert values["FA"].told["n_directions"] == [30]
    assert 1 < values["FA"].told["condition_number"] < 20


def test_a_robust_fit_is_asked_for_and_told(prepared: Prepared) -> None:
    prepared.write((1000, 30))
    for words, how in (((), "wls"), (("--tensor-fit", "robust"), "robust")):
        values = computed(prepared.plan(*words))["FA"]
        assert (values.options["fit"], values.told["fit"]) == (how, how)


@pytest.mark.parametrize(
    ("by", "convention"),
    [("FSL", "FSL"), ("QSIPrep", "voxel"), ("qsiprep", "voxel"), ("MRtrix's table", "world")],
)
def test_who_wrote_a_table_says_along_which_axes_it_is(
    prepared: Prepared, by: str, convention: str
) -> None:
    prepared.write((1000, 12))
    if by == "QSIPrep":
        describe(prepared.root, GeneratedBy=[{"Name": by}])
    if by == "qsiprep":
        # as its versions before BIDS 1.4 wrote it
        describe(prepared.root, PipelineDescription={"Name": by})
    if convention == "world":
        bvals, vectors = table((1000, 12))
        np.savetxt(f"{prepared.start}.b", np.c_[vectors, bvals])
        Path(f"{prepared.start}.bvec").unlink()
    values = computed(prepared.plan())["FA"]
    assert values.options["convention"] == convention
    assert values.told["gradient_convention"] == convention


BESIDE = [
    ("desc-FA_dwi", None, 1, "it has one volume"),
    ("model-DTI_desc-tensor_dwi", None, 6, "it has no .bval or .b file"),
    ("acq-b0_dwi", "0", 1, "it has one volume"),
    ("dir-PA_dwi", "0 0", 2, "none of its volumes has diffusion weighting"),
    ("acq-trace_dwi", "0 1000", 2, "none of its volumes has a direction, and those of another"),
]


@pytest.mark.parametrize(("name", "bvals", "count", "why"), BESIDE, ids=[one[0] for one in BESIDE])
def test_what_is_no_series_does_not_stand_beside_one(
    prepared: Prepared, name: str, bvals: str | None, count: int, why: str
) -> None:
    """A map, and the volumes for correction of distortion, made nobody know which was meant."""
    prepared.write((1000, 12))
    other = prepared.start.with_name(f"sub-01_{name}.nii.gz")
    save_image(other, np.ones((8, 9, 10, count)[: 3 if count == 1 else 4]))
    if bvals:
        other.with_name(f"sub-01_{name}.bval").write_text(bvals)
        other.with_name(f"sub-01_{name}.bvec").write_text("0 0\n" * 3)
    visit = prepared.plan()
    assert set(computed(visit)) == TENSOR | ADC
    assert {one.file.path for one in visit.maps} == {Path(f"{prepared.start}.nii")}
    (said,) = [one for one in visit.decisions if one.state == "passed"]
    assert said.why.startswith(f"{other.name} of prep is passed over as diffusion series: {why}")


def test_a_map_that_is_called_as_a_series_does_not_hide_the_raw_one(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    save_image(prepared.start.with_name("sub-01_desc-FA_dwi.nii.gz"))
    for ending in (".nii", ".bval", ".bvec"):
        raw = prepared.raw / "sub-01" / "dwi" / f"sub-01_dwi{ending}"
        raw.parent.mkdir(exist_ok=True)
        Path(f"{prepared.start}{ending}").rename(raw)
    visit = prepared.plan("--allow-raw-dwi")
    assert {one.file.path.name for one in visit.maps} == {"sub-01_dwi.nii"}
    assert set(computed(visit)) == TENSOR | ADC


def test_of_two_series_nobody_knows_which_is_meant(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    for ending in (".nii", ".bval", ".bvec"):
        one = Path(f"{prepared.start}{ending}")
        one.with_name(f"sub-01_acq-b{ending}".replace("b.", "b_dwi.")).write_bytes(one.read_bytes())
    visit = prepared.plan()
    assert not computed(visit)
    (said,) = [one.why for one in visit.decisions if one.state == "refused"]
    assert "2 files answer for one diffusion series" in said


def test_a_given_map_is_not_computed_and_the_others_are(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    save_image(prepared.root / "sub-01" / "dwi" / "sub-01_model-tensor_param-fa_dwimap.nii.gz")
    visit = prepared.plan()
    assert set(computed(visit)) == (TENSOR | ADC) - {"FA"}


def test_an_adc_is_computed_from_a_trace_image_without_directions(prepared: Prepared) -> None:
    prepared.write((1000, 1), n_b0=1)
    Path(f"{prepared.start}.bvec").unlink()
    visit = prepared.plan()
    assert set(computed(visit)) == ADC
    values = computed(visit)["ADC"]
    assert (values.options["volumes"], values.told["n_directions"]) == ([0, 1], None)
    (said,) = (one.why for one in visit.decisions if (one.what, one.state) == ("ADC", "computed"))
    assert "1 without weighting, 1 with b = 1000 (trace image, taken for the trace" in said
    save_image(prepared.root / "sub-01" / "dwi" / "sub-01_ADC.nii", np.full((8, 9, 10), 0.8e-3))
    assert not computed(prepared.plan())


def test_a_transform_of_another_program_leads_from_a_series(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    matrix = prepared.root / "sub-01" / "anat" / "sub-01_from-dwi_to-T1w_mode-image_xfm.mat"
    matrix.parent.mkdir(parents=True)
    np.savetxt(matrix, np.eye(4))
    visit = prepared.plan()
    (entry,) = (one for one in visit.maps if one.name == "FA")
    assert isinstance(entry.transform, Given)
    assert entry.transform.convert
    fixed = prepared.raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    assert convert_transform(matrix, entry.file.path, fixed, prepared.root).transform.is_file()


def test_a_series_that_is_no_image_costs_its_maps_alone(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    prepared.start.with_name(f"{prepared.start.name}.nii").write_bytes(b"no image")
    visit = prepared.plan()
    assert not computed(visit)
    assert set(why_not(visit)) == ALL


# ---- inheritance ---------------------------------------------------------------------------------


INHERITED = [
    "dwi",
    "desc-preproc_dwi",
    "sub-01/sub-01_dwi",
    "sub-01/sub-01_desc-preproc_dwi",
    "sub-01/dwi/sub-01_dwi",
]


@pytest.mark.parametrize("ending", [".bval", ".bvec"])
@pytest.mark.parametrize("where", INHERITED)
def test_a_table_of_gradients_is_inherited_from_above(
    prepared: Prepared, where: str, ending: str
) -> None:
    prepared.write((1000, 12))
    own, above = Path(f"{prepared.start}{ending}"), prepared.root / f"{where}{ending}"
    own.rename(above)
    taken = computed(prepared.plan())["FA"].takes
    assert taken[ending[1:]].path == above
    assert taken[ending[1:]].uri == f"bids:prep:{where}{ending}"


def test_the_nearest_table_counts_and_what_is_of_another_scan_does_not(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    own = Path(f"{prepared.start}.bval")
    text = own.read_text()
    # farther away, of another person, of another description
    for name in ("dwi", "sub-01/sub-01_dwi", "sub-02_dwi", "desc-other_dwi"):
        (prepared.root / f"{name}.bval").write_text("0 3000")
    assert computed(prepared.plan())["FA"].takes["bval"].path == own
    nearer = own.with_name("sub-01_dwi.bval")
    own.rename(nearer)
    assert nearer.read_text() == text
    assert computed(prepared.plan())["FA"].takes["bval"].path == nearer
    nearer.unlink()
    told = why_not(prepared.plan())["FA"]
    assert "14 volumes, 2 b-values" in told
    (prepared.root / "sub-01" / "sub-01_dwi.bval").unlink()
    (prepared.root / "dwi.bval").unlink()
    # what is left is of another person or scan
    assert "0 files answer for" in why_not(prepared.plan())["FA"]


def test_tables_that_say_equally_much_are_refused(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    text = Path(f"{prepared.start}.bval").read_text()
    Path(f"{prepared.start}.bval").unlink()
    for name in ("sub-01_dwi", "desc-preproc_dwi"):
        (prepared.root / f"{name}.bval").write_text(text)
    assert "2 files answer for" in why_not(prepared.plan())["FA"]


def test_a_raw_series_inherits_its_table_from_the_root(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    for ending in (".nii", ".bval", ".bvec"):
        folder = "sub-01/dwi/sub-01_" if ending == ".nii" else ""
        target = prepared.raw / f"{folder}dwi{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{prepared.start}{ending}").rename(target)
    visit = prepared.plan("--allow-raw-dwi")
    assert computed(visit)["FA"].takes["bval"].path == prepared.raw / "dwi.bval"
