"""Closed forms, symmetries and wrong input: what must hold whatever the way it is computed."""

from __future__ import annotations

import os
from itertools import pairwise, permutations, product
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from wmhflow.core.arrays.distance import distance_to, nearest, signed_distance
from wmhflow.core.measure.coverage import coverage_weights, merge_regions
from wmhflow.core.measure.statistics import region_statistics
from wmhflow.core.regions.bullseye import bullseye_labels, depth
from wmhflow.core.regions.lesions import (
    count_hole_voxels,
    fill_holes,
    label_lesions,
    lesion_measures,
)
from wmhflow.core.regions.lobes import propagate_lobes
from wmhflow.core.regions.shells import shell_edges, shell_labels
from wmhflow.core.regions.zones import lesion_continuity, lesion_majority, zone_labels
from wmhflow.core.space.geometry import spacing_of
from wmhflow.labels.schemes import ZoneScheme

SIZES_MM = (1.0, 0.5, 0.25)
HALF_DIAGONAL = np.sqrt(3) / 2
# Off the grid in all three axes, so that no symmetry of the grid helps.
CENTRE = (0.13, -0.21, 0.34)
SPACINGS = st.sampled_from(
    [(1, 1, 1), (0.9, 0.9, 3.0), (0.5, 1.2, 0.7), (0.48828125, 0.48828125, 1.2), (2, 0.25, 1)]
)
AXES = st.permutations([0, 1, 2])
FLIPS = st.tuples(*[st.booleans()] * 3)
SEED = st.integers(0, 2**31)


# ---- closed forms ----------------------------------------------------------------------------


def grid(size, half_mm):
    """Return the coordinates of the voxel centres of a cube about `CENTRE`."""
    axis = np.arange(-half_mm, half_mm + size / 2, size)
    return [
        a - c for a, c in zip(np.meshgrid(axis, axis, axis, indexing="ij"), CENTRE, strict=True)
    ]


def to_ball(x, y, z):
    return np.sqrt(x**2 + y**2 + z**2) - 5


def to_torus(x, y, z):
    return np.hypot(np.hypot(x, y) - 6, z) - 2.5


def ball_volume(radius):
    return 4 / 3 * np.pi * radius**3


@pytest.mark.parametrize("surface", [to_ball, to_torus])
@pytest.mark.parametrize("inside", [False, True])
def test_distances_to_a_smooth_surface_err_by_half_a_voxel_on_average(surface, inside):
    errors = []
    for size in SIZES_MM:
        exact = surface(*grid(size, 11))
        found = signed_distance(exact <= 0, (size,) * 3)
        error = (np.abs(found) - np.abs(exact))[(exact <= 0) == inside]
        # From centre to centre is never shorter than to the surface, and longer by one voxel at
        # most: that of a centre almost on the surface, whose neighbour lies beyond it.
        assert error.min() > -1e-6
        assert error.max() < size * (1 + 1e-6)
        assert error.mean() < 0.5 * size
        errors.append(error.mean())
    for coarse, fine in pairwise(errors):
        assert 0.33 * coarse < fine < 0.6 * coarse


@pytest.mark.parametrize("size", SIZES_MM)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_distances_to_a_slab_are_exact(size, axis):
    spacing = np.roll([size, 0.7, 1.3], axis)
    place = np.moveaxis(np.broadcast_to(np.arange(40)[:, None, None], (40, 3, 4)), 0, axis)
    slab = (place >= 12) & (place < 20)
    steps = np.where(place < 12, 12 - place, place - 19)
    expected = np.where(slab, -np.minimum(place - 11, 20 - place), steps) * size
    assert np.array_equal(signed_distance(slab, spacing), expected.astype(np.float32))
    assert np.array_equal(distance_to(slab, spacing), expected.clip(0).astype(np.float32))


