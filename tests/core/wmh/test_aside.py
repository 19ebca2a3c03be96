"""Deep grey matter that wide ventricles have pushed aside is looked for beyond their wall."""

import numpy as np
import pytest

from wmhflow.core.wmh.aside import beyond_the_wall
from wmhflow.core.wmh.segmentation import TissuePriors, with_wide_ventricles

SHAPE = (40, 40, 40)
X = np.broadcast_to(np.arange(40)[:, None, None], SHAPE)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("thick", [1.0, 5.0])
def test_a_layer_within_lies_as_far_beyond_on_the_same_side(axis: int, thick: float) -> None:
    place = np.moveaxis(X, 0, axis)
    fluid, layer = (place >= 10) & (place < 30), (place >= 25) & (place < 28)
    sizes = [thick if number == axis else 1.0 for number in range(3)]
    found = beyond_the_wall(np.where(layer, 0.8, 0).astype(np.float32), fluid, sizes)
    assert np.array_equal(found > 0, (place >= 32) & (place < 35))
    assert np.allclose(found[found > 0], 0.8)


def test_what_is_not_likely_in_the_fluid_or_lies_beyond_it_moves_nothing() -> None:
    fluid = X < 20
    for prior in (np.where(X < 20, 0.4, 0.0), np.where(X >= 20, 0.9, 0.0)):
        assert not beyond_the_wall(prior.astype(np.float32), fluid, (1, 1, 1)).any()


@pytest.mark.parametrize("covered", [True, False])
def test_priors_have_deep_grey_beside_a_wide_ventricle_that_covers_it(covered: bool) -> None:
    fluid = (X >= 10) & (X < 26) & (np.moveaxis(X, 0, 1) > 4) & (np.moveaxis(X, 0, 1) < 36)
    deep = (X >= 21) & (X < 26) if covered else X > 60
    priors = TissuePriors(
        csf=(X < 14).astype(np.float32),
        cortex=np.zeros(SHAPE, np.float32),
        deep_grey=deep.astype(np.float32),
        white=((X >= 14) & ~deep).astype(np.float32),
        ventricles=X < 18,
        midline_mm=X.astype(np.float32),
    )
    found = with_wide_ventricles(priors, fluid, (1, 1, 1))
    beside = found.deep_grey[28, 20, 20], found.white[28, 20, 20]
    assert np.allclose(beside, (1, 0) if covered else (0, 1), atol=0.05)
    assert found.white[36, 20, 20] == 1
    assert found.csf[20, 20, 20] > 0.99
