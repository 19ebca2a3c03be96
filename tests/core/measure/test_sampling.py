"""Coverage and statistics: exact in any relative position of map and labels."""

from __future__ import annotations

import csv
import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection
from scipy.spatial.transform import Rotation

from tests.builders import DATA
from wmhflow.core.measure import coverage
from wmhflow.core.measure.coverage import CoverageWeights, coverage_weights, merge_regions
from wmhflow.core.measure.statistics import region_statistics

SHARED = DATA
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
ANGLE = st.floats(-180, 180)
SIZE = st.floats(0.4, 3.0)


def centred(shape, sizes, angles=(0, 0, 0), centre=(0, 0, 0)):
    """Return the affine of a grid with its middle at `centre`."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag(sizes)
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def intersection_volume(label_affine, label_voxel, map_affine, map_voxel):
    """Return the volume that two voxels share, as scipy's intersection of half-spaces has it."""
    walls = []
    for affine, voxel in ((label_affine, label_voxel), (map_affine, map_voxel)):
        inverse = np.linalg.inv(affine)
        for axis, side in itertools.product(range(3), (1, -1)):
            normal = side * inverse[axis, :3]
            walls.append([*normal, side * (inverse[axis, 3] - voxel[axis]) - 0.5])
    walls = np.array(walls)
    walls /= np.linalg.norm(walls[:, :3], axis=1)[:, None]
    inside = interior_point(walls)
    if inside is None:
        return 0.0
    return ConvexHull(HalfspaceIntersection(walls, inside).intersections).volume


def interior_point(walls):
    """Return the middle of the largest ball between the walls, or None if there is none."""
    found = linprog(
        [0, 0, 0, -1],
        A_ub=np.column_stack([walls[:, :3], np.ones(len(walls))]),
        b_ub=-walls[:, 3],
        bounds=[(None, None)] * 3 + [(0, None)],
    )
    return found.x[:3] if found.success and found.x[3] > 1e-6 else None


def total_volume(weights, row):
    """Return the volume of a region as its weights have it."""
    return weights.dense(weights.index[row]).sum() * weights.map_voxel_mm3


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(ANGLE, ANGLE, ANGLE), st.tuples(SIZE, SIZE, SIZE), st.tuples(*[st.floats(-1, 1)] * 3)
)
def test_two_voxels_share_what_half_spaces_say(angles, sizes, centre):
    label_affine, map_affine = (
        centred((1, 1, 1), (1, 1, 1)),
        centred((2, 1, 1), sizes, angles, centre),
    )
    weights = coverage_weights(np.ones((1, 1, 1), int), label_affine, (2, 1, 1), map_affine)
    for i in range(2):
        exact = intersection_volume(label_affine, (0, 0, 0), map_affine, (i, 0, 0))
        found = weights.dense(1)[i, 0, 0] * weights.map_voxel_mm3
        assert found == pytest.approx(exact, abs=2e-4)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**31),
    st.tuples(ANGLE, ANGLE, ANGLE),
    st.tuples(SIZE, SIZE, SIZE),
    st.tuples(SIZE, SIZE, SIZE),
    st.tuples(*[st.booleans()] * 3),
)
def test_weights_agree_with_fine_subsampling(seed, angles, label_sizes, map_sizes, flips):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 3, 2150, 7], (4, 5, 3))
    label_affine = centred(labels.shape, label_sizes, rng.uniform(-180, 180, 3))
    map_shape, fine = (3, 4, 3), 24
    map_affine = centred(map_shape, map_sizes, angles, rng.uniform(-2, 2, 3))
    map_affine[:3, :3] *= np.where(flips, -1, 1)
    weights = coverage_weights(labels, label_affine, map_shape, map_affine)
    steps = (np.arange(fine) + 0.5) / fine - 0.5
    points = np.stack(
        np.meshgrid(*[(np.arange(n)[:, None] + steps).ravel() for n in map_shape], indexing="ij"),
        axis=-1,
    )
    to_labels = np.linalg.inv(label_affine) @ map_affine
    voxel = np.rint(points @ to_labels[:3, :3].T + to_labels[:3, 3]).astype(int)
    inside = ((voxel >= 0) & (voxel < labels.shape)).all(axis=-1)
    found = np.where(
        inside, labels[tuple(np.moveaxis(np.where(inside[..., None], voxel, 0), -1, 0))], 0
    )
    blocks = found.reshape(3, fine, 4, fine, 3, fine)
    for label in weights.index:
        # Points on a wall that lies along them are all on one side of it: 1/48 per wall.
        difference = np.abs((blocks == label).mean(axis=(1, 3, 5)) - weights.dense(label))
        assert difference.max() < 0.08
        assert difference.mean() < 0.008


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31),
    st.tuples(ANGLE, ANGLE, ANGLE),
    st.sampled_from([0.3, 0.7, 1.0, 1.9, 5.0, 20.0]),
)
def test_weights_add_up_to_the_volumes_of_the_regions(seed, angles, size):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (5, 6, 4))
    label_affine = centred(labels.shape, (1, 0.8, 1.5), rng.uniform(-180, 180, 3))
    side = int(np.ceil(14 / size)) + 1
    map_affine = centred((side,) * 3, (size, size, size), angles, rng.uniform(-0.5, 0.5, 3))
    weights = coverage_weights(labels, label_affine, (side,) * 3, map_affine)
    for row, label in enumerate(weights.index):
        assert weights.volume_mm3[row] == pytest.approx((labels == label).sum() * 1.2)
        assert total_volume(weights, row) == pytest.approx(weights.volume_mm3[row], rel=1e-4)
    assert (weights.fractions > 0).all()
    assert (weights.fractions <= 1).all()
    everything = merge_regions(weights, [(9, weights.index.tolist())])
    assert everything.fractions.max(initial=0) <= 1 + 1e-12


