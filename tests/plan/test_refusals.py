"""What was given and cannot be used is said by plan, exit code, log and table of quality alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from tests.plan.test_judging import PARCELS, parcellation
from tests.plan.test_participant import mask, plan_one
from tests.test_spectra import save_voxel
from wmhflow.plan.refusals import left_out
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.inputs import judge_inputs
from wmhflow.products.visit import visit_choices
from wmhflow.settings import Settings

SHAPE = (8, 9, 10)
FRAMES = (*SHAPE, 3)
NO_SECONDS = {"EchoTime": 20}


class Study:
    """A raw dataset and one of -d, to which files are added."""

    def __init__(self, raw: Path, given: Path) -> None:
        self.raw, self.given = raw, given
        mask(given)
        parcellation(given, "desc-aparcaseg", PARCELS)

    def add(
        self, where: str, name: str, shape: tuple[int, ...] = SHAPE, scale: float = 1, **told: Any
    ) -> Path:
        root = self.raw if where.startswith("raw") else self.given
        path = root / "sub-01" / where.split("/")[1] / f"sub-01_{name}.nii.gz"
        save_image(path, np.random.default_rng(2).uniform(0.3, 0.6, shape) * scale)
        self.tell(path, ".json", json.dumps(told))
        return path

    def tell(self, path: Path, ending: str, text: str) -> None:
        path.with_name(path.name.replace(".nii.gz", ending)).write_text(text, encoding="utf-8")

    def plan(self, *more: str) -> VisitPlan:
        visit = plan_one(self.raw, self.given, more=more)
        assert visit.problem is None, visit.problem
        return visit


@pytest.fixture
def study(raw: Path, derivatives: Path) -> Study:
    return Study(raw, derivatives)


def pet(where: str, *names: str, shape: tuple[int, ...] = FRAMES) -> Callable[[Study], None]:
    def make(study: Study) -> None:
        for name in names or ("trc-FDG_pet",):
            study.add(f"{where}/pet", name, shape)

    return make


def no_parcels(study: Study) -> None:
    pet("raw", shape=SHAPE)(study)
    next(study.given.rglob("*_dseg.nii.gz")).unlink()


def beside_its_map(make: Callable[[Study], None], name: str) -> Callable[[Study], None]:
    def both(study: Study) -> None:
        make(study)
        study.add(f"given/{name.split('/', maxsplit=1)[0]}", name.split("/")[1])

    return both


def diffusion(where: str, n_b: int = 4) -> Callable[[Study], None]:
    def make(study: Study) -> None:
        path = study.add(f"{where}/dwi", "dwi" if where == "raw" else "desc-preproc_dwi", FRAMES)
        study.tell(path, ".bval", " ".join(["0", *["1000"] * (n_b - 1)]))
        study.tell(path, ".bvec", "\n".join([" ".join(["1"] * n_b)] * 3))

    return make


def echoes(where: str, **told: Any) -> Callable[[Study], None]:
    def make(study: Study) -> None:
        for echo in (1, 2, 3):
            study.add(f"{where}/anat", f"echo-{echo}_part-mag_MEGRE", **told)

    return make


def transfer(study: Study) -> None:
    for which, angle in (("on", 5), ("off", 9)):
        study.add("raw/anat", f"mt-{which}_MTR", FlipAngle=angle)


def elsewhere(*names: str) -> Callable[[Study], None]:
    def make(study: Study) -> None:
        for name in names:
            study.add("given/anat", f"space-MNI152NLin2009cAsym_{name}")

    return make


def parcels_elsewhere(study: Study) -> None:
    path = next(study.given.rglob("*_dseg.nii.gz"))
    path.rename(path.with_name(path.name.replace("space-T1w", "space-MNI152NLin2009cAsym")))


def voxel(study: Study) -> None:
    path = study.raw / "sub-01" / "mrs" / "sub-01_voi-a_svs.nii.gz"
    save_voxel(path, np.diag([20.0, 20, 20, 1]), code=0)
    save_voxel(path.with_name("sub-01_voi-b_svs.nii.gz"), np.diag([20.0, 20, 20, 1]))
    path.with_name("sub-01_voi-c_svs.tsv").write_text("metabolite\tvalue\nNAA\t8\n")
    path.with_name("sub-01_voi-b_svs.txt").write_text("8")


REFUSED, UNUSABLE = "refused", "unusable"
# what is added, words of the command, and what is said to be left out, with a part of the sentence
CASES: dict[str, tuple[Callable[[Study], None], tuple[str, ...], dict[tuple[str, str], str]]] = {
    "a raw PET without times": (
        pet("raw"), (), {("SUVRFDG", REFUSED): "from sub-01_trc-FDG_pet.nii.gz of raw: it has 3"}),
    "a given PET without times": (pet("given"), (), {("SUVRFDG", REFUSED): "--no-compute SUVRFDG"}),
    "a PET of no tracer": (pet("raw", "pet"), (), {("SUVR", REFUSED): "tell no tracer"}),
    "a PET without a parcellation": (no_parcels, (), {("SUVRFDG", REFUSED): "none is given with"}),
    "two PET": (
        pet("raw", "trc-FDG_run-1_pet", "trc-FDG_run-2_pet"), (),
        {("SUVRFDG", REFUSED): 'choose with "series.pet" in --bids-filter-file'}),
    "a PET on a template": (
        pet("given", "trc-FDG_space-MNI152NLin2009cAsym_desc-preproc_pet"), (),
        {("SUVRFDG", REFUSED): "lies in space-MNI152NLin2009cAsym, where no map"}),
    "a PET that was moved beside one that was not": (
        pet("given", "trc-FDG_desc-preproc_pet", "trc-FDG_space-T1w_desc-preproc_pet", shape=SHAPE),
        (), {("pet", "passed"): "sub-01_trc-FDG_desc-preproc_pet.nii.gz of masks lies"}),
    "a PET that is not asked for": (pet("raw"), ("--no-compute", "SUVR"), {}),
    "a PET whose map is given": (
        beside_its_map(pet("raw"), "pet/trc-FDG_space-T1w_meas-SUVR_mimap"), (), {}),
    "a given diffusion series": (
        diffusion("given"), (), {("diffusion", REFUSED): "3 volumes, 4 b-values"}),
    "a raw diffusion series that is asked for": (
        diffusion("raw"), ("--allow-raw-dwi",), {("diffusion", REFUSED): "of raw (FA, MD"}),
    "a raw diffusion series": (diffusion("raw"), (), {}),
    "a diffusion series, one map of it given": (
        beside_its_map(diffusion("given"), "dwi/space-T1w_model-tensor_param-fa_dwimap"), (), {}),
    "raw echoes": (
        echoes("raw", **NO_SECONDS), (), {("echoes", UNUSABLE): "two of its echoes have the same"}),
    "given echoes": (
        echoes("given"), (), {("echoes", REFUSED): "have no EchoTime in JSON files"}),
    "a pair that was not taken alike": (transfer, (), {("MTRmap", UNUSABLE): "FlipAngle 5 and 9"}),
    "a T2w that no T1w stands beside": (
        lambda study: study.add("raw/anat", "T2w"), ("--reference", "FLAIR"), {}),
    "a map on a template": (
        lambda study: study.add("given/perf", "space-MNI152NLin2009cAsym_cbf"), (),
        {("CBF", UNUSABLE): "a map in space-MNI152NLin2009cAsym is not measured"}),
    "a map on a template beside one where its scan lies": (
        lambda study: (study.add("given/perf", "space-MNI152NLin2009cAsym_cbf"),
                       study.add("given/perf", "space-T1w_cbf", scale=60)), (), {}),
    "a grid of spectra": (
        lambda study: study.add("raw/mrs", "mrsi", (4, 4, 1)), (),
        {("mrs", UNUSABLE): "a grid of voxels (MRSI) is not read"}),
    "a map of several volumes": (
        lambda study: study.add("given/dwi", "space-T1w_model-tensor_param-fa_dwimap", FRAMES), (),
        {("FA", REFUSED): "it is 4D"}),
    "an infarct and a bleed on a template": (
        elsewhere("label-infarct_mask", "label-ICH_mask"), (),
        {("infarct", REFUSED): "space-MNI152NLin2009cAsym_label-infarct_mask.nii.gz of masks",
         ("haemorrhage", REFUSED): "give it there, or take it out"}),
    "a parcellation on a template": (
        parcels_elsewhere, (), {("parcellation", UNUSABLE): "tissues and ventricles are computed"}),
    "a voxel without a place, and tables of none": (
        voxel, (),
        {("mrs voi-a", REFUSED): "does not say where it lies",
         ("mrs", REFUSED): "sub-01_voi-b_svs.txt of raw is not read"}),
}  # fmt: skip


@pytest.mark.parametrize(("make", "words", "wanted"), CASES.values(), ids=CASES)
def test_what_is_left_out_is_said_where_a_map_would_be(
    study: Study, make: Callable[[Study], None], words: tuple[str, ...], wanted: Any
) -> None:
    make(study)
    visit = study.plan(*words)
    lines = left_out(visit)
    assert {(line.what, line.state) for line in lines} == set(wanted)
    for (what, state), part in wanted.items():
        assert any(part in one.why for one in lines if (one.what, one.state) == (what, state))
    # the run ends with 1 for what is refused, and says of what
    refused = [what for what, state in wanted if state == REFUSED]
    assert bool(visit.refused) == bool(refused)
    assert all(any(why.startswith(f"{what}: ") for why in visit.refused) for what in refused)


def test_a_table_of_no_voxel_is_named_with_the_voxels_and_a_voxel_without_table(
    study: Study,
) -> None:
    voxel(study)
    said = [line.why for line in study.plan().decisions if line.what.startswith("mrs")]
    (stray,) = (why for why in said if "voi-c_svs.tsv" in why)
    assert "sub-01_voi-a_svs.nii.gz and sub-01_voi-b_svs.nii.gz; give it the name" in stray
    assert any(why.endswith("; no table of its values is given") for why in said)
    for path in study.raw.rglob("*_svs.nii.gz"):
        path.unlink()
    said = [line.why for line in study.plan().decisions if line.what == "mrs"]
    assert any("this visit has none; give it the name of its voxel" in why for why in said)


def test_the_log_and_the_table_of_quality_say_it_too(
    study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    pet("raw")(study)
    voxel(study)
    study.add("given/dwi", "space-T1w_model-tensor_param-fa_dwimap")
    visit = study.plan()
    judged = judge_inputs(visit)
    for part in (
        "sub-01: SUVRFDG (refused): not computed",
        "sub-01: mrs voi-a (refused): not used",
    ):
        assert part in caplog.text
    wanted = {"map_SUVRFDG_refused": 1, "mrs_voi_a_refused": 1, "mrs_refused": 1}
    assert judged.refusals == wanted | {"map_FA_refused": 0}
    # a run that mends it is another record
    settings = Settings(Path("raw"), Path("out"), "participant")
    assert visit_choices(visit, settings)["left_out"] == wanted
    for path in study.raw.rglob("mrs/*"):
        path.unlink()
    assert "left_out" not in visit_choices(study.plan("--no-compute", "SUVR"), settings)
