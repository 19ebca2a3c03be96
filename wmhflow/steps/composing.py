"""The steps that make one transform of several."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wmhflow.errors import InputError
from wmhflow.files.chains import chain_matrix
from wmhflow.files.composites import write_composite
from wmhflow.files.itk import read_itk_affine, write_itk_affine
from wmhflow.files.transforms import read_transform
from wmhflow.steps.images import Transform
from wmhflow.steps.kinds import Folder, step


@step(mem_gb=0.5)
def compose_transforms(
    moving: Path,
    fixed: Path,
    folder: Folder,
    in_files: list[Path] | None = None,
    inverted: list[bool] | None = None,
    other: Path | None = None,
    trust: str | None = None,
) -> Transform:
    """Write linear transforms that follow one another as one, as ITK does.

    Parameters
    ----------
    moving, fixed
        The images where they start and end.
    folder
        Where the transform is written.
    in_files
        From the moving image on; of any program if there is one, else of ITK. None where the moving
        image lies on the fixed one.
    inverted
        Of each, whether its inverse is meant.
    other
        What follows them, of ITK: from the fixed image to the reference.
    trust
        The form of the images' headers that is believed, ``sform`` or ``qform``.

    Raises
    ------
    InputError
        If one is not linear.
    """
    matrix = chain_matrix(in_files or [], inverted or [], moving, fixed, trust)
    if other is not None:
        further = read_transform(other).matrix
        if further is None:
            raise InputError(
                f"{other} is not linear, and a map that follows it is measured in its own grid; "
                "give a linear transform."
            )
        matrix = np.asarray(matrix @ further, dtype=np.float64)
    return Transform(Path(write_itk_affine(matrix, folder / "transform.txt")))


@step(mem_gb=1.0, seconds=3)
def compose_fields(
    folder: Folder,
    in_files: list[Path],
    inverted: list[bool],
    other: Path | None = None,
) -> Transform:
    """Write transforms that follow one another, of which some bend, as one composite of ITK.

    Parameters
    ----------
    folder
        Where the transform is written.
    in_files
        From the moving image on, of ITK.
    inverted
        Of each, whether its inverse is meant; of linear ones alone.
    other
        What follows them, of ITK: from the image where they end to the reference, linear.

    Raises
    ------
    InputError
        If one cannot be part of a composite.
    """
    further = None if other is None else read_itk_affine(other)
    return Transform(write_composite(in_files, inverted, folder / "transform.h5", further))
