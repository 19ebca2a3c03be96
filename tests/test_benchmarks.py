"""What the benchmark compares does the same work: our kernels and scipy give the same regions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kernels import rivals
from benchmarks.kernels.atlases import LABELS, N_TRACTS, Atlases, lay, made_atlases
from benchmarks.kernels.ours import everything, tables, wanted_regions
from benchmarks.kernels.scene import Scene, made_scene
from wmhflow.core.regions.lookup import voxels_of
from wmhflow.core.regions.probabilities import STEPS


@pytest.fixture(scope="module")
def scene() -> Scene:
    return made_scene(80)


@pytest.fixture(scope="module")
def atlases(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Atlases:
    return made_atlases(scene, tmp_path_factory.mktemp("atlases"))


def test_the_made_head_has_all_that_is_measured(scene: Scene) -> None:
    assert scene.lesions.max() > 20
    for name in ("ventricles", "white", "cortex", "lobes"):
        assert getattr(scene, name).any()
    assert not (scene.ventricles & scene.white).any()
    assert not (scene.lesions > 0)[~scene.white].any()


def test_scipy_and_numpy_give_the_same_distances_and_regions(scene: Scene) -> None:
    to_ventricle, to_cortex, distance, owners, zones, shells, depth, cells = everything(scene)
    theirs = rivals.everything(scene)
    inside = scene.brain
    for ours, other in ((to_ventricle, theirs[0]), (to_cortex, theirs[1]), (distance, theirs[2])):
        assert np.allclose(ours[inside], other[inside], rtol=1e-6)
    assert np.array_equal(zones, theirs[4])
    assert np.allclose(depth[scene.white], theirs[6][scene.white], rtol=1e-6)
    # Of equally near lesions and lobes scipy takes any, and the edge of an interval is rounded.
    assert (owners == theirs[3])[scene.white].mean() > 0.97
    assert (shells == theirs[5])[scene.white].mean() > 0.97
    assert (cells == theirs[7])[scene.white].mean() > 0.97


@pytest.mark.slow
def test_mask_by_mask_gives_nearly_the_same_tables(scene: Scene, atlases: Atlases) -> None:
    regions = wanted_regions()
    ours, theirs = tables(scene, atlases), rivals.tables(scene, regions, atlases)
    volumes = np.array([row["volume_mm3"] for row in ours])
    others = np.array([volume for volume, _, _ in theirs])
    assert len(volumes) == len(others) == len(regions) + sum(LABELS) + N_TRACTS > 250
    # equally near lesions and lobes are anyone's, as above
    assert np.abs(volumes - others).sum() / volumes.sum() < 0.03
    zoned = [i for i, (seg, _) in enumerate(regions) if seg == "zones"]
    for i in zoned:
        found = ours[i]["volume_mm3"], ours[i]["wmh_volume_mm3"], ours[i]["n_lesions"]
        assert found == pytest.approx(theirs[i])


def test_scipy_lays_atlases_in_the_same_place(scene: Scene, atlases: Atlases) -> None:
    ours = lay(scene, atlases)
    labels, tracts = rivals.laid(scene, atlases)
    for image, other in zip(ours.labels, labels, strict=True):
        # ITK's points have single precision
        assert (image == other)[scene.brain].mean() > 0.9999
    steps = np.stack([tract[tuple(voxels_of(scene.brain).T)] for tract in tracts], axis=1) * STEPS
    assert steps.max() > 0.9 * STEPS
    assert np.abs(ours.steps - steps).max() < 0.51


def test_the_loop_gives_nearly_the_same_lobes() -> None:
    small = made_scene(64)
    by_loop, by_distance = rivals.lobes_by_loop(small), rivals.lobes_by_hemisphere(small)
    assert (by_loop == by_distance)[small.white].mean() > 0.9
