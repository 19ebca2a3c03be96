"""Steps that bring the image by which maps are aligned; one that shows nothing costs its maps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_volume
from wmhflow.files.itk import write_itk_affine
from wmhflow.steps.kinds import Folder, step
from wmhflow.steps.registration import RigidAlignment, align_rigidly

# On no grid that an image can have: what shows nothing lies nowhere.
NOTHING = Grid3D(np.zeros((2, 2, 2), np.float32), np.eye(4))
log = logging.getLogger("wmhflow")


class MapImage(NamedTuple):
    """The image by which maps are aligned or judged, and how messages name it."""

    image: Grid3D
    source: str


@step(mem_gb=1.0)
def choose_map_image(
    in_file: Path, source: str, spare: Sequence[str] = (), trust: str | None = None
) -> MapImage:
    """Take the first image that shows something, of those on the grid of some maps.

    Parameters
    ----------
    in_file, source
        The image that shows most of the anatomy, and its name for messages.
    spare
        Other images that could stand for it, in order.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.

    Returns
    -------
    MapImage
        Single precision, NaN and infinite voxels as 0; zeros where no image shows anything.
    """
    for path, name in ((in_file, source), *((Path(one), one) for one in spare)):
        found = _shown(path, trust)
        if found is not None:
            return MapImage(found, name)
        log.warning("%s shows nothing by which maps could be aligned.", name)
    return MapImage(NOTHING, source)


def _shown(path: Path, trust: str | None) -> Grid3D | None:
    try:
        data, affine = load_volume(path)
    except InputError:
        # what is wrong with it was said when the visit's files were judged
        return None
    values = np.asarray(data, dtype=np.float32)
    values = np.where(np.isfinite(values), values, np.float32(0))
    return Grid3D(values, trusted_affine(path, affine, trust)) if np.ptp(values) > 0 else None


@step(mem_gb=2.0, seconds=10, ants=True)
def align_maps(
    fixed: Grid3D,
    moving: Grid3D,
    quality: str,
    moving_name: str,
    fixed_name: str,
    seed: int,
    folder: Folder,
    trust: str | None = None,
) -> RigidAlignment:
    """Align maps by an image on their grid; one that shows nothing leads nowhere.

    Parameters
    ----------
    fixed, moving, quality, moving_name, fixed_name, seed, folder, trust
        As for :func:`wmhflow.steps.registration.align_rigidly`.

    Returns
    -------
    RigidAlignment
        ITK text file from points of fixed to points of moving; of NaN, and without numbers, where
        there is nothing to align.

    Raises
    ------
    InputError
        As :func:`wmhflow.steps.registration.align_rigidly`.
    """
    if np.ptp(moving.data) > 0:
        return align_rigidly(fixed, moving, quality, moving_name, fixed_name, seed, folder, trust)
    nowhere = np.full((4, 4), np.nan)
    return RigidAlignment(Path(write_itk_affine(nowhere, folder / "rigid.txt")), {})
