"""Transform files as they are given: whose they are, and the matrix of those that are linear.

A transform that brings an image to the reference is kept by ITK (ANTs, fMRIPrep; fields of
displacements as images, too), FSL's flirt or FreeSurfer. Matrices here map points of the reference
to points of the image, in RAS mm, as ITK's files do in LPS mm; flirt's and FreeSurfer's files say
the opposite direction.

ITK's files are read by hand, because planning looks at every transform that is given: to import
ANTs for it takes 4 s, and ANTs would read whole displacement fields where only the list of what a
file is composed of is wanted, which h5py reads alone.

flirt's and FreeSurfer's are read by hand, because nitransforms 25.1 agrees on sound files (to
2e-13 over 9 pairs of images and its own 13 LTAs) but is silent on others: what is no number becomes
NaN, a reversed LTA passes, and of an LTA of voxels it takes the geometry that the file marks as
invalid, 340 mm off in the case of our tests. It would add 0.5 s to planning and 19 MB to the
installation, to spare a dozen lines, those of flirt's conversion, in which it is right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.errors import InputError
from wmhflow.files.fields import FIELD_KIND, check_field, is_field_image
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import read_series_header
from wmhflow.files.numbers import plain_numbers
from wmhflow.files.streams import FIRST_BYTES, MOST_PACKED, UNREADABLE, check_file, first_line

TRANSFORM_EXTENSIONS = (".txt", ".mat", ".h5", ".lta", ".nii.gz", ".nii")
CONVERT = "convert it to one of ITK (.txt, .h5), or give the map resampled to the reference"
_LTA = "make an .lta of it (lta_convert)"
# Endings of transforms of other programs: whose they are, and what to do.
FOREIGN_ENDINGS = {
    ".1d": f"a transform of AFNI is not read; {CONVERT}",
    ".brik": f"a field of AFNI is not read; {CONVERT}",
    ".brik.gz": f"a field of AFNI is not read; {CONVERT}",
    ".head": f"a field of AFNI is not read; {CONVERT}",
    ".m3z": "FreeSurfer's .m3z is not read; make a field of ITK of it (mri_warp_convert --outitk)",
    ".mgz": "FreeSurfer's field is not read; make one of ITK of it (mri_warp_convert --outitk)",
    ".dat": f"FreeSurfer's register.dat is not read; {_LTA}",
    ".xfm": f"MINC's .xfm is not read; {_LTA}",
    ".tfm": "ITK's .tfm is not read; call it .txt, which it is but for its name",
    ".x5": f"nitransforms' .x5 is not read; {CONVERT}",
}
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LTA_VOXELS, LTA_WORLD = 0, 1
# By so much the axes of its images may differ from a length of 1 and from right angles.
MOST_OFF_AXES = 0.01
HDF5_START = b"\x89HDF\r\n\x1a\n"
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class TransformFile:
    """A transform that was given.

    ``program`` is ``ITK``, ``FSL`` or ``FreeSurfer``. ``parts`` names what an ITK file is composed
    of; ``matrices`` make the matrix of each part, of which one is None if it is not linear, or no
    linear kind that is known.
    """

    path: Path
    program: str
    parts: tuple[str, ...]
    matrices: tuple[Callable[[], Matrix] | None, ...]

    @property
    def is_linear(self) -> bool:
        """Whether it is one matrix."""
        return None not in self.matrices

    @cached_property
    def matrix(self) -> Matrix | None:
        """The one matrix, if it is linear; of what a file lists, ITK applies the last first."""
        whole = np.eye(4)
        for make in self.matrices:
            if make is None:
                return None
            try:
                whole = whole @ make()
            except (ValueError, IndexError) as error:
                raise InputError(
                    f"{self.path} has numbers that make no matrix ({error}); give it as its "
                    "program wrote it."
                ) from None
        return whole


def read_transform(path: Path) -> TransformFile:
    """Read a transform file of any program.

    Parameters
    ----------
    path
        ITK (``.txt``, ``.mat``, ``.h5``, or an image), flirt (``.mat``) or FreeSurfer (``.lta``).

    Returns
    -------
    TransformFile
        The matrix of ITK's files is in RAS mm; those of FSL and FreeSurfer are as they stand in
        the file, see :func:`linear_matrix`.

    Raises
    ------
    InputError
        If the file is none of these.
    """
    if is_field_image(path):
        check_field(path)
        return TransformFile(path, "ITK", (FIELD_KIND,), (None,))
    with _said_of(path):
        begin = check_file(path)
        if path.suffix == ".lta":
            lta = _read_lta(path)
            return TransformFile(path, "FreeSurfer", (), (lambda: lta.matrix,))
        if path.suffix == ".mat":
            flirt = _read_numbers(path)
            if flirt is not None:
                return TransformFile(path, "FSL", (), (lambda: flirt,))
        if path.suffix in (".mat", ".h5"):
            parts = _itk_matlab(path) if path.suffix == ".mat" else _itk_hdf5(path)
        else:
            parts = _itk_text(path, begin)
    if not parts:
        raise InputError(
            f"{path} holds no transform{_whose_text(begin)}; give a file of ITK (.txt, .mat, .h5), "
            "flirt (.mat) or FreeSurfer (.lta)."
        )
    kinds, matrices = zip(*parts, strict=True)
    return TransformFile(path, "ITK", kinds, matrices)


def foreign_transform(name: str) -> str | None:
    """Say of a file that is called a transform whose it is, if files of its kind are not read.

    Parameters
    ----------
    name
        The file's.

    Returns
    -------
    str or None
        Whose it is and what to do; None if it is read, or no transform.

    Examples
    --------
    >>> foreign_transform("sub-01_from-dwi_to-T1w_xfm.aff12.1D")[:34]
    'a transform of AFNI is not read; c'
    >>> foreign_transform("sub-01_from-dwi_to-T1w_xfm.mat") is None
    True
    """
    _, is_named, ending = name.partition("_xfm")
    if not is_named or ending in {"", ".json", *TRANSFORM_EXTENSIONS}:
        return None
    known = (found for end, found in FOREIGN_ENDINGS.items() if ending.lower().endswith(end))
    return next(known, f"a transform in {ending} is not read; {CONVERT}")


def _whose_text(begin: bytes) -> str:
    """Say what numbers without ITK's words are, of a text file; nothing if nobody can tell."""
    lines = [line for line in begin.decode("latin1").splitlines() if not line.startswith("#")]
    counts = [len(line.split()) for line in lines if line.strip()]
    if counts == [4] * 4:
        return " of ITK but 4×4 numbers alone (call flirt's .mat, and convert MRtrix's and others')"
    if counts in ([12], [4] * 3):
        return " of ITK but 3×4 numbers alone, as AFNI writes them"
    if counts[:1] == [1] and counts[4:8] == [4] * 4:
        return " of ITK, and looks like FreeSurfer's register.dat (lta_convert makes an .lta of it)"
    return ""


