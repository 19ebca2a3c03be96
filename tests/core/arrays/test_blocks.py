"""Means over blocks, and values of blocks laid over voxels."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.arrays.blocks import block_factors, block_means, over_blocks

SHAPE = (11, 7, 5)


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 3, 1), (4, 1, 5), (20, 20, 20)])
def test_blocks_have_the_mean_of_what_counts(factors: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    values, counted = rng.random(SHAPE), rng.random(SHAPE) < 0.6
    means, share = block_means(values, counted, factors)
    for index in np.ndindex(*means.shape):
        block = tuple(slice(i * f, (i + 1) * f) for i, f in zip(index, factors, strict=True))
        inside = values[block][counted[block]]
        expected = inside.mean() if inside.size else values[counted].mean()
        assert means[index] == pytest.approx(expected, rel=1e-6)
        assert share[index] == pytest.approx(inside.size / np.prod(factors))


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 3, 1), (4, 2, 2)])
def test_a_plane_comes_back_between_the_centres_of_its_blocks(
    factors: tuple[int, int, int],
) -> None:
    shape = tuple(5 * factor for factor in factors)
    x, y, z = np.indices(shape)
    plane = 3.0 * x - 2.0 * y + 0.5 * z
    means, _ = block_means(plane, np.ones(shape, bool), factors)
    laid = over_blocks(means, factors, shape)
    inner = tuple(slice(factor, -factor) for factor in factors)
    assert np.allclose(laid[inner], plane[inner], atol=1e-4)


def test_voxels_longer_than_a_block_are_blocks_of_their_own() -> None:
    assert block_factors((0.43, 0.43, 6.0), 4.0) == (9, 9, 1)
    assert block_factors((1.0, 1.0, 1.0), 4.0) == (4, 4, 4)
    assert block_factors((8.0, 8.0, 8.0), 4.0) == (1, 1, 1)