def test_shells_around_a_ball_have_the_volumes_of_geometry():
    edges, errors = np.array([0.0, 2, 4, 6]), []
    for size in SIZES_MM:
        exact_distance = to_ball(*grid(size, 12))
        ball = exact_distance <= 0
        nowhere = np.zeros(ball.shape, dtype=bool)
        labels, _, _ = shell_labels(
            ball.astype(int), 1, [False], ~ball, (size,) * 3, nowhere, max_mm=6
        )
        found = np.bincount(labels.ravel(), minlength=1253)[1201:1204] * size**3
        errors.append(np.abs(found / np.diff(ball_volume(5 + edges)) - 1).max())
    assert errors[2] < 0.05
    assert errors[2] < 0.7 * errors[1] < 0.49 * errors[0]


def test_depth_between_concentric_spheres_is_linear():
    inner, outer, errors, volumes = 3.0, 11.0, [], []
    for size in SIZES_MM:
        x, y, z = grid(size, 12.0)
        radius = np.sqrt(x**2 + y**2 + z**2)
        ventricle, cortex, spacing = radius <= inner, radius >= outer, (size,) * 3
        share = depth(distance_to(ventricle, spacing), distance_to(cortex, spacing))
        between = ~ventricle & ~cortex
        exact = (radius - inner) / (outer - inner)
        errors.append(np.abs(share - exact)[between].mean())
        # Each of the two distances is off by half a diagonal at most, and so is their sum.
        assert np.abs(share - exact)[between].max() < 2 * HALF_DIAGONAL * size / (outer - inner)
        cells = bullseye_labels(share, np.where(between, 11, 0), 4)
        found = np.bincount(cells.ravel(), minlength=115)[111:115] * size**3
        edges = inner + (outer - inner) * np.arange(5) / 4
        volumes.append(np.abs(found / np.diff(ball_volume(edges)) - 1).max())
    assert errors[1] < 0.65 * errors[0]
    assert errors[2] < 0.65 * errors[1]
    assert volumes[2] < 0.05
    assert volumes[2] < volumes[1] < volumes[0]


@pytest.mark.parametrize("layers", [1, 3, 4, 9])
@pytest.mark.parametrize("size", SIZES_MM)
def test_depth_between_two_slabs_is_exactly_linear(layers, size):
    place = np.broadcast_to(np.arange(74)[:, None, None], (74, 2, 3))
    spacing = (size, 1, 1)
    share = depth(distance_to(place == 0, spacing), distance_to(place == 73, spacing))
    assert np.array_equal(share, (place / 73).astype(np.float32))
    white = (place > 0) & (place < 73)
    cells = bullseye_labels(share, np.where(white, 25, 0), layers)
    counts = np.bincount(cells.ravel(), minlength=260)[251 : 251 + layers]
    # 72 planes of 6 voxels; a plane on an edge between two layers belongs to the lower one.
    edges = np.floor(73 * np.arange(1, layers) / layers + 1e-9)
    assert counts.tolist() == (6 * np.diff(np.concatenate([[0], edges, [72]]))).tolist()


# ---- symmetries ------------------------------------------------------------------------------


class Scene(NamedTuple):
    """A random head on a small grid, and a map of it on another."""

    lesions: Any
    ventricle: Any
    cortex: Any
    white: Any
    right: Any
    affine: Any
    values: Any
    map_affine: Any

    def with_volumes(self, change):
        """Return the scene with all volumes on the label grid changed alike."""
        return self._replace(**{name: change(getattr(self, name)) for name in self._fields[:5]})


def make_scene(seed, spacing=(1, 1, 1), shape=(9, 11, 8)):
    rng = np.random.default_rng(seed)
    inner = np.zeros(shape, dtype=bool)
    inner[1:-1, 1:-1, 1:-1] = True  # a lesion at the border has no outside there
    cortex = rng.integers(1, 6, shape) * (rng.random(shape) < 0.05)
    return Scene(
        lesions=(rng.random(shape) < 0.06) & inner,
        ventricle=rng.random(shape) < 0.01,
        cortex=cortex,
        white=(rng.random(shape) < 0.7) & (cortex == 0),
        right=rng.random(shape) < 0.5,
        affine=np.diag([*spacing, 1.0]),
        values=rng.normal(10, 2, (5, 4, 6)),
        map_affine=np.diag([1.7, 2.3, 1.9, 1.0]),
    )