def program_of(path: Path) -> str:
    """Say whose a transform is; a composite of ITK, which takes long to open, is not read.

    Parameters
    ----------
    path
        As of :func:`read_transform`.

    Raises
    ------
    InputError
        If the file is no transform, as far as it was read.
    """
    if path.suffix != ".h5":
        return read_transform(path).program
    with _said_of(path):
        if not check_file(path).startswith(HDF5_START):
            raise ValueError("it is no HDF5 file")
    return "ITK"


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read as a transform ({first_line(error)}); give a file of ITK "
            "(.txt, .mat, .h5), flirt (.mat) or FreeSurfer (.lta)."
        ) from None


def linear_matrix(
    path: Path,
    moving: Path,
    fixed: Path,
    trust: str | None = None,
    given: TransformFile | None = None,
) -> Matrix:
    """Return the matrix of a linear transform of any program.

    Parameters
    ----------
    path
        The transform, from the moving to the fixed image.
    moving, fixed
        The images. flirt's matrices mean nothing without them.
    trust
        The form of their headers that is believed, ``sform`` or ``qform``.
    given
        What the transform's file holds, if it was read before.

    Returns
    -------
    ndarray, (4, 4)
        Points of fixed to points of moving, RAS mm.

    Raises
    ------
    InputError
        If it is not linear, or cannot belong to these images.
    """
    given = given or read_transform(path)
    if given.matrix is None:
        raise InputError(f"{path} is not linear ({', '.join(given.parts)}), which is needed here.")
    if given.program == "ITK":
        return given.matrix
    if not np.isfinite(given.matrix).all() or np.linalg.matrix_rank(given.matrix) < 4:
        raise InputError(
            f"{path} has a matrix that is not finite or has no inverse; give it as its program "
            "wrote it."
        )
    images = [_Geometry.of(image, trust) for image in (moving, fixed)]
    if given.program == "FSL":
        return from_flirt(given.matrix, *images)
    lta = _read_lta(path)
    if lta.reversed_for(*images):
        raise InputError(
            f"{path} leads from an image like {fixed} to one like {moving}, the other way round; "
            "invert it (lta_convert --invert)."
        )
    moved_mm = lta.moved_since(*images)
    if moved_mm:
        raise InputError(
            f"{path} was made when {moving} or {fixed} lay elsewhere (by up to {moved_mm:.3g} mm, "
            "as the .lta itself says): a header was changed since; make the transform again."
        )
    return lta.world_matrix(*images)


