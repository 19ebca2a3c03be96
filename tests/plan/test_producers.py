"""What is read from the folders of -d, whoever wrote them: every producer's names, made by code."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, cube, describe, save_image
from wmhflow.bids.query import open_query
from wmhflow.cli.main import main
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.errors import UsageError
from wmhflow.plan.judging import judged_visit
from wmhflow.plan.text import format_plan
from wmhflow.plan.visit import Given, VisitPlan
from wmhflow.registries.maps import load_maps
from wmhflow.registries.producers import (
    ProducerFile,
    load_producers,
    producer_page,
    producers_table,
    recognise_name,
)
from wmhflow.settings import Inputs, NamedPath

SHAPE = (8, 9, 10)
EULER = (
    "#Insight Transform File V1.0\n#Transform 0\nTransform: Euler3DTransform_double_3_3\n"
    "Parameters: 0.1 0 0 1 2 3\nFixedParameters: 0 0 0\n"
)


KNOWN = {"WMH", "parcellation", *load_maps()}
# what no value tells
UNITS = {"bold": "%/mmHg", "CVR_map": "%/mmHg", "/Ktrans": "1/min", "v_p": "1"}


def codes(label: int = 0) -> Any:
    """A parcellation of white matter and ventricles, and a few voxels of one more label."""
    data = np.full(SHAPE, 2)
    data[4:], data[:, 0], data[:, 1] = 41, 4, 43
    data[3, 4:6, 5] = label or 2
    # cortex has two sides
    data[3, 6, 5], data[4, 6, 5] = 3, 42
    data[4, 4:6, 5] = label + 1000 if 1000 < label < 2000 else 41
    data[0] = data[-1] = 0
    return data


def put(path: Path, what: str = "map", label: int = 0) -> Path:
    """Write a small file of a kind: a map, WMH, a parcellation, a series, or a transform."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".txt", ".mat", ".h5")):
        path.write_text(EULER if path.suffix == ".txt" else "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
        return path
    data = {"WMH": np.zeros(SHAPE), "parcellation": codes(label)}.get(what, cube(0.5))
    if what == "WMH":
        data[3, 3, 3:5] = 1
    if what == "4D":
        data = np.ones((*SHAPE, 3))
    stem = f"/{path.name.split('.')[0]}"
    if what == "map" and (units := next((UNITS[end] for end in UNITS if stem.endswith(end)), None)):
        path.with_name(f"{path.name.split('.')[0]}.json").write_text(json.dumps({"Units": units}))
    if path.suffix == ".mgz":
        nib.save(nib.MGHImage(np.asarray(data, np.int32), AFFINE), path)
        return path
    return save_image(path, data, AFFINE if what != "elsewhere" else np.diag([11.0, 10, 10, 1]))


def planned(raw: Path, *given: str, more: Sequence[str] = ()) -> VisitPlan:
    words = [str(raw), "out", "participant", "--skip-bids-validation", *more]
    (person,) = make_plans(parse_settings([*words, "-d", *given]))
    return person.visits[0]


def text_of(visit: VisitPlan) -> str:
    return "\n".join(f"{one.what} | {one.state} | {one.why}" for one in visit.decisions)


def read_as(visit: VisitPlan) -> dict[str, str]:
    """Say what was taken for what, by the names of the files."""
    # of PET there is a map of every tracer
    given = [one for one in visit.maps if isinstance(one.values, Given)]
    found = {one.name.replace("FDG", ""): one.file.path.name for one in given}
    if isinstance(visit.wmh, Given):
        found["WMH"] = visit.wmh.file.path.name
    if visit.parcellation is not None:
        found["parcellation"] = visit.parcellation.file.path.name
    return found


ROWS = [
    pytest.param(row, id=f"{name}-{row.what}-{Path(row.example).name}")
    for name, producer in load_producers().items()
    for row in producer.files
    if row.what not in ("transform", "companion")
]


@pytest.mark.parametrize("row", ROWS)
def test_every_producers_file_is_read_from_the_folder_that_a_user_names(
    raw: Path, tmp_path: Path, row: ProducerFile
) -> None:
    producer = load_producers()[row.producer]
    root = tmp_path / producer.name
    label = row.labels[0] if row.labels else 0
    file = put(
        root / row.example, row.what if row.what in {"WMH", "parcellation"} else "map", label
    )
    if producer.layout == "bids":
        generated_by = [{"Name": producer.generated_by[0]}]
        for part in dict.fromkeys((root, file.parents[2])):
            describe(part, DatasetType="derivative", GeneratedBy=generated_by)
    assert not (producer.layout != "bids" and list(root.rglob("dataset_description.json")))
    visit = planned(raw, f"mine={root}", more=() if row.is_used else ("--wmh-source", "compute"))
    assert visit.problem is None
    is_known = row.what in KNOWN
    assert (read_as(visit).get(row.what) == file.name) == (row.is_used and is_known)
    if row.labels:
        assert isinstance(visit.wmh, Given)
        assert (visit.wmh.file.path.name, visit.wmh.labels) == (file.name, row.labels)
    if not row.is_used or not is_known:
        assert not read_as(visit)
        assert "mine | warning | nothing in -d mine is used" in text_of(visit)
        return
    (taken,) = [one for one in visit.sources if one.path.name == file.name]
    is_told = bool(row.names or producer.generated_by)
    assert taken.kind == (row if is_told else None)
    assert taken.uri == f"bids:mine:{row.example}"


def test_every_row_of_names_is_reached_by_its_example() -> None:
    for name, producer in load_producers().items():
        for row in producer.files:
            known = recognise_name(row.example)
            assert (known is not None) == bool(row.names), (name, row.example)
            assert known is None or known[0] == row


def test_every_producer_has_a_page_that_names_its_files() -> None:
    for name, producer in load_producers().items():
        page = producer_page(producer)
        assert page.startswith(f"# {producer.title}\n")
        assert all(f"`{row.example}`" in page for row in producer.files)
        assert f"producers/{name}.md" in producers_table()


# Files below the folder of -d, what is read, and a part of what the plan says. A name that ends
# with an equals sign and a kind is written as that kind.
FUNC = "sub-01/func/sub-01_task-gas"
PERF = "sub-01/perf/sub-01"
DWI = "sub-01/dwi/sub-01"
ANAT = "sub-01/anat/sub-01"
CASES = {
    "ASLPrep's mean and not its series": (
        [f"{PERF}_cbf.nii.gz", f"{PERF}_desc-timeseries_cbf.nii.gz=4D"],
        {"CBF": "sub-01_cbf.nii.gz"},
        "sub-01_desc-timeseries_cbf.nii.gz",
    ),
    "ExploreASL's own space and not the template's": (
        ["sub-01/ASL_1/CBF.nii", "sub-01/ASL_1/PWI.nii", "Population/qCBF_sub-01_ASL_1.nii"],
        {"CBF": "CBF.nii"},
        "CBF.nii of mine; registered rigidly by the map itself",
    ),
    "ExploreASL of two scans": (
        ["sub-01/ASL_1/CBF.nii", "sub-01/ASL_2/CBF.nii"],
        {},
        "with --bids-filter-file, under map.",
    ),
    "ExploreASL's folder of a visit": (["sub-01_1/ASL_1/CBF.nii"], {"CBF": "CBF.nii"}, "CBF.nii"),
    "ExploreASL's folders of two visits": (
        ["sub-01_1/ASL_1/CBF.nii", "sub-01_2/ASL_1/CBF.nii"],
        {},
        "",
    ),
    "a folder beside the person's": (["sub-01_old/ASL_1/CBF.nii"], {}, ""),
    "ROCKETSHIP's maps, in the unit of its documentation": (
        ["sub-01/dce_patlak_fit_Ktrans.nii", "sub-01/dce_patlak_fit_residual.nii"],
        {"Ktrans": "dce_patlak_fit_Ktrans.nii"},
        "",
    ),
    "ROCKETSHIP's maps of two models": (
        ["sub-01/dce_patlak_fit_vp.nii", "sub-01/dce_tofts_fit_vp.nii"],
        {},
        "with --bids-filter-file, under map.",
    ),
    "a plasma volume of nobody's name, without a unit": (
        ["sub-01/vp.nii.gz", "sub-01/v_e.nii.gz"],
        {},
        "nothing in -d mine is used: what it holds for sub-01 is refused, as said",
    ),
    "ASLPrep with BASIL and score": (
        [
            f"{PERF}_{desc}cbf.nii.gz"
            for desc in ("", "desc-basil_", "desc-basilGM_", "desc-score_")
        ],
        {"CBF": "sub-01_cbf.nii.gz"},
        "basil_cbf.nii.gz of mine is ignored: sub-01_cbf.nii.gz of mine goes before it (no desc)",
    ),
    "BASIL alone": (
        [f"{PERF}_desc-{one}_cbf.nii.gz" for one in ("basil", "basilGM", "basilWM", "scrub")],
        {"CBF": "sub-01_desc-basil_cbf.nii.gz"},
        "goes before it (desc-basil)",
    ),
    "one tissue's flow is no flow": ([f"{PERF}_desc-basilGM_cbf.nii.gz"], {}, "basilGM_cbf"),
    "a series alone is no map": ([f"{PERF}_cbf.nii.gz=4D"], {}, "it is 4D"),
    # it is also what R1 is computed from, which reads it as a series
    "T1 of several volumes is no map": (
        [f"{ANAT}_T1map.nii.gz=4D"],
        {},
        "T1map | refused | sub-01_T1map.nii.gz of mine is not used: it is 4D",
    ),
    "nor is anything made of a T2w of several": (
        [f"{ANAT}_T2w.nii.gz=4D"],
        {},
        "where one 3D image is meant",
    ),
    "the mean before another space": (
        [f"{PERF}_space-T1w_desc-basil_cbf.nii.gz", f"{PERF}_cbf.nii.gz"],
        {"CBF": "sub-01_cbf.nii.gz"},
        "goes before it (no desc)",
    ),
    "the reference's space before another": (
        [f"{PERF}_space-T1w_cbf.nii.gz", f"{PERF}_cbf.nii.gz"],
        {"CBF": "sub-01_space-T1w_cbf.nii.gz"},
        "note | sub-01_cbf.nii.gz",
    ),
    "QSMxT with chi-separation": (
        [f"{ANAT}_{desc}Chimap.nii" for desc in ("", "desc-total_", "desc-paramagnetic_")],
        {"Chimap": "sub-01_Chimap.nii", "Chipos": "sub-01_desc-paramagnetic_Chimap.nii"},
        "sub-01_desc-total_Chimap.nii of mine is ignored: sub-01_Chimap.nii of mine goes before it",
    ),
    "total susceptibility alone": (
        [f"{ANAT}_desc-{one}_Chimap.nii" for one in ("total", "diamagnetic")],
        {
            "Chimap": "sub-01_desc-total_Chimap.nii",
            "Chineg": "sub-01_desc-diamagnetic_Chimap.nii",
        },
        "sub-01_desc-diamagnetic_Chimap.nii",
    ),
    "dki before dkimicro": (
        [f"{DWI}_space-ACPC_model-{one}_param-md_dwimap.nii.gz" for one in ("dki", "dkimicro")],
        {"MD": "sub-01_space-ACPC_model-dki_param-md_dwimap.nii.gz"},
        "sub-01_space-ACPC_model-dkimicro_param-md_dwimap.nii.gz",
    ),
    "the tensor's FA before dki's": (
        [f"{DWI}_model-{one}_param-fa_dwimap.nii.gz" for one in ("tensor", "dki", "fwdti")],
        {
            "FA": "sub-01_model-tensor_param-fa_dwimap.nii.gz",
            "FAt": "sub-01_model-fwdti_param-fa_dwimap.nii.gz",
        },
        "model-dki_param-fa_dwimap.nii.gz of mine is ignored: sub-01_model-tensor_param-fa",
    ),
    "of two axonal water fractions that of the tensors": (
        [f"{DWI}_model-{one}_param-awf_dwimap.nii.gz" for one in ("dkimicro", "msdki")],
        {"AWF": "sub-01_model-dkimicro_param-awf_dwimap.nii.gz"},
        "model-msdki_param-awf_dwimap.nii.gz of mine is ignored",
    ),
    "FORCE is no NODDI": (
        [f"{DWI}_model-force_param-{one}_dwimap.nii.gz" for one in ("ndi", "odi", "fa", "md")],
        {},
        "model-force_param-ndi_dwimap.nii.gz of mine is ignored: model-force is another image",
    ),
    "AMICO before version 2": (
        [f"sub-01/AMICO/NODDI/FIT_{one}.nii.gz" for one in ("ICVF", "OD", "ISOVF", "dir")],
        {"ICVF": "FIT_ICVF.nii.gz", "OD": "FIT_OD.nii.gz", "ISOVF": "FIT_ISOVF.nii.gz"},
        "",
    ),
    "TractoFlow's names": (
        [f"sub-01/DTI_Metrics/sub-01__{one}.nii.gz" for one in ("fa", "md", "ad", "rd", "ga")],
        {f"{one.upper()}": f"sub-01__{one}.nii.gz" for one in ("fa", "md", "ad", "rd")},
        "not used: sub-01__ga.nii.gz",
    ),
    "UK Biobank's folder": (
        [f"sub-01/dMRI/{one}.nii.gz" for one in ("dti_FA", "dti_L1", "dti_V1", "NODDI_OD")],
        {"FA": "dti_FA.nii.gz", "AD": "dti_L1.nii.gz", "OD": "NODDI_OD.nii.gz"},
        "",
    ),
    "oxford_asl's calibrated flow in its own space": (
        [
            f"sub-01/{place}/{one}.nii.gz"
            for place in ("native_space", "native_space/pvcorr", "struct_space", "std_space")
            for one in ("perfusion", "perfusion_calib", "arrival")
        ],
        {"CBF": "perfusion_calib.nii.gz", "ATT": "arrival.nii.gz"},
        "10 images that are no input are not used",
    ),
    "oxasl's": (
        [
            f"sub-01/output/{place}/{one}.nii.gz"
            for place in ("native", "struct")
            for one in ("perfusion", "perfusion_calib", "arrival")
        ],
        {"CBF": "perfusion_calib.nii.gz", "ATT": "arrival.nii.gz"},
        "4 images that are no input are not used",
    ),
    "a magnitude is no echo": ([f"{ANAT}_part-mag_T2starw.nii"], {}, "nothing in -d mine is used"),
    "maps that are called as a series are none": (
        [f"{DWI}_odfmodel-DTI_desc-{one}_dwi.nii.gz" for one in ("FA", "MD", "b0")],
        {},
        "nothing in -d mine is used",
    ),
    "two runs cost that map alone": (
        [f"{PERF}_run-{run}_cbf.nii.gz" for run in (1, 2)]
        + [f"{DWI}_model-dki_param-fa_dwimap.nii.gz"],
        {"FA": "sub-01_model-dki_param-fa_dwimap.nii.gz"},
        "refused | not used: 2 files answer for one map CBF (sub-01_run-1_cbf.nii.gz of mine and ",
    ),
    "LST-AI_BIDS": (
        [
            f"{ANAT}_space-FLAIR_label-lesion_mask.nii.gz=WMH",
            f"{ANAT}_space-FLAIR_desc-annotated_label-lesion_mask.nii.gz=WMH",
        ],
        {"WMH": "sub-01_space-FLAIR_label-lesion_mask.nii.gz"},
        "desc-annotated is another image",
    ),
    "a mask before label 77": (
        ["sub-01_FLAIR_seg.nii.gz=77", "sub-01_FLAIR_wmh.nii.gz=WMH"],
        {"WMH": "sub-01_FLAIR_wmh.nii.gz", "parcellation": "sub-01_FLAIR_seg.nii.gz"},
        "",
    ),
    "label 77 where there is no mask": (
        ["sub-01_FLAIR_seg.nii.gz=77"],
        {"WMH": "sub-01_FLAIR_seg.nii.gz", "parcellation": "sub-01_FLAIR_seg.nii.gz"},
        "label 77 of sub-01_FLAIR_seg.nii.gz of mine in FLAIR space",
    ),
    "SAMSEG without lesions": (
        ["sub-01/seg.mgz=parcellation"],
        {"parcellation": "seg.mgz"},
        "seg.mgz of mine has no label 99, which would be WMH",
    ),
    "FreeSurfer's best file": (
        [f"01/mri/{one}.mgz=parcellation" for one in ("aseg", "aparc+aseg", "wmparc", "brain")],
        {"parcellation": "aparc+aseg.mgz"},
        "aseg.mgz of mine is ignored: aparc+aseg.mgz of mine goes before it",
    ),
    "files of all persons side by side": (
        [
            "sub-01_space-T1w_label-WMH_mask.nii.gz=WMH",
            "sub-02_space-T1w_label-WMH_mask.nii.gz=WMH",
        ],
        {"WMH": "sub-01_space-T1w_label-WMH_mask.nii.gz"},
        "",
    ),
    "a space in small letters": (
        [f"{ANAT}_space-flair_label-WMH_mask.nii.gz=WMH"],
        {"WMH": "sub-01_space-flair_label-WMH_mask.nii.gz"},
        "in FLAIR space",
    ),
    "a visit's folders": (
        ["sub-01/ses-1/anat/sub-01_ses-1_space-T1w_label-WMH_mask.nii.gz=WMH"],
        {"WMH": "sub-01_ses-1_space-T1w_label-WMH_mask.nii.gz"},
        "",
    ),
    "reactivity lies in func": (
        [
            f"{FUNC}_space-T1w_desc-aparcaseg_dseg.nii.gz=parcellation",
            f"{FUNC}_desc-cvr_bold.nii.gz",
        ],
        {"CVR": "sub-01_task-gas_desc-cvr_bold.nii.gz"},
        "not used: ",
    ),
    "a near name": (
        [f"{DWI}_space-ACPC_model-dki_param-fas_dwimap.nii.gz"],
        {},
        "sub-01_space-ACPC_model-dki_param-fas_dwimap.nii.gz (param-fa_dwimap would be)",
    ),
    "a parcellation on no known grid costs itself alone": (
        [f"{ANAT}_desc-aparcaseg_dseg.nii.gz=elsewhere"],
        {},
        "parcellation | not used | ",
    ),
    "one parcellation that two producers keep": (
        [
            f"{ANAT}_desc-aparcaseg_dseg.nii.gz=parcellation",
            f"{ANAT}_space-T1w_desc-aparcaseg_dseg.nii.gz=parcellation",
        ],
        {"parcellation": "sub-01_desc-aparcaseg_dseg.nii.gz"},
        "sub-01_space-T1w_desc-aparcaseg_dseg.nii.gz of mine holds the same as sub-01_desc-aparc",
    ),
    "whose it is cannot be told": (["fa_dti.nii"], {}, "whose fa_dti.nii is cannot be told"),
    "other persons": (
        ["sub-002/dwi/sub-002_model-dki_param-fa_dwimap.nii.gz"],
        {},
        "it holds no image or transform of sub-01; it has sub-002",
    ),
}


def lay(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        path, _, kind = name.partition("=")
        is_label = kind.isdecimal()
        put(
            root / path, "parcellation" if is_label else kind or "map", int(kind) if is_label else 0
        )
    return root


@pytest.mark.parametrize(("files", "expected", "said"), CASES.values(), ids=CASES)
def test_which_files_are_read(
    raw: Path, tmp_path: Path, files: list[str], expected: dict[str, str], said: str
) -> None:
    visit = planned(raw, f"mine={lay(tmp_path / 'mine', files)}")
    assert visit.problem is None
    assert read_as(visit) == expected
    assert said in text_of(visit)


LOOKALIKES = [
    f"{ANAT}_space-T1w_label-lesions_mask.nii.gz",
    f"{ANAT}_space-FLAIR_desc-wmh_mask.nii.gz",
    f"{ANAT}_space-T1w_label-wmh_mask.nii.gz",
    f"{ANAT}_space-T1w_label-WMH_dseg.nii.gz",
    f"{ANAT}_space-T1w_seg-WMH_mask.nii.gz",
    f"{ANAT}_label-lesion_roi.nii.gz",
    f"{ANAT}_space-MNI152NLin6Asym_label-WMH_mask.nii.gz",
    f"{ANAT}_space-orig_label-WMH_mask.nii.gz",
    "segmentations/wmh_segmentation/sub-01/labelled_wmh.nii.gz",
    "sub-01/space-flair_desc-annotated_seg-lst.nii.gz",
    "space-flair_seg-lst.nii.gz",
]


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_may_be_the_mask_is_not_replaced_by_ones_own(
    raw: Path, tmp_path: Path, name: str
) -> None:
    root = lay(tmp_path / "mine", [f"{name}=WMH"])
    problem = planned(raw, f"mine={root}").problem or ""
    assert f"{Path(name).name} of mine" in problem
    assert "--wmh-source compute" in problem
    assert planned(raw, f"mine={root}", more=("--wmh-source", "compute")).problem is None


@pytest.mark.parametrize(
    "name",
    [
        f"{ANAT}_desc-lesionfilled_T1w.nii.gz",
        f"{ANAT}_space-T1w_label-infarct_mask.nii.gz",
        f"{ANAT}_label-WM_probseg.nii.gz",
        "sub-01/mri/wm.mgz",
        "sub-02/anat/sub-02_space-T1w_label-WMH_mask.nii.gz",
    ],
)
def test_what_is_no_mask_of_wmh_stops_nothing(raw: Path, tmp_path: Path, name: str) -> None:
    root = lay(tmp_path / "mine", [f"{name}=WMH"])
    assert planned(raw, f"mine={root}").problem is None


@pytest.mark.parametrize(
    ("file", "what", "label"),
    [
        ("sub-01/mri/aparc.DKTatlas+aseg.deep.mgz", "parcellation", 1002),
        ("sub-01/seg.mgz", "parcellation", 99),
        ("sub-01_FLAIR_seg.nii.gz", "parcellation", 77),
        ("sub-01/space-flair_seg-lst.nii.gz", "WMH", 0),
    ],
)
def test_what_is_read_holds_what_its_name_says(
    raw: Path, tmp_path: Path, file: str, what: str, label: int
) -> None:
    """Their voxels are read to the end: of one label that is WMH, that label alone."""
    put(tmp_path / "mine" / file, what, label)
    visit = judged_visit(planned(raw, f"mine={tmp_path / 'mine'}"))
    assert visit.problem is None
    said = f"{label} (2 voxels) counts"
    assert (said in text_of(visit)) == (label in {77, 99})


def test_an_image_of_freesurfer_that_does_not_say_where_it_lies_is_refused(
    raw: Path, tmp_path: Path
) -> None:
    path = put(tmp_path / "fs" / "sub-01" / "mri" / "aparc+aseg.mgz", "parcellation")
    content = bytearray(gzip.decompress(path.read_bytes()))
    # the flag that its axes and centre count, after version, sizes, type and degrees of freedom
    content[28:30] = b"\0\0"
    path.write_bytes(gzip.compress(bytes(content)))
    visit = planned(raw, f"mine={tmp_path / 'fs'}")
    assert "does not say where it lies" in f"{visit.problem} {text_of(visit)}"
    assert visit.parcellation is None


def two_datasets(tmp_path: Path) -> Path:
    study = tmp_path / "study"
    for name in ("QSIRecon", "ASLPrep"):
        how = {"DatasetType": "derivative", "GeneratedBy": [{"Name": name}]}
        describe(study / name.lower(), **how)
    inner = study / "qsirecon" / "derivatives" / "qsirecon-DSIStudio"
    describe(inner, DatasetType="derivative", GeneratedBy=[{"Name": "QSIRecon"}])
    put(inner / f"{DWI}_space-ACPC_model-tensor_param-md_dwimap.nii.gz")
    put(study / "aslprep" / f"{PERF}_cbf.nii.gz")
    put(study / "freesurfer" / "sub-01" / "mri" / "aparc+aseg.mgz", "parcellation")
    own = describe(study / "wmhflow", GeneratedBy=[{"Name": "wmhflow"}])
    put(own / f"{ANAT}_space-T1w_label-WMH_mask.nii.gz", "WMH")
    return study


def test_a_folder_of_datasets_is_looked_through_and_ones_own_outputs_are_not(
    raw: Path, tmp_path: Path
) -> None:
    visit = planned(raw, f"all={two_datasets(tmp_path)}")
    assert read_as(visit) == {
        "MD": "sub-01_space-ACPC_model-tensor_param-md_dwimap.nii.gz",
        "CBF": "sub-01_cbf.nii.gz",
        "parcellation": "aparc+aseg.mgz",
    }
    (diffusivity,) = [one for one in visit.maps if one.name == "MD"]
    assert diffusivity.file.part == "qsirecon/derivatives/qsirecon-DSIStudio"
    (flow,) = [one for one in visit.maps if one.name == "CBF"]
    assert flow.file.kind is not None
    assert flow.file.kind.unit == "mL/100g/min"
    assert diffusivity.file.uri.startswith(
        "bids:all:qsirecon/derivatives/qsirecon-DSIStudio/sub-01"
    )


def test_outputs_may_lie_beside_the_datasets_of_such_a_folder(raw: Path, tmp_path: Path) -> None:
    study = two_datasets(tmp_path)
    words = ["participant", "-d", f"all={study}", "--dry-run", "--skip-bids-validation"]
    assert main([str(raw), str(study / "mine"), *words]) == 0
    assert main([str(raw), str(study / "aslprep" / "mine"), *words]) == 2
    assert main([str(raw), str(study / "aslprep"), *words]) == 2


def test_an_index_gives_the_same(raw: Path, tmp_path: Path) -> None:
    root = describe(tmp_path / "mine")
    lay(root, [f"{ANAT}_FLAIR_wmh.nii.gz=WMH", "sub-01/mri/aparc+aseg.mgz=parcellation"])
    lay(root, [f"{DWI}_param-fa_dwimap.nii.gz", f"{FUNC}_desc-cvr_bold.nii.gz"])
    more = ("--bids-database-dir", str(tmp_path / "index"))
    anew, kept = planned(raw, f"mine={root}"), planned(raw, f"mine={root}", more=more)
    assert read_as(anew) == read_as(kept)
    assert len(read_as(kept)) >= 3
    assert text_of(anew) == text_of(kept)


def test_a_folder_of_the_study_does_not_give_the_raw_data_once_more(
    raw: Path, tmp_path: Path
) -> None:
    put(raw / f"{ANAT}_T1map.nii.gz")
    put(describe(tmp_path / "maps") / f"{PERF}_cbf.nii.gz")
    assert read_as(planned(raw, f"study={tmp_path}")) == {"CBF": "sub-01_cbf.nii.gz"}


def test_what_is_used_as_raw_data_is_not_said_to_be_unused(raw: Path) -> None:
    put(raw / f"{ANAT}_T1map.nii.gz")
    put(raw / f"{ANAT}_PDw.nii.gz")
    assert "scanner | note | not used: sub-01_PDw.nii.gz" in text_of(planned(raw, f"scanner={raw}"))


def test_the_inner_datasets_of_raw_data_are_named_one_by_one(raw: Path) -> None:
    put(raw / "derivatives" / "lesions" / f"{ANAT}_space-T1w_label-WMH_mask.nii.gz", "WMH")
    describe(raw, DatasetType="raw")
    put(raw / f"{ANAT}_T1map.nii.gz")
    assert read_as(planned(raw, f"scanner={raw}")) == {"T1map": "sub-01_T1map.nii.gz"}


def test_qsipreps_reference_image_stands_for_a_map_of_a_sibling(raw: Path, tmp_path: Path) -> None:
    study = two_datasets(tmp_path)
    prepared = describe(study / "qsiprep", GeneratedBy=[{"Name": "QSIPrep"}])
    put(prepared / f"{DWI}_space-ACPC_dwiref.nii.gz")
    (diffusivity,) = [one for one in planned(raw, f"all={study}").maps if one.name == "MD"]
    assert "sub-01_space-ACPC_dwiref.nii.gz" in [
        one.path.name for one in diffusivity.transform.files
    ]


def visits(root: Path, *sessions: str | None) -> Path:
    """A raw dataset of one person with visits."""
    for session in sessions:
        ses = f"ses-{session}/" if session else ""
        start = f"sub-01_ses-{session}" if session else "sub-01"
        for number, suffix in enumerate(("T1w", "FLAIR")):
            save_image(root / f"sub-01/{ses}anat/{start}_{suffix}.nii.gz", cube(90 - 20 * number))
    return describe(root)


MASK = "space-T1w_label-WMH_mask.nii.gz=WMH"


@pytest.mark.parametrize(
    ("sessions", "given", "said"),
    [
        (["1"], ["01"], None),
        ([None], ["1"], None),
        (["1"], [None], None),
        (["a", "b"], [None], "it states no session, and the person has 2: put ses-… into its name"),
        ([None], ["1", "2"], "the derivatives have ses-1 and ses-2, and the raw images state no"),
        (["1", "01"], ["01"], "no mask is given"),
        (["1"], ["2"], "may be one"),
    ],
)
def test_sessions_meet_where_there_is_one_reading(
    tmp_path: Path, sessions: list[str | None], given: list[str | None], said: str | None
) -> None:
    raw = visits(tmp_path / "raw", *sessions)
    names = [
        f"sub-01/ses-{one}/anat/sub-01_ses-{one}_{MASK}" if one else f"{ANAT}_{MASK}"
        for one in given
    ]
    words = [str(raw), "out", "participant", "--skip-bids-validation"]
    words += ["-d", f"mine={lay(tmp_path / 'mine', names)}"]
    (person,) = make_plans(parse_settings(words))
    visit = next(one for one in person.visits if one.session == sessions[0])
    if said is None:
        assert isinstance(visit.wmh, Given)
    else:
        assert not isinstance(visit.wmh, Given)
        assert said in f"{visit.problem} {text_of(visit)}"


def test_a_visits_folder_of_freesurfer_is_that_visits(tmp_path: Path) -> None:
    raw = visits(tmp_path / "raw", "1", "2")
    for session in ("1", "2"):
        put(tmp_path / "fs" / f"sub-01_ses-{session}" / "mri" / "aparc+aseg.mgz", "parcellation")
    words = [str(raw), "out", "participant", "-d", f"fs={tmp_path / 'fs'}"]
    (person,) = make_plans(parse_settings(words))
    found = [one.parcellation.file.path.parts[-3] for one in person.visits if one.parcellation]
    assert found == ["sub-01_ses-1", "sub-01_ses-2"]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"map.CBF": {"run": 1}}, {"CBF": "sub-01_run-01_cbf.nii.gz", "FA": "fa"}),
        (
            {"map.CBF": {"desc": "basilGM"}},
            {"CBF": "sub-01_run-02_desc-basilGM_cbf.nii.gz", "FA": "fa"},
        ),
        ({"map.CBF": {"desc": None}}, {"CBF": "sub-01_run-01_cbf.nii.gz", "FA": "fa"}),
        ({"map": {"model": "dki"}}, {"FA": "fa"}),
    ],
)
def test_a_filter_may_narrow_one_map(
    raw: Path, tmp_path: Path, chosen: dict[str, Any], expected: dict[str, str]
) -> None:
    files = [f"{PERF}_run-01_cbf.nii.gz", f"{PERF}_run-02_desc-basilGM_cbf.nii.gz"]
    root = lay(tmp_path / "mine", [*files, f"{DWI}_model-dki_param-fa_dwimap.nii.gz"])
    path = tmp_path / "filter.json"
    path.write_text(json.dumps(chosen))
    visit = planned(raw, f"mine={root}", more=("--bids-filter-file", str(path)))
    assert visit.problem is None
    found = read_as(visit)
    assert {**found, "FA": "fa"} == expected


