"""What is decided about a person, and what a person is refused for."""

from __future__ import annotations

import json
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, PHANTOM, cube, describe, save_image
from tests.files.test_transforms import LTA
from tests.stubs import before_path, make_runtime, make_tools
from wmhflow.bids.naming import TEMPLATE
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.errors import InputError, MissingProgramError, UsageError
from wmhflow.plan.atlases import PlannedAtlases
from wmhflow.plan.judging import judged_visit
from wmhflow.plan.participant import LONGEST_START
from wmhflow.plan.text import format_plan
from wmhflow.plan.visit import Computed, Given, VisitPlan
from wmhflow.products.maps import map_groups
from wmhflow.products.visit import visit_unit
from wmhflow.registries.segmenters import load_segmenters
from wmhflow.settings import Settings


def plan_one(raw: Path, *derivatives: Path, more: tuple[str, ...] = ()) -> VisitPlan:
    words = [str(raw), "out", "participant", *more]
    if derivatives:
        words += ["-d", *(f"{path.name}={path}" for path in derivatives)]
    (participant,) = make_plans(parse_settings(words))
    return participant.visits[0]


def promised_files(visit: VisitPlan) -> list[PurePosixPath]:
    return visit_unit(visit, Settings(Path("raw"), Path("out"), "participant")).files


def states(visit: VisitPlan) -> dict[str, str]:
    return {entry.what: entry.state for entry in visit.decisions}


def mask(root: Path, name: str = "sub-01_space-T1w_label-WMH_mask", **how: Any) -> Path:
    data = np.zeros((8, 9, 10))
    data[3, 3, 3] = 1
    return save_image(root / "sub-01" / "anat" / f"{name}.nii.gz", how.pop("data", data), **how)


def test_nothing_given_means_everything_computed(raw: Path) -> None:
    visit = plan_one(raw)
    assert visit.problem is None
    assert visit.reference == "T1w"
    assert states(visit)["WMH"] == "computed"
    assert states(visit)["parcellation"] == "missing"


