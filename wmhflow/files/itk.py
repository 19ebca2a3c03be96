"""ITK's transform files: linear ones read and written, composite ones made reproducible."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wmhflow.core.align.pulling import Displacements, PointMap
from wmhflow.errors import InputError
from wmhflow.files.fields import is_field_image, read_field
from wmhflow.files.streams import said_of
from wmhflow.files.transforms import (
    LPS_FROM_RAS,
    check_stored,
    parameters_of,
    read_transform,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


MACHINE_ENTRIES = ("OSName", "OSVersion")
# as ITK writes the numbers of a transform now, and as it once did
PARAMETERS, FIELD = ("TransformParameters", "TranformParameters"), "DisplacementField"
# In mm, a power of two.
DISPLACEMENT_STEP = 2.0**-12
# Products of the directions of a grid differ by no more than this from those at right angles.
MOST_OFF_RIGHT = 0.01
# No grid begins further from the scanner's middle, and no voxel is larger.
FURTHEST_MM = 1e5


def write_itk_affine(matrix: NDArray[np.float64], out: str | os.PathLike[str]) -> str:
    """Write a linear transform as an ITK text file.

    Parameters
    ----------
    matrix
        Points of fixed to points of moving, RAS mm.
    out
        Path to write, ``.txt``.

    Returns
    -------
    str
        The absolute path written.
    """
    lps = LPS_FROM_RAS @ matrix @ LPS_FROM_RAS
    numbers = [*lps[:3, :3].ravel(), *lps[:3, 3]]
    text = " ".join(repr(float(number)) for number in numbers)
    Path(out).write_text(
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        f"Parameters: {text}\nFixedParameters: 0 0 0\n"
    )
    return str(Path(out).absolute())


def read_itk_affine(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Read a linear transform from an ITK file.

    Parameters
    ----------
    path
        ITK ``.txt``, ``.mat`` or ``.h5`` file, composite ones included.

    Returns
    -------
    ndarray, (4, 4)
        Points of fixed to points of moving, RAS mm.

    Raises
    ------
    InputError
        If the file is not ITK's, or not linear.
    """
    given = read_transform(Path(path))
    if given.program != "ITK" or given.matrix is None:
        what = ", ".join(given.parts) or given.program
        raise InputError(f"{path} is no linear transform of ITK ({what}); convert it.")
    return given.matrix


def check_whole(path: Path) -> None:
    """Read a transform to its end, and refuse numbers that no transform has.

    Most such files have no checksum: what they hold has to be as much as they say, and finite.

    Parameters
    ----------
    path
        As of :func:`wmhflow.files.transforms.read_transform`.

    Raises
    ------
    InputError
        If it cannot be read, or holds what is no finite number.
    """
    given = read_transform(path)
    with said_of(path):
        found: list[NDArray[Any]] = [make() for make in given.matrices if make is not None]
        if path.suffix == ".h5":
            found += _hdf5_numbers(path)
        if is_field_image(path):
            found.append(read_field(path).vectors)
        if all(np.isfinite(numbers).all() for numbers in found):
            return
    raise InputError(f"{path} holds numbers that are not finite; copy or make it again.")