class Answers(NamedTuple):
    """Everything that is measured in a scene: in mm, labels, shares, and columns per region."""

    mm: dict[str, Any]
    labels: dict[str, Any]
    shares: dict[str, Any]
    columns: dict[str, Any]


def answers(scene, scale=1.0):
    """Measure a scene with all limits multiplied by `scale`."""
    spacing = spacing_of(scene.affine)
    to_ventricle = distance_to(scene.ventricle, spacing)
    to_cortex, lobe = nearest(scene.cortex, spacing)
    lesions, n = label_lesions(scene.lesions, scene.affine)
    flags = np.arange(n) % 2 == 0
    shells, owners, edge = shell_labels(
        lesions, n, flags, scene.white & ~scene.lesions, spacing, scene.right,
        width_mm=0.8 * scale, max_mm=4 * scale,
    )  # fmt: skip
    scheme = ZoneScheme("small", 1.5 * scale, 3 * scale, 1 * scale)
    white = scene.white | scene.lesions
    zones = zone_labels(to_ventricle, to_cortex, white, scene.right, scheme)
    lobes = propagate_lobes(scene.cortex, scene.right, white, scene.right, spacing)
    share = depth(to_ventricle, to_cortex)
    weights = coverage_weights(zones, scene.affine, scene.values.shape, scene.map_affine)
    merged = merge_regions(weights, [(z, [10 + z, 20 + z]) for z in range(1, 5)])
    columns = lesion_measures(lesions, scene.affine, {"ventricle": to_ventricle})
    columns["rule"] = lesion_continuity(lesions, n, to_ventricle, 2 * scale)
    columns["zone"] = lesion_majority(lesions, n, zones)
    for name, w in (("zones", weights), ("both", merged)):
        statistics = region_statistics(scene.values, w)
        columns |= {f"{name} {key}": column for key, column in statistics.items()}
    return Answers(
        {
            "ventricle": to_ventricle,
            "cortex": to_cortex,
            "edge": edge,
            "lesions": signed_distance(scene.lesions, spacing),
        },
        {
            "lobe": lobe,
            "lesions": lesions,
            "shells": shells,
            "owners": owners,
            "zones": zones,
            "lobes": lobes,
            "bullseye": bullseye_labels(share, lobes),
        },
        {"depth": share},
        columns,
    )


def check_same(found, expected, change=lambda volume: volume, exact=False):
    """Compare two answers; `change` brings expected volumes into the form of the found ones."""
    for name, volume in expected.labels.items():
        assert np.array_equal(found.labels[name], change(volume)), name
    for kind in ("mm", "shares"):
        for name, volume in getattr(expected, kind).items():
            other = getattr(found, kind)[name]
            if exact:
                assert np.array_equal(other, change(volume), equal_nan=True), name
            else:
                assert np.allclose(other, change(volume), rtol=4e-7, atol=0, equal_nan=True), name
    assert found.columns.keys() == expected.columns.keys()
    for name, column in expected.columns.items():
        other = found.columns[name]
        if exact:
            assert np.array_equal(other, column, equal_nan=True), name
        else:
            assert np.allclose(other, column, rtol=1e-6, atol=1e-9, equal_nan=True), name


def turned(axes, flips):
    """Return what reorders the axes of a volume and reverses some."""
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    return lambda volume: volume.transpose(axes)[steps]


def turned_affine(affine, shape, axes, flips):
    """Return the affine of a volume of `shape` after `turned`."""
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
        change[old, new] = -1 if flip else 1
        change[old, 3] = shape[old] - 1 if flip else 0
    return affine @ change


# one head is turned to all 48 orientations below; here it is the heads and voxel sizes that vary
@settings(max_examples=15, deadline=None)
@given(SEED, SPACINGS, AXES, FLIPS)
def test_flips_and_permutations_of_the_axes_turn_the_answers(seed, spacing, axes, flips):
    scene, change = make_scene(seed, spacing), turned(axes, flips)
    other = scene.with_volumes(change)._replace(
        affine=turned_affine(scene.affine, scene.white.shape, axes, flips)
    )
    check_same(answers(other), answers(scene), change)


