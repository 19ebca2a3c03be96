"""A planted ratio of uptake comes back in any unit; a reference that cannot serve is refused."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.contrasts import mean_over_frames, reference_region, uptake_ratio

SHAPE = (24, 24, 24)
SIZES = (1.0, 1.0, 2.0)


def block(*sides: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[sides] = True
    return mask


def test_a_planted_ratio_comes_back_in_any_unit() -> None:
    reference = block(slice(0, 12))
    activity = np.where(reference, 4.0, 5.2)
    for scale in (1.0, 2500.0, 1e-6):
        ratio, mean = uptake_ratio(scale * activity, reference.astype(float))
        assert np.allclose(ratio[~reference], 1.3, rtol=1e-6)
        assert mean == pytest.approx(4 * scale)


def test_shares_of_voxels_weigh_and_voids_do_not_count() -> None:
    activity = np.array([[[1.0, 3.0, np.nan]]])
    ratio, mean = uptake_ratio(activity, np.array([[[0.25, 0.75, 1.0]]]))
    assert mean == 2.5
    assert np.isnan(ratio[0, 0, 2])


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 2)), -np.ones((2, 2, 2))])
def test_no_activity_in_the_reference_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(UnfitImageError, match="a positive one is needed"):
        uptake_ratio(bad, np.ones(bad.shape))


def test_frames_are_refused_without_their_times_and_averaged_with_them() -> None:
    series = np.stack([np.full((3, 3, 3), value) for value in (1.0, 2.0, 4.0, 8.0)], axis=-1)
    with pytest.raises(UnfitImageError, match="several frames"):
        uptake_ratio(series, np.ones((3, 3, 3)))
    starts, lasting = [0, 10, 20, 40], [10, 10, 20, 20]
    found = mean_over_frames(series, starts, lasting, (10, 50))
    assert np.allclose(found, (2 * 10 + 4 * 20) / 30)
    with pytest.raises(UnfitImageError, match="there are 3 starts"):
        mean_over_frames(series, starts[:3], lasting, (10, 50))
    with pytest.raises(UnfitImageError, match="no frame lies between 70 and 90 s"):
        mean_over_frames(series, starts, lasting, (70, 90))


def test_the_reference_never_holds_a_lesion_nor_its_own_border() -> None:
    region, lesion = block(slice(2, 22), slice(2, 22), slice(2, 22)), block(slice(0, 6))
    found = reference_region(region, [lesion], SIZES)
    assert not (found & lesion).any()
    assert (found | lesion)[region].all()
    inner = reference_region(region, [lesion], SIZES, erode_mm=1.5)
    # the outermost voxel along the short axes; along the long one its neighbour is 2 mm away
    assert np.array_equal(inner, block(slice(6, 21), slice(3, 21), slice(2, 22)))


def test_a_reference_below_a_millilitre_is_refused() -> None:
    region = block(slice(0, 10), slice(0, 10), slice(0, 5))
    assert reference_region(region, [], SIZES).sum() == 500
    with pytest.raises(UnfitImageError, match=r"has 0.90 ml.*at least 1 ml"):
        reference_region(region, [block(slice(0, 1))], SIZES)
