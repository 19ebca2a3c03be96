"""Where a map lies by its name, and which transforms bring it to the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import AFFINE, cube, describe, save_image
from tests.plan.test_participant import FIELD, FLIRT, plan_one
from wmhflow.errors import UsageError
from wmhflow.files.itk import write_itk_affine
from wmhflow.plan.visit import Composed, Computed, Given, MapPlan, VisitPlan
from wmhflow.registries.spaces import kind_of_space, load_spaces, same_scan, spaces_table

PROGRAMS = {
    "qsiprep": "QSIPrep",
    "qsirecon": "QSIRecon",
    "aslprep": "ASLPrep",
    "maps": "x",
    "fmriprep": "fMRIPrep",
    "smriprep": "sMRIPrep",
}
FOLDERS = {"cbf": "perf", "aslref": "perf", "m0scan": "perf", "dwimap": "dwi", "dwiref": "dwi"}
FA = "model-tensor_param-fa_dwimap"


def small_motion(number: float) -> np.ndarray:
    matrix = np.eye(4)
    angle = np.deg2rad(number)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = [number, 1, -2]
    return matrix


def fill(folder: Path, files: dict[str, list[str]]) -> list[Path]:
    """Make datasets of maps (0.4 everywhere) and transforms; a name begins after the person's."""
    made = []
    for dataset, names in files.items():
        root = describe(folder / dataset, GeneratedBy=[{"Name": PROGRAMS.get(dataset, dataset)}])
        made.append(root)
        for number, name in enumerate(names, 1):
            start = "ses-" + name.split("ses-")[1].split("_")[0] if "ses-" in name else ""
            where = root / "sub-01" / start
            full = f"sub-01_{name}"
            if "xfm" in name:
                ending = "" if "xfm." in name else ".txt"
                path = where / "anat" / f"{full}{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                if name.endswith(".mat"):
                    path.write_text(FLIRT)
                elif name.endswith(".h5"):
                    path.with_suffix(".txt").write_text(FIELD)
                else:
                    write_itk_affine(small_motion(number), path)
            else:
                suffix = name.rsplit("_", 1)[-1]
                data = np.full((8, 9, 10), 0.4) if "dwimap" in name else cube(30)
                save_image(where / FOLDERS.get(suffix, "anat") / f"{full}.nii.gz", data)
    return made


def sessions(folder: Path, n: int, *, runs: int = 1) -> Path:
    """A raw dataset of one person with a T1w and FLAIR in every session, or without any."""
    root = describe(folder / "raw")
    for number in range(1, n + 1):
        session = f"ses-{number}"
        for suffix, value in (("T1w", 100), ("FLAIR", 70)):
            for run in range(1, runs + 1):
                middle = f"_run-{run}" if runs > 1 and suffix == "T1w" else ""
                name = f"sub-01_{session}{middle}_{suffix}.nii.gz"
                save_image(root / "sub-01" / session / "anat" / name, cube(value + run))
    return root


def how(entry: MapPlan) -> str:
    """Write an alignment as one short text, of transforms from the map on."""
    one = entry.transform
    if one is None:
        return "header"
    if isinstance(one, Computed):
        return f"register {' '.join(_short(file.path) for file in one.files)}".strip()
    if isinstance(one, Given):
        return _short(one.file.path)
    legs = [f"{'-' if leg.inverted else ''}{_short(leg.file.path)}" for leg in one.legs]
    return " > ".join([*legs, *(["other"] if one.through_other else [])])


def _short(path: Path) -> str:
    name = path.name.removeprefix("sub-01_").partition(".")[0]
    return name.removesuffix("_mode-image_xfm").removesuffix("_xfm")


def said(visit: VisitPlan, what: str | None = None) -> str:
    return "\n".join(line.why for line in visit.decisions if what in (None, line.what))


def refusal(visit: VisitPlan) -> str:
    """Say why a map is left out, which costs nothing else."""
    assert visit.problem is None
    return " ".join(visit.refused)


