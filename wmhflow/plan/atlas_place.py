"""Whether an atlas can lie on a template, by its header: nobody looks at it in every person."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wmhflow.core.space.geometry import spacing_of
from wmhflow.errors import InputError
from wmhflow.files.atlases import Atlas
from wmhflow.files.forms import read_forms

# A whole template in cm spans 23 mm, and part of one is seldom less; one in µm spans metres.
LEAST_MM, LARGEST_MM = 25.0, 600.0


def check_place(atlas: Atlas) -> None:
    """Refuse an atlas that is no image of a template in mm about that template's middle.

    Parameters
    ----------
    atlas
        As it was read.

    Raises
    ------
    InputError
        If it is in another unit or a single slice, if its header was never given a place, or as
        :func:`check_one_size`.
    """
    shape = np.array(atlas.data.shape[:3])
    wide = shape * spacing_of(atlas.affine)
    start = f"The atlas {atlas.name} ({atlas.path})"
    if not LEAST_MM <= wide.max() <= LARGEST_MM:
        told = "×".join(f"{length:.3g}" for length in wide)
        raise InputError(
            f"{start} spans {told} mm by its affine, which no template does; write the affine in "
            "mm."
        )
    if shape.min() == 1:
        told = "×".join(map(str, shape))
        raise InputError(f"{start} is a single slice ({told} voxels); give all of it.")
    # of a header that was never filled in, the first voxel lies at 0, 0, 0
    origin = np.linalg.inv(atlas.affine)[:3, 3]
    if (np.minimum(np.abs(origin), np.abs(origin - shape + 1)) <= 1).all():
        raise InputError(
            f"{start} has the middle of its template (0, 0, 0 mm) at a corner, as if its header "
            "had never been given a place; copy the affine of the template."
        )
    if atlas.definition is None:
        check_one_size(atlas.path)


def check_one_size(path: Path) -> None:
    """Refuse an image of which the header states two sizes of a voxel: all places hang on it.

    Parameters
    ----------
    path
        An atlas, or the image of its template.

    Raises
    ------
    InputError
        With both.
    """
    forms = read_forms(path)
    if forms is None or forms.sform is None or not forms.sizes_differ:
        return
    sizes = (np.linalg.norm(forms.sform[:3, :3], axis=0), np.abs(forms.sizes))
    one, other = ("×".join(f"{length:.3g}" for length in size) for size in sizes)
    raise InputError(
        f"{path} has voxels of {one} mm by its sform and of {other} mm by its qform (pixdim); look "
        "which is right, and write it into both."
    )
