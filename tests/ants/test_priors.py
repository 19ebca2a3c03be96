"""What was found on the FLAIR's grid keeps its size on the reference's."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path

import numpy as np
import pytest

from wmhflow.ants.priors import brought_to_brain
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D
from wmhflow.core.wmh.segmentation import WMHResult
from wmhflow.files.itk import write_itk_affine


# linear interpolation loses 8 % of balls of 3 mm, and more of smaller ones
@pytest.mark.parametrize(("radius_mm", "lost"), [(2.0, 0.16), (3.0, 0.05), (5.0, 0.02)])
def test_lesions_keep_their_size_on_a_turned_grid(
    radius_mm: float, lost: float, tmp_path: Path
) -> None:
    turned = rigid_matrix(np.array([8.0, -6.0, 10.0, 0.4, 0.3, -0.5]), np.full(3, 12.0))
    transform = write_itk_affine(turned, tmp_path / "turned.txt")
    brain = Grid3D(np.ones((25, 25, 25), np.float32), np.eye(4))
    voxels, parts, drawn_voxels = np.indices((25, 25, 25)), 5, 0
    places = (np.indices((25 * parts,) * 3) + 0.5) / parts - 0.5
    centres = np.random.default_rng(1).uniform(11.5, 12.5, (5, 3))
    for centre in centres:
        there = turned[:3, :3] @ centre + turned[:3, 3]
        inside = np.sum((places.T - there).T ** 2, axis=0) <= radius_mm**2
        # what share of each voxel of the FLAIR a ball fills
        share = inside.reshape(25, parts, 25, parts, 25, parts).mean(axis=(1, 3, 5))
        share = share.astype(np.float32)
        found = WMHResult(share >= 0.5, share, share, 0.1, 1.0, 1.0, 5.0, 0.8)
        brought, _ = brought_to_brain(found, np.eye(4), brain, [transform])
        truth = np.sum((voxels.T - centre).T ** 2, axis=0) <= radius_mm**2
        drawn = (brought >= 0.5) & (brought <= 1)
        drawn_voxels += drawn.sum()
        assert 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum()) > 0.85
    assert abs(drawn_voxels / len(centres) / (4 / 3 * np.pi * radius_mm**3) - 1) < lost
