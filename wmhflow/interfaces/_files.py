"""Small helpers that every interface uses to read and write work files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from wmhflow.files.images import save_work_image


def load(path: str | Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a work image: voxels as stored (scaled, if it is) and the affine."""
    image = nib.load(path)
    return np.asanyarray(image.dataobj), np.asarray(image.affine, dtype=np.float64)


def load_labels(path: str | Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read a label image as integers."""
    data, affine = load(path)
    return np.rint(data).astype(np.int64), affine


def load_mask(path: str | Path) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Read a mask as booleans."""
    data, affine = load(path)
    return data != 0, affine


def save(
    folder: str | Path,
    name: str,
    data: NDArray[Any],
    affine: NDArray[np.float64],
    dtype: Any = None,
) -> str:
    """Write ``<name>.nii`` into a node's folder and return its path."""
    return save_work_image(Path(folder) / f"{name}.nii", data, affine, dtype)


class Columns(NamedTuple):
    """Values, (n, k), at the n voxels of a mask, in the order of ``voxels_of``."""

    values: NDArray[Any]
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]


def save_columns(folder: str | Path, name: str, columns: Columns) -> str:
    """Write ``<name>.npz`` into a node's folder and return its path."""
    path = Path(folder) / f"{name}.npz"
    np.savez(path, **columns._asdict())
    return str(path)


def load_columns(path: str | Path) -> Columns:
    """Read what :func:`save_columns` wrote."""
    with np.load(path) as stored:
        return Columns(**stored)


def save_json(folder: str | Path, name: str, content: Any) -> str:
    """Write ``<name>.json`` into a node's folder and return its path."""
    path = Path(folder) / f"{name}.json"
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return str(path)


def load_json(path: str | Path) -> Any:
    """Read a JSON file; NaN was written as NaN."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
