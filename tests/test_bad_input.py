"""Images that are not what their names say end in a sentence and exit code 1, never in a table."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from tests.coarse import coarse_dataset, save
from tests.inprocess import run


def test_swapped_images_and_noise_fail_without_a_table(tmp_path: Path) -> None:
    coarse = coarse_dataset(tmp_path, [("noise", None), ("swapped", None)])
    rng = np.random.default_rng(0)
    for suffix in ("T1w", "FLAIR"):
        path = coarse.find(f"sub-noise_{suffix}.nii.gz")
        image = nib.load(path)
        noise = np.abs(rng.normal(100, 20, image.shape)).astype(np.float32)
        save(path, noise, image.affine)
    t1w, flair = (coarse.find(f"sub-swapped_{suffix}.nii.gz") for suffix in ("T1w", "FLAIR"))
    values = [np.asanyarray(nib.load(path).dataobj).copy() for path in (t1w, flair)]
    for path, other in ((t1w, values[1]), (flair, values[0])):
        save(path, other, nib.load(path).affine)
    done = run(coarse.words())
    assert done.code == 1
    said = {line.split(" ")[0]: line for line in done.err.splitlines() if " FAILED: " in line}
    assert "sub-noise_T1w.nii.gz is noise" in said["sub-noise"]
    assert "sub-swapped_T1w.nii.gz and the FLAIR seem to be swapped" in said["sub-swapped"]
    assert "wmhflow.errors" not in done.err
    assert done.err.strip().endswith("2 of 2 persons failed.")
    assert not list(coarse.out.glob("sub-*/**/*.tsv"))
    assert not list(coarse.out.glob("sub-*.html"))
