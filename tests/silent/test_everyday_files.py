"""Files as editors, viewers and copying leave them: read as they are meant, or refused in words.

One row per case. What was taken in silence before gave other numbers without a verdict: a mask in
metres no lesions, an infarct's mask that was the one of WMH no WMH, whole numbers of 8 bits an
anisotropy of a third.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, cube, describe, save_image
from tests.files.test_transforms import LTA
from tests.plan.test_judging import PARCELS, TISSUES, notes_of, parcellation, problem_of
from tests.plan.test_participant import mask, plan_one
from wmhflow.bids.query import (
    check_dataset,
    find_subjects,
    misnamed_files,
    open_query,
    read_filters,
)
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.errors import InputError, NothingToDoError, UsageError
from wmhflow.files.transforms import read_transform
from wmhflow.registries.maps import load_maps
from wmhflow.registries.quality import find_measure
from wmhflow.settings import read_config_file
from wmhflow.steps.measures import NOISE_SHARE
from wmhflow.steps.units import unit_facts
from wmhflow.workflows.plugins import read_plugin

Make = Callable[[Path], object]
SHAPE = (8, 9, 10)
NOISE = np.random.default_rng(3).uniform(0.3, 0.6, SHAPE)
FA = "model-tensor_param-fa_dwimap"

# ---- texts of editors that mark the order of bytes -----------------------------------------------

MAPS = '[[map]]\nname = "Flow"\nunit = "1"\nvalid_range = [0.0, 1.0]\nquery = { suffix = "xyz" }\n'
FLIRT = "1 0 0 0\n0 1 0 0\n0 0 1 5\n0 0 0 1\n"
DESCRIPTION = '{"Name": "a", "BIDSVersion": "1.10.0"}'
TEXTS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "filters": ("f.json", '{"wmh": {"label": "WMH"}}', read_filters),
    "options": ("c.toml", "[regions]\nshell-width = 1.0\n", read_config_file),
    "maps": ("m.toml", MAPS, lambda path: sorted(load_maps(path))),
    "plugin": ("p.yml", "plugin: Linear\n", read_plugin),
    "plugin as JSON": ("p.json", '{"plugin": "Linear"}', read_plugin),
    "flirt": ("x.mat", FLIRT, lambda path: read_transform(path).matrix.tolist()),
    "FreeSurfer": ("x.lta", LTA, lambda path: read_transform(path).matrix.tolist()),
    "description": ("dataset_description.json", DESCRIPTION,
                    lambda path: check_dataset(path.parent, "x")),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "read"), TEXTS.values(), ids=TEXTS)
def test_a_mark_of_the_order_of_bytes_is_none_of_the_text(
    tmp_path: Path, name: str, text: str, read: Callable[[Path], Any]
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    plain = read(path)
    path.write_bytes(("\ufeff" + text.replace("\n", "\r\n")).encode())
    assert read(path) == plain


@pytest.mark.parametrize("name", ["filters", "options", "maps"])
def test_a_text_in_another_encoding_is_said_so(tmp_path: Path, name: str) -> None:
    file, text, read = TEXTS[name]
    (tmp_path / file).write_text(text, encoding="utf-16")
    with pytest.raises(UsageError, match="no text in UTF-8; save it as UTF-8"):
        read(tmp_path / file)


def test_the_unit_of_such_a_sidecar_counts(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    path = give(derivatives, "cbf", NOISE, {"Units": "mL/g/min"})
    beside = path.with_name(path.name.replace(".nii.gz", ".json"))
    beside.write_bytes("\ufeff".encode() + beside.read_bytes())
    (entry,) = plan_one(raw, derivatives).maps
    assert entry.read_as is not None
    assert (entry.read_as.factor, entry.read_as.by) == (pytest.approx(100), "sidecar")


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ('{"wmh": {"label": "WMH"}, "wmh": {"desc": null}}', "wmh"),
        ('{"map": {"suffix": "cbf", "suffix": "dwimap"}}', "suffix"),
    ],
)
def test_of_two_filters_of_one_name_the_last_is_not_simply_taken(
    tmp_path: Path, text: str, twice: str
) -> None:
    path = tmp_path / "f.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=f"names '{twice}' twice"):
        read_filters(path)


# ---- images whose affine is in another unit ------------------------------------------------------


def give(root: Path, ending: str, data: Any, told: Any = None, **how: Any) -> Path:
    path = root / "sub-01" / "dwi" / f"sub-01_space-T1w_{ending}.nii.gz"
    if told is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))
    return save_image(path, data, **how)


IN_ANOTHER_UNIT: dict[str, Callable[..., Path]] = {
    "mask": mask,
    "infarct": lambda root, **how: mask(root, "sub-01_space-T1w_label-infarct_mask", **how),
    "parcellation": lambda root, **how: parcellation(root, "seg-aparcaseg", PARCELS, **how),
}


@pytest.mark.parametrize(("scale", "unit"), [(1e-3, "m"), (1e3, "µm")])
@pytest.mark.parametrize("make", IN_ANOTHER_UNIT.values(), ids=IN_ANOTHER_UNIT)
def test_an_image_that_is_not_in_mm_is_refused_in_the_plan(
    raw: Path, derivatives: Path, make: Callable[..., Path], scale: float, unit: str
) -> None:
    """In metres it meets the head at the origin, and nothing but zeros would be read from it."""
    path = make(derivatives, affine=np.diag([scale, scale, scale, 1]) @ AFFINE)
    problem = plan_one(raw, derivatives).problem
    assert problem is not None
    assert path.name in problem
    assert f"seems to be in {unit} (" in problem


def test_a_map_that_is_not_in_mm_costs_itself(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    give(derivatives, FA, NOISE, affine=np.diag([1e-3, 1e-3, 1e-3, 1]) @ AFFINE)
    visit = plan_one(raw, derivatives)
    assert (visit.problem, visit.maps) == (None, ())
    (why,) = visit.refused
    assert "seems to be in m (" in why


def test_the_smallest_part_of_a_head_is_an_image(raw: Path, derivatives: Path) -> None:
    """A mask that was cut to its one lesion lies where it lay."""
    place = np.diag([1.0, 1, 1, 1])
    place[:3, 3] = 30
    mask(derivatives, data=np.pad(np.ones((2, 2, 2)), 1), affine=place)
    assert plan_one(raw, derivatives).problem is None


# ---- masks and parcellations ---------------------------------------------------------------------

LABELS = ["infarct", "PVS", "acute", "ICH", "oedema"]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_one_mask_is_not_two_kinds_of_lesions(
    raw: Path, derivatives: Path, label: str, dtype: Any
) -> None:
    """Kept out of itself as an infarct it would leave no WMH."""
    first = mask(derivatives)
    other = mask(derivatives, f"sub-01_space-T1w_label-{label}_mask", dtype=dtype)
    problem = problem_of(plan_one(raw, derivatives))
    assert "mark the same voxels" in problem
    assert {first.name, other.name} <= set(problem.replace("/", " ").split())


@pytest.mark.parametrize("changed", ["elsewhere", "empty", "other"])
def test_masks_that_differ_or_mark_nothing_are_two(
    raw: Path, derivatives: Path, changed: str
) -> None:
    data, place = np.zeros(SHAPE), AFFINE.copy()
    data[3, 3, 3] = changed != "empty"
    mask(derivatives, data=data)
    place[0, 3] = 3 * (changed == "elsewhere")
    data[4, 4, 4] = changed == "other"
    mask(derivatives, "sub-01_space-T1w_label-infarct_mask", data=data, affine=place)
    visit = plan_one(raw, derivatives)
    assert not any("same voxels" in why for _, why in notes_of(visit))


SIDES: dict[str, tuple[tuple[int, ...], str | None]] = {
    "whole": (PARCELS, None),
    "cortex without parcels": (TISSUES, None),
    "no cortex of either side": ((2, 41, 4, 43), "has no cortex (3 and 42, or its parcels)"),
    "no right ventricle": (
        (2, 41, 4, 1028, 2028),
        "has the lateral ventricle of the left hemisphere alone; distances on the",
    ),
    "no left ventricle": (
        (2, 41, 43, 1028, 2028),
        "has the lateral ventricle of the right hemisphere alone; distances on the",
    ),
    "its horn alone": (
        (2, 41, 4, 44, 1028, 2028),
        "has the lateral ventricle of the left hemisphere alone; distances on the",
    ),
    "no right cortex": (
        (2, 41, 4, 43, 1028),
        "has the cortex of the left hemisphere alone; distances on the",
    ),
    "no left cortex": (
        (2, 41, 4, 43, 42),
        "has the cortex of the right hemisphere alone; distances on the",
    ),
}


@pytest.mark.parametrize(("codes", "said"), SIDES.values(), ids=SIDES)
def test_a_side_without_what_distances_are_measured_from_is_refused(
    raw: Path, derivatives: Path, codes: tuple[int, ...], said: str | None
) -> None:
    name = "seg-aparcaseg" if {1028, 2028} & set(codes) else "seg-aseg"
    parcellation(derivatives, name, codes)
    visit = plan_one(raw, derivatives)
    if said is None:
        assert notes_of(visit) == []
    else:
        assert said in problem_of(visit)


TABLES: dict[str, tuple[str, bool]] = {
    "FreeSurfer's": ("2\tLeft-Cerebral-White-Matter\n43\tRight-Lateral-Ventricle\n", False),
    "without sides": ("2\tcerebral white matter\n43\tventricle\n", False),
    "exchanged": ("2\tRight-Cerebral-White-Matter\n41\tLeft-Cerebral-White-Matter\n", True),
    "one of them": ("2\tLeft-Cerebral-White-Matter\n2028\tctx-lh-superiorfrontal\n", True),
    "of another kind": ("2\tWM of the right\n4\tfluid\n", True),
    "a code nobody knows": ("7777\tLeft-something\n", False),
}


@pytest.mark.parametrize("where", ["beside", "root"])
@pytest.mark.parametrize(("rows", "refused"), TABLES.values(), ids=TABLES)
def test_a_table_that_gives_codes_to_the_other_side_is_not_passed_over(
    raw: Path, derivatives: Path, rows: str, refused: bool, where: str
) -> None:
    path = parcellation(derivatives, "seg-aparcaseg", PARCELS)
    beside = path.with_name(path.name.replace(".nii.gz", ".tsv"))
    table = beside if where == "beside" else derivatives / "seg-aparcaseg_dseg.tsv"
    table.write_bytes(f"\ufeffindex\tname\r\n{rows}".encode())
    visit = plan_one(raw, derivatives)
    if refused:
        problem = problem_of(visit)
        assert str(table) in problem
        assert "is read by FreeSurfer's codes" in problem
    else:
        assert notes_of(visit) == []


# ---- maps that were scaled -----------------------------------------------------------------------


def anisotropy() -> Any:
    """Values as white and grey matter have them: most are low, a tenth above 0.7."""
    return np.clip(np.random.default_rng(1).gamma(2.5, 0.14, SHAPE), 0.02, 0.99)


SCALED: dict[str, tuple[Any, Any, float | None, str]] = {
    "as it is": (anisotropy(), np.float64, 1.0, ""),
    "in percent": (100 * anisotropy(), np.float64, 0.01, ""),
    "in percent, whole": (100 * anisotropy(), np.uint8, 0.01, ""),
    "in thousandths": (1000 * anisotropy(), np.int16, 0.001, ""),
    "to 255, whole": (255 * anisotropy(), np.uint8, None, "of 8 bits up to 252, as an image that"),
    "to 255": (255 * anisotropy(), np.int16, None, "which cannot be"),
    "to 255, not whole": (255 * anisotropy(), np.float32, None, "which cannot be"),
    "as it is, with noise": (np.where(NOISE > 0.58, 1.3, anisotropy()), np.float64, 1.0, ""),
    "to 4095": (4095 * anisotropy(), np.int16, None, "fits none"),
}


@pytest.mark.parametrize(("data", "dtype", "factor", "said"), SCALED.values(), ids=SCALED)
def test_a_map_that_was_scaled_for_display_is_not_taken_for_percent(
    raw: Path, derivatives: Path, data: Any, dtype: Any, factor: float | None, said: str
) -> None:
    mask(derivatives)
    give(derivatives, FA, data, dtype=dtype)
    visit = plan_one(raw, derivatives)
    if factor is None:
        (why,) = visit.refused
        assert said in why
        return
    (entry,) = visit.maps
    assert entry.read_as is not None
    assert entry.read_as.factor == pytest.approx(factor)


def test_whole_numbers_of_8_bits_are_read_where_a_text_says_the_unit(
    raw: Path, derivatives: Path
) -> None:
    mask(derivatives)
    give(derivatives, FA, np.minimum(255 * anisotropy(), 99), {"Units": "%"}, dtype=np.uint8)
    (entry,) = plan_one(raw, derivatives).maps
    assert entry.read_as is not None
    assert entry.read_as.factor == pytest.approx(0.01)


# ---- names ---------------------------------------------------------------------------------------


def moved(path: Path, name: str) -> Path:
    target = path.parent / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return path.rename(target)


WRITTEN = "sub-01_space-T1w_label-WMH_mask"
MASKS: dict[str, tuple[str, str]] = {
    "capitals": (f"{WRITTEN}.NII.GZ", ".NII.GZ is not read; save it as .nii.gz"),
    "Slicer's": (f"{WRITTEN}.nrrd", ".nrrd is not read"),
    "ITK's": (f"{WRITTEN}.mha", ".mha is not read"),
    "packed otherwise": (f"{WRITTEN}.nii.bz2", ".nii.bz2 is not read"),
    "a visit's folder": (f"../ses-1/anat/{WRITTEN}.nii.gz", "does not begin as its folders are"),
    "lower case": (f"{WRITTEN.replace('WMH', 'wmh')}.nii.gz", "call it …_space-FLAIR_label-WMH"),
}


@pytest.mark.parametrize(("name", "said"), MASKS.values(), ids=MASKS)
def test_a_mask_whose_name_is_not_read_is_not_replaced_by_ones_own(
    raw: Path, derivatives: Path, name: str, said: str
) -> None:
    path = moved(mask(derivatives), name)
    problem = plan_one(raw, derivatives).problem
    assert problem is not None
    assert f"{path.name} of masks may be one" in problem
    assert said in problem
    anyway = plan_one(raw, derivatives, more=("--wmh-source", "compute"))
    assert anyway.problem is None


def test_a_mask_of_another_visit_s_name_in_a_visit_s_folder_is_not_replaced(
    tmp_path: Path, derivatives: Path
) -> None:
    root = describe(tmp_path / "two")
    for visit in ("1", "2"):
        start = f"sub-01/ses-{visit}/anat/sub-01_ses-{visit}"
        save_image(root / f"{start}_T1w.nii.gz")
        save_image(root / f"{start}_FLAIR.nii.gz", cube(70))
        mask(derivatives, f"../ses-{visit}/anat/sub-01_ses-2_space-T1w_label-WMH_mask")
    (plan,) = make_plans(parse_settings([str(root), "out", "participant", "-d", str(derivatives)]))
    first, second = plan.visits
    assert "does not begin as its folders are called" in (first.problem or "")
    assert second.problem is None


def test_probabilities_beside_a_mask_are_said_to_be_passed_over(
    raw: Path, derivatives: Path
) -> None:
    mask(derivatives)
    mask(derivatives, "sub-01_space-T1w_label-WMH_probseg")
    said = [line.why for line in plan_one(raw, derivatives).decisions if line.what == "WMH"]
    assert any("label-WMH_probseg.nii.gz of masks is passed over" in why for why in said)


@pytest.mark.parametrize("written", ["T1W", "T1", "t1w"])
def test_a_mask_on_an_image_that_is_not_there_is_said_with_that_image(
    raw: Path, derivatives: Path, written: str
) -> None:
    """It is called as it should be: to call it so was no advice."""
    moved(raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz", f"sub-01_{written}.nii.gz")
    mask(derivatives)
    visit = plan_one(raw, derivatives)
    assert "it lies on the T1w, and sub-01 has none; add the T1w" in (visit.problem or "")
    (line,) = [one for one in visit.decisions if one.what == "T1w"]
    assert f"sub-01_{written}.nii.gz is not read: call it …_T1w.nii.gz" in line.why


def test_an_image_without_its_session_is_named_with_what_it_should_begin_with(raw: Path) -> None:
    (raw / "sub-01" / "ses-1").mkdir()
    (raw / "sub-01" / "anat").rename(raw / "sub-01" / "ses-1" / "anat")
    problem = plan_one(raw).problem or ""
    assert "sub-01/ses-1/anat/sub-01_FLAIR.nii.gz is not read" in problem
    assert "has to begin with sub-01_ses-1_" in problem


def test_images_with_and_without_a_session_are_not_two_visits(raw: Path) -> None:
    flair = raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz"
    moved(flair, "../ses-1/anat/sub-01_ses-1_FLAIR.nii.gz")
    words = [str(raw), "out", "participant"]
    ((first, second),) = [plan.visits for plan in make_plans(parse_settings(words))]
    assert (first.session, first.problem) == ("1", None)
    assert "(ses-1) and sub-01_T1w.nii.gz without one" in (second.problem or "")
    ((alone,),) = [
        plan.visits for plan in make_plans(parse_settings([*words, "--session-label", "1"]))
    ]
    assert alone.problem is None


@pytest.mark.parametrize("label", ["2020-01-05", "base_line", "1 b"])
def test_a_session_of_which_names_hold_a_part_alone_is_refused(raw: Path, label: str) -> None:
    """Both visits of a year would be one: the T1w of the one with the FLAIR of the other."""
    folder = raw / "sub-01" / f"ses-{label}" / "anat"
    folder.parent.mkdir()
    (raw / "sub-01" / "anat").rename(folder)
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("sub-01_", f"sub-01_ses-{label}_"))
    problem = plan_one(raw).problem or ""
    assert f"sub-01/ses-{label} is no visit's folder" in problem


@pytest.mark.parametrize("name", ["SES-1", "ses_1", "Ses-1", "ses1"])
def test_a_visit_whose_folder_is_called_otherwise_is_no_visit_without_a_label(
    raw: Path, name: str
) -> None:
    folder = raw / "sub-01" / name / "anat"
    folder.parent.mkdir()
    (raw / "sub-01" / "anat").rename(folder)
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("sub-01_", f"sub-01_{name}_"))
    problem = plan_one(raw).problem or ""
    assert f"sub-01/{name} is no visit's folder" in problem
    assert "such as to ses-1." in problem


@pytest.mark.parametrize("name", ["sub-02-a", "sub-02_old", "sub-02 copy", "SUB-02", "sub-mü"])
def test_a_folder_that_seems_a_persons_is_not_left_out_in_silence(
    raw: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (raw / name).mkdir()
    (raw / "sub-file-x").write_text("no folder")
    assert find_subjects(raw, []) == ["01"]
    assert f"{name} is no person's folder, and not read" in caplog.text
    caplog.clear()
    assert find_subjects(raw, ["01"]) == ["01"]
    assert not caplog.text
    shutil.rmtree(raw / "sub-01")
    with pytest.raises(NothingToDoError, match=f"{name} is no person's folder"):
        find_subjects(raw, [])


def test_what_a_mac_puts_beside_files_is_not_said_of_every_file(raw: Path) -> None:
    anat = raw / "sub-01" / "anat"
    (anat / "._sub-01_T1w.nii.gz").write_bytes(b"\0\5\x16\7")
    (anat / "sub-01_T1.nii.gz").write_bytes(b"any")
    query = open_query(raw, parse_settings([str(raw), "out", "participant"]).inputs)
    assert [path.name for path in misnamed_files(query, "01")] == ["sub-01_T1.nii.gz"]


# ---- headers and options -------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["sform", "qform"])
@pytest.mark.parametrize("code", [-1, 6, 7, 255])
def test_an_unknown_code_of_a_form_is_refused(raw: Path, form: str, code: int) -> None:
    path = raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    plain = bytearray(gzip.decompress(path.read_bytes()))
    header = nib.Nifti1Header(bytes(plain[:348]), check=False)
    if form == "qform":
        header["sform_code"] = 0
    header[f"{form}_code"] = code
    path.write_bytes(gzip.compress(header.binaryblock + bytes(plain[348:])))
    problem = plan_one(raw).problem or ""
    assert f"its {form} has the unknown code {code}" in problem


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--units", "FA=%", "FA=1"), "--units names 'FA' twice; name each map once"),
        (("--units", "FA=%", "--units", "FA=%"), "--units names 'FA' twice"),
    ],
)
def test_of_two_units_of_a_map_the_last_is_not_simply_taken(
    words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        parse_settings(["in", "out", "participant", *words])


def test_a_folder_where_a_file_is_meant_is_called_one(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    give(derivatives, FA, NOISE)
    with pytest.raises(UsageError, match="is a folder, where an image is meant"):
        plan_one(raw, more=("--atlas", f"mine={derivatives}"))
    problem = plan_one(raw, derivatives, more=("--transform", f"FA={derivatives}")).problem or ""
    assert "which --transform FA names, is a folder" in problem


def test_of_two_maps_of_one_name_the_last_is_not_simply_taken(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(2 * MAPS, encoding="utf-8")
    with pytest.raises(UsageError, match="the map 'Flow' is there twice; keep one"):
        load_maps(path)


@pytest.mark.parametrize(
    ("name", "median", "verdict"),
    [
        ("CBF", 40.0, "ok"), ("CBF", -40.0, "check"), ("CBF", -0.5, "check"),
        ("Ktrans", 1e-3, "ok"), ("Ktrans", -1e-3, "check"),
        ("Chimap", -0.02, "ok"), ("Chimap", 0.02, "ok"), ("Chimap", 1e-5, "ok"),
        ("CVR", -0.2, "ok"), ("FA", 0.4, "ok"),
    ],
)  # fmt: skip
def test_a_map_that_is_negative_where_only_noise_can_be_is_marked(
    name: str, median: float, verdict: str
) -> None:
    """Flow below 0, as where control and label were exchanged, looked plausible by its size."""
    definition = load_maps()[name]
    low, high = definition.valid_range
    facts = unit_facts(
        name, 1.0, definition.plausible, median, can_be_negative=low < 0,
        has_either_sign=-low >= NOISE_SHARE * high,
    )  # fmt: skip
    measure = f"map_{name}_nawm_implausibility"
    known = find_measure(measure)
    assert known is not None
    assert known.high is not None
    assert (facts[measure] > known.high) == (verdict == "check")


def test_one_folder_under_two_names_is_said_so(raw: Path, derivatives: Path) -> None:
    (derivatives.parent / "linked").symlink_to(derivatives)
    more = ("-d", f"a={derivatives}", f"b={derivatives.parent / 'linked'}")
    with pytest.raises(UsageError, match="--derivatives a and b are one folder"):
        plan_one(raw, more=more)


def test_the_users_home_is_meant_after_a_name_too(
    raw: Path, derivatives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(derivatives.parent))
    mask(derivatives)
    visit = plan_one(raw, more=("-d", f"mine=~/{derivatives.name}"))
    assert visit.wmh is not None
    assert visit.wmh.files[0].dataset == "mine"


def test_no_transform_is_read_that_itk_would_not_read(tmp_path: Path) -> None:
    """ITK reads the file itself, and knows no mark of the order of bytes."""
    path = tmp_path / "x.txt"
    path.write_text("\ufeff#Insight Transform File V1.0\n#Transform 0\n"
                    "Transform: TranslationTransform_double_3_3\nParameters: 1 2 3\n"
                    "FixedParameters:\n", encoding="utf-8")  # fmt: skip
    with pytest.raises(InputError, match="line 1 is no line of an ITK transform"):
        read_transform(path)
