"""Real people: lesions kept to the voxel, zones that hold together, ventricles that are dark.

The scans lie beside the project and are no part of it; without them these tests are skipped.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import DATA, describe
from tests.runs import wmhflow
from wmhflow.bids.writer import read_table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the real scans are not there ({DATA.name})"),
]
LESION_PEOPLE = {
    ("P14", "tp1"): "mslesseg_P14/tp1/P14_tp1",
    ("patient07", None): "openms_patient07/patient07",
    ("patient19", None): "openms_patient19/patient19",
}
RAW = DATA / "raw_longitudinal" / "openms_patient01" / "raw"


def place(source: Path, root: Path, subject: str, session: str | None, ending: str) -> Path:
    """Copy an image to where BIDS wants it."""
    folder = root / f"sub-{subject}" / (f"ses-{session}" if session else "") / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    start = f"sub-{subject}" + (f"_ses-{session}" if session else "")
    return Path(shutil.copy(source, folder / f"{start}_{ending}.nii.gz"))


def lesion_dataset(folder: Path) -> tuple[Path, Path]:
    """Lay the people with manual masks out as BIDS, the masks as a derivative."""
    raw = describe(folder / "raw")
    masks = describe(folder / "masks", DatasetType="derivative", GeneratedBy=[{"Name": "manual"}])
    for (subject, session), start in LESION_PEOPLE.items():
        source = DATA / "lesions" / start
        for suffix in ("T1w", "FLAIR"):
            place(Path(f"{source}_{suffix}.nii.gz"), raw, subject, session, suffix)
        given = Path(f"{source}_lesion.nii.gz")
        place(given, masks, subject, session, "space-T1w_label-WMH_mask")
    return raw, masks


def anat(out: Path, subject: str, session: str | None) -> tuple[Path, str]:
    folder = out / f"sub-{subject}" / (f"ses-{session}" if session else "") / "anat"
    return folder, f"sub-{subject}" + (f"_ses-{session}" if session else "")


def load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    image = nib.load(folder / f"{name}.nii.gz")
    return np.asanyarray(image.dataobj), image.affine


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lesions")
    raw, masks = lesion_dataset(folder)
    words = [raw, folder / "out", "participant", "-d", f"masks={masks}", "-w", folder / "work"]
    done = wmhflow(words)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


@pytest.mark.parametrize(("subject", "session"), LESION_PEOPLE)
def test_lesions_are_kept_to_the_voxel(out: Path, subject: str, session: str | None) -> None:
    folder, start = anat(out, subject, session)
    given = np.asanyarray(
        nib.load(DATA / "lesions" / f"{LESION_PEOPLE[subject, session]}_lesion.nii.gz").dataobj
    )
    written, _ = load(folder, f"{start}_space-T1w_label-WMH_mask")
    assert np.array_equal(written > 0, given > 0)
    rows = read_table(folder / f"{start}_lesions.tsv")
    total = sum(float(row["volume_mm3"]) for row in rows)
    assert total == pytest.approx(np.count_nonzero(given), rel=1e-5)
    zones = [
        float(row["wmh_volume_mm3"])
        for row in read_table(folder / f"{start}_desc-volumes_regions.tsv")
        if row["seg"] == "zones" and row["hemisphere"] == "B"
    ]
    assert sum(zones) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(("subject", "session"), LESION_PEOPLE)
def test_ventricles_are_dark_and_of_a_human_size(
    out: Path, subject: str, session: str | None
) -> None:
    folder, start = anat(out, subject, session)
    ventricles, affine = load(folder, f"{start}_space-T1w_label-ventricles_mask")
    tissue, _ = load(folder, f"{start}_space-T1w_seg-tissue_dseg")
    for name in ("desc-preproc_T1w", "space-T1w_desc-preproc_FLAIR"):
        image, _ = load(folder, f"{start}_{name}")
        assert np.median(image[ventricles > 0]) < 0.7 * np.median(image[tissue % 10 == 5])
    volume = ventricles.sum() * abs(np.linalg.det(affine[:3, :3]))
    assert 5_000 < volume < 120_000
    for tens, side in ((10, -1), (20, 1)):
        centre = affine @ [*np.argwhere(tissue == tens + 2).mean(axis=0), 1]
        assert side * centre[0] > 5


@pytest.mark.parametrize(("subject", "session"), LESION_PEOPLE)
def test_shells_lie_in_nawm_around_the_lesions(
    out: Path, subject: str, session: str | None
) -> None:
    folder, start = anat(out, subject, session)
    shells, affine = load(folder, f"{start}_space-T1w_seg-shells_dseg")
    nawm, _ = load(folder, f"{start}_space-T1w_label-NAWM_mask")
    distance, _ = load(folder, f"{start}_space-T1w_desc-WMH_distance")
    outer = (shells > 0) & (shells % 100 <= 50)
    assert nawm[outer].all()
    for shell in range(1, 8):
        inside = distance[shells % 100 == shell]
        assert 2 * shell - 2 < inside.min() <= inside.max() <= 2 * shell + 1e-4
    assert np.linalg.norm(affine[:3, 0]) == pytest.approx(1)


def raw_dataset(folder: Path) -> Path:
    """Lay the raw whole heads out as BIDS: thick slices, each image in its own space."""
    raw = describe(folder / "raw")
    for visit in ("1", "2"):
        place(RAW / f"study{visit}_T1W.nii.gz", raw, "01", visit, "T1w")
        place(RAW / f"study{visit}_FLAIR.nii.gz", raw, "01", visit, "FLAIR")
    return raw


def test_raw_whole_heads_go_all_the_way(tmp_path: Path) -> None:
    raw = raw_dataset(tmp_path)
    done = wmhflow([raw, tmp_path / "out", "participant", "-w", tmp_path / "work"])
    assert done.returncode == 0, done.stdout + done.stderr
    for visit in ("1", "2"):
        folder, start = anat(tmp_path / "out", "01", visit)
        brain, affine = load(folder, f"{start}_space-T1w_label-brain_mask")
        voxel = abs(np.linalg.det(affine[:3, :3]))
        assert 900_000 < brain.sum() * voxel < 1_900_000
        ventricles, _ = load(folder, f"{start}_space-T1w_label-ventricles_mask")
        assert 5_000 < ventricles.sum() * voxel < 120_000
        rows = read_table(folder / f"{start}_desc-wmhflow_qc.tsv")
        facts = {row["metric"]: row["value"] for row in rows}
        assert float(facts["other_anatomical_registration_rotation_deg"]) < 30
        sidecar = json.loads(
            (folder / f"{start}_space-T1w_label-WMH_mask.json").read_text(encoding="utf-8")
        )
        assert sidecar["Parameters"]["source"] == "computed"
