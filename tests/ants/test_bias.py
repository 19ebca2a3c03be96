"""A bias field that was put into an image is taken out again, and the same way every time."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import numpy as np

from tests.heads import coarse
from wmhflow.ants.bias import correct_bias
from wmhflow.core.space.grids import Grid3D


def test_a_known_bias_field_is_taken_out_and_the_same_way_twice() -> None:
    white, inner = coarse("white", 8.0), coarse("brain_mask", 8.0).data
    even = np.where(inner, 80 + 60 * white.data, 0).astype(np.float32)
    field = np.exp(np.linspace(-0.4, 0.4, even.shape[1]))[None, :, None]
    uneven = Grid3D((even * field).astype(np.float32), white.affine)
    found, again = (correct_bias(uneven, inner, 1) for _ in range(2))
    assert np.array_equal(found, again)
    matter = inner & (white.data > 0.8)

    def spread(values: np.ndarray) -> float:
        return float(values[matter].std() / values[matter].mean())

    assert spread(found) < 0.3 * spread(uneven.data)
