"""Alignment: scores fall away from the truth, searches find it, verdicts tell good from bad."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.align import similarity
from wmhflow.core.align.quality import ACCEPTABLE, alignment_quality, foreground, poor_numbers
from wmhflow.core.align.search import (
    every_turn,
    refine_rigid,
    rigid_matrix,
    rotation_matrix,
    search_rigid,
)
from wmhflow.core.align.similarity import compare, mean_distance_mm
from wmhflow.core.space.grids import Grid3D, apply_affine, centroid_mm

SHAPE = (30, 36, 28)
VOXEL_MM = 6.0


def made_head(contrast: tuple[float, ...], seed: int = 3) -> Grid3D:
    """A skewed ellipsoid of smooth tissue; contrasts are what each kind of tissue looks like."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.5)
    index = np.moveaxis(np.indices(SHAPE), 0, -1) - (np.array(SHAPE) - 1) / 2
    x, y, z = np.moveaxis(index * VOXEL_MM / [70, 88, 65], -1, 0)
    inside = x**2 + y**2 + (z + 0.25 * y) ** 2 + 0.1 * x * y < 1
    kind = np.digitize(smooth, np.quantile(smooth[inside], [0.3, 0.6]))
    data = np.where(inside, np.array(contrast)[kind], 0.0)
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = -VOXEL_MM * (np.array(SHAPE) - 1) / 2
    return Grid3D(data.astype(np.float32), affine)


def moved(grid: Grid3D, matrix: np.ndarray) -> Grid3D:
    return Grid3D(grid.data, matrix @ grid.affine)


@pytest.fixture(scope="module")
def heads() -> tuple[Grid3D, Grid3D]:
    """The same head in two contrasts."""
    return made_head((0.3, 0.6, 0.9)), made_head((0.9, 0.7, 0.2))


def test_kernel_agrees_with_scipy_and_numpy(heads) -> None:
    fixed, moving = heads
    matrix = rigid_matrix([8, -5, 12, 6, 9, -4], np.zeros(3))
    pair = compare(fixed, moving)
    where = apply_affine(pair.to_voxels @ matrix, pair.points)
    inside = np.all((where >= -0.5) & (where <= np.array(SHAPE) - 0.5), axis=1)
    sampled = ndimage.map_coordinates(moving.data, where[inside].T, order=1, mode="nearest")
    counts = np.zeros((32, 32))
    for values, weight in (((pair.values[inside] * 31, sampled * 31), 1.0),):
        first, second = values
        low = [np.minimum(v.astype(int), 30) for v in (first, second)]
        rest = [v - b for v, b in zip((first, second), low, strict=True)]
        for a, b in itertools.product((0, 1), repeat=2):
            share = (rest[0] if a else 1 - rest[0]) * (rest[1] if b else 1 - rest[1])
            np.add.at(counts, (low[0] + a, low[1] + b), weight * share)
    joint = counts / counts.sum()
    expected = np.outer(joint.sum(1), joint.sum(0))
    information = np.sum(joint[joint > 0] * np.log(joint[joint > 0] / expected[joint > 0]))
    weights = np.where(pair.values > 0, 1.0, 0.05)
    truth = information * weights[inside].sum() / weights.sum()
    assert pair.score(matrix) == pytest.approx(truth, rel=1e-4)