@pytest.mark.parametrize(
    "chosen",
    [
        {"map": {"run": 7}},
        {"map.CBF": {"desc": "x"}},
        {"map.CBF": {"run": "02"}},
        {"t1w": {"rater": "a"}},
        {"flair": {"run": 1}},
        {"wmh": {"label": "x"}},
        {"parcellation": {"desc": "x"}},
        {"transform": {"run": 1}},
        {"series": {"direction": "AP"}},
    ],
)
def test_a_filter_that_leaves_nothing_is_an_error(
    raw: Path, tmp_path: Path, chosen: dict[str, Any]
) -> None:
    files = [f"{PERF}_cbf.nii.gz", f"{DWI}_desc-preproc_dwi.nii.gz=4D", f"{ANAT}_{MASK}"]
    files += [f"{ANAT}_desc-aseg_dseg.nii.gz=parcellation", f"{PERF}_from-asl_to-T1w_xfm.txt"]
    root = lay(tmp_path / "mine", files)
    path = tmp_path / "filter.json"
    path.write_text(json.dumps(chosen))
    problem = planned(raw, f"mine={root}", more=("--bids-filter-file", str(path))).problem
    assert f"the filter '{next(iter(chosen))}' of --bids-filter-file" in (problem or "")


def test_a_filter_of_a_map_that_there_is_not_is_wrong_use(raw: Path, tmp_path: Path) -> None:
    path = tmp_path / "filter.json"
    path.write_text('{"map.CBFF": {"run": 1}}')
    with pytest.raises(UsageError, match=r"'map\.CBFF' names no map"):
        planned(raw, f"mine={raw}", more=("--bids-filter-file", str(path)))