# id: the files of each dataset; how the one map comes to the reference; what the plan says
CASES: dict[str, tuple[dict[str, list[str]], str, str]] = {
    "a space of the reference": ({"maps": [f"space-T1w_{FA}"]}, "header", "by its header"),
    "in small letters": ({"maps": [f"space-t1w_{FA}"]}, "header", "by its header"),
    "no transform": ({"maps": [FA]}, "register", "lacking a companion"),
    "from-dwi": ({"maps": [FA, "from-dwi_to-T1w_xfm"]}, "from-dwi_to-T1w", "(ITK)"),
    "from-dwiref": ({"maps": [FA, "from-dwiref_to-T1w_xfm"]}, "from-dwiref_to-T1w", ""),
    "from-EPI": ({"maps": [FA, "from-EPI_to-T1w_xfm"]}, "from-EPI_to-T1w", ""),
    "to-anat": ({"maps": [FA, "from-dwi_to-anat_xfm"]}, "from-dwi_to-anat", ""),
    "to-t1w": ({"maps": [FA, "from-dwi_to-t1w_xfm"]}, "from-dwi_to-t1w", ""),
    "space-dwiref": (
        {"maps": [f"space-dwiref_{FA}", "from-dwi_to-T1w_xfm"]}, "from-dwi_to-T1w", ""),
    "space-individual": ({"maps": [f"space-individual_{FA}", "from-individual_to-T1w_xfm"]},
                         "from-individual_to-T1w", ""),
    "space-scanner": ({"maps": [f"space-scanner_{FA}"]}, "register", ""),
    "the inverse": ({"maps": [FA, "from-T1w_to-dwi_xfm"]}, "-from-T1w_to-dwi", "the inverse of"),
    "flirt's inverse": ({"maps": [FA, "from-T1w_to-dwi_xfm.mat"]}, "-from-T1w_to-dwi", ""),
    "the direct one before the inverse": (
        {"maps": [FA, "from-T1w_to-dwi_xfm", "from-dwi_to-T1w_xfm"]}, "from-dwi_to-T1w", ""),
    "an inverse that is not linear": (
        {"maps": [FA, "from-T1w_to-dwi_xfm.h5"]}, "register", "its inverse is not known"),
    "of another scan": ({"maps": [FA, "from-asl_to-T1w_xfm"]}, "register", ""),
    "in another scan's place": (
        {"maps": [f"space-aslref_{FA}", "from-dwi_to-T1w_xfm", "from-asl_to-T1w_xfm"]},
        "from-asl_to-T1w", ""),
    "boldref for perfusion": (
        {"maps": ["cbf", "from-boldref_to-T1w_xfm"]}, "from-boldref_to-T1w", ""),
    "aslref through the inverse of from-orig": (
        {"maps": ["cbf", "from-aslref_to-T1w_xfm", "from-orig_to-T1w_xfm"]},
        "from-aslref_to-T1w > -from-orig_to-T1w", ", then the inverse of"),
    # transforms of other images
    "another run": (
        {"maps": ["run-01_cbf", "run-02_from-aslref_to-T1w_xfm"]}, "register",
        "of another run (2, not 1)"),
    "its own run": (
        {"maps": ["run-01_cbf", "run-01_from-aslref_to-T1w_xfm", "run-02_from-aslref_to-T1w_xfm"]},
        "run-01_from-aslref_to-T1w", ""),
    "another acquisition": (
        {"maps": [f"acq-a_{FA}", "acq-b_from-dwi_to-T1w_xfm"]}, "register", "another acquisition"),
    "another direction": (
        {"maps": [f"dir-AP_{FA}", "dir-PA_from-dwi_to-T1w_xfm"]}, "register",
        "another direction of phase encoding (PA, not AP)"),
    "one that says more": (
        {"maps": [f"acq-a_{FA}", "acq-a_from-dwi_to-T1w_xfm", "from-dwi_to-T1w_xfm"]},
        "acq-a_from-dwi_to-T1w", ""),
    "a dataset of transforms alone": (
        {"maps": [FA], "xfm": ["from-dwi_to-T1w_xfm"]}, "from-dwi_to-T1w", ""),
    "a dataset of transforms beside anatomical images": (
        {"maps": [FA], "xfm": ["desc-preproc_T1w", "from-dwi_to-T1w_xfm"]}, "from-dwi_to-T1w", ""),
    "the map's own dataset first": (
        {"xfm": ["from-dwi_to-T1w_xfm"], "maps": [FA, "from-b0_to-T1w_xfm"]}, "from-b0_to-T1w", ""),
    "another dataset's on another grid": (
        {"maps": [FA], "other": ["aslref", "from-dwi_to-T1w_xfm"]}, "register",
        "of the dataset other"),
    "another dataset's on the same grid": (
        {"maps": [FA], "other": ["dwiref", "from-dwi_to-T1w_xfm"]}, "from-dwi_to-T1w", ""),
    "ACPC is not the scan": (
        {"maps": [f"space-ACPC_{FA}"], "other": ["aslref", "from-dwi_to-T1w_xfm"]}, "register", ""),
    "ACPC is not the scan in its own dataset": (
        {"maps": [f"space-ACPC_{FA}", "from-dwi_to-T1w_xfm"]}, "register", ""),
    # points go the other way round
    "of points": (
        {"maps": [FA, "from-dwi_to-T1w_mode-points_xfm"]}, "register", ""),
    "of points, beside one of images": (
        {"maps": [FA, "from-dwi_to-T1w_mode-points_xfm", "from-dwi_to-T1w_mode-image_xfm"]},
        "from-dwi_to-T1w", ""),
    # QSIPrep
    "QSIPrep 1": (
        {"qsirecon": [f"space-ACPC_{FA}"], "qsiprep": ["from-ACPC_to-anat_xfm"]},
        "from-ACPC_to-anat", ""),
    "QSIPrep 1, only the way there": (
        {"qsirecon": [f"space-ACPC_{FA}"], "qsiprep": ["from-anat_to-ACPC_xfm"]},
        "-from-anat_to-ACPC", ""),
    "QSIPrep 1, several T1w": (
        {"qsirecon": [f"space-ACPC_{FA}"],
         "qsiprep": ["from-ACPC_to-anat_xfm", "from-orig_to-anat_xfm"]},
        "from-ACPC_to-anat > -from-orig_to-anat", ""),
    "QSIPrep 1, its companion": (
        {"qsirecon": [f"space-ACPC_{FA}"], "qsiprep": ["space-ACPC_dwiref"]},
        "register space-ACPC_dwiref", ""),
    "a companion in another place": (
        {"qsirecon": [f"space-ACPC_{FA}"], "qsiprep": ["dwiref"]}, "register", ""),
    "ACPC of two programs": (
        {"maps": [f"space-ACPC_{FA}"], "qsiprep": ["dwiref", "from-ACPC_to-anat_xfm"]},
        "register", ""),
    "QSIPrep 0": (
        {"qsirecon": [f"space-T1w_{FA}"],
         "qsiprep": ["from-T1wACPC_to-T1wNative_xfm", "from-T1wNative_to-T1wACPC_xfm"]},
        "from-T1wACPC_to-T1wNative", ""),
    "QSIPrep 0 with from-orig": (
        {"qsirecon": [f"space-T1w_{FA}"],
         "qsiprep": ["from-T1wNative_to-T1wACPC_xfm", "from-orig_to-T1w_xfm"]},
        "-from-T1wNative_to-T1wACPC > -from-orig_to-T1w", ""),
    "QSIPrep 0 in one dataset of another name": (
        {"maps": [f"space-T1w_{FA}", "from-T1wACPC_to-T1wNative_xfm"]},
        "from-T1wACPC_to-T1wNative", ""),
    "QSIPrep 0 without transforms": (
        {"qsirecon": [f"space-T1w_{FA}"]}, "register", "AC-PC aligned (QSIPrep before 1.0)"),
    "QSIPrep 0, T1wACPC": (
        {"qsirecon": [f"space-T1wACPC_{FA}"], "qsiprep": ["from-T1wACPC_to-T1wNative_xfm"]},
        "from-T1wACPC_to-T1wNative", ""),
    "QSIPrep 0, from-dwi does not lead to the raw T1w": (
        {"qsirecon": [FA, "from-dwi_to-T1w_xfm"], "qsiprep": ["from-T1wACPC_to-T1wNative_xfm"]},
        "from-dwi_to-T1w > from-T1wACPC_to-T1wNative", ""),
    # the FLAIR's place
    "on the FLAIR": (
        {"maps": [f"space-FLAIR_{FA}"]}, "other", "registration of the FLAIR to the T1w"),
    "to the FLAIR": (
        {"maps": [FA, "from-dwi_to-FLAIR_xfm"]}, "from-dwi_to-FLAIR > other", ""),
    "to the FLAIR, given": (
        {"maps": [FA, "from-dwi_to-flair_xfm", "from-FLAIR_to-T1w_xfm"]},
        "from-dwi_to-flair > other", "then the transform of the FLAIR"),
    "to both": (
        {"maps": [FA, "from-dwi_to-FLAIR_xfm", "from-dwi_to-T1w_xfm"]}, "from-dwi_to-T1w", ""),
}  # fmt: skip