@pytest.mark.parametrize("angles", [(20, -7, 13), (0, 0, 11)])
@pytest.mark.parametrize("most_codes", [1 << 62, 40])
def test_several_images_at_once_are_covered_as_each_alone(monkeypatch, angles, most_codes):
    """Whether a map's voxels are upright prisms in the labels' grid or not, and however many."""
    monkeypatch.setattr(coverage, "MOST_CODES", most_codes)
    rng = np.random.default_rng(3)
    shape = (11, 9, 10)
    images = [np.zeros(shape, int) for _ in range(4)]
    images[0][1:7, 2:8, 3:9] = rng.integers(0, 4, (6, 6, 6)) * 70
    images[1][4:, :5, 2:7] = rng.integers(0, 3, (7, 5, 5))
    images[3][:] = np.indices(shape)[0] // 5 + 1
    grids = centred(shape, (1, 0.9, 1.2)), (12, 8, 9), centred((12, 8, 9), (0.9, 1.4, 1.3), angles)
    together = coverage.coverage_of_each(images, *grids)
    for found, image in zip(together, images, strict=True):
        alone = coverage_weights(image, *grids)
        for name in ("index", "volume_mm3", "voxels", "starts", "regions"):
            assert np.array_equal(getattr(found, name), getattr(alone, name)), name
        assert found.fractions == pytest.approx(alone.fractions, rel=1e-11, abs=1e-13)


def test_images_of_different_shapes_are_not_taken_together():
    images = [np.ones((2, 2, 2), int), np.ones((2, 2, 3), int)]
    with pytest.raises(ValueError, match="one shape"):
        coverage.coverage_of_each(images, np.eye(4), (2, 2, 2), np.eye(4))


def test_the_same_grid_gives_whole_voxels():
    labels = np.random.default_rng(0).integers(0, 300, (12, 13, 14)) * 7
    affine = centred(labels.shape, (0.9, 0.9, 3.0), (5, -3, 8), (1, 2, 3))
    for other in (
        affine,
        affine.astype(np.float32),
        affine + 1e-6 * (np.arange(16).reshape(4, 4) < 12),
    ):
        weights = coverage_weights(labels, affine, labels.shape, other)
        assert np.array_equal(weights.index, np.unique(labels[labels > 0]))
        assert np.array_equal(weights.voxels, np.flatnonzero(labels))
        assert np.array_equal(weights.index[weights.regions], labels[labels > 0])
        assert np.allclose(weights.fractions, 1, atol=1e-4)