def own_map(tmp_path: Path, query: str) -> str:
    path = tmp_path / "maps.toml"
    path.write_text(
        f'[[map]]\nname = "Own"\nunit = "1"\nvalid_range = [0.0, 1.0]\nquery = {query}\n'
    )
    return str(path)


@pytest.mark.parametrize("word", ["false", '"none"'])
def test_a_users_map_can_ask_for_no_desc(raw: Path, tmp_path: Path, word: str) -> None:
    start = f"{DWI}_model-noddi_param-icvf"
    root = lay(
        tmp_path / "mine", [f"{start}_dwimap.nii.gz", f"{start}_desc-modulated_dwimap.nii.gz"]
    )
    query = f'{{ suffix = "dwimap", param = "icvf", desc = {word} }}'
    visit = planned(raw, f"mine={root}", more=("--maps", own_map(tmp_path, query)))
    assert read_as(visit)["Own"] == "sub-01_model-noddi_param-icvf_dwimap.nii.gz"


def test_a_users_map_of_an_entity_that_there_is_not_is_wrong_use(raw: Path, tmp_path: Path) -> None:
    query = '{ sufix = "dwimap", param = "icvf" }'
    with pytest.raises(UsageError, match="'suffix' seems to be meant"):
        planned(raw, f"mine={raw}", more=("--maps", own_map(tmp_path, query)))