@settings(max_examples=20, deadline=None)
@given(SEED, AXES, FLIPS)
def test_flips_and_permutations_of_the_map_change_no_number(seed, axes, flips):
    scene = make_scene(seed)
    other = scene._replace(
        values=turned(axes, flips)(scene.values),
        map_affine=turned_affine(scene.map_affine, scene.values.shape, axes, flips),
    )
    check_same(answers(other), answers(scene))


def test_all_48_orientations_of_one_head_agree():
    scene = make_scene(7, (0.9, 0.9, 3.0))
    expected = answers(scene)
    for axes, flips in product(permutations(range(3)), product((False, True), repeat=3)):
        change = turned(axes, flips)
        affine = turned_affine(scene.affine, scene.white.shape, axes, flips)
        check_same(answers(scene.with_volumes(change)._replace(affine=affine)), expected, change)


@settings(max_examples=25, deadline=None)
@given(SEED, SPACINGS, st.tuples(*[st.integers(0, 6)] * 6))
def test_a_larger_grid_around_it_changes_nothing(seed, spacing, margins):
    scene = make_scene(seed, spacing)
    before, after = margins[:3], margins[3:]
    pads = list(zip(before, after, strict=True))
    affine = scene.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ before
    larger = scene.with_volumes(lambda v: np.pad(v, pads))._replace(affine=affine)
    box = tuple(slice(b, b + n) for b, n in zip(before, scene.white.shape, strict=True))
    found = answers(larger)
    parts = [{k: v[box] for k, v in volumes.items()} for volumes in found[:3]]
    check_same(Answers(*parts, found.columns), answers(scene))


@settings(max_examples=25, deadline=None)
@given(SEED, SPACINGS, st.tuples(*[st.floats(-200, 200)] * 3))
def test_moving_the_origin_moves_centroids_only(seed, spacing, shift):
    scene = make_scene(seed, spacing)
    move = np.eye(4)
    move[:3, 3] = shift
    found = answers(scene._replace(affine=move @ scene.affine, map_affine=move @ scene.map_affine))
    expected = answers(scene)
    for axis, mm in zip("xyz", shift, strict=True):
        expected.columns[axis] = expected.columns[axis] + mm
    check_same(found, expected)


@settings(max_examples=20, deadline=None)
@given(SEED, SPACINGS)
def test_memory_order_strides_and_byte_order_change_nothing(seed, spacing):
    scene = make_scene(seed, spacing)
    expected = answers(scene)
    check_same(answers(scene.with_volumes(np.asfortranarray)), expected, exact=True)
    check_same(
        answers(scene.with_volumes(lambda v: np.repeat(v, 2, 1)[:, ::2])), expected, exact=True
    )
    swapped = scene._replace(
        cortex=scene.cortex.astype(">i4"), values=np.asfortranarray(scene.values.astype(">f8"))
    )
    check_same(answers(swapped), expected, exact=True)
    mixed = scene._replace(white=np.asfortranarray(scene.white), cortex=scene.cortex.astype("i2"))
    check_same(answers(mixed), expected, exact=True)


def test_inputs_are_never_changed():
    scene = make_scene(3)
    for array in scene:
        array.setflags(write=False)
    check_same(answers(scene), answers(make_scene(3)), exact=True)


@settings(max_examples=25, deadline=None)
@given(SEED, SPACINGS, st.sampled_from([0.25, 2.0, 8.0]))
def test_a_larger_head_has_larger_distances_and_the_same_labels(seed, spacing, factor):
    scene = make_scene(seed, spacing)
    scale = np.diag([factor, factor, factor, 1.0])
    found = answers(
        scene._replace(affine=scale @ scene.affine, map_affine=scale @ scene.map_affine), factor
    )
    expected = answers(scene)
    powers = {"x": 1, "y": 1, "z": 1, "extent_mm": 1, "ventricle_min": 1, "volume_mm3": 3}
    for name, column in expected.columns.items():
        expected.columns[name] = column * factor ** powers.get(name.split()[-1], 0)
    mm = {name: volume * np.float32(factor) for name, volume in expected.mm.items()}
    check_same(found, expected._replace(mm=mm))