@pytest.mark.parametrize("factor", [2, 3])
def test_whole_factors_count_voxels(factor):
    labels = np.random.default_rng(1).integers(0, 3, (6, 12, 6))
    coarse_shape = tuple(n // factor for n in labels.shape)
    coarse = coverage_weights(
        labels, centred(labels.shape, (1, 1, 1)), coarse_shape, centred(coarse_shape, (factor,) * 3)
    )
    fine_shape = tuple(n * factor for n in labels.shape)
    fine = coverage_weights(
        labels, centred(labels.shape, (1, 1, 1)), fine_shape, centred(fine_shape, (1 / factor,) * 3)
    )
    for label in (1, 2):
        mask = labels == label
        blocks = mask.reshape(*itertools.chain(*[(n, factor) for n in coarse_shape]))
        assert np.allclose(coarse.dense(label), blocks.mean(axis=(1, 3, 5)), atol=1e-12)
        assert np.allclose(fine.dense(label), np.kron(mask, np.ones((factor,) * 3)), atol=1e-12)


def test_a_single_voxel_in_a_voxel_a_thousand_times_larger_counts():
    labels = np.zeros((30, 30, 30), dtype=np.int16)
    labels[11, 17, 4] = 2150
    map_affine = centred((2, 2, 2), (20, 20, 20), (10, 20, 30))
    weights = coverage_weights(labels, centred(labels.shape, (1, 1, 1)), (2, 2, 2), map_affine)
    assert total_volume(weights, 0) == pytest.approx(1.0, rel=1e-9)


def test_outside_the_field_of_view_nothing_is_covered():
    labels = np.ones((4, 4, 4), dtype=int)
    labels[2:] = 5
    grid = centred((4, 4, 4), (1, 1, 1))
    half = coverage_weights(
        labels, grid, (4, 4, 4), centred((4, 4, 4), (1, 1, 1), centre=(-2, 0, 0))
    )
    assert total_volume(half, 0) == pytest.approx(32)
    statistics = region_statistics(np.ones((4, 4, 4)), half)
    assert statistics["coverage"].tolist() == [1, 0]
    assert statistics["n"].tolist() == [32, 0]
    away = coverage_weights(
        labels, grid, (4, 4, 4), centred((4, 4, 4), (1, 1, 1), centre=(99, 0, 0))
    )
    assert away.voxels.size == 0
    assert region_statistics(np.ones((4, 4, 4)), away)["n"].tolist() == [0, 0]


@pytest.mark.parametrize("code", ["RAS", "LAS", "LPS", "LIA", "PSR", "SAL"])
def test_orientation_of_either_array_changes_nothing(code):
    rng = np.random.default_rng(2)
    labels, values = rng.integers(0, 4, (6, 7, 5)), rng.normal(size=(5, 6, 4))
    label_affine = centred(labels.shape, (1, 1.2, 0.8), (4, 5, 6))
    map_affine = centred(values.shape, (2, 1.5, 1.7), (-9, 3, 12))
    expected = region_statistics(
        values, coverage_weights(labels, label_affine, values.shape, map_affine)
    )
    moved = []
    for image, affine in ((labels, label_affine), (values, map_affine)):
        change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(code))
        moved.append(nib.apply_orientation(image, change))
        moved.append(affine @ inv_ornt_aff(change, image.shape))
    turned, turned_affine, turned_values, turned_map = moved
    for label_side, map_side in (
        ((turned, turned_affine), (values, map_affine)),
        ((labels, label_affine), (turned_values, turned_map)),
    ):
        weights = coverage_weights(*label_side, map_side[0].shape, map_side[1])
        found = region_statistics(map_side[0], weights)
        for name, column in expected.items():
            assert np.allclose(found[name], column, rtol=1e-9), name


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([np.float64, np.float32, ">f4", np.int16, np.uint8, bool]),
    st.sampled_from(["C", "F"]),
    st.booleans(),
)
def test_statistics_agree_with_numpy(seed, kind, order, masked):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (5, 5, 5)) * (rng.random((5, 5, 5)) < rng.choice([0.1, 0.5, 1]))
    shape = (4, 3, 5)
    map_affine = centred(shape, (1.3, 2.0, 1.1), rng.uniform(-30, 30, 3))
    weights = coverage_weights(labels, centred(labels.shape, (1, 1, 1)), shape, map_affine)
    values = np.require(rng.normal(0, 5, shape).clip(0), kind, order)
    if values.dtype.kind == "f":
        values[rng.random(shape) < 0.2] = np.nan
        values[rng.random(shape) < 0.1] = -np.inf
    valid = rng.random(shape) < 0.7 if masked else None
    statistics = region_statistics(values, weights, valid)
    assert {column.shape for column in statistics.values()} == {weights.index.shape}
    for row, label in enumerate(weights.index):
        w = weights.dense(label)
        counted = (w > 0) & np.isfinite(values) & (True if valid is None else valid)
        x, w = values[counted].astype(float), w[counted]
        found = {name: column[row] for name, column in statistics.items()}
        assert found["index"] == label
        assert found["n"] == x.size
        assert found["volume_mm3"] == (labels == label).sum()
        assert found["coverage"] == pytest.approx(w.sum() * 2.86 / found["volume_mm3"])
        if x.size == 0:
            names = ("mean", "sd", "mad", "n_effective", *QUANTILES)
            assert all(np.isnan(found[name]) for name in names)
            continue
        effective = w.sum() ** 2 / (w**2).sum()
        assert found["n_effective"] == pytest.approx(effective)
        assert found["mean"] == pytest.approx(np.average(x, weights=w), abs=1e-12)
        if x.size > 1:
            variance = np.average((x - np.average(x, weights=w)) ** 2, weights=w)
            assert found["sd"] == pytest.approx(np.sqrt(variance * effective / (effective - 1)))
        else:
            assert np.isnan(found["sd"])
        for name, q in QUANTILES.items():
            assert found[name] == pytest.approx(plain_quantile(x, w, q))
        deviation = np.abs(x - found["median"])
        assert found["mad"] == pytest.approx(plain_quantile(deviation, w, 0.5))


