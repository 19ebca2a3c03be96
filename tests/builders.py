"""Small BIDS datasets for the tests, made in temporary folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PHANTOM = ROOT / "bids_examples" / "phantom"
# Real scans and atlases, beside the project; tests that need them are skipped without.
DATA = ROOT.parent / "shared" / "data"
# coarse, so that few voxels cover a head
AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])


def cube(value: float = 100) -> Any:
    """A bright cube in a dark field."""
    data = np.zeros((8, 9, 10), dtype=np.float32)
    data[2:6, 2:6, 2:6] = value
    return data


def save_image(
    path: Path,
    data: Any = None,
    affine: Any = AFFINE,
    *,
    code: int = 1,
    dtype: Any = np.float32,
) -> Path:
    """Write a small image; by default a bright cube in a dark field."""
    if data is None:
        data = cube()
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.asarray(data, dtype=dtype), affine)
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    nib.save(image, path)
    return path


def describe(root: Path, **extra: Any) -> Path:
    """Make a folder a BIDS dataset."""
    root.mkdir(parents=True, exist_ok=True)
    content = {"Name": "test", "BIDSVersion": "1.10.0"} | extra
    (root / "dataset_description.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def made_atlases(folder: Path) -> list[str]:
    """Write two atlases in the program's template, and return the words that lay them over.

    ``halves`` has a label on either side of x = 0. ``tracts`` has two regions that overlap: the
    left half with probability 1, and all of it with 0.5.
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.array([[-4.0, 0, 0, 98], [0, 4, 0, -134], [0, 0, 4, -72], [0, 0, 0, 1]])
    left = np.zeros((50, 59, 48), bool)
    left[25:] = True
    nib.save(nib.Nifti1Image(np.where(left, 7, 3).astype(np.int16), affine), folder / "h.nii.gz")
    (folder / "h.txt").write_text("7|HL|half left\n3|HR|half right\n")
    shares = np.stack([left, np.full(left.shape, 0.5)], axis=-1).astype(np.float32)
    nib.save(nib.Nifti1Image(shares, affine), folder / "t.nii.gz")
    (folder / "t.txt").write_text("1|BL|bundle left\n2|ALL|everything\n")
    given = [f"halves={folder}/h.nii.gz", f"tracts={folder}/t.nii.gz"]
    template = "MNI152NLin2009aSym"
    own = [f"{name}={template}" for name in ("halves", "tracts")]
    return ["--atlas", *given, "--atlas-template", *own]