@settings(max_examples=30, deadline=None)
@given(SEED, SPACINGS)
def test_new_numbers_rename_owners_and_rows_apart_from_ties(seed, spacing):
    rng = np.random.default_rng(seed)
    scene = make_scene(seed, spacing)
    lesions, n = label_lesions(scene.lesions, scene.affine)
    names = np.append(0, 1 + rng.permutation(n))
    renamed, nothing = names[lesions], np.zeros(lesions.shape, dtype=bool)
    flags = rng.random(n) < 0.5
    other_flags = np.empty(n, dtype=bool)
    other_flags[names[1:] - 1] = flags
    one = shell_labels(lesions, n, flags, scene.white, spacing, nothing)
    two = shell_labels(renamed, n, other_flags, scene.white, spacing, nothing)
    assert np.array_equal(one[2], two[2])
    # The class of a voxel never hangs on numbers, its lesion only where two are equally near.
    assert np.array_equal(one[0], two[0])
    apart = np.sort([distance_to(lesions == i, spacing) for i in range(1, n + 1)], axis=0)
    alone = apart[0] < apart[1] * (1 - 1e-6) if n > 1 else ~nothing
    assert np.array_equal(names[one[1]][alone], two[1][alone])
    first = lesion_measures(lesions, scene.affine)
    second = lesion_measures(renamed, scene.affine)
    for name, column in first.items():
        if name != "index":
            assert np.array_equal(second[name][names[1:] - 1], column), name
    found = [
        region_statistics(
            scene.values,
            coverage_weights(image, scene.affine, scene.values.shape, scene.map_affine),
        )
        for image in (lesions, renamed)
    ]
    for name, column in found[0].items():
        if name != "index":
            assert np.allclose(found[1][name][names[1:] - 1], column, rtol=1e-9, equal_nan=True), (
                name
            )


@pytest.mark.parametrize("threads", ["2", "7"])
def test_the_number_of_threads_changes_no_bit(monkeypatch, threads):
    scene = make_scene(11, (0.9, 0.9, 3.0), (23, 19, 21))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    expected = answers(scene)
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    monkeypatch.setattr("wmhflow.core.arrays.threads.SMALLEST_TASK", 1)
    check_same(answers(scene), expected, exact=True)
    check_same(answers(scene.with_volumes(np.asfortranarray)), expected, exact=True)


# ---- lesions ---------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(SEED, st.sampled_from([0.02, 0.08, 0.1, 0.15, 0.4]))
def test_lesions_in_ras_order_have_the_numbers_of_scipy(seed, share):
    # Around a tenth, components are at their most tangled.
    mask = np.random.default_rng(seed).random((40, 31, 27)) < share
    expected, n = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    labels, count = label_lesions(np.asfortranarray(mask), np.eye(4))
    first = [np.flatnonzero(expected.ravel() == i)[0] for i in range(1, n + 1)]
    assert count == n
    assert np.array_equal(labels, np.append(0, 1 + np.argsort(np.argsort(first)))[expected])


def test_a_lesion_that_comes_later_changes_no_number():
    mask = np.random.default_rng(0).random((20, 20, 20)) < 0.03
    mask[-3:] = False
    labels, n = label_lesions(mask, np.eye(4))
    more = mask.copy()
    more[-1, 5, 5] = True
    again, count = label_lesions(more, np.eye(4))
    assert count == n + 1
    assert np.array_equal(again[:-1], labels[:-1])
    assert again[-1, 5, 5] == count