def plain_quantile(x, w, q):
    """Return the mean of numpy's weighted quantiles just below and just above q."""
    sides = [np.clip(q + step, 0, 1) for step in (-1e-9, 1e-9)]
    return np.quantile(x, sides, weights=w, method="inverted_cdf").mean()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_equal_weights_give_the_usual_numbers(numbers):
    values = np.array(numbers, dtype=float).reshape(1, 1, -1)
    weights = coverage_weights(np.ones(values.shape, int), np.eye(4), values.shape, np.eye(4))
    found = {name: column[0] for name, column in region_statistics(values, weights).items()}
    assert found["n_effective"] == pytest.approx(len(numbers))
    assert found["median"] == np.median(numbers)
    assert found["mad"] == np.median(np.abs(values - np.median(numbers)))
    assert found["mean"] == pytest.approx(np.mean(numbers))
    for name, q in QUANTILES.items():
        assert found[name] == np.quantile(numbers, q, method="averaged_inverted_cdf")
    if len(numbers) > 1:
        assert found["sd"] == pytest.approx(np.std(numbers, ddof=1))


def test_a_voxel_split_in_eight_changes_no_quantile():
    rng = np.random.default_rng(4)
    labels, values = rng.integers(0, 3, (6, 6, 6)), rng.normal(size=(4, 5, 3))
    map_affine = centred(values.shape, (1.5, 1.3, 2), (3, 8, 2))
    grid = centred(labels.shape, (1, 1, 1))
    split_affine = map_affine @ np.diag([0.5, 0.5, 0.5, 1])
    split_affine[:3, 3] = (map_affine @ [-0.25, -0.25, -0.25, 1])[:3]
    split = np.kron(values, np.ones((2, 2, 2)))
    one = region_statistics(values, coverage_weights(labels, grid, values.shape, map_affine))
    other = region_statistics(split, coverage_weights(labels, grid, split.shape, split_affine))
    for name in ("mean", "mad", "coverage", *QUANTILES):
        assert np.allclose(one[name], other[name], rtol=1e-4), name


def test_a_constant_map_has_its_value_and_no_spread():
    labels = np.random.default_rng(5).integers(0, 9, (8, 8, 8))
    affine = centred((5, 5, 5), (1.7, 1.7, 1.7), (7, 5, 3))
    weights = coverage_weights(labels, centred(labels.shape, (1, 1, 1)), (5, 5, 5), affine)
    statistics = region_statistics(np.full((5, 5, 5), 0.1), weights)
    for name in ("mean", "median", "q05", "q95"):
        assert (statistics[name] == 0.1).all()
    assert (statistics["sd"] == 0).all()
    assert (statistics["mad"] == 0).all()


