"""The steps that make one transform of several."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.align.chains import carried
from wmhflow.core.align.inverting import head_points, round_trip_mm
from wmhflow.core.align.pulling import Displacements, PointMap
from wmhflow.core.space.grids import Grid3D, apply_affine
from wmhflow.errors import InputError
from wmhflow.files.chains import chain_matrix
from wmhflow.files.composites import write_composite
from wmhflow.files.itk import point_parts, read_itk_affine, read_point_maps, write_itk_affine
from wmhflow.files.transforms import read_transform
from wmhflow.steps.images import Transform
from wmhflow.steps.kinds import Facts, Folder, step


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


class Bent(NamedTuple):
    """A composite of ITK that bends, and how well the inverses in it lead back."""

    transform: Path
    facts: Facts


@step(mem_gb=2.0, seconds=10)
def compose_fields(
    folder: Folder,
    in_files: list[Path],
    inverted: list[bool],
    other: Path | None = None,
    fixed: Grid3D | None = None,
) -> Bent:
    """Write transforms that follow one another, of which some bend, as one composite of ITK.

    Parameters
    ----------
    folder
        Where the transform is written.
    in_files
        From the moving image on, of ITK.
    inverted
        Of each, whether its inverse is meant; that of a field is computed.
    other
        What follows them, of ITK: from the image where they end to the reference, linear.
    fixed
        The reference: where its head lies, inverses are judged; without it they are not.

    Raises
    ------
    InputError
        If one cannot be part of a composite.
    """
    further = None if other is None else read_itk_affine(other)
    found: list[PointMap] = []
    made = write_composite(in_files, inverted, folder / "transform.h5", further, found)
    if not found or fixed is None:
        return Bent(made, {})
    points = head_points(fixed)
    points = points if further is None else apply_affine(further, points)
    legs = list(zip(in_files, inverted, strict=True))
    return Bent(made, {"inverse_error_mm": _largest_error(legs, found, points)})


def _largest_error(
    legs: list[tuple[Path, bool]], found: list[PointMap], points: NDArray[np.float64]
) -> float | None:
    """Follow points through a chain; say how far from where they were inverses lead back, in mm.

    ``found`` are the inverses of its fields, in the order of the chain's parts, which is from the
    moving image on; points go the other way.
    """
    left, errors = list(found), [np.empty(0)]
    for path, backwards in reversed(legs):
        if not backwards:
            points = carried(points, read_point_maps([path]) or [])
            continue
        for part in reversed(point_parts(path)):
            if isinstance(part, Displacements):
                inverse = left.pop()
                errors.append(round_trip_mm(part, inverse, points))
                points = carried(points, [inverse])
            elif part is not None:
                points = apply_affine(np.asarray(np.linalg.inv(part), np.float64), points)
    known = [one for one in np.concatenate(errors).tolist() if np.isfinite(one)]
    return max(known, default=None)