def _hdf5_numbers(path: Path) -> list[NDArray[Any]]:
    """Read every number of an ITK file; a field has as many as its grid has voxels, three each."""
    import h5py

    found: list[NDArray[Any]] = []

    def read(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and entry.dtype.kind in "fiu":
            check_stored(entry)
            found.append(entry[()])

    with h5py.File(path) as file:
        file.visititems(read)
        for part in file["TransformGroup"].values():
            if "Displacement" not in str(part["TransformType"][()]):
                continue
            numbers, about = (parameters_of(part, which) for which in ("", "Fixed"))
            n_voxels = int(np.prod(about[:3]))
            if numbers.size != 3 * n_voxels:
                raise ValueError(f"its field has {numbers.size} numbers for {n_voxels} voxels")
    return found


def make_reproducible(path: Path) -> None:
    """Write an ITK transform file anew without time stamps and the machine's name.

    ITK cannot be told to leave them out, and equal transforms shall be equal files. Fields of
    displacements are kept to an eighth of a thousandth of a millimetre: what is finer is noise that
    cannot be compressed, and doubles the file.

    Parameters
    ----------
    path
        HDF5 file; it is replaced.
    """
    import h5py

    clean = path.with_suffix(".clean.h5")
    with h5py.File(path) as source, h5py.File(clean, "w") as target:

        def copy(name: str, entry: Any) -> None:
            if name in MACHINE_ENTRIES:
                return
            if not isinstance(entry, h5py.Dataset):
                target.require_group(name)
                return
            # bytes of one place together: a field of displacements is an eighth smaller
            gzip = {"compression": "gzip", "shuffle": True, "chunks": entry.chunks}
            packed = gzip if entry.chunks else {}
            data = entry[()]
            if _is_field(source, name):
                data = (np.rint(data / DISPLACEMENT_STEP) * DISPLACEMENT_STEP).astype(entry.dtype)
            target.create_dataset(name, data=data, dtype=entry.dtype, track_times=False, **packed)

        source.visititems(copy)
    clean.replace(path)


def _is_field(file: Any, name: str) -> bool:
    """Tell whether an entry of an open ITK file holds a field of displacements."""
    group, _, last = name.rpartition("/")
    if last not in PARAMETERS:
        return False
    kind = file[f"{group}/TransformType"][()].ravel()[0]
    return (kind.decode() if isinstance(kind, bytes) else str(kind)).startswith(FIELD)


def read_point_map(
    paths: Sequence[str | os.PathLike[str]], inverted: Sequence[bool] | None = None
) -> PointMap | None:
    """Read a chain of transforms that has at most one field of displacements.

    Parameters
    ----------
    paths
        ITK's files; the first is applied to points first.
    inverted
        For each, whether its inverse is meant.

    Returns
    -------
    PointMap or None
        None if there is anything else in the chain: the inverse of a field or of a matrix that has
        none, a second field, one that is damaged, or a kind of transform that is not known here.
    """
    maps = read_point_maps(paths, inverted)
    return maps[0] if maps is not None and len(maps) == 1 else None


def read_point_maps(
    paths: Sequence[str | os.PathLike[str]], inverted: Sequence[bool] | None = None
) -> list[PointMap] | None:
    """Read a chain of transforms that has any number of fields of displacements.

    Parameters
    ----------
    paths, inverted
        As for :func:`read_point_map`.

    Returns
    -------
    list of PointMap or None
        The first is applied first; each has one field, but for a single one of matrices alone. None
        if there is anything else in the chain, as for :func:`read_point_map`.
    """
    done: list[PointMap] = []
    before, field, after = np.eye(4), None, np.eye(4)
    for path, is_inverse in zip(paths, inverted or [False] * len(paths), strict=True):
        for part in point_parts(Path(path)):
            if isinstance(part, Displacements) and not is_inverse:
                if field is not None:
                    done.append(PointMap(before, field, np.eye(4)))
                    before, after = after, np.eye(4)
                field = part
            elif isinstance(part, np.ndarray) and not (is_inverse and np.linalg.det(part) == 0):
                matrix = np.linalg.inv(part) if is_inverse else part
                before, after = (
                    (matrix @ before, after) if field is None else (before, matrix @ after)
                )
            else:
                return None
    return [*done, PointMap(before, field, after)]


def point_parts(path: Path) -> list[NDArray[np.float64] | Displacements | None]:
    """Return what a file is composed of, in the order in which it is applied to points.

    Parameters
    ----------
    path
        As of :func:`wmhflow.files.transforms.read_transform`.

    Returns
    -------
    list
        Matrices and fields; None stands for what is of no kind that is known here.
    """
    given = read_transform(path)
    if given.program != "ITK":
        return [None]
    if given.matrix is not None:
        return [given.matrix]
    if is_field_image(path):
        return [read_field(path)]
    if path.suffix != ".h5":
        return [None]
    # what ITK adds last to a transform is applied first
    pieces = enumerate(zip(given.parts, given.matrices, strict=True))
    return [
        _displacements(path, number) if part.startswith("Displacement") else make and make()
        for number, (part, make) in reversed(list(pieces))
    ]


def _check_grid(
    path: Path,
    origin: NDArray[np.float64],
    spacing: NDArray[np.float64],
    directions: NDArray[np.float64],
) -> None:
    """Refuse a field on a grid that no image has: ITK would follow it without a word."""
    with np.errstate(all="ignore"):
        off = np.abs(directions.T @ directions - np.eye(3)).max()
    is_sound = (np.abs([*origin, *spacing]) <= FURTHEST_MM).all() and (spacing > 0).all()
    if not (is_sound and off <= MOST_OFF_RIGHT):
        raise InputError(
            f"{path} has a field on a grid whose directions are not at right angles, or whose "
            "voxels have no size: it is damaged; give the transform as its program wrote it."
        )


def _displacements(path: Path, number: int) -> Displacements | None:
    """Read the field of displacements that is a part of a file, turned from LPS to RAS."""
    import h5py

    try:
        with h5py.File(path) as file:
            group = file["TransformGroup"]
            parts = [
                group[name]
                for name in sorted(group, key=int)
                if b"Composite" not in group[name]["TransformType"][0]
            ]
            about = np.asarray(parts[number]["TransformFixedParameters"], np.float64)
            numbers = np.asarray(parts[number]["TransformParameters"], np.float32)
    except (OSError, KeyError):
        # damaged, or named as older versions did: ANTs reads it or says that it cannot
        return None
    shape, origin, spacing = about[:3].astype(int), about[3:6], about[6:9]
    if about.size != 18 or numbers.size != 3 * shape.prod():
        return None
    directions = about[9:].reshape(3, 3)
    _check_grid(path, origin, spacing, directions)
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = origin
    vectors = numbers.reshape(*shape[::-1], 3).transpose(2, 1, 0, 3)
    return Displacements(vectors * np.array([-1, -1, 1], np.float32), LPS_FROM_RAS @ affine)