def test_tracers_are_told_apart(raw: Path, tmp_path: Path) -> None:
    names = [f"sub-01/pet/sub-01_trc-FDG_meas-{one}_mimap.nii.gz" for one in ("SUVR", "BPND")]
    query = '{ suffix = "mimap", meas = "SUVR" }'
    root, more = lay(tmp_path / "mine", names), ("--maps", own_map(tmp_path, query))
    assert read_as(planned(raw, f"mine={root}", more=more))["Own"] == Path(names[0]).name


def test_who_gave_nothing_is_warned_of_once(
    raw: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = lay(tmp_path / "mine", ["sub-09/anat/sub-09_T1map.nii.gz"])
    words = [str(raw), "out", "participant", "--skip-bids-validation", "-d", f"mine={root}"]
    format_plan(make_plans(parse_settings(words)))
    assert [one.getMessage() for one in caplog.records] == [
        "--derivatives mine gave nothing that is used; --dry-run says what it holds."
    ]


def test_a_folder_of_nobody_is_no_dataset(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "papers" / "2020").mkdir(parents=True)
    (tmp_path / "papers" / "2020" / "one.pdf").touch()
    inputs = Inputs(derivatives=(NamedPath("mine", tmp_path / "papers"),))
    with pytest.raises(UsageError, match=r"mine .* has no dataset_description\.json"):
        open_query(raw, inputs)


def test_many_persons_in_one_folder_are_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = visits(tmp_path / "raw", None)
    root = tmp_path / "lesions"
    lay(root, [f"sub-{number:02d}_FLAIR_wmh.nii.gz" for number in range(1, 4)])
    query = open_query(raw, Inputs(derivatives=(NamedPath("mine", root),)))
    assert [file.path.name for file in query.given("02")] == ["sub-02_FLAIR_wmh.nii.gz"]

    def refuse(_: Any) -> Any:
        raise AssertionError("listed again")

    monkeypatch.setattr("wmhflow.bids.folders.os.scandir", refuse)
    assert [file.path.name for file in query.given("03")] == ["sub-03_FLAIR_wmh.nii.gz"]
