"""The entities read from names are pybids'; only the person's own folders are looked into."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bids import BIDSLayout

from tests.builders import PHANTOM, describe
from wmhflow.bids.database import Database
from wmhflow.bids.entities import entities_of
from wmhflow.bids.query import (
    FoundFile,
    find_subjects,
    matches,
    misnamed_files,
    open_query,
    read_filters,
)
from wmhflow.bids.scan import scan_person
from wmhflow.errors import InputError, UsageError
from wmhflow.settings import FILTER_KINDS, Inputs, NamedPath, iter_options

# Names as fMRIPrep, SynthSeg, LST-AI, QSIPrep, QSIRecon, ASLPrep, QSMxT, qMRLab, PETPrep, CVRmap
# and others write them, and odd ones.
MADE_TEXT = """
anat/sub-01_T1w.nii.gz anat/sub-01_acq-mprage_run-1_T1w.nii.gz anat/sub-01_run-02_FLAIR.nii
anat/sub-01_acq-a_ce-gd_rec-norm_part-mag_T1w.json anat/sub-01_T2w.nii.gz anat/sub-01_UNIT1.nii.gz
anat/sub-01_desc-aparcaseg_dseg.nii.gz anat/sub-01_desc-aseg_dseg.nii.gz anat/sub-01_dseg.nii.gz
anat/sub-01_label-WM_probseg.nii.gz anat/sub-01_desc-preproc_T2w.nii.gz
anat/sub-01_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5
anat/sub-01_from-orig_to-T1w_mode-image_xfm.txt
anat/sub-01_from-fsnative_to-T1w_mode-image_xfm.lta
anat/sub-01_space-T1w_desc-synthseg_dseg.nii.gz anat/sub-01_T1w_synthseg.nii.gz
anat/sub-01_space-FLAIR_seg-SynthSeg_dseg.nii.gz anat/sub-01_space-flair_seg-lst.nii.gz
anat/sub-01_space-FLAIR_label-lesion_mask.nii.gz
anat/sub-01_space-FLAIR_desc-annotated_label-lesion_mask.nii.gz anat/sub-01_FLAIR_wmh.nii.gz
anat/sub-01_space-T1w_label-WMH_probseg.nii.gz anat/sub-01_space-MNI152NLin6Asym_res-2_T1w.nii.gz
anat/sub-01_hemi-L_space-fsnative_den-164k_white.surf.gii anat/sub-01_T1w.mgz
anat/sub-01_atlas-DKT_seg-x_space-T1w_dseg.tsv anat/sub-01_Chimap.nii.gz
anat/sub-01_desc-paramagnetic_Chimap.nii anat/sub-01_R2starmap.nii anat/sub-01_MTsat.nii
anat/sub-01_echo-1_part-phase_MEGRE.nii.gz anat/sub-01_inv-2_MP2RAGE.nii.gz
anat/sub-01_flip-2_mt-off_part-mag_MPM.nii.gz anat/sub-01_flip-06_mt-on_MPM.nii.gz
anat/sub-01_MWFmap.nii.gz anat/sub-01_mod-T1w_defacemask.nii.gz anat/sub-01_label-L+R_mask.nii.gz
dwi/sub-01_dir-AP_run-01_dwi.bval dwi/sub-01_dir-AP_sbref.nii.gz
dwi/sub-01_space-ACPC_dwiref.nii.gz dwi/sub-01_space-ACPC_model-dki_param-fa_dwimap.nii.gz
dwi/sub-01_acq-x_space-T1w_model-noddi_param-isovf_desc-modulated_dwimap.nii.gz
dwi/sub-01_model-DTI_FA.nii.gz dwi/sub-01_mdp-od_dwimap.nii.gz dwi/sub-01_scale-1_dwimap.nii.gz
dwi/sub-01_from-dwi_to-T1w_mode-image_xfm.mat dwi/sub-01_from-ACPC_to-anat_mode-image_xfm.mat
dwi/sub-01_desc-wm_subset-a_streamlines.tck.gz dwi/sub-01_proc-x_chunk-2_dwi.nii.gz
perf/sub-01_cbf.nii.gz perf/sub-01_desc-timeseries_cbf.nii.gz perf/sub-01_desc-basilGM_cbf.nii.gz
perf/sub-01_from-aslref_to-T1w_mode-image_xfm.txt perf/sub-01_m0scan.nii.gz perf/sub-01_att.nii.gz
pet/sub-01_trc-FDG_meas-SUVR_mimap.nii.gz pet/sub-01_trc-PIB_rec-acdyn_pet.nii.gz
pet/sub-01_model-SRTM2_meas-BPND_mimap.nii.gz fmap/sub-01_dir-PA_epi.nii.gz
mrs/sub-01_nuc-1H_voi-frontal_svs.nii.gz micr/sub-01_sample-1_stain-x_TEM.ome.tif
anat/sub-01_desc-a-b_T1w.nii.gz anat/sub-01_from-a_T1w.nii.gz anat/sub-01_desc-x.nii.gz
anat/sub-01_mt-other_T1w.nii.gz anat/sub-01_run-x_T1w.nii.gz anat/sub-01_a.b_T1w.nii.gz
func/sub-01_task-rest_bold.nii.gz func/sub-01_task-gas_desc-cvr_bold.nii.gz
anat/sub-01_desc-one_desc-two_T1w.nii.gz anat/deeper/sub-01_T1w.nii.gz sub-01_scans.tsv
"""
ELSEWHERE_TEXT = """
figures/sub-01_desc-x_T1w.svg eeg/sub-01_task-rest_eeg.edf
anat/sub-02_T1w.nii.gz anat/other.nii.gz anat/._sub-01_T1w.nii.gz
"""
MADE, ELSEWHERE = MADE_TEXT.split(), ELSEWHERE_TEXT.split()
# pybids puts scanners' field maps and tables of scans under names that are no entities
NO_ENTITIES = {"fmap", "scans"}
UNKNOWN_TO_PYBIDS = re.compile(r"mdp$")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    root = describe(tmp_path / "made")
    for name in (*MADE, *ELSEWHERE):
        path = root / "sub-01" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("ses-a/anat/sub-02_ses-a_T1w.nii.gz", "ses-a/func/sub-02_ses-a_bold.nii.gz"):
        path = root / "sub-02" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def by_pybids(root: Path, folder: Path, subject: str, *, raw: bool) -> dict[str, dict[str, Any]]:
    found = Database(folder, "d", root, raw=raw).person(subject)
    return {
        str(path): {key: value for key, value in values.items() if key not in NO_ENTITIES}
        for path, values in found
    }


def by_names(root: Path, subject: str, *, raw: bool) -> dict[str, dict[str, Any]]:
    return {
        str(path): {k: v for k, v in values.items() if not UNKNOWN_TO_PYBIDS.match(k)}
        for path, values in scan_person(root, subject, raw=raw)
    }


def test_names_say_what_pybids_says(made: Path, tmp_path: Path) -> None:
    assert len(MADE) > 60
    for subject in ("01", "02"):
        ours = by_names(made, subject, raw=False)
        assert ours == by_pybids(made, tmp_path / "index", subject, raw=False)
        assert list(ours) == sorted(ours)
    names = {
        Path(path).relative_to(made / "sub-01").as_posix()
        for path in by_names(made, "01", raw=False)
    }
    assert names == set(MADE)
    functional = {name for name in MADE if name.startswith("func/")}
    raw = by_pybids(made, tmp_path / "raw_index", "01", raw=True)
    assert {Path(path).name for path in set(by_names(made, "01", raw=True))} == {
        Path(name).name for name in set(MADE) - functional
    }
    assert raw == by_names(made, "01", raw=True)


@pytest.mark.parametrize("folder", [".", "lesions", "parcellation", "maps"])
def test_the_phantom_is_read_as_pybids_reads_it(tmp_path: Path, folder: str) -> None:
    root = PHANTOM if folder == "." else PHANTOM / "derivatives" / folder
    for subject in ("01", "02"):
        theirs = by_pybids(root, tmp_path / "index", subject, raw=folder == ".")
        assert by_names(root, subject, raw=folder == ".") == theirs
        assert theirs or (folder, subject) in {("lesions", "02"), ("parcellation", "02")}


def test_what_pybids_does_not_know_keeps_its_own_name() -> None:
    assert entities_of("sub-01_meas-SUVR_mimap.nii.gz")["meas"] == "SUVR"


def test_only_the_folders_of_the_person_are_looked_into(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    scandir = os.scandir

    def watched(path: Any) -> Any:
        seen.append(Path(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", watched)
    subjects = find_subjects(made, ["01"])
    query = open_query(made, Inputs(derivatives=(NamedPath("d", made),)))
    for _ in range(3):
        assert query.raw_images("t1w", *subjects, suffix="T1w")
        assert query.derived("map", *subjects, suffix="cbf")
    assert seen
    assert all(path.is_relative_to(made / "sub-01") for path in seen)
    # each of them once for either dataset; functional data only of what was made of them
    once = [path for path in seen if path.name == "func"]
    assert len(once) == 1
    assert len(seen) - 1 == 2 * (len(set(seen)) - 1)
    assert "figures" not in {path.name for path in seen}


def test_a_folder_that_cannot_be_read_is_said(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> Iterator[Any]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"sub-01 cannot be read \(Permission denied\)"):
        scan_person(made, "01")


def test_the_users_index_is_kept_and_gives_the_same(made: Path, tmp_path: Path) -> None:
    inputs = Inputs(bids_database_dir=tmp_path / "index")
    kept, anew = open_query(made, inputs), open_query(made, Inputs())
    wanted = {"suffix": "T1w", "run": 1}
    for subject in ("01", "02", "03"):
        assert [file.path for file in kept.raw.of(subject)] == [
            file.path for file in anew.raw.of(subject)
        ]
    one = [query.raw_images("t1w", "01", **wanted)[0] for query in (kept, anew)]
    assert one[0].uri == one[1].uri == "bids:raw:sub-01/anat/sub-01_acq-mprage_run-1_T1w.nii.gz"
    (index,) = (tmp_path / "index").iterdir()
    assert BIDSLayout(database_path=index).get(subject="02", suffix="T1w")


@pytest.mark.parametrize(
    ("wanted", "is_it"),
    [
        ({"run": 1}, True),
        ({"run": "01"}, True),
        ({"run": "1"}, True),
        ({"run": 2}, False),
        ({"run": None}, False),
        ({"desc": None}, True),
        ({"desc": "None"}, False),
        ({"suffix": ["T1w", None]}, True),
        ({"suffix": []}, False),
    ],
)
def test_a_run_is_a_number_and_none_is_absence(wanted: dict[str, Any], is_it: bool) -> None:
    file = FoundFile(Path("x"), entities_of("sub-01_run-01_T1w.nii.gz"), "raw", Path())
    assert matches(file, wanted) == is_it


def test_names_that_bids_does_not_know_are_found_for_every_person(made: Path) -> None:
    query = open_query(made, Inputs())
    wrong = {path.name for path in misnamed_files(query, "01")}
    assert "sub-01_FLAIR_wmh.nii.gz" in wrong
    assert "sub-02_T1w.nii.gz" in wrong
    assert not {"sub-01_T2w.nii.gz", "sub-01_UNIT1.nii.gz", "sub-01_m0scan.nii.gz"} & wrong
    assert misnamed_files(query, "02") == [
        made / "sub-02" / "ses-a" / "func" / "sub-02_ses-a_bold.nii.gz"
    ]


def test_the_help_names_every_kind_that_a_filter_can_narrow(tmp_path: Path) -> None:
    (text,) = (opt.help for _, entry, opt in iter_options() if entry.name == "bids_filter_file")
    assert text.endswith(": " + ", ".join(FILTER_KINDS) + ".")
    assert "infarct" in FILTER_KINDS
    path = tmp_path / "filter.json"
    path.write_text("{" + ", ".join(f'"{kind}": {{}}' for kind in FILTER_KINDS) + "}")
    assert set(read_filters(path)) == set(FILTER_KINDS)
    path.write_text('{"pet": {}}')
    with pytest.raises(UsageError, match="names 'pet'"):
        read_filters(path)