# --- ITK ------------------------------------------------------------------------------------------

_Part = tuple[str, Callable[[], Matrix] | None]
_ITK_PART = re.compile(
    r"^Transform: *(\S+)\s*\n(?:Parameters: *(.*)\n)?(?:FixedParameters: *(.*))?",
    flags=re.MULTILINE,
)


# Every line of ITK's text: one that is damaged would be passed over, with the centre that it held.
_ITK_LINE = re.compile(r"\s*|#.*|(Transform|Parameters|FixedParameters):.*")


def _itk_text(path: Path, begin: bytes) -> list[_Part]:
    # one that begins with a mark of the order of bytes cannot be read by ITK itself
    if len(begin) < FIRST_BYTES and begin.isascii() and b"\r" not in begin:
        # these are all, as of nearly every linear transform
        text = begin.decode("ascii")
    else:
        text = path.read_text(encoding="utf-8")
    found = _ITK_PART.findall(text)
    for number, line in enumerate(text.split("\n") if found else (), 1):
        if not _ITK_LINE.fullmatch(line):
            raise ValueError(f"line {number} is no line of an ITK transform: {line[:40]!r}")
    return [
        (kind, _itk_matrix(kind, *(plain_numbers(part.split()) for part in (numbers, fixed))))
        for kind, numbers, fixed in found
        if not kind.startswith("CompositeTransform")
    ]


def _itk_matlab(path: Path) -> list[_Part]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        loaded = loadmat(path)
    except (MatReadError, NotImplementedError) as error:
        raise ValueError(error) from None
    content = {name: value for name, value in loaded.items() if not name.startswith("_")}
    fixed = np.ravel(content.pop("fixed"))
    return [(kind, _itk_matrix(kind, np.ravel(value), fixed)) for kind, value in content.items()]


def _itk_hdf5(path: Path) -> list[_Part]:
    import h5py

    with h5py.File(path) as file:
        return list(_hdf5_parts(file["TransformGroup"]))


def _hdf5_parts(group: Any) -> Iterator[_Part]:
    for number in sorted(group, key=int):
        part = group[number]
        kind = _kind_of(part["TransformType"][()])
        if kind.startswith("CompositeTransform"):
            continue
        if "Displacement" in kind or "BSpline" in kind:
            # their parameters are as large as images
            yield kind, None
        else:
            numbers, fixed = (_numbers_of(part, which) for which in ("", "Fixed"))
            yield kind, _itk_matrix(kind, numbers, fixed)


