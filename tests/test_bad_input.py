"""Images that are not what their names say end in a sentence and exit code 1, never in a table."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import PHANTOM, describe
from tests.runs import wmhflow

pytestmark = pytest.mark.slow


def test_swapped_images_and_noise_fail_without_a_table(tmp_path: Path) -> None:
    dataset = describe(tmp_path / "raw")
    true = PHANTOM / "sub-02" / "anat"
    for person in ("noise", "swapped"):
        (dataset / f"sub-{person}" / "anat").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for suffix, other in (("T1w", "FLAIR"), ("FLAIR", "T1w")):
        source = true / f"sub-02_{suffix}.nii.gz"
        swapped = dataset / "sub-swapped" / "anat" / f"sub-swapped_{other}.nii.gz"
        shutil.copyfile(source, swapped)
        image = nib.load(source)
        noise = np.abs(rng.normal(100, 20, image.shape)).astype(np.float32)
        path = dataset / "sub-noise" / "anat" / f"sub-noise_{suffix}.nii.gz"
        nib.save(nib.Nifti1Image(noise, image.affine), path)
    done = wmhflow([dataset, tmp_path / "out", "participant", "-w", tmp_path / "work"])
    assert done.returncode == 1
    said = {line.split(" ")[0]: line for line in done.stderr.splitlines() if " FAILED: " in line}
    assert "sub-noise_T1w.nii.gz is noise" in said["sub-noise"]
    assert "sub-swapped_T1w.nii.gz and the FLAIR seem to be swapped" in said["sub-swapped"]
    assert "wmhflow.errors" not in done.stderr
    assert done.stderr.strip().endswith("2 of 2 persons failed.")
    assert not list((tmp_path / "out").glob("sub-*/**/*.tsv"))
    assert not list((tmp_path / "out").glob("sub-*.html"))