def test_a_hundred_thousand_lesions_own_their_surroundings():
    mask = np.zeros((85, 86, 87), dtype=bool)
    mask[::2, ::2, ::2] = True
    flipped = np.diag([-1.0, 1, -1, 1])
    labels, n = label_lesions(mask, flipped)
    assert n == mask.sum() > 65_535
    assert np.array_equal(labels[::-2, ::2, ::-2].ravel(), np.arange(1, n + 1))
    nowhere = np.zeros(mask.shape, dtype=bool)
    shells, owners, distance = shell_labels(
        labels, n, np.ones(n, bool), ~mask, (1, 1, 1), nowhere, width_mm=1, max_mm=2
    )
    assert np.array_equal(owners[mask], labels[mask])
    odd = np.indices(mask.shape) % 2
    assert np.array_equal(distance[~mask], np.sqrt(odd.sum(axis=0), dtype=np.float32)[~mask])
    assert np.array_equal(shells == 1101, odd.sum(axis=0) == 1)
    # The smallest number among the corners of each cell.
    smallest = ndimage.minimum_filter(np.where(mask, labels, n + 1), 3, mode="constant", cval=n + 1)
    assert np.array_equal(owners, np.where(mask, labels, smallest))


# ---- wrong input -----------------------------------------------------------------------------

ONES, WHOLE = np.ones((2, 2, 2)), np.ones((2, 2, 2), dtype=int)
OTHER, FLAT, LINE = np.ones((2, 2, 3)), np.ones((2, 2)), (1, 1, 1)
IMAGINARY, WORDS = np.ones((2, 2, 2), complex), np.full((2, 2, 2), "a")
EMPTY = np.ones((2, 0, 2), dtype=int)
NO_AFFINE = np.full((4, 4), np.nan)
WEIGHTS = coverage_weights(WHOLE, np.eye(4), (2, 2, 2), np.eye(4))


@pytest.mark.parametrize(
    "spacing", [(0, 1, 1), (1, -2, 1), (1, 1, np.nan), (np.inf, 1, 1), 1, (1, 1)]
)
def test_voxel_sizes_must_be_three_and_positive(spacing):
    for call in (
        lambda: nearest(WHOLE, spacing),
        lambda: signed_distance(ONES, spacing),
        lambda: shell_labels(WHOLE, 1, [True], ONES, spacing, ONES),
        lambda: propagate_lobes(WHOLE, ONES, ONES, ONES, spacing),
    ):
        with pytest.raises(ValueError, match=r"spacing .*(positive|three voxel sizes)"):
            call()


