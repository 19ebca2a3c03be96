"""A bias field that was put into an image is taken out again, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.heads import coarse
from wmhflow.core.tissue.bias import correct_bias, judge_field, sharpened


def spread(values: np.ndarray, where: np.ndarray) -> float:
    return float(np.std(np.log(values[where])))


def test_a_known_bias_field_is_taken_out_and_the_same_way_twice() -> None:
    white, inner = coarse("white", 4.0), coarse("brain_mask", 4.0).data
    even = np.where(inner, 80 + 60 * white.data, 0).astype(np.float32)
    field = np.exp(np.linspace(-0.4, 0.4, even.shape[1]))[None, :, None]
    uneven = (even * field).astype(np.float32)
    found, again = (correct_bias(uneven, inner, white.voxel_sizes_mm) for _ in range(2))
    assert np.array_equal(found, again)
    matter = inner & (white.data > 0.8)
    assert spread(found, matter) < 0.3 * spread(uneven, matter)
    assert found[inner].mean() == pytest.approx(uneven[inner].mean(), rel=1e-5)


def ball(sizes_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey matter, folded, around white: brightness, brain, white matter; and mm along y."""
    shape = [round(150 / size) for size in sizes_mm]
    x, y, z = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, sizes_mm, strict=True)],
        indexing="ij",
    )
    radius = np.sqrt(x**2 + y**2 + z**2) + 8 * np.sin(x / 6)
    inner, white = radius < 65, radius < 50
    noise = np.random.default_rng(0).standard_normal(shape)
    even = np.where(inner, np.where(white, 100.0, 130.0), 0) * (1 + 0.04 * noise)
    return (even * np.exp(y / 150)).astype(np.float32), inner, white


@pytest.mark.parametrize(
    "sizes_mm",
    [(0.5, 0.5, 8.0), (6.0, 0.9, 0.9), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0), (3.0, 3.0, 3.0)],
)
def test_slices_of_any_thickness_in_any_direction_keep_their_contrast(
    sizes_mm: tuple[float, ...],
) -> None:
    uneven, inner, white = ball(sizes_mm)
    found = correct_bias(uneven, inner, sizes_mm)
    for tissue in (white, inner & ~white):
        assert spread(found, tissue) < 0.065
        assert spread(uneven, tissue) > 0.15
    ratio = float(np.median(found[inner & ~white]) / np.median(found[white]))
    assert ratio == pytest.approx(1.3, rel=0.03)


def test_what_does_not_count_does_not_bend_the_field() -> None:
    sizes = (3.0, 3.0, 3.0)
    uneven, inner, _ = ball(sizes)
    spot = np.zeros(inner.shape, bool)
    spot[20:30, 12:38, 20:30] = True
    plain = correct_bias(uneven, inner, sizes, ~spot)
    bright = correct_bias(np.where(spot, 5 * uneven, uneven), inner, sizes, ~spot)
    ratio = (bright / np.where(plain > 0, plain, 1))[inner & ~spot]
    assert np.std(np.log(ratio)) < 1e-5


@pytest.mark.parametrize("power", [-3, 0, 4])
def test_the_unit_of_the_image_does_not_matter(power: int) -> None:
    sizes = (3.0, 3.0, 3.0)
    uneven, inner, _ = ball(sizes)
    scale = np.float32(10.0**power)
    found = correct_bias(uneven * scale, inner, sizes) / scale
    assert np.allclose(found, correct_bias(uneven, inner, sizes), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("what", ["nan", "all", "steep"])
def test_a_field_that_is_none_is_refused(what: str) -> None:
    logarithm = np.log(100 + 20 * np.random.default_rng(0).random((9, 9, 9)))
    fields = {
        "nan": np.full_like(logarithm, np.nan),
        "all": logarithm,
        "steep": np.linspace(0, 4, 9)[:, None, None] + 0 * logarithm,
    }
    with pytest.raises(ValueError, match="look at the image and at the brain mask"):
        judge_field(fields[what], logarithm, np.ones(logarithm.shape, bool))


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_an_even_image_and_an_empty_mask_are_left_alone(value: float) -> None:
    data = np.full((12, 12, 12), value, np.float32)
    everywhere = np.ones(data.shape, bool)
    assert np.array_equal(correct_bias(data, ~everywhere, (4, 4, 4)), data)
    assert np.allclose(correct_bias(data, everywhere, (4, 4, 4)), data)


def test_two_peaks_are_parted_by_sharpening_and_their_mean_stays() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(4.0, 0.05, 5000), rng.normal(4.4, 0.05, 5000)])
    found = sharpened(values)
    assert found.mean() == pytest.approx(values.mean(), abs=0.005)
    for half in (found[:5000], found[5000:]):
        assert half.std() < 0.04


def test_values_that_are_all_alike_stay() -> None:
    assert np.array_equal(sharpened(np.full(9, 3.0)), np.full(9, 3.0, np.float32))