@pytest.mark.parametrize(("files", "expected", "told"), CASES.values(), ids=CASES)
def test_how_a_map_comes_to_the_t1w(raw: Path, tmp_path: Path, files: Any, expected: str,
                                    told: str) -> None:  # fmt: skip
    visit = plan_one(raw, *fill(tmp_path / "d", files))
    assert visit.problem is None
    (entry,) = visit.maps
    assert how(entry) == expected
    assert told in said(visit, entry.name)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([f"space-T1w_{FA}"], "other"),
        ([f"space-FLAIR_{FA}"], "header"),
        ([FA, "from-dwi_to-T1w_xfm"], "from-dwi_to-T1w > other"),
        ([FA, "from-dwi_to-FLAIR_xfm", "from-dwi_to-T1w_xfm"], "from-dwi_to-FLAIR"),
        ([f"space-T1w_{FA}", "from-T1w_to-FLAIR_xfm"], "other"),
        ([f"space-T1w_{FA}", "from-T1w_to-FLAIR_xfm.h5"], "register"),
    ],
)
def test_how_a_map_comes_to_the_flair(
    raw: Path, tmp_path: Path, files: list[str], expected: str
) -> None:
    datasets = fill(tmp_path / "d", {"maps": files})
    mask = np.zeros((8, 9, 10))
    mask[3, 3, 3] = 1
    save_image(datasets[0] / "sub-01/anat/sub-01_space-FLAIR_label-WMH_mask.nii.gz", mask)
    visit = plan_one(raw, *datasets, more=("--reference", "FLAIR"))
    assert visit.problem is None
    assert how(visit.maps[0]) == expected