@pytest.mark.parametrize("affine", [NO_AFFINE, np.eye(3), np.zeros((4, 4)), np.ones((4, 4))])
def test_affines_must_be_usable(affine):
    for call in (
        lambda: label_lesions(ONES, affine),
        lambda: lesion_measures(WHOLE, affine),
        lambda: coverage_weights(WHOLE, affine, (2, 2, 2), np.eye(4)),
        lambda: coverage_weights(WHOLE, np.eye(4), (2, 2, 2), affine),
    ):
        with pytest.raises(ValueError, match="affine"):
            call()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nearest(FLAT.astype(int), LINE), ValueError, "labels has 2 dim"),
        (lambda: nearest(EMPTY, LINE), ValueError, "labels has no voxels"),
        (lambda: nearest(WHOLE * np.nan, LINE), TypeError, "labels .*integers"),
        (lambda: nearest(WHOLE, LINE, within=OTHER), ValueError, "within has shape"),
        (lambda: nearest(WHOLE, LINE, within=WORDS), TypeError, "within"),
        (lambda: nearest(WHOLE, LINE, limit=-1), ValueError, "limit is -1"),
        (lambda: signed_distance(FLAT, LINE), ValueError, "mask has 2 dim"),
        (lambda: signed_distance(IMAGINARY, LINE), TypeError, "mask"),
        (lambda: signed_distance(ONES, LINE, limit=np.nan), ValueError, "limit"),
        (lambda: label_lesions(EMPTY, np.eye(4)), ValueError, "mask has no voxels"),
        (lambda: label_lesions(WORDS, np.eye(4)), TypeError, "mask"),
        (lambda: fill_holes(FLAT), ValueError, "mask has 2 dim"),
        (lambda: fill_holes(IMAGINARY), TypeError, "mask"),
        (lambda: count_hole_voxels(FLAT), ValueError, "mask has 2 dim"),
        (lambda: count_hole_voxels(WORDS), TypeError, "mask"),
        (lambda: lesion_measures(-WHOLE, np.eye(4)), ValueError, "negative"),
        (lambda: lesion_measures(FLAT.astype(int), np.eye(4)), ValueError, "2 dim"),
        (lambda: lesion_measures(WHOLE, np.eye(4), {"a": IMAGINARY}), TypeError, "a has type"),
        (lambda: zone_labels(ONES, ONES, OTHER, ONES), ValueError, "white_matter has shape"),
        (lambda: zone_labels(ONES, ONES, ONES, OTHER), ValueError, "right has shape"),
        (lambda: zone_labels(ONES, IMAGINARY, ONES, ONES), TypeError, "cortex_distance"),
        (lambda: zone_labels(ONES, ONES, WORDS, ONES), TypeError, "white_matter"),
        (lambda: lesion_continuity(ONES, 1, ONES), TypeError, "integers"),
        (lambda: lesion_continuity(WHOLE, 1, OTHER), ValueError, "has shape"),
        (lambda: lesion_continuity(-WHOLE, 1, ONES), ValueError, "negative"),
        (lambda: lesion_continuity(WHOLE, 1, WORDS), TypeError, "ventricle_distance"),
        (lambda: lesion_majority(ONES, 1, WHOLE), TypeError, "lesion_labels"),
        (lambda: lesion_majority(WHOLE, 1, ONES), TypeError, "zones"),
        (lambda: lesion_majority(WHOLE * 3, 2, WHOLE), ValueError, "lesion 3, but there are 2"),
        (lambda: shell_edges(2, 0), ValueError, "max_mm"),
        (lambda: shell_edges(2, np.inf), ValueError, "max_mm"),
        (lambda: shell_edges(2, np.nan), ValueError, "max_mm"),
        (
            lambda: shell_labels(WHOLE, 1, [True], IMAGINARY, LINE, ONES),
            TypeError,
            "nawm",
        ),
        (
            lambda: shell_labels(WHOLE, 1, [True], ONES, LINE, OTHER),
            ValueError,
            "right has shape",
        ),
        (
            lambda: shell_labels(WHOLE, 1, [True], ONES, LINE, ONES, within=OTHER),
            ValueError,
            "within has shape",
        ),
        (
            lambda: shell_labels(-WHOLE, 1, [True], ONES, LINE, ONES),
            ValueError,
            "negative",
        ),
        (
            lambda: shell_labels(WHOLE, 1, [True], ONES, LINE, ONES, width_mm=0),
            ValueError,
            "width_mm",
        ),
        (lambda: depth(FLAT, FLAT), ValueError, "ventricle_distance has 2 dim"),
        (lambda: depth(ONES, WORDS), TypeError, "cortex_distance"),
        (lambda: propagate_lobes(ONES, ONES, ONES, ONES, LINE), TypeError, "cortex_lobes"),
        (lambda: propagate_lobes(-WHOLE, ONES, ONES, ONES, LINE), ValueError, "negative"),
        (lambda: propagate_lobes(WHOLE, OTHER, ONES, ONES, LINE), ValueError, "right_cortex"),
        (lambda: propagate_lobes(WHOLE, ONES, OTHER, ONES, LINE), ValueError, "white_matter"),
        (lambda: propagate_lobes(WHOLE, ONES, ONES, WORDS, LINE), TypeError, "right has type"),
        (lambda: bullseye_labels(ONES, OTHER.astype(int)), ValueError, "lobes has shape"),
        (lambda: bullseye_labels(WORDS, WHOLE), TypeError, "depth"),
        (lambda: bullseye_labels(ONES, -WHOLE), ValueError, "negative"),
        (lambda: bullseye_labels(ONES, WHOLE * 11, np.nan), ValueError, "layers"),
        (
            lambda: coverage_weights(-WHOLE, np.eye(4), (2, 2, 2), np.eye(4)),
            ValueError,
            "negative",
        ),
        (
            lambda: coverage_weights(FLAT.astype(int), np.eye(4), (2, 2, 2), np.eye(4)),
            ValueError,
            "2 dim",
        ),
        (
            lambda: coverage_weights(WHOLE, np.eye(4), (2, 0, 2), np.eye(4)),
            ValueError,
            "at least one voxel",
        ),
        (lambda: region_statistics(FLAT, WEIGHTS), ValueError, "values has shape"),
        (lambda: region_statistics(WORDS, WEIGHTS), TypeError, "values has type"),
        (lambda: region_statistics(ONES.astype(object), WEIGHTS), TypeError, "values has type"),
        (lambda: region_statistics(ONES, WEIGHTS, IMAGINARY), TypeError, "valid"),
        (lambda: region_statistics(ONES, WEIGHTS, FLAT), ValueError, "valid has"),
    ],
)
def test_what_is_wrong_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_not_a_number_belongs_to_no_mask():
    holed = np.where(np.indices((3, 3, 3)).sum(axis=0) % 2, np.nan, 1.0)
    kept = np.isfinite(holed)
    assert np.array_equal(signed_distance(holed, LINE), signed_distance(kept, LINE))
    assert np.array_equal(label_lesions(holed, np.eye(4))[0] > 0, kept)
    assert np.array_equal(fill_holes(holed), fill_holes(kept))
    assert count_hole_voxels(holed) == count_hole_voxels(kept)
    inner = nearest(np.ones((3, 3, 3), int), LINE, within=holed)[1]
    assert np.array_equal(inner > 0, kept)
    share = bullseye_labels(holed / 2, np.full((3, 3, 3), 11))
    assert np.array_equal(share > 0, kept)
    lesion = np.zeros((3, 3, 3), dtype=int)
    lesion[0, 0, 0] = 1
    outer, _, _ = shell_labels(lesion, 1, [True], holed, LINE, lesion)
    assert np.array_equal((outer > 0) | (lesion > 0), kept)
    weights = coverage_weights(np.ones((3, 3, 3), int), np.eye(4), (3, 3, 3), np.eye(4))
    assert region_statistics(holed, weights)["n"] == kept.sum()
    assert region_statistics(kept, weights, holed)["n"] == kept.sum()