def test_a_given_mask_is_taken(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    visit = plan_one(raw, derivatives)
    assert isinstance(visit.wmh, Given)
    assert visit.wmh.space == "T1w"


def test_given_is_not_recomputed_unless_asked(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    assert plan_one(raw, derivatives, more=("--wmh-source", "compute")).wmh == Computed(
        "segment_wmh"
    )


def test_a_demanded_mask_that_is_missing_is_said(raw: Path) -> None:
    visit = plan_one(raw, more=("--wmh-source", "given"))
    assert "no WMH mask" in (visit.problem or "")


def test_a_program_computes_what_is_not_given(raw: Path, derivatives: Path) -> None:
    command = ("--wmh-command", f"{sys.executable} x.py {{t1w}} {{flair}} {{out}}")
    visit = plan_one(raw, more=command)
    assert isinstance(visit.wmh, Computed)
    assert visit.wmh.command is not None
    assert "python" in next(e.why for e in visit.decisions if e.what == "WMH")
    assert not any("probseg" in str(path) for path in promised_files(visit))
    mask(derivatives)
    assert isinstance(plan_one(raw, derivatives, more=command).wmh, Given)
    again = plan_one(raw, derivatives, more=(*command, "--wmh-source", "compute"))
    assert again.wmh == visit.wmh


def test_a_program_that_is_missing_is_said_before_anything_runs(raw: Path) -> None:
    with pytest.raises(MissingProgramError, match="no-such-tool is not installed"):
        plan_one(raw, more=("--wmh-command", "no-such-tool {flair} {out}"))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Segmenters on PATH, and no container runtime."""
    folder = make_tools(tmp_path / "bin")
    monkeypatch.setenv("PATH", before_path(folder))
    return folder


@pytest.mark.usefixtures("tools")
def test_a_segmenter_known_by_name_computes_what_is_not_given(raw: Path, derivatives: Path) -> None:
    command = ("--wmh-command", "lst-ai")
    visit = plan_one(raw, more=command)
    assert isinstance(visit.wmh, Computed)
    assert visit.wmh.segmenter == load_segmenters()["lst-ai"]
    assert visit.wmh_comes_first
    why = next(entry.why for entry in visit.decisions if entry.what == "WMH")
    assert why == "by LST-AI (--wmh-command lst-ai); no mask is given"
    assert not any("probseg" in str(path) for path in promised_files(visit))
    mask(derivatives)
    assert isinstance(plan_one(raw, derivatives, more=command).wmh, Given)


def test_the_plan_names_the_image(raw: Path, tools: Path, tmp_path: Path) -> None:
    make_runtime(tools, "apptainer")
    image = tmp_path / "tool-1.0.sif"
    image.touch()
    for command in ("mars-wmh", "/opt/tool {flair} {out}"):
        visit = plan_one(raw, more=("--wmh-command", command, "--segmenter-image", str(image)))
        why = next(entry.why for entry in visit.decisions if entry.what == "WMH")
        assert "in the image tool-1.0.sif" in why
        assert visit.wmh.image == str(image)


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("missing", ["T1w", "FLAIR"])
def test_who_lacks_what_a_segmenter_reads_is_told_what_does_without(
    raw: Path, missing: str
) -> None:
    (raw / "sub-01" / "anat" / f"sub-01_{missing}.nii.gz").unlink()
    problem = plan_one(raw, more=("--wmh-command", "lst-ai")).problem or ""
    assert f"sub-01 has no {missing}, which --wmh-command lst-ai reads" in problem
    assert ("synthseg-wmh" in problem) == (missing == "T1w")
    if missing == "T1w":
        assert plan_one(raw, more=("--wmh-command", "samseg-flair")).problem is None


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("lst-ai", r"lst is not installed or not on PATH.*github.com/CompImg/LST-AI.*lst-ai:v"),
        ("truenet", "prepare_truenet_data is not installed.*with --segmenter-image"),
        ("mars-wmh", "container image only .*--segmenter-image ghcr.io/miac-research/wmh-nnunet"),
        ("no-such-tool {flair} {out}", "no-such-tool is not installed.*--segmenter-image"),
    ],
)
def test_a_missing_segmenter_is_said_with_where_it_comes_from(
    raw: Path, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingProgramError, match=said) as caught:
        plan_one(raw, more=("--wmh-command", command))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("tools")
def test_an_image_that_cannot_be_run_is_said_before_anything_runs(
    raw: Path, tools: Path, tmp_path: Path
) -> None:
    words = ("--wmh-command", "lst-ai", "--segmenter-image")
    with pytest.raises(MissingProgramError, match="run by docker, podman"):
        plan_one(raw, more=(*words, "maker/tool"))
    make_runtime(tools, "apptainer")
    with pytest.raises(UsageError, match=r"none\.sif does not exist"):
        plan_one(raw, more=(*words, str(tmp_path / "none.sif")))
    with pytest.raises(UsageError, match="cannot be mounted"):
        plan_one(raw, more=(*words, "maker/tool", "-w", "/a:b"))


def test_two_masks_are_refused_by_name(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    mask(derivatives, "sub-01_space-T1w_label-WMH_desc-other_mask")
    problem = plan_one(raw, derivatives).problem or ""
    assert "2 files answer for one WMH" in problem
    assert "desc-other" in problem


def test_a_filter_chooses_between_two_masks(raw: Path, derivatives: Path, tmp_path: Path) -> None:
    mask(derivatives)
    mask(derivatives, "sub-01_space-T1w_label-WMH_desc-other_mask")
    chosen = tmp_path / "filter.json"
    chosen.write_text(json.dumps({"wmh": {"desc": "other"}}))
    visit = plan_one(raw, derivatives, more=("--bids-filter-file", str(chosen)))
    assert isinstance(visit.wmh, Given)
    assert "desc-other" in visit.wmh.file.path.name


def test_a_mask_without_space_is_placed_by_its_grid(raw: Path, derivatives: Path) -> None:
    other = AFFINE.copy()
    other[:3, 3] = 3
    save_image(raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", cube(70), affine=other)
    mask(derivatives, "sub-01_label-WMH_mask", affine=other)
    visit = plan_one(raw, derivatives)
    assert isinstance(visit.wmh, Given)
    assert visit.wmh.space == "FLAIR"


def test_a_mask_without_space_on_no_known_grid_is_refused(raw: Path, derivatives: Path) -> None:
    other = AFFINE.copy()
    other[:3, 3] = 3
    mask(derivatives, "sub-01_label-WMH_mask", affine=other)
    assert "states no space" in (plan_one(raw, derivatives).problem or "")


def test_a_mask_on_another_grid_of_the_stated_space_is_noted(raw: Path, derivatives: Path) -> None:
    fine = np.diag([5.0, 5.0, 5.0, 1.0])
    data = np.zeros((16, 18, 20))
    data[6, 6, 6] = 1
    mask(derivatives, data=data, affine=fine)
    visit = plan_one(raw, derivatives)
    assert any("resampled by its header" in entry.why for entry in visit.decisions)


def test_a_mask_far_away_is_refused(raw: Path, derivatives: Path) -> None:
    far = AFFINE.copy()
    far[0, 3] = 500
    mask(derivatives, affine=far)
    assert "lies outside the T1w image" in (plan_one(raw, derivatives).problem or "")


def test_a_mask_in_template_space_is_neither_taken_nor_replaced(
    raw: Path, derivatives: Path
) -> None:
    mask(derivatives, "sub-01_space-MNI152NLin6Asym_label-WMH_mask")
    visit = plan_one(raw, derivatives)
    assert any("ignored" in entry.why for entry in visit.decisions)
    assert "has no mask that is taken for WMH" in (visit.problem or "")
    anyway = plan_one(raw, derivatives, more=("--wmh-source", "compute"))
    assert (anyway.problem, anyway.wmh) == (None, Computed("segment_wmh"))


@pytest.mark.parametrize("label", ["infarct", "stroke"])
def test_an_infarct_is_found_listed_and_promised(raw: Path, derivatives: Path, label: str) -> None:
    given = mask(derivatives, f"sub-01_space-T1w_label-{label}_mask")
    visit = plan_one(raw, derivatives)
    assert visit.infarct is not None
    assert visit.infarct.file.path == given.resolve()
    assert isinstance(visit.wmh, Computed)
    assert states(visit)["infarct"] == "found"
    assert states(visit)["WMH"] == "computed"
    promised = [path.name for path in promised_files(visit)]
    assert "sub-01_space-T1w_label-infarct_mask.nii.gz" in promised
    assert "sub-01_space-T1w_label-infarct_mask.json" in promised
    assert given.resolve() in [file.path for file in visit.sources]


def test_without_an_infarct_nothing_is_promised_of_it(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    visit = plan_one(raw, derivatives)
    assert visit.infarct is None
    assert not [path for path in promised_files(visit) if "infarct" in path.name]


def test_an_infarct_beside_wmh_in_another_space(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    mask(derivatives, "sub-01_space-FLAIR_label-infarct_mask", data=np.zeros((8, 9, 10)))
    visit = plan_one(raw, derivatives)
    assert isinstance(visit.wmh, Given)
    assert visit.infarct is not None
    assert (visit.wmh.space, visit.infarct.space) == ("T1w", "FLAIR")
    assert any("nothing is kept out" in entry.why for entry in judged_visit(visit).decisions)


@pytest.mark.parametrize("label", ["L", "lesion"])
def test_a_lesion_without_a_better_name_is_wmh(raw: Path, derivatives: Path, label: str) -> None:
    mask(derivatives, f"sub-01_space-T1w_label-{label}_mask")
    visit = plan_one(raw, derivatives)
    assert visit.infarct is None
    assert isinstance(visit.wmh, Given)
    # beside a mask of WMH nobody knows what it is
    mask(derivatives)
    assert "label-infarct" in (plan_one(raw, derivatives).problem or "")


def test_a_filter_says_which_lesions_are_infarcts(
    raw: Path, derivatives: Path, tmp_path: Path
) -> None:
    stroke = mask(derivatives, "sub-01_space-T1w_label-L_mask")
    chosen = tmp_path / "filter.json"
    chosen.write_text(json.dumps({"infarct": {"label": "L"}}))
    more = ("--bids-filter-file", str(chosen))
    alone = plan_one(raw, derivatives, more=more)
    assert alone.infarct is not None
    assert isinstance(alone.wmh, Computed)
    wmh = mask(derivatives)
    both = plan_one(raw, derivatives, more=more)
    assert both.infarct is not None
    assert both.wmh is not None
    assert both.infarct.file.path == stroke.resolve()
    assert both.wmh.file.path == wmh.resolve()


def test_two_infarcts_are_refused_by_name(raw: Path, derivatives: Path) -> None:
    mask(derivatives, "sub-01_space-T1w_label-infarct_mask")
    mask(derivatives, "sub-01_space-T1w_label-stroke_mask")
    assert "2 files answer for one infarct" in (plan_one(raw, derivatives).problem or "")


def test_an_infarct_elsewhere_is_refused(raw: Path, derivatives: Path) -> None:
    far = AFFINE.copy()
    far[0, 3] = 500
    mask(derivatives, "sub-01_space-T1w_label-infarct_mask", affine=far)
    assert "lies outside the T1w image" in (plan_one(raw, derivatives).problem or "")


def test_labels_of_which_no_output_could_be_called_are_refused(tmp_path: Path) -> None:
    def planned(label: str) -> VisitPlan:
        raw = describe(tmp_path / str(len(label)))
        for suffix in ("T1w", "FLAIR"):
            save_image(raw / f"sub-{label}" / "anat" / f"sub-{label}_{suffix}.nii.gz")
        return plan_one(raw)

    # sub- and _ belong to it
    longest = planned("x" * (LONGEST_START - 5))
    assert longest.problem is None
    assert max(len(path.name) for path in promised_files(longest)) <= 255 - len(".json")
    problem = planned("x" * (LONGEST_START - 4)).problem
    assert "too long by 1: outputs are called by them" in (problem or "")


def test_no_anatomical_image_is_refused(raw: Path) -> None:
    for suffix in ("T1w", "FLAIR"):
        (raw / "sub-01" / "anat" / f"sub-01_{suffix}.nii.gz").unlink()
    assert "no T1w and no FLAIR" in (plan_one(raw).problem or "")


def test_flair_alone_is_the_reference(raw: Path) -> None:
    (raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz").unlink()
    visit = plan_one(raw)
    assert visit.reference == "FLAIR"
    assert any("space-FLAIR" in str(path) for path in promised_files(visit))


def test_the_first_of_several_runs_is_taken_and_said(raw: Path) -> None:
    anat = raw / "sub-01" / "anat"
    (anat / "sub-01_T1w.nii.gz").rename(anat / "sub-01_run-1_T1w.nii.gz")
    save_image(anat / "sub-01_run-2_T1w.nii.gz")
    visit = plan_one(raw)
    assert visit.t1w is not None
    assert "run-1" in visit.t1w.path.name
    assert any("first of 2 runs" in entry.why for entry in visit.decisions)


def test_two_different_t1w_are_refused(raw: Path) -> None:
    save_image(raw / "sub-01" / "anat" / "sub-01_acq-other_T1w.nii.gz")
    assert "2 images answer for one T1w" in (plan_one(raw).problem or "")


def test_one_image_stored_twice_is_refused(raw: Path) -> None:
    save_image(raw / "sub-01" / "anat" / "sub-01_T1w.nii")
    assert "two files for one T1w" in (plan_one(raw).problem or "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((8, 9, 10, 2)), "8×9×10×2"),
        (np.arange(72).reshape(8, 9), "8×9 where one 3D image"),
        (np.arange(72).reshape(8, 9, 1), "spans 80×90×10 mm"),
    ],
)
def test_an_unusable_t1w_is_refused(raw: Path, data: Any, message: str) -> None:
    save_image(raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz", data)
    problem = plan_one(raw).problem or ""
    assert message in problem
    assert "sub-01_T1w.nii.gz" in problem


@pytest.mark.parametrize(("scale", "unit"), [(1e3, "µm"), (1e-3, "m")])
def test_an_affine_in_another_unit_is_refused(raw: Path, scale: float, unit: str) -> None:
    affine = AFFINE @ np.diag([scale, scale, scale, 1.0])
    save_image(raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", affine=affine)
    assert f"seems to be in {unit} " in (plan_one(raw).problem or "")


def test_a_unit_that_the_affine_contradicts_is_noted(raw: Path) -> None:
    path = raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image = nib.load(path)
    moved = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    moved.header.set_xyzt_units("meter")
    nib.save(moved, path)
    visit = plan_one(raw)
    assert visit.problem is None
    assert any("header's unit is meter" in entry.why for entry in visit.decisions)


def test_maps_of_one_grid_share_a_group(raw: Path, derivatives: Path) -> None:
    for param in ("fa", "md"):
        name = f"sub-01_space-T1w_model-tensor_param-{param}_dwimap.nii.gz"
        save_image(derivatives / "sub-01" / "dwi" / name, np.full((8, 9, 10), 0.001))
    save_image(
        derivatives / "sub-01" / "perf" / "sub-01_space-T1w_cbf.nii.gz", np.ones((4, 4, 4)) * 20
    )
    visit = plan_one(raw, derivatives)
    assert [[entry.name for entry in group] for group in map_groups(visit)] == [
        ["FA", "MD"],
        ["CBF"],
    ]


def test_a_users_map_joins_the_registry(raw: Path, derivatives: Path, tmp_path: Path) -> None:
    save_image(derivatives / "sub-01" / "anat" / "sub-01_space-T1w_desc-x_foomap.nii.gz")
    more = tmp_path / "maps.toml"
    more.write_text(
        '[[map]]\nname = "FOO"\nunit = "1"\nvalid_range = [0, 200]\nquery = {suffix = "foomap"}\n'
    )
    assert [
        entry.name for entry in plan_one(raw, derivatives, more=("--maps", str(more))).maps
    ] == ["FOO"]


def test_only_the_persons_asked_for_are_read(raw: Path) -> None:
    broken = raw / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"broken")
    words = [str(raw), "out", "participant", "--participant-label", "sub-01"]
    (participant,) = make_plans(parse_settings(words))
    assert participant.subject == "01"
    assert participant.visits[0].problem is None


def test_a_label_is_stripped_of_its_prefix_only(tmp_path: Path) -> None:
    root = describe(tmp_path / "raw")
    save_image(root / "sub-bus01" / "anat" / "sub-bus01_T1w.nii.gz")
    words = [str(root), "out", "participant", "--participant-label", "bus01"]
    (participant,) = make_plans(parse_settings(words))
    assert participant.subject == "bus01"


def test_an_unknown_person_or_visit_is_wrong_use(raw: Path) -> None:
    words = [str(raw), "out", "participant"]
    with pytest.raises(UsageError, match="no sub-99; it has sub-01"):
        make_plans(parse_settings([*words, "--participant-label", "99"]))
    with pytest.raises(UsageError, match="ses-x"):
        make_plans(parse_settings([*words, "--session-label", "x"]))


def test_the_phantoms_plan_says_what_was_found_and_why() -> None:
    given = [f"{name}={PHANTOM}/derivatives/{name}" for name in ("lesions", "parcellation", "maps")]
    text = format_plan(make_plans(parse_settings([str(PHANTOM), "o", "participant", "-d", *given])))
    assert text.count("sub-01 ses-1\n") == 1
    assert "sub-01_ses-2_space-FLAIR_label-WMH_mask.nii.gz of lesions in FLAIR space" in text
    assert "outliers of the FLAIR" in text.split("sub-02\n")[1]


def test_another_persons_file_is_not_taken(raw: Path, derivatives: Path) -> None:
    data = np.zeros((8, 9, 10))
    data[1, 1, 1] = 1
    stray = "sub-02_space-T1w_label-WMH_mask.nii.gz"
    save_image(derivatives / "sub-01" / "anat" / stray, data)
    (raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz").rename(
        raw / "sub-01" / "anat" / "sub-02_FLAIR.nii.gz"
    )
    save_image(raw / "sub-01 (copy)" / "anat" / "sub-01_FLAIR.nii.gz")
    visit = plan_one(raw, derivatives)
    assert visit.flair is None
    assert isinstance(visit.wmh, Computed)


@pytest.mark.parametrize("is_there", [True, False])
def test_rows_that_need_lobes_are_said_to_be_left_out(
    raw: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    def broken(_: PlannedAtlases) -> None:
        if is_there:
            raise InputError("it is broken.")

    monkeypatch.setattr(PlannedAtlases, "for_lobes", property(broken))
    visit = plan_one(raw, more=("--cross", "zones:lobes", "shells:zones"))
    assert visit.problem is None
    assert visit.lobes is None
    lines = [(line.what, line.why) for line in visit.decisions if line.what in {"lobes", "cross"}]
    assert ("cannot be used: it is broken." in lines[0][1]) == is_there
    assert lines[1:] == [("cross", "zones:lobes needs lobes; its rows are left out")]


def test_a_parcellation_among_functional_data_is_not_seen(raw: Path, derivatives: Path) -> None:
    for folder in ("anat", "ses-1/func"):
        start = "sub-01_ses-1_task-rest" if "func" in folder else "sub-01"
        path = derivatives / "sub-01" / folder / f"{start}_space-T1w_desc-aparcaseg_dseg.nii.gz"
        codes = np.full((8, 9, 10), 2)
        codes[4:], codes[:, 0], codes[:, 1] = 41, 4, 43
        save_image(path, codes)
    visit = plan_one(raw, derivatives)
    assert visit.problem is None
    assert visit.parcellation is not None


def test_a_native_parcellation_wins_over_a_better_named_one_elsewhere(
    raw: Path, derivatives: Path
) -> None:
    codes = np.full((8, 9, 10), 2)
    codes[4:], codes[:, 0], codes[:, 1] = 41, 4, 43
    for name in ("space-MNI152NLin6Asym_desc-aparcaseg", "space-T1w_desc-aseg"):
        save_image(derivatives / "sub-01" / "anat" / f"sub-01_{name}_dseg.nii.gz", codes)
    visit = plan_one(raw, derivatives)
    assert visit.parcellation is not None
    assert "desc-aseg" in visit.parcellation.file.path.name


def test_a_4d_companion_is_passed_over(raw: Path, derivatives: Path) -> None:
    save_image(derivatives / "sub-01" / "perf" / "sub-01_cbf.nii.gz", np.full((8, 9, 10), 30))
    save_image(raw / "sub-01" / "perf" / "sub-01_m0scan.nii.gz", np.ones((8, 9, 10, 2)))
    visit = plan_one(raw, derivatives)
    assert visit.problem is None
    assert visit.maps[0].transform == Computed("register_rigid")


FIELD = "#Insight Transform File V1.0\nTransform: DisplacementFieldTransform_double_3_3\n"
EULER = (
    "#Insight Transform File V1.0\n#Transform 0\nTransform: Euler3DTransform_double_3_3\n"
    "Parameters: 0.1 0 0 1 2 3\nFixedParameters: 0 0 0\n"
)
FLIRT = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"


def test_a_maps_transform_that_is_not_linear_is_refused(raw: Path, derivatives: Path) -> None:
    perf = derivatives / "sub-01" / "perf"
    save_image(perf / "sub-01_cbf.nii.gz", np.full((8, 9, 10), 30))
    transform = perf / "sub-01_from-asl_to-T1w_mode-image_xfm.txt"
    transform.write_text(FIELD)
    visit = plan_one(raw, derivatives)
    assert visit.problem is None
    (problem,) = visit.refused
    assert transform.name in problem
    assert "not linear (DisplacementField" in problem


@pytest.mark.parametrize(
    ("ending", "content", "convert"), [("txt", EULER, False), ("mat", FLIRT, True)]
)
def test_a_maps_linear_transform_of_any_program_is_taken(
    raw: Path, derivatives: Path, ending: str, content: str, convert: bool
) -> None:
    perf = derivatives / "sub-01" / "perf"
    save_image(perf / "sub-01_cbf.nii.gz", np.full((8, 9, 10), 30))
    (perf / f"sub-01_from-asl_to-T1w_mode-image_xfm.{ending}").write_text(content)
    visit = plan_one(raw, derivatives)
    assert visit.problem is None
    assert visit.maps[0].transform == Given(visit.maps[0].transform.file, convert=convert)


def test_the_flairs_transform_may_bend_and_be_of_any_program(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    anat = derivatives / "sub-01" / "anat"
    for ending, content, convert in (("txt", FIELD, False), ("lta", LTA, True)):
        given = anat / f"sub-01_from-FLAIR_to-T1w_mode-image_xfm.{ending}"
        given.write_text(content)
        visit = plan_one(raw, derivatives)
        assert visit.problem is None
        assert isinstance(visit.other_transform, Given)
        assert visit.other_transform.file.path.name == given.name
        assert visit.other_transform.convert == convert
        given.unlink()


def test_wmh_are_not_computed_through_a_transform_that_cannot_be_inverted(
    raw: Path, derivatives: Path
) -> None:
    anat = derivatives / "sub-01" / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    given = anat / "sub-01_from-FLAIR_to-T1w_mode-image_xfm.txt"
    given.write_text(FIELD)
    problem = plan_one(raw, derivatives).problem or ""
    assert given.name in problem
    assert "not linear" in problem
    given.rename(anat / "sub-01_from-T1w_to-FLAIR_mode-image_xfm.txt")
    assert plan_one(raw, derivatives, more=("--reference", "FLAIR")).problem is None


def test_the_templates_transforms_are_itks(raw: Path, derivatives: Path) -> None:
    anat = derivatives / "sub-01" / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    for source, target in (("T1w", TEMPLATE), (TEMPLATE, "T1w")):
        (anat / f"sub-01_from-{source}_to-{target}_mode-image_xfm.mat").write_text(FLIRT)
    assert "a transform of FSL" in (plan_one(raw, derivatives).problem or "")


@pytest.mark.parametrize("label", ["01", "a+b", "aPLUSb", "+"])
def test_a_person_is_told_by_the_name_of_a_step(label: str) -> None:
    from wmhflow.cli.progress import person_of, short_name
    from wmhflow.products.visit import person_folder, visit_folder_name

    step = f"wf.{person_folder(label)}.{visit_folder_name(label)}.some_step"
    assert person_of(step) == f"sub-{label}"
    assert short_name(step) == f"sub-{label} ses-{label} some_step"
