"""The two ways in which a NIfTI header says where an image lies, and whether they agree."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from wmhflow.errors import GridError, InputError
from wmhflow.files.streams import first_bytes

SFORM, QFORM = "sform", "qform"
# Headers round their numbers to single precision, and some programs to two digits.
MOST_SIZE_DIFFERENCE = 0.01
# Nothing that is measured here hangs on less than half a voxel.
MOST_VOXELS_APART = 0.5
# What is within this share of a limit is within it, however numbers are rounded.
SURE = 0.99
# as nibabel has it: a quaternion is stored in single precision
ROUNDED = 3 * float(np.finfo(np.float32).eps)
CORNERS = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
# sizeof_hdr, dim, pixdim, qform_code, sform_code, quatern_b to d, qoffset_x to z, srow_x to srow_z
FORMS = struct.Struct("<i36x8h20x8f144x2h6f12f")


@dataclass(frozen=True)
class Forms:
    """What a header says of an image's place; each affine leads from voxels to RAS mm.

    ``sizes`` are the edges of a voxel in mm as ``pixdim`` has them, which the qform uses. An affine
    is None where its code is 0.
    """

    shape: tuple[int, int, int]
    sizes: NDArray[np.float64]
    sform: NDArray[np.float64] | None
    qform: NDArray[np.float64] | None

    @property
    def other(self) -> tuple[str, NDArray[np.float64]] | None:
        """The name and the affine of the form that is not believed; None if there is one form."""
        if self.sform is None or self.qform is None:
            return None
        return QFORM, self.qform

    @property
    def sizes_differ(self) -> bool:
        """Whether the sform's voxel is of another size than pixdim, by more than rounding."""
        if self.sform is None:
            return False
        stated = np.abs(self.sizes)
        if self.qform is None and not np.all(stated > 0):
            return False
        with np.errstate(all="ignore"):
            ratio = stated / np.linalg.norm(self.sform[:3, :3], axis=0)
        return not bool(np.all(np.abs(ratio - 1) <= MOST_SIZE_DIFFERENCE))

    @property
    def apart_mm(self) -> float:
        """How far the two forms take the corners of the image from each other, mm."""
        if self.sform is None or self.qform is None:
            return 0.0
        last = [*(length - 1 for length in self.shape), 1]
        gaps = (self.sform - self.qform)[:3] @ (CORNERS * last).T
        return float(np.sqrt((gaps * gaps).sum(axis=0).max()))

    @property
    def places_differ(self) -> bool:
        """Whether the two forms place a voxel of the image half of its size apart or more."""
        if self.sform is None:
            return False
        smallest = float(np.linalg.norm(self.sform[:3, :3], axis=0).min())
        return not self.apart_mm <= MOST_VOXELS_APART * smallest


def read_forms(path: Path, begin: bytes = b"") -> Forms | None:
    """Read both forms of an image's header, and none of its voxels.

    Parameters
    ----------
    path
        A NIfTI file whose header can be read.
    begin
        Its first bytes, decompressed, if they were read before.

    Returns
    -------
    Forms or None
        None where the format has no two forms.
    """
    block = begin or first_bytes(path)[0]
    if len(block) >= FORMS.size and block[:4] == struct.pack("<i", 348):
        _, *fields = FORMS.unpack_from(block)
        shape, pixdim, codes = fields[:8], fields[8:16], fields[16:18]
        numbers, rows = fields[18:24], fields[24:]
        qform = _quaternion_form(pixdim, numbers) if codes[0] > 0 else None
        sform = np.array([*rows, 0, 0, 0, 1.0]).reshape(4, 4) if codes[1] > 0 else None
        lengths = (shape[1], shape[2], shape[3])
        return Forms(lengths, np.array(pixdim[1:4]), sform, qform)
    image: Any = nib.load(path)
    header = image.header
    if "sform_code" not in header:
        return None
    quaternion = [header[f"quatern_{name}"] for name in "bcd"]
    offsets = [header[f"qoffset_{name}"] for name in "xyz"]
    numbers = [float(number) for number in (*quaternion, *offsets)]
    pixdim = [float(number) for number in header["pixdim"]]
    return Forms(
        image.shape[:3],
        np.array(pixdim[1:4]),
        header.get_sform() if int(header["sform_code"]) > 0 else None,
        _quaternion_form(pixdim, numbers) if int(header["qform_code"]) > 0 else None,
    )