def test_score_of_a_head_with_itself_falls_with_distance(heads) -> None:
    pair = compare(heads[0], heads[1])
    scores = [pair.score(rigid_matrix([0, 0, 0, mm, 0, 0], np.zeros(3))) for mm in (0, 4, 8, 16)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 2 * scores[-1]


def test_nothing_in_common_scores_nothing(heads) -> None:
    far = rigid_matrix([0, 0, 0, 5000, 0, 0], np.zeros(3))
    assert compare(heads[0], heads[1]).score(far) == 0.0


def test_a_slab_is_no_better_aligned_where_it_sees_less(heads) -> None:
    """Information of a small overlap is not taken for a good fit."""
    fixed, moving = heads
    slab = Grid3D(moving.data[:, :, 10:18], moving.affine.copy())
    slab.affine[:3, 3] += [0, 0, 10 * VOXEL_MM]
    pair = compare(fixed, slab)
    assert pair.score(np.eye(4)) > pair.score(rigid_matrix([0, 0, 0, 0, 0, 60], np.zeros(3)))


def test_drawn_points_are_few_within_the_image_and_say_the_same(heads, monkeypatch) -> None:
    monkeypatch.setattr(similarity, "MOST_POINTS", 20_000)
    fixed = heads[0]
    drawn, again, whole = compare(*heads, seed=1), compare(*heads, seed=1), compare(*heads)
    assert len(drawn.values) == 20_000 < len(whole.values)
    assert np.array_equal(drawn.points, again.points)
    voxels = apply_affine(np.linalg.inv(fixed.affine), drawn.points)
    assert voxels.min() >= -0.5
    assert np.all(voxels.max(axis=0) <= np.array(SHAPE) - 0.5)
    # half of the points lie off the voxels' centres, where interpolation blurs both images
    for mm in (0.0, 6.0, 12.0):
        matrix = rigid_matrix([0, 0, 0, mm, 3, 3], np.zeros(3))
        assert drawn.score(matrix) == pytest.approx(whole.score(matrix), rel=0.35)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("angle", [pytest.param(-40, marks=pytest.mark.slow), 40])
def test_forty_degrees_about_each_axis_are_found(heads, axis, angle) -> None:
    fixed, moving = heads
    angles = np.zeros(3)
    angles[axis] = angle
    truth = rigid_matrix([*angles, 25, -20, 24], centroid_mm(fixed))
    found = search_rigid(fixed, moved(moving, truth))[0][1]
    points = apply_affine(fixed.affine, np.argwhere(fixed.data > 0).astype(float))
    assert mean_distance_mm(found, truth, points) < 1.0


def test_refining_never_lowers_the_score(heads) -> None:
    pair = compare(*heads, seed=0)
    start = rigid_matrix([3, -2, 4, 5, -4, 3], np.zeros(3))
    found, score = refine_rigid(pair, start, np.zeros(3))
    assert score >= pair.score(start)
    assert score == pytest.approx(pair.score(found))


def test_search_gives_the_same_every_time(heads) -> None:
    runs = [search_rigid(*heads, seed=4) for _ in range(2)]
    assert [name for name, _, _ in runs[0]] == [name for name, _, _ in runs[1]]
    for (_, one, _), (_, other, _) in zip(*runs, strict=True):
        assert np.array_equal(one, other)


def test_turns_leave_no_direction_far_from_one() -> None:
    turns = np.array([rotation_matrix(turn) for turn in every_turn()])
    rng = np.random.default_rng(0)
    for _ in range(200):
        wanted = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        wanted *= np.sign(np.linalg.det(wanted))
        cosines = (np.einsum("nij,ij->n", turns, wanted) - 1) / 2
        assert np.degrees(np.arccos(np.clip(cosines.max(), -1, 1))) < 27
    assert every_turn()[0] == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_verdict_tells_truth_from_everything_else(heads) -> None:
    fixed, moving = heads
    good = alignment_quality(fixed, moving, np.eye(4), seed=1)
    assert not poor_numbers(good)
    assert good["displacement_mm"] == 0
    assert good["foreground_dice"] > 0.9
    assert good["field_of_view_overlap"] == 1
    other_person = made_head((0.9, 0.7, 0.2), seed=8)
    noise = Grid3D(np.random.default_rng(0).random(SHAPE, dtype=np.float32), fixed.affine)
    wrong = {
        "turned": (moving, rigid_matrix([0, 180, 0, 0, 0, 0], np.zeros(3))),
        "shifted": (moving, rigid_matrix([0, 0, 0, 12, 0, 0], np.zeros(3))),
        "other head": (other_person, np.eye(4)),
        "noise": (noise, np.eye(4)),
    }
    for name, (image, matrix) in wrong.items():
        assert "mutual_information_ratio" in poor_numbers(
            alignment_quality(fixed, image, matrix, seed=1)
        ), name


@pytest.mark.parametrize("wrong", [[0, 0, 0, 5, 0, 0], [0, 0, 0, 0, -3, 4], [0, 9, 0, 0, 0, 0]])
def test_a_small_error_is_seen_because_a_better_place_lies_beside_it(heads, wrong) -> None:
    right = alignment_quality(*heads, np.eye(4), seed=1)["misalignment_mm"]
    assert right < 1
    displaced = rigid_matrix(wrong, np.zeros(3))
    found = alignment_quality(*heads, displaced, seed=1)
    assert found["misalignment_mm"] == pytest.approx(found["displacement_mm"], abs=right + 1)
    assert "misalignment_mm" in poor_numbers(found)


def test_slow_changes_of_a_coil_do_not_change_the_verdict(heads) -> None:
    fixed, moving = heads
    slope = np.linspace(0.4, 1.6, SHAPE[1], dtype=np.float32)[:, None]
    sloping = Grid3D(moving.data * slope, moving.affine)
    ratios = [
        alignment_quality(fixed, image, np.eye(4), seed=1)["mutual_information_ratio"]
        for image in (moving, sloping)
    ]
    assert ratios[1] > 0.8 * ratios[0]


def test_displacement_is_measured_over_the_head(heads) -> None:
    shift = rigid_matrix([0, 0, 0, 3, 4, 0], np.zeros(3))
    quality = alignment_quality(*heads, shift, seed=1)
    assert quality["displacement_mm"] == pytest.approx(5)


def test_field_of_view_that_misses_half_is_told(heads) -> None:
    fixed, moving = heads
    half = Grid3D(moving.data[:15], moving.affine)
    quality = alignment_quality(fixed, half, np.eye(4), seed=1)
    assert quality["field_of_view_overlap"] == pytest.approx(0.5, abs=0.05)
    assert quality["foreground_dice"] > 0.9


def test_foreground_is_the_head_and_not_the_air() -> None:
    rng = np.random.default_rng(0)
    head = made_head((0.3, 0.6, 0.9))
    noisy = Grid3D(np.abs(head.data + rng.normal(0, 0.02, SHAPE)).astype(np.float32), head.affine)
    found, truth = foreground(noisy), head.data > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95


def test_bounds_are_those_of_the_table() -> None:
    for name, (low, high) in ACCEPTABLE.items():
        assert (low is None) != (high is None), name
        bound, beyond = (low, -0.01) if high is None else (high, 0.01)
        assert poor_numbers({name: bound + beyond}), name
        assert not poor_numbers({name: bound}), name


def test_the_score_is_symmetric_and_falls_with_shuffling() -> None:
    rng = np.random.default_rng(0)
    first = rng.random((30, 30, 22)).astype(np.float32)
    second = np.clip(first + rng.normal(0, 0.05, first.shape), 0.01, 1).astype(np.float32)
    shuffled = rng.permutation(second.ravel()).reshape(second.shape)
    one, other, none = (Grid3D(data, np.eye(4)) for data in (first, second, shuffled))
    joint = compare(one, other).score(np.eye(4))
    assert joint == pytest.approx(compare(other, one).score(np.eye(4)), rel=1e-3)
    assert compare(one, none).score(np.eye(4)) < 0.1 * joint
