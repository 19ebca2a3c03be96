"""Resampling with ANTs says what scipy says, on any grid, and is refused where it cannot be."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tests.heads import coarse
from wmhflow.ants.images import THREADS_VARIABLE, single_threaded_ants
from wmhflow.ants.transforms import resample_through
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.steps.images import resample
from wmhflow.steps.kinds import Space

MOTION = rigid_matrix([4, 2, -6, 5, -3, 8], np.zeros(3))


@pytest.fixture(scope="module")
def head() -> Grid3D:
    return coarse("t1w", 4.0)


def test_resampling_agrees_with_scipy_and_inverts(head: Grid3D, tmp_path: Path) -> None:
    way = write_itk_affine(MOTION, tmp_path / "x.txt")
    ours = resample_through(head, head, [way])
    voxels = np.linalg.inv(head.affine) @ MOTION @ head.affine
    theirs = ndimage.affine_transform(head.data, voxels[:3, :3], voxels[:3, 3], order=1)
    assert np.abs(ours - theirs)[5:-5, 5:-5, 5:-5].max() < 0.1
    chained = resample_through(head, head, [way, way], invert=[False, True])
    assert np.abs(chained - head.data).max() < 0.1
    # the step does the same
    step = resample(head, Space(head.data.shape, head.affine), [Path(way)])
    assert np.array_equal(step.image.data, ours)
    assert np.array_equal(step.image.affine, head.affine)


def test_labels_on_an_oblique_grid_stay_labels_and_stay_in_place(head: Grid3D) -> None:
    labels = Grid3D(((head.data > 100) * 7).astype(np.float32), head.affine)
    oblique = rigid_matrix([1, 2, 3, 10, 20, 30], np.zeros(3)) @ head.affine
    oblique = oblique @ np.diag([1, -1, 1.4, 1])
    shape = (60, 70, 45)
    # the middles of both grids in one place
    middles = ([*(np.array(n) - 1) / 2, 1] for n in (head.data.shape, shape))
    there, here = (a @ m for a, m in zip((head.affine, oblique), middles, strict=True))
    oblique[:3, 3] += (there - here)[:3]
    empty = Grid3D(np.zeros(shape, np.float32), oblique)
    found = resample_through(labels, empty, [], "nearest")
    assert set(np.unique(found)) == {0, 7}
    places = np.linalg.inv(head.affine) @ oblique
    truth = ndimage.affine_transform(
        labels.data, places[:3, :3], places[:3, 3], empty.data.shape, order=0
    )
    # a voxel that lies on an edge may round either way
    assert (found == truth).mean() > 0.999


def test_wrong_arguments_are_refused(head: Grid3D) -> None:
    with pytest.raises(InputError, match="interpolation"):
        resample_through(head, head, [], "sinc")
    with pytest.raises(InputError, match="inversion"):
        resample_through(head, head, [], invert=[True])


def test_ants_runs_with_one_thread() -> None:
    assert os.environ[THREADS_VARIABLE] == "1"
    assert single_threaded_ants(5).config._random_seed == 5
