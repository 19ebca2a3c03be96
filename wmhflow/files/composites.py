"""Transforms of ITK one after the other in one file, where some of them bend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.errors import InputError
from wmhflow.files.transforms import LPS_FROM_RAS, Matrix, parameters_of, read_transform

# Files that hold a field of displacements, and can be made part of a composite.
FIELD_ENDINGS = (".h5",)
COMPOSITE, AFFINE = "CompositeTransform_double_3_3", "AffineTransform_double_3_3"


class _Part(NamedTuple):
    """One transform of a composite, as ITK keeps it."""

    kind: str
    numbers: NDArray[Any]
    fixed: NDArray[Any]


def write_composite(
    paths: Sequence[Path], inverted: Sequence[bool], out: Path, after: Matrix | None = None
) -> Path:
    """Write transforms that follow one another as one composite of ITK; nothing is resampled.

    Parameters
    ----------
    paths
        The transforms, from the moving image on, of ITK.
    inverted
        Of each, whether its inverse is meant; of linear ones alone.
    out
        Path to write, ``.h5``.
    after
        What follows them: points to points, RAS mm, (4, 4).

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    InputError
        If one is none of ITK's, has no inverse where that is meant, or is kept in no ``.h5`` file
        and not linear.
    """
    import h5py

    parts = [part for path, back in zip(paths, inverted, strict=True) for part in _of(path, back)]
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


def _of(path: Path, backwards: bool) -> Iterator[_Part]:
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
    if backwards or not path.name.endswith(FIELD_ENDINGS):
        why = "its inverse is needed" if backwards else "it is not kept as .h5"
        raise InputError(f"{path} is not linear ({', '.join(given.parts)}), and {why}.")
    yield from _of_hdf5(path)


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
