"""Linear transforms one after the other, each forwards or backwards, as one matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from wmhflow.errors import InputError
from wmhflow.files.transforms import Matrix, TransformFile, linear_matrix, read_transform


def chain_matrix(
    paths: Sequence[Path],
    inverted: Sequence[bool],
    moving: Path,
    fixed: Path,
    trust: str | None = None,
    read: Callable[[Path], TransformFile] = read_transform,
) -> Matrix:
    """Return the one matrix of linear transforms that follow one another.

    Parameters
    ----------
    paths
        The transforms, from the moving image on.
    inverted
        Of each, whether its inverse is meant.
    moving, fixed
        The images where they start and end. A single transform may be flirt's or FreeSurfer's;
        of several each is ITK's, since the images between them are not known.
    trust
        The form of the images' headers that is believed, ``sform`` or ``qform``.
    read
        Reads a transform's file; who read it before says so.

    Returns
    -------
    ndarray, (4, 4)
        Points of fixed to points of moving, RAS mm; no transform is the identity.

    Raises
    ------
    InputError
        If one is not linear, has no inverse where that is meant, or is not ITK's in a chain.
    """
    whole = np.eye(4)
    for path, backwards in zip(paths, inverted, strict=True):
        given = read(path)
        if len(paths) > 1 and given.program != "ITK":
            raise InputError(
                f"{path} is a transform of {given.program}, one of {len(paths)} that follow one "
                "another; there only those of ITK (.txt, .mat, .h5) can be read: convert it."
            )
        if not backwards:
            whole = whole @ linear_matrix(path, moving, fixed, trust, given)
            continue
        matrix = linear_matrix(path, fixed, moving, trust, given)
        if not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix) < 4:
            raise InputError(
                f"{path} has a matrix that is not finite or has no inverse, and its inverse is "
                "needed; give it as its program wrote it."
            )
        whole = whole @ np.linalg.inv(matrix)
    return np.asarray(whole, dtype=np.float64)
