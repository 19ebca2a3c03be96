"""A first look at an image file, so that bad input is found before an hour is spent on it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from wmhflow.errors import GridError, InputError

# A head's image, or a brain's, covers at least the one and at most the other along every axis.
LEAST_EXTENT_MM = 75.0
LARGEST_EXTENT_MM = 600.0
COARSEST_VOXEL_MM = 10.0
UNIT_SCALES = {"µm": 1e-3, "m": 1e3, "cm": 10.0}
UNREADABLE = (OSError, EOFError, zlib.error, ImageFileError, HeaderDataError, ValueError)


@dataclass(frozen=True)
class ImageFacts:
    """What a first full read of an image tells.

    ``affine`` maps voxels to world RAS mm (sform if its code is > 0, else qform); ``low`` and
    ``high`` are the extreme finite values; ``unit`` is the header's word for its unit of length.
    """

    path: Path
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    n_nonfinite: int
    n_nonzero: int
    low: float
    high: float
    unit: str = "unknown"

    @property
    def voxel_size_mm(self) -> NDArray[np.float64]:
        """Edges of a voxel, mm."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def extent_mm(self) -> NDArray[np.float64]:
        """How much the image covers along each of its axes, mm."""
        return np.asarray(self.voxel_size_mm * self.shape)

    @property
    def is_empty(self) -> bool:
        """Whether no finite voxel differs from zero."""
        return self.n_nonzero == 0


def load_volume(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], nib.Nifti1Image]:
    """Read a 3D image completely.

    Parameters
    ----------
    path
        A NIfTI file; a fourth dimension of length one is dropped.

    Returns
    -------
    data : ndarray of shape (X, Y, Z)
        Scaled values, non-finite ones as they are.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.
    image : nibabel image
        For its header.

    Raises
    ------
    InputError
        If the file cannot be read to its end, or is not 3D.
    GridError
        If its header says nothing valid about where it lies.
    """
    try:
        image = nib.load(path)
        shape = image.shape
        if len(shape) > 3 and all(length == 1 for length in shape[3:]):
            shape = shape[:3]
        if len(shape) != 3:
            raise InputError(
                f"{path} has the shape {'×'.join(map(str, image.shape))} where one 3D image is "
                "meant; give one volume, or one file per volume."
            )
        data = np.asanyarray(image.dataobj).reshape(shape)
        if data.dtype.kind not in "biuf":
            raise InputError(
                f"{path} holds {data.dtype} values (colours or complex numbers) where real numbers "
                "are meant; convert it."
            )
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read to its end ({_first_line(error)}); copy or make it again."
        ) from None
    return data, _valid_affine(path, image), image


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return text or type(error).__name__


def _valid_affine(path: Path, image: nib.Nifti1Image) -> NDArray[np.float64]:
    header = image.header
    if "sform_code" in header and int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise GridError(
            f"{path} does not say where it lies (sform and qform codes are both 0); "
            "copy the header of the image that it was made from."
        )
    affine = np.asarray(image.affine, dtype=np.float64)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / np.where(sizes > 0, sizes, 1)
    if not np.isfinite(affine).all() or abs(np.linalg.det(axes)) < 1e-6:
        raise GridError(
            f"{path} has an affine that cannot be inverted or is not finite; "
            "copy the header of the image that it was made from."
        )
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3:
        raise GridError(
            f"{path} has a sheared affine (its axes are not at right angles), on which distances "
            "in mm are not defined; resample it to an unsheared grid."
        )
    return affine


def inspect_image(path: Path) -> ImageFacts:
    """Read an image once and keep what the plan needs to know of it.

    Parameters
    ----------
    path
        A NIfTI file.

    Raises
    ------
    InputError
        As :func:`load_volume`.
    """
    data, affine, image = load_volume(path)
    finite = np.isfinite(data)
    values = data[finite]
    return ImageFacts(
        path,
        data.shape,
        affine,
        n_nonfinite=int(data.size - values.size),
        n_nonzero=int(np.count_nonzero(values)),
        low=float(values.min()) if values.size else float("nan"),
        high=float(values.max()) if values.size else float("nan"),
        unit=str(image.header.get_xyzt_units()[0]) if "xyzt_units" in image.header else "unknown",
    )


def check_anatomical(facts: ImageFacts) -> None:
    """Refuse an image that cannot be a T1w or FLAIR of a head, by header and extreme values.

    Parameters
    ----------
    facts
        Facts of the image.

    Raises
    ------
    InputError
        If it holds one value only, or covers less or more than any head along an axis, as it
        does where its affine is not in mm.
    """
    if facts.is_empty:
        raise InputError(f"{facts.path} holds no value other than 0; it cannot be used.")
    if facts.low == facts.high:
        raise InputError(f"{facts.path} holds the one value {facts.low:g}; it cannot be used.")
    extent, size = facts.extent_mm, facts.voxel_size_mm
    if _is_heads(extent) and size.max() <= COARSEST_VOXEL_MM:
        return
    wide = "×".join(f"{length:.3g}" for length in extent)
    for unit, scale in UNIT_SCALES.items():
        if _is_heads(extent * scale):
            raise InputError(
                f"{facts.path} spans {wide} mm by its affine, which seems to be in {unit} (its "
                f"header's unit is {facts.unit}); write the affine in mm."
            )
    if _is_heads(extent):
        coarse = "×".join(f"{length:.3g}" for length in size)
        raise InputError(
            f"{facts.path} has voxels of {coarse} mm, too coarse to see white matter lesions "
            f"(the limit is {COARSEST_VOXEL_MM:g} mm); give the image as it was acquired."
        )
    shape = "×".join(map(str, facts.shape))
    raise InputError(
        f"{facts.path} spans {wide} mm ({shape} voxels) where the image of a head spans "
        f"{LEAST_EXTENT_MM:g} to {LARGEST_EXTENT_MM:g} mm along every axis; "
        "give an image of the whole brain, with the header that its scanner gave it."
    )


def _is_heads(extent_mm: NDArray[np.float64]) -> bool:
    return bool(extent_mm.min() >= LEAST_EXTENT_MM and extent_mm.max() <= LARGEST_EXTENT_MM)


def same_lattice(one: ImageFacts, other: ImageFacts, tolerance_mm: float = 1e-2) -> bool:
    """Whether two images have the same voxel centres, in whatever order they are stored.

    Parameters
    ----------
    one, other
        Facts of both images.
    tolerance_mm
        Largest difference of a corner voxel's centre.
    """
    if sorted(one.shape) != sorted(other.shape):
        return False
    gaps = np.linalg.norm(_corners(one)[:, None] - _corners(other)[None], axis=2)
    return bool(max(gaps.min(axis=0).max(), gaps.min(axis=1).max()) <= tolerance_mm)


def same_values(one: Path, other: Path) -> bool:
    """Whether two images hold the same values in the same order, wherever they lie.

    Parameters
    ----------
    one, other
        NIfTI files.
    """
    first, second = load_volume(one)[0], load_volume(other)[0]
    return bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))


def _corners(facts: ImageFacts) -> NDArray[np.float64]:
    last = np.array(facts.shape) - 1
    index = np.array(np.meshgrid(*[[0, 1]] * 3, indexing="ij")).reshape(3, 8) * last[:, None]
    return (facts.affine[:3, :3] @ index + facts.affine[:3, 3:]).T
