"""Depth, lobes and bullseye cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.regions.bullseye import bullseye_labels, depth
from wmhflow.core.regions.lobes import propagate_lobes


def test_depth_between_two_balls_is_linear_in_the_radius():
    axis = np.arange(-20, 21.0)
    radius = np.sqrt(sum(a**2 for a in np.meshgrid(axis, axis, axis)))
    between = (radius > 5) & (radius < 18)
    share = depth(distance_to(radius <= 5, (1, 1, 1)), distance_to(radius >= 18, (1, 1, 1)))
    assert share.dtype == np.float32
    # Distances end at voxel centres, so that the way is about half a voxel too long at each end.
    assert np.abs(share - (radius - 5) / 13)[between].max() < 0.08
    assert np.abs(share - (radius - 5) / 13)[between].mean() < 0.02


def test_depth_has_no_value_where_the_way_has_no_length():
    ventricle = np.array([[[0, 1, 0, np.inf, 1, np.inf, np.nan, -1]]])
    cortex = np.array([[[0, 0, 1, np.inf, np.inf, 1, 1, 3]]])
    expected = [np.nan, 1, 0, np.nan, np.nan, np.nan, np.nan, np.nan]
    assert np.array_equal(depth(ventricle, cortex).ravel(), expected, equal_nan=True)


def test_depth_of_swapped_surfaces_is_the_complement():
    ventricle, cortex = np.random.default_rng(0).uniform(0.1, 30, (2, 6, 7, 8))
    assert np.allclose(depth(ventricle, cortex) + depth(cortex, ventricle), 1, atol=1e-6)
    assert np.allclose(depth(ventricle * 3, cortex * 3), depth(ventricle, cortex), atol=1e-6)
    assert np.array_equal(depth(np.asfortranarray(ventricle), cortex), depth(ventricle, cortex))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    st.tuples(*[st.integers(1, 8)] * 3),
    st.sampled_from([(1, 1, 1), (0.9, 0.9, 3.0)]),
)
def test_lobes_come_from_the_nearest_cortex_of_the_same_side(seed, shape, spacing):
    rng = np.random.default_rng(seed)
    cortex = rng.integers(1, 6, shape) * (rng.random(shape) < 0.15)
    right_cortex, right = rng.random((2, *shape)) < 0.5
    matter = (rng.random(shape) < 0.7) & (cortex == 0)
    lobes = propagate_lobes(cortex, right_cortex, matter, right, spacing)
    assert lobes.dtype == np.uint8
    assert not lobes[~matter].any()
    for side, source, target in ((10, ~right_cortex, ~right), (20, right_cortex, right)):
        own = np.where(source, cortex, 0)
        voxels = matter & target
        if not own.any():
            assert not lobes[voxels].any()
            continue
        reference = ndimage.distance_transform_edt(own == 0, sampling=spacing)
        for lobe in range(1, 6):
            owned = voxels & (lobes == side + lobe)
            if owned.any():
                mine = ndimage.distance_transform_edt(own != lobe, sampling=spacing)
                assert np.allclose(mine[owned], reference[owned])
        assert np.isin(lobes[voxels] - side, range(1, 6)).all()


def test_a_nearer_cortex_of_the_other_side_does_not_count():
    cortex = np.array([[[1, 0, 0, 0, 2]]])
    right_cortex = cortex == 2
    right = np.zeros(cortex.shape, dtype=bool)
    lobes = propagate_lobes(cortex, right_cortex, cortex == 0, right, (1, 1, 1))
    assert lobes.ravel().tolist() == [0, 11, 11, 11, 0]
    assert not propagate_lobes(
        cortex * right_cortex, right_cortex, cortex == 0, right, (1, 1, 1)
    ).any()


@pytest.mark.parametrize("layers", range(1, 10))
def test_layers_are_equal_and_include_their_outer_edge(layers):
    edges = np.arange(layers + 1) / layers
    share = edges.astype(np.float32).reshape(1, 1, -1)
    lobes = np.full(share.shape, 23)
    cells = bullseye_labels(share, lobes, layers).ravel() - 230
    assert cells.tolist() == [1, *range(1, layers + 1)]
    beyond = np.nextafter(share, 2)[..., :-1]
    cells = bullseye_labels(beyond, lobes[..., :-1], layers).ravel() - 230
    assert cells.tolist() == list(range(1, layers + 1))


def test_thirds_computed_from_distances_lie_on_the_edges():
    share = depth([[[1.0, 2.0]]], [[[2.0, 1.0]]])
    assert bullseye_labels(share, [[[11, 11]]], 3).ravel().tolist() == [111, 112]


def test_cells_need_a_lobe_and_a_depth():
    share = np.array([[[0.1, np.nan, 0.6, 0.0, 1.0]]], dtype=np.float32)
    cells = bullseye_labels(share, [[[15, 15, 0, 21, 29]]])
    assert cells.dtype == np.int16
    assert cells.ravel().tolist() == [151, 0, 0, 211, 294]


def test_wrong_arguments_are_named():
    image, lobes = np.ones((2, 2, 2)), np.full((2, 2, 2), 11)
    with pytest.raises(ValueError, match="layers is 10"):
        bullseye_labels(image, lobes, 10)
    with pytest.raises(ValueError, match="layers is 0"):
        bullseye_labels(image, lobes, 0)
    for wrong in (5, 10, 20, 30):
        with pytest.raises(ValueError, match="lobes has other labels"):
            bullseye_labels(image, lobes * 0 + wrong)
    with pytest.raises(ValueError, match="lobe 11"):
        propagate_lobes(lobes, image, image, image, (1, 1, 1))
    with pytest.raises(ValueError, match="cortex_distance has shape"):
        depth(image, np.ones((1, 2, 2)))
    with pytest.raises(TypeError, match="integers"):
        bullseye_labels(image, image)


def test_depths_that_are_none_get_no_layer():
    lobes = np.full((1, 1, 4), 11)
    assert not bullseye_labels([[[-0.5, 1.7, np.inf, np.nan]]], lobes).any()


def test_layers_are_whole():
    with pytest.raises(ValueError, match="whole layers"):
        bullseye_labels([[[0.5]]], [[[11]]], layers=2.5)
