"""Fields of displacements that are kept as images: ITK's are read, those of others are told apart.

ITK (ANTs' ``Warp.nii.gz``) keeps displacements in mm, in its own directions (to the left, to the
back, up), as a NIfTI image of five dimensions whose code of intent says vectors. Fields of FSL,
AFNI, SPM and Connectome Workbench are images as well, and mean other numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wmhflow.errors import InputError
from wmhflow.files.forms import read_forms
from wmhflow.files.headers import LENGTHS, NIFTI_ENDINGS, Header, check_size, read_any, read_plain
from wmhflow.files.images import open_image, read_box
from wmhflow.files.streams import first_bytes, said_of

if TYPE_CHECKING:
    from wmhflow.core.align.pulling import Displacements

FIELD_KIND = "DisplacementFieldTransform_double_3_3"
RAS_FROM_LPS = np.array([-1, -1, 1], np.float32)
# nifti1.h: a vector at each voxel, and one that is a displacement
VECTOR, DISPLACEMENT = 1007, 1006
# nifti1.h keeps codes for FSL: FNIRT's field and coefficients, and the same of TOPUP
FSL_FIELD, FSL_OTHERS = 2006, (2007, 2008, 2009, 2016, 2017, 2018)
# The code of AFNI's extension of a header.
AFNI = 4
# By version: where the code of intent stands, how it is kept, and where its name of 16 bytes is.
INTENT = {1: (68, "h", 328), 2: (504, "i", 508)}
# The text of 80 bytes that describes an image.
DESCRIBED = {1: 148, 2: 240}
GIVE = "give it as ITK (ANTs) keeps it, or the map resampled to the reference"
WORKBENCH = (
    "convert it with Connectome Workbench (wb_command -convert-warpfield -from-fnirt FIELD "
    "SOURCE_IMAGE -to-itk OUT.nii.gz), or give the map resampled to the reference"
)


@dataclass(frozen=True)
class _Told:
    """What a header tells of whose field an image is."""

    shape: tuple[int, ...]
    intent: int
    name: str
    described: str
    is_afni: bool

    @property
    def is_spm(self) -> bool:
        """Whether SPM wrote it: where each voxel comes from, and no displacement."""
        return self.name in ("Mapping", "Dartel") or self.described.startswith("Deformation")


def is_field_image(path: Path) -> bool:
    """Tell whether a transform's file is an image, by its name.

    Examples
    --------
    >>> is_field_image(Path("sub-01_from-dwi_to-T1w_mode-image_xfm.nii.gz"))
    True
    """
    return path.name.endswith(NIFTI_ENDINGS)


# Whose field it is, in the order in which it is asked, and what to do with it.
_OTHERS: tuple[tuple[Callable[[_Told], bool], str, str], ...] = (
    (lambda told: told.intent == FSL_FIELD, "is a field of FSL (FNIRT)", WORKBENCH),
    (
        lambda told: told.intent in FSL_OTHERS,
        "holds coefficients of FSL (FNIRT or TOPUP) or a field of TOPUP",
        f"make a field of it (fnirtfileutils --withaff), and {WORKBENCH}",
    ),
    (lambda told: told.is_afni, "is a field of AFNI", GIVE),
    (lambda told: told.is_spm, "is a deformation of SPM", GIVE),
    (
        lambda told: len(told.shape) == 4 and told.shape[3] == 3,
        "has three volumes and no mark of whose field it is, as FSL's and Workbench's can be",
        WORKBENCH,
    ),
    (
        lambda told: told.intent == DISPLACEMENT,
        (
            f"says that it holds displacements (intent {DISPLACEMENT}), which programs read in "
            "other directions than ITK's"
        ),
        f"{GIVE} (intent {VECTOR}, LPS)",
    ),
    (
        lambda told: len(told.shape) == 5 and told.shape[3:] == (1, 3) and told.intent != VECTOR,
        f"does not say that it holds vectors (its intent is not {VECTOR})",
        GIVE,
    ),
    (
        lambda told: len(told.shape) != 5 or told.shape[3:] != (1, 3),
        "is no field of displacements (ITK's has the shape X×Y×Z×1×3)",
        GIVE,
    ),
)


def foreign_field(path: Path) -> str | None:
    """Say whose field an image holds that is none of ITK's, and what to do with it.

    Parameters
    ----------
    path
        An image.

    Returns
    -------
    str or None
        The rest of a sentence that begins with the file's name; None if it is ITK's.

    Raises
    ------
    InputError
        If its header cannot be read.
    """
    told = _told(path)
    shape = "×".join(map(str, told.shape))
    for holds, what, advice in _OTHERS:
        if holds(told):
            return f"{what}; its shape is {shape}; {advice}"
    return None


def check_field(path: Path) -> None:
    """Refuse an image that is no field of ITK, or does not say where it lies.

    Parameters
    ----------
    path
        An image.

    Raises
    ------
    InputError
        If its header cannot be read, it is another program's, or its forms differ.
    GridError
        If it says nothing valid about where it lies.
    """
    foreign = foreign_field(path)
    if foreign is not None:
        raise InputError(f"{path} {foreign}.")
    read_box(path)
    forms = read_forms(path)
    if forms is not None and (forms.sizes_differ or forms.places_differ):
        raise InputError(
            f"{path} says two places in its header (its sform and qform or voxel sizes differ), "
            "and programs do not agree on which they read; write one of them anew."
        )


def read_field(path: Path) -> Displacements:
    """Read a field of displacements of ITK from an image, to its end.

    Parameters
    ----------
    path
        An image that :func:`check_field` lets pass.

    Returns
    -------
    Displacements
        Turned from LPS to RAS; values that are not finite stay.

    Raises
    ------
    InputError
        As :func:`check_field`, or if the file cannot be read to its end.
    """
    # it knows compiled functions, whose folder is chosen after this module is imported
    from wmhflow.core.align.pulling import Displacements

    check_field(path)
    with said_of(path):
        image = open_image(path)
        vectors = np.asanyarray(image.dataobj).reshape(*image.shape[:3], 3)
        affine: NDArray[np.float64] = np.asarray(image.affine, np.float64)
    # a value beyond single precision becomes infinite, and is refused as such
    with np.errstate(over="ignore"):
        single = np.asarray(vectors, np.float32)
    return Displacements(np.ascontiguousarray(single * RAS_FROM_LPS), affine)


def _told(path: Path) -> _Told:
    with said_of(path):
        block, held = first_bytes(path)
        header = read_plain(block) or read_any(path, block)
        check_size(path, header, held)
        if header.dtype.kind not in "iuf":
            raise InputError(f"{path} holds {header.dtype} values, and no displacements; {GIVE}.")
        place, kind, name = INTENT[header.version]
        (intent,) = struct.unpack_from(header.order + kind, block, place)
        described = DESCRIBED[header.version]
        return _Told(
            header.shape,
            intent,
            _text(block[name : name + 16]),
            _text(block[described : described + 80]),
            _has_extension(header, block, AFNI),
        )


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("latin1").strip()


def _has_extension(header: Header, block: bytes, code: int) -> bool:
    """Tell whether a header is followed by an extension of a program, within the first bytes."""
    length, end = LENGTHS[header.version]
    if not block[length]:
        return False
    while end + 8 <= min(header.offset, len(block)):
        size, found = struct.unpack_from(header.order + "ii", block, end)
        if found == code:
            return True
        if size <= 0:
            break
        end += size
    return False
