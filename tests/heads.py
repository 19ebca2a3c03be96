"""The template at voxel sizes that make tests quick, and ANTs in a hurry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.core.space.grids import Grid3D, resample_isotropic
from wmhflow.files.template import IMAGES, MASK_PRIORS, Template, cached_template


@cache
def coarse(name: str, spacing_mm: float) -> Grid3D:
    """One of the template's images."""
    grid = resample_isotropic(cached_template().grid(name), spacing_mm)
    return Grid3D(grid.data > 0.5, grid.affine) if name in MASK_PRIORS else grid


def coarse_template(folder: Path, spacing_mm: float) -> Template:
    """Write all of the template's images into a folder."""
    for name in IMAGES:
        grid = coarse(name, spacing_mm)
        dtype = np.uint8 if name in MASK_PRIORS else np.float32
        save_image(folder / f"{name}.nii.gz", grid.data, grid.affine, dtype=dtype)
    return Template(folder)


@contextlib.contextmanager
def early_stops() -> Iterator[None]:
    """Let ANTs stop early, where how near it comes is not the matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wmhflow.ants.linear.COARSE_ITERATIONS", 10)
        patch.setattr("wmhflow.ants.linear.FINEST_ITERATIONS", 3)
        yield
