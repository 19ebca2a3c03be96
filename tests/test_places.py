"""A whole run on maps whose T1w is another than the raw one: they say what maps in place say."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import PHANTOM, describe, save_image
from tests.inprocess import succeed
from wmhflow.bids.writer import read_table
from wmhflow.core.align.search import rigid_matrix
from wmhflow.files.itk import read_itk_affine, write_itk_affine

VISIT = Path("sub-01", "ses-1")
GIVEN = PHANTOM / "derivatives" / "maps" / VISIT / "dwi"
TILT = rigid_matrix((8, 0, 0, 0, 5, 12), np.zeros(3))
CONTROL = """
[[map]]
name = "Control"
unit = "1"
valid_range = [0.0, 1.0]
query = { suffix = "dwimap", param = "control" }
"""


def qsi_datasets(folder: Path) -> list[str]:
    """Write what QSIPrep before 1.0 and QSIRecon leave, and the same FA in the raw T1w's place."""
    fa = nib.load(GIVEN / "sub-01_ses-1_model-tensor_param-fa_dwimap.nii.gz")
    matrix = read_itk_affine(GIVEN / "sub-01_ses-1_from-dwi_to-T1w_mode-image_xfm.txt")
    in_place, data = np.linalg.inv(matrix) @ fa.affine, np.asarray(fa.dataobj)
    for dataset, name, affine in (
        ("qsirecon", "space-T1w_model-tensor_param-fa", TILT @ in_place),
        ("control", "space-T1w_param-control", in_place),
    ):
        root = describe(folder / dataset, GeneratedBy=[{"Name": dataset}])
        # another map would not hold the same values; what differs is below the tables' digits
        values = data if dataset == "qsirecon" else data * np.float32(1 + 2**-20)
        path = root / VISIT / "dwi" / f"sub-01_ses-1_{name}_dwimap.nii.gz"
        save_image(path, values.astype(np.float32), affine)
    qsiprep = describe(folder / "qsiprep", GeneratedBy=[{"Name": "qsiprep"}])
    anat = qsiprep / "sub-01" / "anat"
    anat.mkdir(parents=True)
    # raw points to AC-PC points; and the person's average T1w is 3 mm beside the visit's
    beside = rigid_matrix((0, 0, 2, 3, 0, 0), np.zeros(3))
    write_itk_affine(
        TILT @ np.linalg.inv(beside), anat / "sub-01_from-T1wACPC_to-T1wNative_mode-image_xfm.txt"
    )
    own = qsiprep / VISIT / "anat" / "sub-01_ses-1_from-orig_to-T1w_mode-image_xfm.txt"
    own.parent.mkdir(parents=True)
    # from-orig leads to the average: its points to those of the visit's T1w
    write_itk_affine(np.linalg.inv(beside), own)
    return [f"{name}={folder / name}" for name in ("qsirecon", "qsiprep", "control")]


@pytest.mark.slow
def test_maps_of_qsiprep_before_1_say_what_the_same_maps_in_place_say(tmp_path: Path) -> None:
    maps = tmp_path / "maps.toml"
    maps.write_text(CONTROL)
    more = [f"{name}={PHANTOM}/derivatives/{name}" for name in ("lesions", "parcellation")]
    words = [str(PHANTOM), str(tmp_path / "out"), "participant", "--participant-label", "01"]
    words += ["--session-label", "1", "--maps", str(maps), "-w", str(tmp_path / "work")]
    words += ["-d", *qsi_datasets(tmp_path / "data"), *more]
    said = succeed([*words, "--dry-run"]).out
    assert "from-T1wACPC_to-T1wNative" in said
    assert "then the inverse of sub-01_ses-1_from-orig_to-T1w" in said
    succeed(words)
    anat = tmp_path / "out" / VISIT / "anat"
    rows = read_table(anat / "sub-01_ses-1_desc-maps_regions.tsv")
    keys = ("seg", "index", "hemisphere", "tissue")
    mine, other = (
        {tuple(row[key] for key in keys): row for row in rows if row["map"] == name}
        for name in ("FA", "Control")
    )
    assert len(mine) > 200
    for key, row in mine.items():
        for column in ("mean", "median", "coverage"):
            one, two = row[column], other[key][column]
            if "n/a" in (one, two):
                assert one == two
            else:
                # tables have six digits
                assert float(one) == pytest.approx(float(two), rel=0, abs=1.001e-6), (key, column)
    white, lesions = mine["tissue", "5", "B", "NAWM"], mine["tissue", "6", "B", "WMH"]
    assert float(white["mean"]) == pytest.approx(0.42183, abs=1e-4)
    assert float(lesions["mean"]) == pytest.approx(0.2866, abs=1e-3)
    verdicts = {
        row["metric"]: row["verdict"]
        for row in read_table(anat / "sub-01_ses-1_desc-wmhflow_qc.tsv")
        if row["metric"].startswith("map_FA_registration_")
    }
    assert verdicts
    assert "check" not in verdicts.values()
    assert (anat / "sub-01_ses-1_from-FA_to-T1w_mode-image_xfm.txt").is_file()
    shutil.rmtree(tmp_path / "work")