TWO_VISITS: dict[str, tuple[dict[str, list[str]], str]] = {
    "ASLPrep": (
        {"aslprep": ["ses-2_cbf", "desc-preproc_T1w", "ses-2_from-aslref_to-T1w_xfm",
                     "ses-1_from-orig_to-T1w_xfm", "ses-2_from-orig_to-T1w_xfm"]},
        "ses-2_from-aslref_to-T1w > -ses-2_from-orig_to-T1w"),
    "ASLPrep in T1w": (
        {"aslprep": ["ses-2_space-T1w_cbf", "desc-preproc_T1w", "ses-2_from-orig_to-T1w_xfm"]},
        "-ses-2_from-orig_to-T1w"),
    "only the other visit's from-orig": (
        {"aslprep": ["ses-2_space-T1w_cbf", "ses-1_from-orig_to-T1w_xfm"]}, "register"),
    "a person's T1w and no from-orig": (
        {"aslprep": ["ses-2_space-T1w_cbf", "desc-preproc_T1w"]}, "register"),
    "a person's T1w, native map": (
        {"aslprep": ["ses-2_cbf", "desc-preproc_T1w", "ses-2_from-aslref_to-T1w_xfm"]}, "register"),
    "anatomical images of an earlier run": (
        {"aslprep": ["ses-2_cbf", "ses-2_from-aslref_to-T1w_desc-coreg_xfm"],
         "fmriprep": ["desc-preproc_T1w", "ses-1_from-orig_to-T1w_xfm",
                      "ses-2_from-orig_to-T1w_xfm"]},
        "ses-2_from-aslref_to-T1w_desc-coreg > -ses-2_from-orig_to-T1w"),
    "in their T1w": (
        {"aslprep": ["ses-2_space-T1w_cbf"], "smriprep": ["ses-2_from-orig_to-T1w_xfm"]},
        "-ses-2_from-orig_to-T1w"),
    "their T1w without from-orig": (
        {"aslprep": ["ses-2_space-T1w_cbf"], "fmriprep": ["desc-preproc_T1w"]}, "register"),
    "of one's own before theirs": (
        {"aslprep": ["ses-2_space-T1w_cbf", "ses-2_from-orig_to-T1w_desc-own_xfm"],
         "fmriprep": ["ses-2_from-orig_to-T1w_xfm"]},
        "-ses-2_from-orig_to-T1w_desc-own"),
    "another program's T1w is its own": (
        {"maps": ["ses-2_space-T1w_cbf"], "fmriprep": ["desc-preproc_T1w",
                                                       "ses-2_from-orig_to-T1w_xfm"]},
        "header"),
    "a T1w for each visit": (
        {"aslprep": ["ses-2_cbf", "ses-2_desc-preproc_T1w", "ses-2_from-aslref_to-T1w_xfm"]},
        "ses-2_from-aslref_to-T1w"),
    "maps alone": ({"maps": ["ses-2_space-T1w_cbf"]}, "header"),
    "QSIPrep 1": (
        {"qsirecon": [f"ses-2_space-ACPC_{FA}"],
         "qsiprep": ["space-ACPC_desc-preproc_T1w", "from-ACPC_to-anat_xfm",
                     "ses-2_from-orig_to-anat_xfm"]},
        "from-ACPC_to-anat > -ses-2_from-orig_to-anat"),
    "QSIPrep 0": (
        {"qsirecon": [f"ses-2_space-T1w_{FA}"],
         "qsiprep": ["desc-preproc_T1w", "from-T1wACPC_to-T1wNative_xfm",
                     "ses-2_from-orig_to-T1w_xfm"]},
        "from-T1wACPC_to-T1wNative > -ses-2_from-orig_to-T1w"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), TWO_VISITS.values(), ids=TWO_VISITS)