def _kind_of(value: Any) -> str:
    first = np.ravel(value)[0]
    return first.decode() if isinstance(first, bytes) else str(first)


def _numbers_of(entry: Any, part: str) -> NDArray[np.float64]:
    found = parameters_of(entry, part)
    check_stored(found)
    return np.ravel(found[()]).astype(np.float64)


def parameters_of(entry: Any, part: str) -> Any:
    """Return the parameters of a transform in an HDF5 file; ``part`` is empty or ``Fixed``."""
    # older versions of ITK write the name without its first s
    names = (f"Transform{part}Parameters", f"Tranform{part}Parameters")
    return entry[next(name for name in names if name in entry or name == names[1])]


def check_stored(entry: Any) -> None:
    """Refuse numbers of an HDF5 file that are not all there, before any of them is read.

    Raises
    ------
    ValueError
        If there are more than the file can hold.
    """
    if entry.nbytes > entry.id.get_storage_size() * MOST_PACKED:
        raise ValueError(f"it promises {entry.size} numbers of {entry.name} and holds fewer")


def _itk_matrix(
    kind: str, numbers: NDArray[np.float64], fixed: NDArray[np.float64]
) -> Callable[[], Matrix] | None:
    """Return what makes the matrix of one of ITK's transforms; None if its kind is not linear."""
    name = kind.partition("_")[0]
    if name in _OTHER_KINDS:
        return None
    if name not in _LINEAR_KINDS:
        # passed over as one that bends, another way might be taken in its place
        raise ValueError(f"{kind} is no kind of transform that ITK has")
    n_numbers, turn = _LINEAR_KINDS[name]
    if numbers.size != n_numbers:
        raise ValueError(f"{kind} has {numbers.size} parameters instead of {n_numbers}")
    if n_numbers > 3 and fixed.size < 3:
        raise ValueError(f"{kind} has {fixed.size} fixed parameters, and its centre takes 3")
    return partial(_ras_matrix, turn, numbers, fixed)


def _ras_matrix(
    turn: Callable[..., Matrix], numbers: NDArray[np.float64], fixed: NDArray[np.float64]
) -> Matrix:
    lps = np.eye(4)
    lps[:3, :3] = turn(numbers, fixed)
    centre = fixed[:3] if fixed.size >= 3 else np.zeros(3)
    shift = {12: numbers[9:], 3: numbers, 0: np.zeros(3)}.get(numbers.size, numbers[3:6])
    lps[:3, 3] = shift + centre - lps[:3, :3] @ centre
    return LPS_FROM_RAS @ lps @ LPS_FROM_RAS


def _rows(numbers: NDArray[np.float64], _: Any) -> Matrix:
    return numbers[:9].reshape(3, 3)


def _versor(numbers: NDArray[np.float64], _: Any) -> Matrix:
    from scipy.spatial.transform import Rotation

    vector = numbers[:3]
    rest = np.sqrt(max(1.0 - float(vector @ vector), 0.0))
    return np.asarray(Rotation.from_quat([*vector, rest]).as_matrix())


def _scaled_versor(numbers: NDArray[np.float64], _: Any) -> Matrix:
    return _versor(numbers, _) * numbers[6]


def _euler(numbers: NDArray[np.float64], fixed: NDArray[np.float64]) -> Matrix:
    x, y, z = (_turned_about(axis, float(angle)) for axis, angle in enumerate(numbers[:3]))
    # the fourth fixed parameter, if there, says which of two orders is meant
    return z @ y @ x if fixed.size > 3 and fixed[3] else z @ x @ y


def _turned_about(axis: int, angle: float) -> Matrix:
    """Return the turn about one axis, by way of a quaternion; scipy's own to the last digit.

    A plan reads every transform, and scipy takes ten times as long, and longer to be imported.
    """
    if not math.isfinite(angle):
        return np.full((3, 3), math.nan)
    sine, cosine = math.sin(angle / 2), math.cos(angle / 2)
    along, across = cosine * cosine - sine * sine, 2 * (sine * cosine)
    own = sine * sine + cosine * cosine
    one, other = (axis + 1) % 3, (axis + 2) % 3
    found = np.zeros((3, 3))
    found[axis, axis] = own
    found[one, one] = found[other, other] = along
    found[other, one], found[one, other] = across, -across
    return found