def test_zeros_count():
    weights = coverage_weights(np.ones((1, 1, 4), int), np.eye(4), (1, 1, 4), np.eye(4))
    statistics = region_statistics(np.array([[[0, 0, 0, 4]]]), weights)
    assert statistics["n"][0] == 4
    assert statistics["mean"][0] == 1
    assert statistics["median"][0] == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_a_union_is_what_its_parts_are_together(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 6, (6, 5, 4))
    shape, grid = (3, 4, 3), centred((6, 5, 4), (1, 1, 1))
    map_affine = centred(shape, (2, 1.5, 1.7), rng.uniform(-20, 20, 3))
    weights = coverage_weights(labels, grid, shape, map_affine)
    unions = [(100, [1, 2]), (7, [5]), (50, [2, 3, 4, 5]), (200, [1, 2, 3, 4, 5]), (9, [77])]
    merged = merge_regions(weights, unions)
    assert merged.index.tolist() == [100, 7, 50, 200, 9]
    assert np.array_equal(np.diff(merged.voxels) > 0, np.ones(max(0, merged.voxels.size - 1), bool))
    values = rng.normal(size=shape)
    found = region_statistics(values, merged)
    for row, (new, old) in enumerate(unions):
        direct = coverage_weights(np.isin(labels, old) * new, grid, shape, map_affine)
        assert np.allclose(merged.dense(new), direct.dense(new), atol=1e-3)
        expected = region_statistics(values, direct)
        for name, column in found.items():
            if direct.index.size:
                # A sliver that counts in the union may be too small in each of its parts.
                slack = 3 if name == "n" else 1e-3
                assert np.allclose(column[row], expected[name][0], rtol=1e-3, atol=slack), name
    assert found["n"][4] == found["volume_mm3"][4] == 0
    assert np.isnan(found["coverage"][4])
    assert np.isnan(found["mean"][4])


def test_unions_are_checked():
    weights = coverage_weights(np.ones((1, 1, 1), int), np.eye(4), (1, 1, 1), np.eye(4))
    with pytest.raises(ValueError, match="new region twice"):
        merge_regions(weights, [(1, [1]), (1, [2])])
    with pytest.raises(ValueError, match="old region twice"):
        merge_regions(weights, [(1, [1, 1])])
    assert merge_regions(weights, []).index.size == 0


def test_no_region_gives_empty_columns():
    weights = coverage_weights(np.zeros((3, 3, 3), int), np.eye(4), (2, 2, 2), np.eye(4))
    statistics = region_statistics(np.ones((2, 2, 2)), weights, np.ones((2, 2, 2), bool))
    assert all(column.shape == (0,) for column in statistics.values())


def test_labels_of_any_size_and_type():
    affine = centred((2, 2, 2), (1, 1, 1))
    for kind in (bool, np.uint8, np.int16, ">i4", np.uint64):
        labels = np.zeros((2, 2, 2), dtype=kind)
        labels[0] = 1
        assert coverage_weights(labels, affine, (2, 2, 2), affine).index.tolist() == [1]
    labels = np.full((2, 2, 2), 2**31 - 1)
    labels[0] = 12
    weights = coverage_weights(labels, affine, (2, 2, 2), affine)
    assert weights.index.tolist() == [12, 2**31 - 1]
    assert weights.volume_mm3.tolist() == [4, 4]


def test_the_number_of_threads_changes_nothing(monkeypatch):
    labels = np.random.default_rng(6).integers(0, 40, (40, 40, 40))
    affine = centred((30, 31, 32), (1.3, 1.3, 1.3), (3, 4, 5))
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("wmhflow.core.arrays.threads.thread_count", lambda n=threads: n)
        results.append(
            coverage_weights(labels, centred(labels.shape, (1, 1, 1)), (30, 31, 32), affine)
        )
    for other in results[1:]:
        for field in ("voxels", "starts", "regions", "fractions"):
            assert np.array_equal(getattr(results[0], field), getattr(other, field))


@pytest.mark.parametrize("along", [0, 1, 2])
@pytest.mark.parametrize("angle", [0, 17])
def test_upright_voxels_weigh_what_almost_upright_ones_do(along, angle):
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 4, (9, 8, 7)) * 5
    label_affine = centred(labels.shape, (1, 1.1, 0.9))
    shape = (5, 6, 4)
    for order in itertools.permutations(range(3)):
        upright = centred(shape, (1.9, 1.6, 2.3), np.eye(3)[along] * angle, (0.3, -0.2, 0.1))
        upright[:3, :3] = upright[:3, :3][:, order]
        leaning = upright.copy()
        leaning[:3, :3] = (
            Rotation.from_euler("xyz", (2e-4, 3e-4, -2e-4), degrees=True).as_matrix()
            @ upright[:3, :3]
        )
        first, second = (
            coverage_weights(labels, label_affine, shape, affine) for affine in (upright, leaning)
        )
        for label in first.index:
            assert np.allclose(first.dense(label), second.dense(label), atol=2e-4)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.int16, np.uint8, bool])