def test_the_person_s_t1w_is_not_the_visit_s(tmp_path: Path, files: Any, expected: str) -> None:
    raw, datasets = sessions(tmp_path, 2), fill(tmp_path / "d", files)
    visit = plan_one(raw, *datasets, more=("--session-label", "2"))
    assert visit.problem is None
    assert how(visit.maps[0]) == expected
    if expected == "register" and "space-T1w" in str(visit.maps[0].file.path):
        assert "the T1w of its dataset is" in said(visit, "CBF")


def test_of_several_runs_from_orig_is_that_of_the_t1w_which_is_used(tmp_path: Path) -> None:
    raw = sessions(tmp_path, 1, runs=2)
    origs = [f"ses-1_run-{run}_from-orig_to-T1w_xfm" for run in (1, 2)]
    (dataset,) = fill(tmp_path / "d", {"aslprep": ["ses-1_space-T1w_cbf", *origs]})
    (entry,) = plan_one(raw, dataset).maps
    assert how(entry) == "-ses-1_run-1_from-orig_to-T1w"


def test_composed_transforms_are_one_after_the_other(raw: Path, tmp_path: Path) -> None:
    from wmhflow.files.chains import chain_matrix
    from wmhflow.files.itk import read_itk_affine

    names = [FA, "from-dwi_to-T1w_xfm", "from-orig_to-T1w_xfm"]
    (entry,) = plan_one(raw, *fill(tmp_path / "d", {"maps": names})).maps
    assert isinstance(entry.transform, Composed)
    paths = [leg.file.path for leg in entry.transform.legs]
    first, second = (read_itk_affine(path) for path in paths)
    # points of the raw T1w go to the person's T1w (backwards through from-orig), then to the map
    raw_t1w = raw / "sub-01/anat/sub-01_T1w.nii.gz"
    found = chain_matrix(paths, [False, True], entry.file.path, raw_t1w)
    point = np.array([3.0, -4, 5, 1])
    assert np.allclose(found @ point, first @ np.linalg.solve(second, point))


def test_the_inverse_brings_what_the_transform_took_away(raw: Path, tmp_path: Path) -> None:
    """A transform with a large shift is refused one way and taken the other way."""
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    image = next(dataset.rglob("*dwimap.nii.gz"))
    away = np.eye(4)
    away[0, 3] = 300
    save_image(image, np.full((8, 9, 10), 0.4), away @ AFFINE)
    xfm = dataset / "sub-01" / "anat" / "sub-01_from-T1w_to-dwi_mode-image_xfm.txt"
    xfm.parent.mkdir(exist_ok=True)
    for matrix, fits in ((np.linalg.inv(away), True), (away, False)):
        write_itk_affine(matrix, xfm)
        visit = plan_one(raw, dataset)
        assert (refusal(visit) == "") == fits
    assert "out of the field of view" in refusal(visit)
    assert "--transform" in refusal(visit)


@pytest.mark.parametrize("space", ["T1w", "t1w", "FLAIR"])
def test_a_map_400_mm_away_is_refused(raw: Path, tmp_path: Path, space: str) -> None:
    far = AFFINE.copy()
    far[0, 3] = 400
    (dataset,) = fill(tmp_path / "d", {"maps": []})
    path = dataset / "sub-01" / "dwi" / f"sub-01_space-{space}_{FA}.nii.gz"
    save_image(path, np.full((8, 9, 10), 0.4), far)
    problem = refusal(plan_one(raw, dataset))
    assert path.name in problem
    assert "lies outside" in problem


def test_of_two_datasets_the_one_passed_over_is_said(raw: Path, tmp_path: Path) -> None:
    visit = plan_one(raw, *fill(tmp_path / "d", {"one": [FA], "two": [f"space-T1w_{FA}"]}))
    assert how(visit.maps[0]) == "header"
    assert f"sub-01_{FA}.nii.gz of one is passed over" in said(visit, "FA")
    assert "of two lies on the reference by its header" in said(visit, "FA")


def test_a_transform_among_functional_data_is_not_of_a_perfusion_scan(
    raw: Path, tmp_path: Path
) -> None:
    for folder, used in (("perf", True), ("dwi", False)):
        (dataset,) = fill(tmp_path / folder, {"maps": ["cbf"]})
        path = dataset / "sub-01" / folder / "sub-01_from-EPI_to-T1w_mode-image_xfm.txt"
        path.parent.mkdir(exist_ok=True)
        write_itk_affine(np.eye(4), path)
        visit = plan_one(raw, dataset)
        assert isinstance(visit.maps[0].transform, Given) == used
        assert ("of another kind of scan (dwi, not perf)" in said(visit, "CBF")) != used