def _unturned(_numbers: Any, _fixed: Any) -> Matrix:
    return np.eye(3)


_LINEAR_KINDS: dict[str, tuple[int, Callable[..., Matrix]]] = {
    "MatrixOffsetTransformBase": (12, _rows),
    "AffineTransform": (12, _rows),
    "Rigid3DTransform": (12, _rows),
    "Euler3DTransform": (6, _euler),
    "VersorRigid3DTransform": (6, _versor),
    "Similarity3DTransform": (7, _scaled_versor),
    "TranslationTransform": (3, _unturned),
    "IdentityTransform": (0, _unturned),
}
# Those that bend, and linear ones that no program of the field writes, whose matrix is not made.
_OTHER_KINDS = frozenset(
    f"{kind}Transform"
    for kind in (
        *("Composite", "DisplacementField", "BSpline", "BSplineDeformable", "VelocityField"),
        *("ConstantVelocityField", "TimeVaryingVelocityField", "GaussianExponentialDiffeomorphic"),
        *("BSplineExponentialDiffeomorphic", "GaussianSmoothingOnUpdateDisplacementField"),
        *("BSplineSmoothingOnUpdateDisplacementField", "ThinPlateSplineKernel", "Kernel"),
        *("GaussianSmoothingOnUpdateTimeVaryingVelocityField", "TimeVaryingBSplineVelocityField"),
        *("BSplineSmoothingOnUpdateTimeVaryingVelocityField", "ThinPlateR2LogRSplineKernel"),
        *("ElasticBodySplineKernel", "ElasticBodyReciprocalSplineKernel", "VolumeSplineKernel"),
        *("Scale", "ScaleLogarithmic", "ScalableAffine", "CenteredAffine", "Azimuth", "Versor"),
        *("FixedCenterOfRotationAffine", "QuaternionRigid", "CenteredEuler3D", "ScaleVersor3D"),
        *("ScaleSkewVersor3D", "ComposeScaleSkewVersor3D", "AzimuthElevationToCartesian"),
    )
)


# --- FSL and FreeSurfer ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Geometry:
    """The grid of an image."""

    shape: tuple[int, ...]
    affine: Matrix

    @classmethod
    def of(cls, path: Path, trust: str | None) -> _Geometry:
        shape, affine = read_series_header(path)[:2]
        return cls(tuple(shape[:3]), trusted_affine(path, affine, trust))

    @property
    def sizes(self) -> NDArray[np.float64]:
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def looks_like(self, other: _Geometry) -> bool:
        return self.shape == other.shape and np.allclose(self.sizes, other.sizes, atol=1e-3)

    def apart_mm(self, other: _Geometry) -> float:
        """Return how far a corner lies from where another grid of this shape has it."""
        corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(self.shape) - 1)
        gaps = (self.affine - other.affine) @ np.c_[corners, np.ones(8)].T
        return float(np.linalg.norm(gaps[:3], axis=0).max())

    def lies_as(self, other: _Geometry) -> bool:
        """Tell whether this is the grid of an image, but for what rounding moves."""
        return self.looks_like(other) and self.apart_mm(other) <= self.sizes.min() / 2


def from_flirt(matrix: Matrix, moving: _Geometry, fixed: _Geometry) -> Matrix:
    """Turn flirt's matrix, which maps moving to fixed in scaled voxels, into one of RAS mm."""
    of_moving, of_fixed = (_flirt_from_world(image) for image in (moving, fixed))
    return np.asarray(np.linalg.inv(of_moving) @ np.linalg.inv(matrix) @ of_fixed)


