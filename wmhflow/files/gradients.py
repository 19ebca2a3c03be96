"""Tables of gradients beside a diffusion series, as FSL and MRtrix write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.diffusion.gradients import WORLD, Gradients, UnfitSeriesError, read_gradients
from wmhflow.errors import InputError
from wmhflow.files.numbers import plain_numbers
from wmhflow.files.streams import open_file

# A table of a few hundred volumes is a few kilobytes.
LARGEST_TABLE = 2**20
# How MRtrix's table ends.
TABLE = ".b"
# Programs write 0 for 5 s/mm², and 1000 for what the scanner calls 995.
ROUNDED_B, ROUNDED_SHARE = 50.0, 0.05


def load_gradients(
    image: Path,
    n_volumes: int,
    affine: NDArray[np.float64],
    bval: Path,
    bvec: Path | None,
    table: Path | None,
    convention: str,
) -> Gradients:
    """Read what each volume of a series was weighted with.

    Parameters
    ----------
    image
        The series, for messages.
    n_volumes, affine
        As its header says.
    bval, bvec
        FSL's files: b-values, and a row of numbers for each axis.
    table
        MRtrix's table: a row of x, y, z and b for each volume, along the world's axes. It is
        preferred.
    convention
        Along which axes the directions of ``bvec`` lie, see
        :func:`wmhflow.core.diffusion.gradients.read_gradients`.

    Raises
    ------
    InputError
        If a file is no such table, or the table does not fit the series.
    """
    if table is not None:
        rows = _rows_of_four(table)
        bvals, vectors, by, convention = rows[:, 3], rows[:, :3].T, table, WORLD
    elif bvec is not None:
        bvals, vectors, by = np.atleast_1d(_numbers(bval)).ravel(), _numbers(bvec), bvec
    else:
        raise InputError(
            f"{image} has neither a .bvec nor a .b file beside it; give its directions."
        )
    try:
        return read_gradients(bvals, np.atleast_2d(vectors), affine, convention, n_volumes)
    except UnfitSeriesError as error:
        raise InputError(f"{image} with {by.name}: {error}") from error


def load_directions(
    bval: Path, bvec: Path | None, table: Path | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Read b-values, and directions as they are written, along whatever axes.

    Parameters
    ----------
    bval, bvec, table
        As for :func:`load_gradients`.

    Returns
    -------
    tuple of ndarray and ndarray or None
        b-values (g,), s/mm², and directions (3, g) or (g, 3); None without a table of them.

    Raises
    ------
    InputError
        If a file is no such table.
    """
    if table is not None:
        rows = _rows_of_four(table)
        return rows[:, 3], rows[:, :3].T
    bvals = load_bvals(bval)
    return bvals, None if bvec is None else np.atleast_2d(_numbers(bvec))


def load_bvals(path: Path) -> NDArray[np.float64]:
    """Read b-values, s/mm².

    Parameters
    ----------
    path
        FSL's file, or MRtrix's table (``.b``), whose fourth column they are.

    Raises
    ------
    InputError
        If it holds anything but numbers, or a table has no four columns.
    """
    if path.suffix == TABLE:
        return _rows_of_four(path)[:, 3]
    return np.atleast_1d(_numbers(path)).ravel()


def same_bvals(one: Path, other: Path) -> bool:
    """Tell whether two files hold the same b-values, but for how programs round them.

    Parameters
    ----------
    one, other
        As of :func:`load_bvals`.

    Raises
    ------
    InputError
        As :func:`load_bvals`.
    """
    first, second = load_bvals(one), load_bvals(other)
    if len(first) != len(second):
        return False
    near = np.abs(first - second) <= np.maximum(ROUNDED_B, ROUNDED_SHARE * np.abs(first))
    return bool(near.all())


def _rows_of_four(table: Path) -> NDArray[np.float64]:
    rows = _numbers(table)
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise InputError(f"{table} has no four columns x y z b; give the table as MRtrix has it.")
    return rows


def _numbers(path: Path) -> NDArray[np.float64]:
    with open_file(path) as stream:
        content = stream.read(LARGEST_TABLE + 1)
    try:
        if len(content) > LARGEST_TABLE:
            raise ValueError
        text = content.decode("utf-8-sig").replace(",", " ")
        lines = [line.split("#", 1)[0].split() for line in text.splitlines()]
        return np.array([plain_numbers(line) for line in lines if line])
    except (UnicodeDecodeError, ValueError):
        raise InputError(
            f"{path} is no table of numbers; give it as FSL or MRtrix wrote it."
        ) from None