def test_values_of_every_kind_are_put_in_order(kind):
    rng = np.random.default_rng(8)
    values = rng.choice([-1e300, -7.5, -1, -1e-320, -0.0, 0.0, 1e-320, 3, 3, 250], 4000)
    if kind is np.float64:
        values[::3] = rng.normal(size=values[::3].size)
        values[::50] = rng.choice([np.nan, np.inf, -np.inf], values[::50].size)
    else:
        values = values.clip(0 if kind in (np.uint8, bool) else -7, 250).astype(kind)
    weights = coverage_weights(np.ones((1, 1, 4000), int), np.eye(4), (1, 1, 4000), np.eye(4))
    found = region_statistics(values.reshape(1, 1, -1), weights)
    x = values[np.isfinite(values)].astype(float)
    assert found["n"][0] == x.size
    for name, q in QUANTILES.items():
        assert found[name][0] == np.quantile(x, q, method="averaged_inverted_cdf"), name


def test_statistics_do_not_depend_on_the_number_of_threads(monkeypatch):
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 40, (40, 40, 40))
    weights = coverage_weights(
        labels, centred(labels.shape, (1, 1, 1)), (36, 36, 36), centred((36, 36, 36), (1.1,) * 3)
    )
    values = rng.normal(size=(36, 36, 36)).astype(np.float32).round(1)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("wmhflow.core.arrays.threads.thread_count", lambda n=threads: n)
        results.append(region_statistics(values, weights))
    for other in results[1:]:
        for name, column in results[0].items():
            assert np.array_equal(column, other[name]), name


def test_upright_weights_do_not_depend_on_the_number_of_threads(monkeypatch):
    labels = np.random.default_rng(10).integers(0, 40, (40, 40, 40))
    affine = centred((30, 31, 32), (1.3, 1.3, 1.3), (0, 4, 0))
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("wmhflow.core.arrays.threads.thread_count", lambda n=threads: n)
        results.append(
            coverage_weights(labels, centred(labels.shape, (1, 1, 1)), (30, 31, 32), affine)
        )
    for other in results[1:]:
        for field in ("volume_mm3", "voxels", "starts", "regions", "fractions"):
            assert np.array_equal(getattr(results[0], field), getattr(other, field))


def test_wrong_arguments_are_named():
    labels = np.ones((2, 2, 2), dtype=int)
    with pytest.raises(TypeError, match="integers"):
        coverage_weights(np.ones((2, 2, 2)), np.eye(4), (2, 2, 2), np.eye(4))
    with pytest.raises(ValueError, match="three axes"):
        coverage_weights(labels, np.eye(4), (2, 2), np.eye(4))
    with pytest.raises(ValueError, match="sheared"):
        coverage_weights(labels, np.eye(4), (2, 2, 2), np.eye(4) + np.eye(4, k=1) * [0, 1, 0, 0])
    weights = coverage_weights(labels, np.eye(4), (2, 2, 2), np.eye(4))
    with pytest.raises(ValueError, match="values has shape"):
        region_statistics(np.ones((2, 2, 3)), weights)
    with pytest.raises(ValueError, match="valid has shape"):
        region_statistics(np.ones((2, 2, 2)), weights, np.ones((2, 2, 3)))
    with pytest.raises(TypeError, match="real numbers"):
        region_statistics(np.ones((2, 2, 2), complex), weights)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of shared real data is not there")
def test_the_published_table_of_arterial_territories_is_reproduced():
    atlas = nib.load(SHARED / "atlases" / "arterial_jhu" / "ArterialAtlas136.nii.gz")
    labels = np.asarray(atlas.dataobj)
    with (SHARED / "stroke_lesions" / "artery.tsv").open() as table:
        rows = {row["participant_id"]: row for row in csv.DictReader(table, delimiter="\t")}
    masks = sorted((SHARED / "stroke_lesions").glob("bwsrsub-*_lesion.nii.gz"))
    assert masks
    weights = None
    for path in masks:
        lesion = nib.load(path)
        if weights is None:
            weights = coverage_weights(labels, atlas.affine, lesion.shape, lesion.affine)
        assert isinstance(weights, CoverageWeights)
        mask = np.asarray(lesion.dataobj) != 0
        row = rows[path.name.removeprefix("bwsr").removesuffix("_lesion.nii.gz")]
        assert int(row["lesion_volume"]) == mask.sum()
        statistics = region_statistics(mask, weights)
        published = {int(k.split("_")[0]): v for k, v in row.items() if k[0].isdigit()}
        found = dict(zip(statistics["index"].tolist(), statistics["mean"].tolist(), strict=True))
        for label, share in published.items():
            # To the last digit printed: the table holds the shortest text of a double.
            assert found[label] == float(share), (path.name, label)