def _flirt_from_world(image: _Geometry) -> Matrix:
    """Return RAS mm to flirt's mm: voxels times their size, the first axis turned to its left."""
    scaled = np.diag([*image.sizes, 1.0])
    if np.linalg.det(image.affine[:3, :3]) > 0:
        scaled[0, 0] *= -1
        scaled[0, 3] = (image.shape[0] - 1) * image.sizes[0]
    return np.asarray(scaled @ np.linalg.inv(image.affine))


@dataclass(frozen=True)
class _Lta:
    kind: int
    matrix: Matrix
    source: _Geometry | None
    target: _Geometry | None

    def world_matrix(self, moving: _Geometry, fixed: _Geometry) -> Matrix:
        matrix = self.matrix
        if self.kind == LTA_VOXELS:
            source, target = self.source or moving, self.target or fixed
            matrix = target.affine @ matrix @ np.linalg.inv(source.affine)
        return np.asarray(np.linalg.inv(matrix))

    def reversed_for(self, moving: _Geometry, fixed: _Geometry) -> bool:
        if self.source is None or self.target is None:
            return False
        if moving.looks_like(fixed):
            is_so = self.source.lies_as(moving) or self.target.lies_as(fixed)
            return self.source.lies_as(fixed) and self.target.lies_as(moving) and not is_so
        return self.source.looks_like(fixed) and self.target.looks_like(moving)

    def moved_since(self, moving: _Geometry, fixed: _Geometry) -> float:
        """Return how far an image lies from where it lay when it was registered, mm."""
        pairs = ((self.source, moving), (self.target, fixed))
        known = [(one, image) for one, image in pairs if one is not None and one.looks_like(image)]
        return max((one.apart_mm(image) for one, image in known if not one.lies_as(image)),
                   default=0.0)  # fmt: skip


def _read_lta(path: Path) -> _Lta:
    text = path.read_text(encoding="utf-8-sig")
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    kind = int(_field(lines, "type")[0])
    if kind not in (LTA_VOXELS, LTA_WORLD):
        raise ValueError(f"its type is {kind}, neither voxels (0) nor RAS (1)")
    words = [line.split() for line in lines]
    # a file that was shortened by hand may not say how many there are
    stated = [one[2] for one in words if one[:2] == ["nxforms", "="] and one[2:]]
    if words.count(["1", "4", "4"]) > 1 or any(int(one) != 1 for one in stated):
        raise ValueError("it holds several transforms, where one is meant")
    start = words.index(["1", "4", "4"])
    matrix = np.array([plain_numbers(line.split()) for line in lines[start + 1 : start + 5]])
    if matrix.shape != (4, 4):
        raise ValueError("its matrix is not of 4 × 4 numbers")
    source, target = (
        _lta_geometry(lines[lines.index(f"{name} volume info") :]) for name in ("src", "dst")
    )
    return _Lta(kind, matrix, source, target)


def _field(lines: Sequence[str], name: str) -> list[str]:
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and key.strip() == name:
            return value.split()
    raise ValueError(f"it has no '{name} ='")


def _lta_geometry(lines: Sequence[str]) -> _Geometry | None:
    if int(_field(lines, "valid")[0]) != 1:
        return None
    shape, sizes = (plain_numbers(_field(lines, name)) for name in ("volume", "voxelsize"))
    rows = np.array([plain_numbers(_field(lines, name)) for name in ("xras", "yras", "zras")])
    if not (np.all(sizes > 0) and np.all(np.abs(rows @ rows.T - np.eye(3)) <= MOST_OFF_AXES)):
        raise ValueError("an image of it has voxels without a size, or axes that are none")
    axes = rows.T * sizes
    centre = plain_numbers(_field(lines, "cras"))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, centre - axes @ (shape / 2)
    return _Geometry(tuple(int(n) for n in shape), affine)


def _read_numbers(path: Path) -> Matrix | None:
    """Return 4 rows of 4 numbers, which is what flirt writes; None for anything else."""
    try:
        numbers = np.loadtxt(path, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError):
        return None
    return numbers if numbers.shape == (4, 4) else None