def test_a_filter_of_transforms_does_not_change_what_t1w_means(raw: Path, tmp_path: Path) -> None:
    names = [f"space-T1w_{FA}", "from-orig_to-T1w_xfm", "acq-a_from-dwi_to-T1w_xfm"]
    (dataset,) = fill(tmp_path / "d", {"maps": names})
    filters = tmp_path / "filters.json"
    filters.write_text('{"transform": {"acquisition": "a"}}')
    visit = plan_one(raw, dataset, more=("--bids-filter-file", str(filters)))
    assert how(visit.maps[0]) == "register"
    assert "from-orig leads to it" in said(visit, "FA")


def test_a_native_map_is_before_one_on_another_t1w(raw: Path, tmp_path: Path) -> None:
    names = [FA, f"space-T1w_{FA}"]
    visit = plan_one(raw, *fill(tmp_path / "d", {"qsirecon": names}))
    assert visit.maps[0].file.get("space") is None
    assert "without another interpolation" in said(visit, "FA")


@pytest.mark.parametrize(("ending", "whose"), [(".aff12.1D", "AFNI"), (".m3z", "FreeSurfer")])
def test_a_transform_of_a_kind_that_is_not_read_is_said(
    raw: Path, tmp_path: Path, ending: str, whose: str
) -> None:
    """The map had been registered as if there were none, without a word."""
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    for name in (
        f"sub-01_from-dwi_to-T1w_mode-image_xfm{ending}",
        "sub-01_from-dwi_to-T1w_xfm.json",
    ):
        (dataset / "sub-01" / "dwi" / name).write_text("1 0 0 0")
    visit = plan_one(raw, dataset)
    assert how(visit.maps[0]) == "register"
    assert f"xfm{ending} of maps is not used: " in said(visit, "maps")
    assert whose in said(visit, "maps")
    assert ".json" not in said(visit)


@pytest.mark.parametrize("space", ["MNI152NLin6Asym", "fsaverage", "somewhere"])
def test_a_space_that_is_not_known_is_said(raw: Path, tmp_path: Path, space: str) -> None:
    visit = plan_one(raw, *fill(tmp_path / "d", {"maps": [f"space-{space}_{FA}"]}))
    assert visit.maps == ()
    assert f"is ignored: it lies in space-{space}" in said(visit, "FA")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (
            ["from-dwi_to-T1wACPC_xfm"],
            "from-dwi_to-T1wACPC_xfm.txt leads to the T1wACPC, from where",
        ),
        (["from-dwi_to-T1w_xfm", "from-dwi_to-T1wACPC_xfm"], "AC-PC aligned (QSIPrep before 1.0)"),
        (["from-dwi_to-ACPC_xfm"], "from-dwi_to-ACPC_xfm.txt leads to the ACPC, from where"),
    ],
)
def test_transforms_that_end_where_nothing_leads_on_are_said(
    raw: Path, tmp_path: Path, names: list[str], why: str
) -> None:
    visit = plan_one(raw, *fill(tmp_path / "d", {"maps": [FA, *names]}))
    assert how(visit.maps[0]) == "register"
    assert why in said(visit, "FA")


def test_a_transform_of_points_is_said(raw: Path, tmp_path: Path) -> None:
    names = [FA, "from-dwi_to-T1w_mode-points_xfm"]
    told = said(plan_one(raw, *fill(tmp_path / "d", {"maps": names})), "maps")
    assert "from-dwi_to-T1w_mode-points_xfm.txt of maps is not used: it moves points" in told


def test_two_transforms_alike_are_refused_by_name(raw: Path, tmp_path: Path) -> None:
    names = [FA, "from-dwi_to-T1w_xfm", "from-dwi_to-T1w_desc-b_xfm"]
    visit = plan_one(raw, *fill(tmp_path / "d", {"maps": names}))
    # the person, or the map alone, is refused
    told = (visit.problem or "") + said(visit)
    assert visit.maps == ()
    assert "2 transforms answer for one" in told
    assert "desc-b" in told


def test_flirt_s_matrices_cannot_be_chained(raw: Path, tmp_path: Path) -> None:
    names = [FA, "from-dwi_to-T1w_xfm.mat", "from-orig_to-T1w_xfm"]
    problem = refusal(plan_one(raw, *fill(tmp_path / "d", {"maps": names})))
    assert "a transform of FSL, one of 2 that follow one another" in problem


# ---- the other anatomical image ------------------------------------------------------------------


