"""Transforms of ITK one after the other in one file, where some of them bend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.errors import InputError
from wmhflow.files.fields import FIELD_KIND, RAS_FROM_LPS, is_field_image, read_field
from wmhflow.files.headers import NIFTI_ENDINGS
from wmhflow.files.transforms import LPS_FROM_RAS, Matrix, parameters_of, read_transform

if TYPE_CHECKING:
    from wmhflow.core.align.pulling import Displacements, PointMap

# Files that hold a field of displacements, and can be made part of a composite.
FIELD_ENDINGS = (".h5", *NIFTI_ENDINGS)
COMPOSITE, AFFINE = "CompositeTransform_double_3_3", "AffineTransform_double_3_3"


class _Part(NamedTuple):
    """One transform of a composite, as ITK keeps it."""

    kind: str
    numbers: NDArray[Any]
    fixed: NDArray[Any]


def write_composite(
    paths: Sequence[Path],
    inverted: Sequence[bool],
    out: Path,
    after: Matrix | None = None,
    found: list[PointMap] | None = None,
) -> Path:
    """Write transforms that follow one another as one composite of ITK; nothing is resampled.

    Parameters
    ----------
    paths
        The transforms, from the moving image on, of ITK.
    inverted
        Of each, whether its inverse is meant; that of a field is computed.
    out
        Path to write, ``.h5``.
    after
        What follows them: points to points, RAS mm, (4, 4).
    found
        Gets the inverses of fields that are computed, in the order of the parts.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    InputError
        If one is none of ITK's, has no inverse where that is meant, or is not linear and kept in no
        file that holds a field.
    """
    import h5py

    known: list[PointMap] = [] if found is None else found
    legs = zip(paths, inverted, strict=True)
    parts = [part for path, back in legs for part in _of(path, back, known)]
    if after is not None:
        parts.append(_affine(after))
    with h5py.File(out, "w") as file:
        group = file.create_group("TransformGroup")
        _name(group.create_group("0"), COMPOSITE)
        # points go through the last one first
        for number, part in enumerate(parts, start=1):
            entry = group.create_group(str(number))
            _name(entry, part.kind)
            for name, values in (("", part.numbers), ("Fixed", part.fixed)):
                packed = {"compression": "gzip", "shuffle": True} if values.size > 1000 else {}
                entry.create_dataset(
                    f"Transform{name}Parameters", data=values, track_times=False, **packed
                )
    return out


def _name(entry: Any, kind: str) -> None:
    entry.create_dataset("TransformType", data=[kind.encode()], track_times=False)


def _of(path: Path, backwards: bool, known: list[PointMap]) -> Iterator[_Part]:
    """Go through the parts of a file in their order, or give the inverse of a linear one."""
    given = read_transform(path)
    if given.program != "ITK":
        raise InputError(f"{path} is a transform of {given.program}; convert it to one of ITK.")
    matrix = given.matrix
    if matrix is not None:
        if backwards and (not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix) < 4):
            raise InputError(f"{path} has a matrix without an inverse, and that is needed.")
        yield _affine(np.asarray(np.linalg.inv(matrix), np.float64) if backwards else matrix)
        return
    if backwards:
        yield from _of_inverse(path, known)
    elif is_field_image(path):
        yield _field(read_field(path))
    elif path.name.endswith(FIELD_ENDINGS):
        yield from _of_hdf5(path)
    else:
        kinds = ", ".join(given.parts)
        raise InputError(f"{path} is not linear ({kinds}), and it is not kept as .h5 or image.")


def _of_inverse(path: Path, known: list[PointMap]) -> Iterator[_Part]:
    """Go through the inverses of a file's parts, in the order in which ITK keeps them."""
    # they know compiled functions, whose folder is chosen after this module is imported
    from wmhflow.core.align.inverting import invert_field
    from wmhflow.core.align.pulling import Displacements
    from wmhflow.files.itk import DISPLACEMENT_STEP, point_parts

    # of points, the first part of the file goes last, and so its inverse first
    for part in point_parts(path):
        if isinstance(part, Displacements):
            found = invert_field(part)
            known.append(found)
            if found.displacements is not None:
                yield _field(found.displacements, DISPLACEMENT_STEP)
            yield _affine(found.before)
        elif part is not None and np.linalg.matrix_rank(part) == 4:
            yield _affine(np.asarray(np.linalg.inv(part), np.float64))
        else:
            kinds = ", ".join(read_transform(path).parts)
            raise InputError(
                f"{path} is not linear ({kinds}), and its inverse is needed, which is found of "
                "fields of displacements alone; give the transform of the other direction."
            )


def _of_hdf5(path: Path) -> Iterator[_Part]:
    import h5py

    with h5py.File(path) as file:
        group = file["TransformGroup"]
        for number in sorted(group, key=int):
            entry = group[number]
            kind = entry["TransformType"][0].decode()
            if not kind.startswith("CompositeTransform"):
                numbers, fixed = (parameters_of(entry, which)[()] for which in ("", "Fixed"))
                yield _Part(kind, numbers, fixed)


def _affine(matrix: Matrix) -> _Part:
    lps = LPS_FROM_RAS @ matrix @ LPS_FROM_RAS
    return _Part(AFFINE, np.array([*lps[:3, :3].ravel(), *lps[:3, 3]]), np.zeros(3))


def _field(field: Displacements, step: float | None = None) -> _Part:
    """Keep a field as ITK does; its vectors are rounded to a step in mm, if one is given."""
    lps = LPS_FROM_RAS @ field.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    shape = field.vectors.shape[:3]
    fixed = np.array([*shape, *lps[:3, 3], *spacing, *direction.ravel()], np.float64)
    vectors = field.vectors * RAS_FROM_LPS
    if step is not None:
        vectors = np.rint(vectors / step) * step
    return _Part(FIELD_KIND, vectors.transpose(2, 1, 0, 3).ravel().astype(np.float64), fixed)