def test_empty_masks_give_empty_answers():
    nothing = np.zeros((3, 4, 5), dtype=int)
    anywhere = np.ones((3, 4, 5), dtype=bool)
    labels, n = label_lesions(nothing, np.eye(4))
    assert n == 0
    assert not labels.any()
    assert not fill_holes(nothing).any()
    assert count_hole_voxels(nothing) == 0
    assert lesion_continuity(nothing, 0, anywhere).shape == (0,)
    assert lesion_majority(nothing, 0, nothing).shape == (0,)
    assert lesion_continuity(nothing, 2, anywhere).tolist() == [False, False]
    assert lesion_majority(nothing, 2, nothing).tolist() == [0, 0]
    assert not propagate_lobes(nothing, anywhere, anywhere, anywhere, LINE).any()
    assert not propagate_lobes(nothing + 1, anywhere, nothing, anywhere, LINE).any()
    assert not zone_labels(nothing * np.nan, nothing * np.nan, nothing, anywhere).any()
    assert not bullseye_labels(np.full((3, 4, 5), 0.5), nothing).any()
    far = distance_to(nothing, LINE)
    assert np.isnan(depth(far, far)).all()
    lesion = nothing.copy()
    lesion[1, 1, 1] = 1
    shells, owners, distance = shell_labels(lesion, 1, [True], nothing, LINE, nothing)
    assert (shells > 0).sum() == 1
    assert (owners == 1).all()
    assert np.isfinite(distance).all()
    values = np.full((3, 4, 5), np.nan)
    weights = coverage_weights(nothing + 7, np.eye(4), (3, 4, 5), np.eye(4))
    statistics = region_statistics(values, weights)
    assert statistics["n"] == statistics["coverage"] == 0
    assert statistics["volume_mm3"] == 60
    assert np.isnan(statistics["mean"])
    assert not weights.dense(8).any()
