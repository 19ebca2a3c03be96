"""The whole program with infarcts: one painted into the images, one laid over given WMH."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tests.builders import PHANTOM, ROOT, describe
from tests.runs import phantom_words, wmhflow
from wmhflow.bids.writer import read_table

pytestmark = pytest.mark.slow
TRUTH = json.loads((ROOT / "bids_examples" / "phantom_truth.json").read_text(encoding="utf-8"))
DARK_T1W, BRIGHT_FLAIR = 200.0, 850.0
# over a planted lesion of each visit: its place in the T1w's world, and a radius in mm
INFARCTS = {"sub-01_ses-1": ("cap-posterior-right", 10.0), "sub-02": ("deep-parietal-left", 9.0)}
FOLDERS = {"sub-01_ses-1": "sub-01/ses-1", "sub-02": "sub-02"}


def centre_of(visit: str) -> np.ndarray:
    lesions = TRUTH["visits"][visit]["lesions"]
    (found,) = [lesion for lesion in lesions if lesion["name"] == INFARCTS[visit][0]]
    return np.array(found["centre_t1w_ras_mm"])


def ball(image: nib.Nifti1Image, centre: np.ndarray, radius_mm: float) -> np.ndarray:
    places = np.moveaxis(np.indices(image.shape[:3]), 0, -1) @ image.affine[:3, :3].T
    return np.linalg.norm(places + image.affine[:3, 3] - centre, axis=-1) <= radius_mm


def paint(path: Path, centre: np.ndarray, radius_mm: float, value: float) -> None:
    image = nib.load(path)
    data = np.asanyarray(image.dataobj).astype(np.float32)
    data[ball(image, centre, radius_mm)] = value
    nib.save(nib.Nifti1Image(data, image.affine, image.header), path)


def dataset(folder: Path) -> tuple[Path, Path]:
    """Copy the phantom, paint an infarct into sub-02, and write the masks of both infarcts."""
    raw = folder / "raw"
    shutil.copytree(PHANTOM, raw, ignore=shutil.ignore_patterns("ses-2"))
    strokes = describe(folder / "strokes", DatasetType="derivative", GeneratedBy=[{"Name": "me"}])
    for visit, (_, radius_mm) in INFARCTS.items():
        t1w = raw / FOLDERS[visit] / "anat" / f"{visit}_T1w.nii.gz"
        image, centre = nib.load(t1w), centre_of(visit)
        mask = ball(image, centre, radius_mm).astype(np.uint8)
        out = strokes / FOLDERS[visit] / "anat" / f"{visit}_space-T1w_label-infarct_mask.nii.gz"
        out.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(mask, image.affine), out)
    to_flair = np.array(TRUTH["visits"]["sub-02"]["t1w_to_scan_ras"]["FLAIR"])
    centre, radius_mm = centre_of("sub-02"), INFARCTS["sub-02"][1]
    anat = raw / "sub-02" / "anat"
    paint(anat / "sub-02_T1w.nii.gz", centre, radius_mm, DARK_T1W)
    paint(anat / "sub-02_FLAIR.nii.gz", (to_flair @ [*centre, 1])[:3], radius_mm, BRIGHT_FLAIR)
    return raw, strokes


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("infarct")
    raw, strokes = dataset(folder)
    words = phantom_words(folder / "out", folder / "work", dataset=raw)
    words.insert(words.index("-w"), f"strokes={strokes}")
    plan = wmhflow([*words, "--dry-run"])
    assert plan.stdout.count("_label-infarct_mask.nii.gz in T1w space") == 2, plan.stdout
    done = wmhflow(words)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


def mask(out: Path, visit: str, label: str) -> tuple[np.ndarray, nib.Nifti1Image]:
    path = out / FOLDERS[visit] / "anat" / f"{visit}_space-T1w_label-{label}_mask.nii.gz"
    image = nib.load(path)
    return np.asanyarray(image.dataobj) > 0, image


def quality(out: Path, visit: str) -> dict[str, float]:
    rows = read_table(out / FOLDERS[visit] / "anat" / f"{visit}_desc-wmhflow_qc.tsv")
    return {row["metric"]: float(row["value"]) for row in rows if row["value"] != "n/a"}


@pytest.mark.parametrize("visit", INFARCTS)
def test_the_infarct_is_written_as_given_and_kept_out_of_everything(out: Path, visit: str) -> None:
    infarct, image = mask(out, visit, "infarct")
    assert np.array_equal(infarct, ball(image, centre_of(visit), INFARCTS[visit][1]))
    assert not (mask(out, visit, "WMH")[0] & infarct).any()
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    distance = ndimage.distance_transform_edt(~infarct, sampling=spacing)
    assert distance[mask(out, visit, "NAWM")[0]].min() > spacing.min()
    assert quality(out, visit)["nawm_removed_infarct_voxels"] > 0
    assert quality(out, visit)["infarct_kept_fraction"] == 1


def test_given_wmh_lose_what_lies_in_the_infarct_and_nothing_else(out: Path) -> None:
    visit = "sub-01_ses-1"
    name = f"{visit}_space-T1w_label-WMH_mask.nii.gz"
    folder = PHANTOM / "derivatives" / "lesions" / FOLDERS[visit] / "anat"
    given = np.asanyarray(nib.load(folder / name).dataobj) > 0
    infarct, _ = mask(out, visit, "infarct")
    assert (given & infarct).any()
    assert np.array_equal(mask(out, visit, "WMH")[0], given & ~infarct)
    removed = quality(out, visit)["wmh_removed_infarct_voxels"]
    assert removed == np.count_nonzero(given & infarct)


def test_a_bright_infarct_is_no_computed_wmh(out: Path) -> None:
    visit = "sub-02"
    infarct, image = mask(out, visit, "infarct")
    assert not (mask(out, visit, "ventricles")[0] & infarct).any()
    # painted as bright as a lesion, it would have been one
    assert quality(out, visit)["wmh_removed_infarct_voxels"] > 0.3 * infarct.sum()
    probability = nib.load(
        out / FOLDERS[visit] / "anat" / f"{visit}_space-T1w_label-WMH_probseg.nii.gz"
    )
    assert np.asanyarray(probability.dataobj)[infarct].max() == 0
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    distance = ndimage.distance_transform_edt(~infarct, sampling=spacing)
    assert distance[mask(out, visit, "WMH")[0]].min() > 2 * spacing.max()  # no rim is left
    truth = TRUTH["visits"][visit]
    lost = [les["volume_mm3"] for les in truth["lesions"] if les["name"] == INFARCTS[visit][0]]
    volume = quality(out, visit)["wmh_volume_mm3"]
    assert volume == pytest.approx(truth["wmh_volume_mm3"]["B"] - sum(lost), rel=0.3)


def test_the_sidecar_names_its_source_and_the_validator_finds_no_error(out: Path) -> None:
    for visit, folder in FOLDERS.items():
        start = out / folder / "anat" / f"{visit}_space-T1w_label"
        content = json.loads(Path(f"{start}-infarct_mask.json").read_text(encoding="utf-8"))
        assert content["Type"] == "Lesion"
        assert content["Sources"] == [
            f"bids:strokes:{folder}/anat/{visit}_space-T1w_label-infarct_mask.nii.gz"
        ]
        wmh = json.loads(Path(f"{start}-WMH_mask.json").read_text(encoding="utf-8"))
        assert any("label-infarct" in source for source in wmh["Sources"])
    program = Path(sys.executable).parent / "bids-validator-deno"
    if not program.is_file():
        pytest.skip("bids-validator-deno is not installed in this environment")
    done = subprocess.run(
        [str(program), str(out), "--format", "json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue.get("severity") == "error"] == []
