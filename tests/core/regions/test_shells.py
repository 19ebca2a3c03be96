"""Shells: thickness, owners and classes, known from geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wmhflow.core.arrays.distance import nearest, signed_distance
from wmhflow.core.regions.shells import shell_edges, shell_labels


def made(lesions, classes, nawm=None, spacing=(1, 1, 1), right=None, **options):
    """Call `shell_labels` with everything else white matter of the left side."""
    lesions = np.asarray(lesions)
    nawm = lesions == 0 if nawm is None else nawm
    right = np.zeros(lesions.shape, bool) if right is None else right
    return shell_labels(lesions, len(classes), classes, nawm, spacing, right, **options)


def test_on_a_1_mm_grid_a_2_mm_shell_is_two_voxels_thick():
    line = np.zeros((1, 1, 41), dtype=int)
    line[..., 18:23] = 1
    labels, owners, distance = made(line, [False])
    expected = [7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert labels[0, 0, 4:18].tolist() == [1200 + s for s in expected]
    assert labels[0, 0, 23:37].tolist() == [1200 + s for s in reversed(expected)]
    assert (labels[0, 0, :4] == 1250).all()
    assert labels[0, 0, 18:23].tolist() == [1251, 1251, 1252, 1251, 1251]
    assert (owners == 1).all()
    assert distance[0, 0, 16:25].tolist() == [2, 1, -1, -2, -3, -2, -1, 1, 2]


def test_volumes_around_a_ball_approach_those_of_geometry():
    radius, errors = 6.0, []
    for size in (1.0, 0.5):
        axis = np.arange(-15, 15 + size / 2, size)
        r = np.sqrt(sum(a**2 for a in np.meshgrid(axis, axis, axis)))
        labels, _, _ = made((r <= radius).astype(int), [True], spacing=(size,) * 3, max_mm=8)
        bands = {1101: (6, 8), 1102: (8, 10), 1103: (10, 12), 1104: (12, 14), 1151: (4, 6)}
        exact = np.array([4 / 3 * np.pi * (hi**3 - lo**3) for lo, hi in bands.values()])
        found = np.array([(labels == label).sum() * size**3 for label in bands])
        errors.append(np.abs(found / exact - 1).max())
    # Distances end at the centres of the outermost lesion voxels, half a voxel inside the edge.
    assert errors[1] < 0.15
    assert errors[1] < 0.75 * errors[0]


def test_every_voxel_takes_the_class_of_its_nearest_lesion():
    lesions = np.zeros((1, 1, 20), dtype=int)
    lesions[..., 2], lesions[..., 12] = 1, 2
    labels, owners, _ = made(lesions, [True, False])
    # Voxel 7 lies as far from both: it goes to the periventricular one, whatever its number.
    assert owners.ravel().tolist() == [1] * 8 + [2] * 12
    assert (labels.ravel()[:8] // 100 == 11).all()
    assert (labels.ravel()[8:] // 100 == 12).all()
    labels, owners, _ = made(lesions, [False, True])
    assert owners.ravel().tolist() == [1] * 7 + [2] * 13
    assert (labels.ravel()[:7] // 100 == 12).all()
    assert (labels.ravel()[7:] // 100 == 11).all()


def test_sides_come_from_the_hemisphere_image():
    lesions = np.zeros((7, 1, 1), dtype=int)
    lesions[3] = 1
    right = np.arange(7).reshape(7, 1, 1) > 3
    labels, _, _ = made(lesions, [True], right=right)
    assert labels.ravel().tolist() == [1102, 1101, 1101, 1151, 2101, 2101, 2102]


def test_only_nawm_and_lesions_are_labelled():
    lesions = np.zeros((1, 1, 9), dtype=int)
    lesions[..., 4] = 1
    nawm = np.zeros(lesions.shape, dtype=bool)
    nawm[..., 4:7] = True
    labels, owners, distance = made(lesions, [False], nawm=nawm)
    assert labels.ravel().tolist() == [0, 0, 0, 0, 1251, 1201, 1201, 0, 0]
    assert (owners == 1).all()
    assert np.isfinite(distance).all()
    assert made(lesions, [False], nawm=nawm, inner=False)[0].ravel()[4] == 0


def test_without_lesions_there_is_no_class():
    labels, owners, distance = made(np.zeros((3, 4, 5), int), [])
    assert not labels.any()
    assert not owners.any()
    assert np.isposinf(distance).all()


def test_a_lesion_that_fills_the_image_has_no_edge():
    labels, owners, distance = made(np.ones((3, 3, 3), int), [True], width_mm=1)
    assert (labels == 1190).all()
    assert (owners == 1).all()
    assert np.isneginf(distance).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.tuples(*[st.integers(1, 10)] * 3),
    st.sampled_from([(1, 1, 1), (0.9, 0.9, 3.0), (0.5, 1.2, 0.7)]),
    st.sampled_from([(2.0, 14.0), (1.0, 3.0), (0.7, 2.1), (0.9, 2.0), (3.0, 3.0)]),
)
def test_labels_agree_with_a_plain_reading_of_the_definition(seed, shape, spacing, shells):
    rng = np.random.default_rng(seed)
    n, (width, largest) = 4, shells
    lesions = rng.integers(1, n + 1, shape) * (rng.random(shape) < 0.1)
    nawm, right = (rng.random(shape) < 0.7) & (lesions == 0), rng.random(shape) < 0.5
    periventricular = rng.random(n) < 0.5
    labels, owners, distance = shell_labels(
        lesions, n, periventricular, nawm, spacing, right, width_mm=width, max_mm=largest
    )
    assert labels.dtype == np.int16
    # of equally near lesions a periventricular one, then the smaller number
    is_pv = np.concatenate([[False], periventricular])[lesions]
    to_pv, pv_owner = nearest(np.where(is_pv, lesions, 0), spacing)
    to_deep, deep_owner = nearest(np.where(is_pv, 0, lesions), spacing)
    assert np.array_equal(owners, np.where(to_pv <= to_deep, pv_owner, deep_owner))
    assert np.array_equal(distance, signed_distance(lesions != 0, spacing))
    expected = np.zeros(shape, dtype=int)
    base = 1000 * (1 + right) + np.where(np.append(False, periventricular)[owners], 100, 200)
    for s, (lo, hi) in enumerate(
        zip(shell_edges(width, largest)[:-1], shell_edges(width, largest)[1:], strict=True), 1
    ):
        band = nawm & (distance > np.float32(lo)) & (distance <= np.float32(hi))
        expected[band] = (base + s)[band]
    rest = nawm & (distance > np.float32(largest)) & np.isfinite(distance)
    expected[rest] = (base + 50)[rest]
    inside = lesions != 0
    depth = np.minimum(np.ceil(np.round(-distance[inside] / width, 5)), 40)
    expected[inside] = base[inside] + 50 + depth
    assert np.array_equal(labels, expected)


def test_memory_order_and_threads_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    lesions = rng.integers(1, 9, (50, 60, 70)) * (rng.random((50, 60, 70)) < 0.001)
    right = rng.random(lesions.shape) < 0.5
    expected = made(lesions, [True, False] * 4, right=right)
    monkeypatch.setattr("wmhflow.core.arrays.threads.thread_count", lambda: 3)
    for got, reference in zip(
        made(np.asfortranarray(lesions), [True, False] * 4, right=right), expected, strict=True
    ):
        assert np.array_equal(got, reference)


def test_edges():
    assert shell_edges().tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert shell_edges(0.7, 2.1).tolist() == [0, 0.7, 1.4, 2.1]
    assert shell_edges(3, 14).tolist() == [0, 3, 6, 9, 12, 14]
    assert shell_edges(5, 2).tolist() == [0, 2]
    assert len(shell_edges(0.35, 14)) == 41
    with pytest.raises(ValueError, match="at most 40"):
        shell_edges(0.3, 14)


@pytest.mark.parametrize("width", [0, -1, np.nan, np.inf])
def test_widths_must_be_positive_and_finite(width):
    with pytest.raises(ValueError, match="width_mm"):
        shell_edges(width, 14)


def test_wrong_arguments_are_named():
    lesions, image = np.ones((2, 2, 2), int), np.ones((2, 2, 2))
    with pytest.raises(ValueError, match="one entry for each of the 1"):
        shell_labels(lesions, 1, [True, False], image, (1, 1, 1), image)
    with pytest.raises(ValueError, match="lesion 1, but there are 0"):
        shell_labels(lesions, 0, [], image, (1, 1, 1), image)
    with pytest.raises(ValueError, match="nawm has shape"):
        shell_labels(lesions, 1, [True], np.ones((2, 2, 3)), (1, 1, 1), image)
    with pytest.raises(TypeError, match="integers"):
        shell_labels(image, 1, [True], image, (1, 1, 1), image)