def test_the_flair_comes_by_the_inverse_or_by_lower_case(raw: Path, tmp_path: Path) -> None:
    for name, inverted in (("from-T1w_to-FLAIR", True), ("from-flair_to-T1w", False)):
        (dataset,) = fill(tmp_path / name, {"maps": [f"{name}_xfm"]})
        visit = plan_one(raw, dataset)
        assert isinstance(visit.other_transform, Given)
        assert (visit.other_transform.inverted, visit.other_transform.convert) == (inverted,) * 2
        assert ("the inverse of" in said(visit, "FLAIR to T1w")) == inverted


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["acq-b_from-FLAIR_to-T1w_xfm"], ""),
        (["from-FLAIR_to-T1w_xfm", "from-orig_to-T1w_xfm"], "from-orig leads to it"),
        (["from-FLAIR_to-T1w_xfm", "from-T1wNative_to-T1wACPC_xfm"], "AC-PC aligned"),
        (["from-T1w_to-FLAIR_xfm.h5"], "its inverse is not known"),
    ],
)
def test_a_transform_of_another_image_does_not_bring_the_flair(
    raw: Path, tmp_path: Path, names: list[str], why: str
) -> None:
    anat = raw / "sub-01" / "anat"
    (anat / "sub-01_FLAIR.nii.gz").rename(anat / "sub-01_acq-a_FLAIR.nii.gz")
    visit = plan_one(raw, *fill(tmp_path / "d", {"maps": names}))
    assert visit.other_transform == Computed("register_rigid")
    assert why in said(visit, "transform")


def test_the_template_s_transforms_of_another_t1w_are_not_used(raw: Path, tmp_path: Path) -> None:
    template = "MNI152NLin2009aSym"
    both = [f"from-T1w_to-{template}_xfm", f"from-{template}_to-T1w_xfm"]
    assert isinstance(plan_one(raw, *fill(tmp_path / "a", {"maps": both})).forward, Given)
    visit = plan_one(raw, *fill(tmp_path / "b", {"maps": [*both, "from-orig_to-T1w_xfm"]}))
    assert isinstance(visit.forward, Computed)
    assert said(visit, "transform").count("is not used: the T1w of its dataset") == 2


def test_transforms_to_another_template_are_said(raw: Path, tmp_path: Path) -> None:
    other = "MNI152NLin2009cAsym"
    names = [f"from-T1w_to-{other}_xfm.h5", f"from-{other}_to-T1w_xfm.h5"]
    visit = plan_one(raw, *fill(tmp_path / "d", {"maps": names}))
    assert f"no transform is given (those of {other} are of another" in said(visit)
    assert "another template" not in said(plan_one(raw))


@pytest.mark.parametrize("space", ["space-T1w_", "space-t1w_", ""])
def test_a_mask_on_another_t1w_is_refused(raw: Path, tmp_path: Path, space: str) -> None:
    data = np.zeros((8, 9, 10))
    data[3, 3, 3] = 1
    for names, refused in (([], False), (["from-orig_to-T1w_xfm"], True)):
        (dataset,) = fill(tmp_path / str(refused), {"maps": names})
        name = f"sub-01_{space}label-WMH_mask.nii.gz"
        save_image(dataset / "sub-01" / "anat" / name, data)
        visit = plan_one(raw, dataset)
        assert ("does not lie on the visit's raw T1w" in (visit.problem or "")) == refused
        assert isinstance(visit.wmh, Given) != refused