def _surely_agree(block: bytes) -> bool:
    """Tell whether a header's forms agree so well that no rounding can make it otherwise.

    Plain numbers, since a plan looks at many headers: numpy takes ten times as long, and is asked
    where this says no.
    """
    if len(block) < FORMS.size or block[:4] != struct.pack("<i", 348):
        return False
    _, *fields = FORMS.unpack_from(block)
    lengths, pixdim, codes = fields[1:4], fields[8:16], fields[16:18]
    if codes[1] <= 0:
        return False
    sform = [fields[24:28], fields[28:32], fields[32:36]]
    edges = [math.hypot(sform[0][axis], sform[1][axis], sform[2][axis]) for axis in range(3)]
    within = SURE * MOST_SIZE_DIFFERENCE
    if not all(
        edge > 0 and abs(abs(stated) / edge - 1) <= within
        for stated, edge in zip(pixdim[1:4], edges, strict=True)
    ):
        return False
    if codes[0] <= 0:
        return True
    last = [length - 1 for length in lengths] + [1]
    apart = [
        sum(abs(a - b) * far for a, b, far in zip(ours, theirs, last, strict=True))
        for ours, theirs in zip(sform, _quaternion_rows(pixdim, fields[18:24]), strict=True)
    ]
    return math.hypot(*apart) <= SURE * MOST_VOXELS_APART * min(edges)


def _quaternion_form(pixdim: Any, numbers: Any) -> NDArray[np.float64]:
    """Make the affine of the qform; it may hold NaN."""
    return np.array([*_quaternion_rows(pixdim, numbers), [0.0, 0.0, 0.0, 1.0]])


def _quaternion_rows(pixdim: Any, numbers: Any) -> list[list[float]]:
    """Return the rows of the affine of the qform, by the rule of nifti1.h.

    Plain numbers: a plan reads many headers, and nibabel takes ten times as long.
    """
    b, c, d, *offset = numbers
    rest = 1.0 - (b * b + c * c + d * d)
    if abs(rest) < ROUNDED:
        length = math.sqrt(1.0 - rest)
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = math.sqrt(rest) if rest > 0 else math.nan
    i, j, k = pixdim[1], pixdim[2], pixdim[3] * (-1.0 if pixdim[0] < 0 else 1.0)
    rows = (
        ((a * a + b * b - c * c - d * d) * i, 2 * (b * c - a * d) * j, 2 * (b * d + a * c) * k),
        (2 * (b * c + a * d) * i, (a * a + c * c - b * b - d * d) * j, 2 * (c * d - a * b) * k),
        (2 * (b * d - a * c) * i, 2 * (c * d + a * b) * j, (a * a + d * d - b * b - c * c) * k),
    )
    return [[*row, move] for row, move in zip(rows, offset, strict=True)]


def check_forms(path: Path, trust: str | None, begin: bytes = b"") -> str | None:
    """Refuse an image whose header says two sizes of a voxel; note one that says two places.

    Parameters
    ----------
    path
        A NIfTI file whose header can be read.
    trust
        The form that is believed where they disagree; None if the user did not say.
    begin
        The file's first bytes, as for :func:`read_forms`.

    Returns
    -------
    str or None
        What is to be said of two places.

    Raises
    ------
    GridError
        If the sizes disagree by more than 1 % and nothing says which is meant.
    """
    if _surely_agree(begin):
        return None
    forms = read_forms(path, begin)
    if forms is None or forms.sform is None:
        return None
    if forms.sizes_differ and trust is None:
        stated, used = (
            "×".join(f"{size:.4g}" for size in sizes)
            for sizes in (np.abs(forms.sizes), np.linalg.norm(forms.sform[:3, :3], axis=0))
        )
        raise GridError(
            f"{path} has voxels of {used} mm by its sform and of {stated} mm by its "
            f"{'qform' if forms.qform is not None else 'pixdim'}; look which is right and write it "
            "into the header, or say --trust sform or --trust qform."
        )
    if trust == QFORM and forms.qform is None and forms.sizes_differ:
        raise GridError(f"{path} has no qform (its code is 0), which --trust qform asks for.")
    if not forms.places_differ:
        return None
    used, other = (QFORM, SFORM) if trust == QFORM else (SFORM, QFORM)
    return (
        f"{path.name}: its sform and its qform place it up to {forms.apart_mm:.3g} mm apart; the "
        f"{used} is used (--trust {other} takes the other one)"
    )


def trusted_affine(
    path: Path, affine: NDArray[np.float64], trust: str | None
) -> NDArray[np.float64]:
    """Return where an image lies by the form that is trusted.

    Parameters
    ----------
    path
        The image.
    affine
        Where it lies by its sform, or by its qform if it has no sform.
    trust
        ``qform`` takes the qform where there is one; all else leaves the affine.

    Raises
    ------
    InputError
        If the qform cannot be used.
    """
    forms = read_forms(path) if trust == QFORM else None
    if forms is None or forms.qform is None:
        return affine
    shape = forms.qform[:3, :3]
    if not np.isfinite(forms.qform).all() or not abs(np.linalg.det(shape)) > 1e-9:
        raise InputError(f"{path} has a qform that cannot be used; say --trust sform.")
    return forms.qform
