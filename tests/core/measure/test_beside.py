"""Distances between lesions are those of their edges, and chance is what random places give."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.measure import nearness, nearness_by_chance

SHAPE = (40, 36, 30)


def empty() -> np.ndarray:
    return np.zeros(SHAPE, np.int32)


@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (0.9, 1.2, 3.0)])
def test_distances_are_from_edge_to_edge_in_mm(sizes: tuple[float, ...]) -> None:
    lesions, target = empty(), empty()
    lesions[5:8, 5:8, 5:8] = 1
    lesions[20:24, 10:12, 5:8] = 2
    lesions[30, 30, 20] = 3
    target[12:15, 5:8, 5:8] = 1
    target[30, 30, 18:22] = 1
    found = nearness(lesions, 3, target, sizes)
    assert found.distance_mm[0] == pytest.approx(5 * sizes[0])
    assert found.distance_mm[1] == pytest.approx(np.hypot(6 * sizes[0], 3 * sizes[1]))
    assert found.distance_mm[2] == 0


def test_the_volume_within_a_distance_counts_for_the_nearest_lesion() -> None:
    lesions, target = empty(), empty()
    lesions[10, 10, 10], lesions[16, 10, 10] = 1, 2
    target[11:16, 10, 10] = 1
    found = nearness(lesions, 2, target, (1, 1, 2), within_mm=(2, 5))
    # 1 and 2 voxels away on either side, the middle one is equally near and goes to the first
    assert found.volume_mm3.tolist() == [[4, 6], [4, 4]]


def test_no_target_is_infinitely_far_and_no_lesion_has_no_row() -> None:
    lesions = empty()
    lesions[3, 3, 3] = 1
    found = nearness(lesions, 1, empty(), (1, 1, 1))
    assert np.isinf(found.distance_mm).all()
    assert (found.volume_mm3 == 0).all()
    assert nearness(empty(), 0, empty() + 1, (1, 1, 1)).distance_mm.size == 0
    with pytest.raises(ValueError, match="lesions go up to 1"):
        nearness(lesions, 0, empty(), (1, 1, 1))


def chance(target: np.ndarray, lesion: np.ndarray, **more: object):
    white = np.ones(SHAPE, bool)
    depth = np.full(SHAPE, 20.0)
    options = {"within_mm": 0.5, "n_draws": 600, "seed": 3} | more
    return nearness_by_chance(lesion, int(lesion.max()), target, white, depth, (1, 1, 1), **options)


def test_chance_is_the_share_of_places_that_are_near() -> None:
    lesion, target = empty(), empty()
    lesion[20, 20, 20] = 1
    target[:, :9] = 1
    found = chance(target, lesion)
    assert found.n_draws[0] == 600
    assert found.share[0] == pytest.approx(9 / 36, abs=0.05)
    assert np.array_equal(chance(target, lesion).share, found.share)
    assert chance(np.ones(SHAPE), lesion).share[0] == 1
    assert chance(empty(), lesion).share[0] == 0


def test_lesions_are_moved_within_white_matter_at_their_distance_from_the_ventricles() -> None:
    lesion, target = empty(), empty()
    lesion[20:22, 20:22, 20:22] = 1
    white, depth = np.zeros(SHAPE, bool), np.indices(SHAPE)[0].astype(float)
    white[:, 15:25] = True
    target[0:10] = 1
    target[:, 0:10] = 1
    arguments = (lesion, 1, target, white, depth, (1, 1, 1))
    # the target's part at this distance lies outside of white matter, the rest nearer
    assert nearness_by_chance(*arguments, within_mm=1).share[0] == 0
    target[18:24, 15:25] = 1
    assert nearness_by_chance(*arguments, within_mm=1).share[0] == 1


def test_a_lesion_that_fits_nowhere_has_no_chance() -> None:
    lesion = empty()
    lesion[2:38, 2:34, 2:28] = 1
    white = np.zeros(SHAPE, bool)
    white[18:22, 15:20, 10:15] = True
    found = nearness_by_chance(
        lesion, 1, empty(), white, np.full(SHAPE, 9.0), (1, 1, 1), within_mm=2
    )
    assert np.isnan(found.share[0])
    assert found.n_draws[0] == 0