def test_a_mask_on_the_flair_does_not_ask_whose_t1w_it_is(raw: Path, tmp_path: Path) -> None:
    other = AFFINE.copy()
    other[:3, 3] = 3
    save_image(raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", cube(70), affine=other)
    (dataset,) = fill(tmp_path / "d", {"maps": ["from-orig_to-T1w_xfm"]})
    data = np.zeros((8, 9, 10))
    data[3, 3, 3] = 1
    save_image(dataset / "sub-01" / "anat" / "sub-01_label-WMH_mask.nii.gz", data, affine=other)
    visit = plan_one(raw, dataset)
    assert isinstance(visit.wmh, Given)
    assert visit.wmh.space == "FLAIR"


def test_a_parcellation_on_another_t1w_is_passed_over(raw: Path, tmp_path: Path) -> None:
    codes = np.full((8, 9, 10), 2)
    codes[4:], codes[:, 0], codes[:, 1] = 41, 4, 43
    for names, used in (([], True), (["from-orig_to-T1w_xfm"], False)):
        (dataset,) = fill(tmp_path / str(used), {"maps": names})
        save_image(dataset / "sub-01" / "anat" / "sub-01_desc-aparcaseg_dseg.nii.gz", codes)
        visit = plan_one(raw, dataset)
        assert visit.problem is None
        assert (visit.parcellation is not None) == used
        assert ("from-orig leads to it" in said(visit, "parcellation")) != used


# ---- --transform ---------------------------------------------------------------------------------


def test_a_named_transform_goes_before_all_names(raw: Path, tmp_path: Path) -> None:
    names = [FA, "from-dwi_to-T1w_xfm"]
    (dataset,) = fill(tmp_path / "d", {"maps": names})
    path = tmp_path / "ants" / "sub-01_0GenericAffine.mat"
    path.parent.mkdir()
    from scipy.io import savemat

    savemat(path, {"AffineTransform_double_3_3": np.r_[np.eye(3).ravel(), 1, 2, 3][:, None],
                   "fixed": np.zeros((3, 1))}, format="4")  # fmt: skip
    pattern = tmp_path / "ants" / "sub-{subject}_0GenericAffine.mat"
    for text, expected in (
        (f"FA={pattern}", "0GenericAffine"),
        (f"FA=[{pattern},1]", "-0GenericAffine"),
    ):
        visit = plan_one(raw, dataset, more=("--transform", text))
        assert visit.problem is None
        (entry,) = visit.maps
        assert how(entry) == expected
        assert "--transform" in said(visit, "FA")
        (file,) = entry.transform.files if entry.transform else ()
        assert file.uri == "bids:transform-FA:sub-01_0GenericAffine.mat"
    visit = plan_one(raw, dataset, more=("--transform", f"FLAIR={pattern}"))
    assert isinstance(visit.other_transform, Given)
    assert how(visit.maps[0]) == "from-dwi_to-T1w"


def test_a_named_transform_that_is_not_there_or_of_nothing_is_said(
    raw: Path, tmp_path: Path
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    problem = plan_one(raw, dataset, more=("--transform", "FA=/none/{subject}.txt")).problem or ""
    assert "sub-01 has no /none/01.txt, which --transform FA names" in problem
    for name, told in (("Fa", "FA seems to be meant"), ("Axx", "known are .*FA, .*FLAIR, .*T1w")):
        with pytest.raises(UsageError, match=f"there is no map {name}; {told}"):
            plan_one(raw, dataset, more=("--transform", f"{name}=/none/x.txt"))
    with pytest.raises(UsageError, match="names FA twice"):
        plan_one(raw, dataset, more=("--transform", "FA=/x.txt", "FA=/y.txt"))


@pytest.mark.parametrize(
    ("name", "why"), [("T1w", "is the reference"), ("CBF", "is not among the visit's images")]
)
def test_a_named_transform_that_is_not_used_is_said(
    raw: Path, tmp_path: Path, name: str, why: str
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    visit = plan_one(raw, dataset, more=("--transform", f"{name}=/none/x.txt"))
    assert visit.problem is None
    assert f"--transform {name} is not used: it {why}" in said(visit, "transform")


def test_a_map_of_a_tracer_can_be_named(raw: Path) -> None:
    assert plan_one(raw, more=("--transform", "SUVRFDG=/none/x.txt")).problem is None
    with pytest.raises(UsageError, match="no map FAFDG"):
        plan_one(raw, more=("--transform", "FAFDG=/none/x.txt"))


@pytest.mark.parametrize("text", ["FA", "=x", "FA=", "FA=[x", "F-A=x", "FA=x{sub}", "FA=[x,0]"])
def test_a_named_transform_that_cannot_be_meant_is_refused(text: str) -> None:
    from wmhflow.settings import NamedTransform

    with pytest.raises(ValueError, match=r"NAME=PATH|braces"):
        NamedTransform.parse(text)


# ---- the registry --------------------------------------------------------------------------------


def test_the_table_of_the_docs_names_every_label() -> None:
    text = spaces_table()
    assert all(f"`{label}`" in text for space in load_spaces()[0] for label in space.labels)


def test_no_scan_of_a_family_of_maps_is_taken_for_another() -> None:
    scans = {
        name: same_scan(names)
        for name, names in {
            "dwi": ["dwi", "DWI", "b0", "FA"],
            "asl": ["asl", "aslref", "perf", "CBF"],
            "dce": ["dce", "DCE", "dsc", "DSC", "perf", "Ktrans"],
            "bold": ["bold", "boldref", "CVR"],
            "megre": ["megre", "MEGRE", "T2starw", "Chimap"],
            "pet": ["pet", "petref", "SUVR"],
        }.items()
    }
    for name, labels in scans.items():
        assert name in labels
        assert not labels & (set(scans) - {name})
    assert "T1w" not in same_scan(["T1w", "T1wT2w"])


def test_every_label_has_one_kind_of_place() -> None:
    kinds: dict[str, set[str]] = {}
    for space in load_spaces()[0]:
        for label in space.labels:
            kinds.setdefault(label, set()).add(space.kind)
    assert all(len(found) == 1 for found in kinds.values())
    asked = ("DWI", "ASL", "dwiref", "b0", "boldref", "individual", "scanner", "anat", "t1w",
             "T1wACPC", "ACPC", "orig", "native", "dwi", "asl", "aslref")  # fmt: skip
    assert all(kind_of_space(label) for label in asked)
