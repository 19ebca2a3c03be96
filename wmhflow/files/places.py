"""Where the box of a single voxel of spectroscopy lies in the world of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import read_box
from wmhflow.files.itk import read_itk_affine


def placed_box(
    path: Path,
    transforms: Sequence[Path] = (),
    inverted: Sequence[bool] = (),
    trust: str | None = None,
) -> NDArray[np.float64]:
    """Return the affine of a voxel's box, brought to the reference.

    Parameters
    ----------
    path
        The spectrum, whose header says where it lies.
    transforms
        From its place to the reference, of ITK and linear, one after the other.
    inverted
        Of each of the first of them, whether its inverse is meant.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.

    Returns
    -------
    ndarray, (4, 4)
        From the cube between -0.5 and 0.5 to the reference's world, RAS mm.

    Raises
    ------
    InputError
        If the header cannot be read, or a transform is no linear one of ITK.
    """
    matrix = np.eye(4)
    for number, transform in enumerate(transforms):
        # ITK's leads from points of the reference to points of what is moved
        back = read_itk_affine(transform)
        forth = np.linalg.inv(back)
        matrix = (back if number < len(inverted) and inverted[number] else forth) @ matrix
    _, own = read_box(path)
    return np.asarray(matrix @ trusted_affine(path, own, trust), dtype=np.float64)
