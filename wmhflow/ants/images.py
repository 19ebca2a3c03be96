"""ANTs in this process: one thread, a seed, and images handed over in memory."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import WmhflowError
from wmhflow.files.transforms import LPS_FROM_RAS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from numpy.typing import NDArray


THREADS_VARIABLE = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


def single_threaded_ants(seed: int) -> ModuleType:
    """Import ants with a single ITK thread and its random seed set.

    ITK reads the number of threads from the environment once, before its first filter runs, and
    with more than one thread a registration gives other bytes at each run.

    Parameters
    ----------
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ModuleType
        The imported ``ants``.

    Raises
    ------
    WmhflowError
        If ants was imported earlier in this process without the variable set.
    """
    if os.environ.get(THREADS_VARIABLE) != "1":
        if "ants" in sys.modules:
            raise WmhflowError(
                f"ants was imported before {THREADS_VARIABLE}=1 was set, so that its results "
                f"would differ from run to run: set {THREADS_VARIABLE}=1 in the environment."
            )
        os.environ[THREADS_VARIABLE] = "1"
    import ants

    ants.config.set_ants_deterministic(on=True, seed_value=seed % 2**32)
    return ants


def ants_image(grid: Grid3D, seed: int) -> Any:
    """Make an ITK image of an array and its affine, without any file.

    Parameters
    ----------
    grid
        Values and their affine (RAS mm).
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ants.ANTsImage
        The image in single precision, in LPS coordinates.
    """
    ants = single_threaded_ants(seed)
    lps = LPS_FROM_RAS @ grid.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return ants.from_numpy(
        np.asarray(grid.data, dtype=np.float32),
        origin=[float(value) for value in lps[:3, 3]],
        spacing=[float(value) for value in spacing],
        direction=lps[:3, :3] / spacing,
    )


def mask_image(mask: NDArray[np.bool_], affine: NDArray[np.float64], seed: int) -> Any:
    """Make an ITK mask; antsRegistration takes a mask of another type for an empty one.

    Parameters
    ----------
    mask
        The mask.
    affine
        Voxels to RAS mm.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ants.ANTsImage
        The mask in whole numbers.
    """
    return ants_image(Grid3D(mask.astype(np.float32), affine), seed).clone("unsigned char")


def pointer(image: Any) -> str:
    """Say where an ITK image lies in memory, as ANTs' command lines take it.

    Parameters
    ----------
    image
        An ``ants.ANTsImage``; keep it alive as long as the pointer is used.

    Returns
    -------
    str
        The pointer.
    """
    from ants.internal import get_pointer_string

    return str(get_pointer_string(image))


def run_ants_registration(arguments: Sequence[str], seed: int) -> None:
    """Run antsRegistration with arguments as on its command line.

    Parameters
    ----------
    arguments
        The arguments after dimension, precision and seed.
    seed
        Seed of the metric's sampling.

    Raises
    ------
    WmhflowError
        If ANTs says that it failed.
    """
    ants = single_threaded_ants(seed)
    common = ["--dimensionality", "3", "--float", "1", "--random-seed", str(seed)]
    try:
        ants.registration([*common, *arguments], None)
    except RuntimeError as error:
        raise WmhflowError(f"antsRegistration failed ({error}); look at the two images.") from error
