"""What is no scan of a brain is found, and whatever could be one passes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.checks import sanity

SHAPE = (64, 76, 60)
SIZES = (3.0, 3.0, 3.0)
T1W = {"air": 0.0, "csf": 30.0, "grey": 75.0, "white": 100.0}
FLAIR = {"air": 0.0, "csf": 25.0, "grey": 115.0, "white": 100.0}
T2W = {"air": 0.0, "csf": 250.0, "grey": 130.0, "white": 100.0}


def radius_mm(sizes=SIZES, shape=SHAPE):
    grid = np.indices(shape)
    return np.sqrt(
        sum(
            ((axis - (length - 1) / 2) * size) ** 2
            for axis, length, size in zip(grid, shape, sizes, strict=True)
        )
    )


def anatomy(sizes=SIZES, shape=SHAPE):
    """A ball of white matter with a ventricle in it and cortex around it, sides told apart."""
    radius = radius_mm(sizes, shape)
    tissue = np.select([radius < 20, radius < 58, radius < 66], [2, 5, 3], 0)
    side = np.where(np.arange(shape[0])[:, None, None] < shape[0] / 2, 10, 20)
    return tissue + side * (tissue > 0)


def scan(tissue, contrast, noise=4.0):
    k = tissue % 10
    values = np.select(
        [k == 2, k == 3, k == 5],
        [contrast[name] for name in ("csf", "grey", "white")],
        contrast["air"],
    )
    grain = np.random.default_rng(0).normal(0, noise, tissue.shape)
    return ndimage.gaussian_filter(values.astype(float), 0.5) + grain * (k > 0)


def bias(shape=SHAPE, factor=5.0):
    """Divide at one end of the head and multiply at the other."""
    return factor ** np.linspace(-1, 1, shape[1])[None, :, None]


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("contrast", [T1W, FLAIR])
def test_a_scan_passes_stripped_or_in_noisy_air(contrast) -> None:
    values = scan(anatomy(), contrast)
    in_air = np.abs(values + np.random.default_rng(1).normal(0, 5, SHAPE))
    for image in (values, in_air, values * bias(), -values):
        assert sanity.value_finding(sanity.value_facts(image, SIZES)) is None


@pytest.mark.parametrize("sizes", [SIZES, (1.0, 1.0, 8.0)])
def test_noise_is_found_whatever_its_form(sizes) -> None:
    rng = np.random.default_rng(0)
    noise = np.abs(rng.normal(100, 30, SHAPE))
    within = np.where(radius_mm() < 70, noise, 0)
    for image in (noise, within, rng.integers(0, 4000, SHAPE)):
        found = sanity.value_finding(sanity.value_facts(image, sizes))
        assert "noise" in (found or "")


def test_masks_labels_and_nearly_empty_fields_are_found() -> None:
    tissue = anatomy()
    assert "6 distinct values" in (
        sanity.value_finding(sanity.value_facts(tissue % 10 + (tissue > 20) * 2, SIZES)) or ""
    )
    assert "2 distinct values" in (
        sanity.value_finding(sanity.value_facts((tissue > 0) * 1.0, SIZES)) or ""
    )
    speck = np.where(radius_mm() < 20, scan(tissue, T1W) + radius_mm(), 0)
    assert "ml of something" in (sanity.value_finding(sanity.value_facts(speck, SIZES)) or "")


def test_the_foreground_is_measured_in_litres() -> None:
    facts = sanity.value_facts(np.where(radius_mm() < 60, 100 + radius_mm(), 0), SIZES)
    assert facts["foreground_l"] == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.02)


def test_distinct_values_are_counted_even_where_they_are_rare() -> None:
    image = np.zeros((50, 50, 50))
    image.flat[1:40] = np.arange(1, 40)
    assert sanity.value_facts(image, SIZES)["distinct_values"] == 40


@pytest.mark.parametrize("axis", range(3))
def test_the_last_digits_of_the_voxel_sizes_do_not_decide_what_is_noise(axis):
    # stripes: voxels side by side have nothing in common along one axis, and all along the others
    lines = 100 + 20 * np.random.default_rng(0).standard_normal(SHAPE[axis])
    shape = [-1 if number == axis else 1 for number in range(3)]
    image = np.where(radius_mm() < 60, np.reshape(lines, shape), 0)
    found = set()
    for finest in range(3):
        sizes = [3.0 - 1e-7 * (number == finest) for number in range(3)]
        found.add(round(sanity.value_facts(image, sizes)["smoothness"], 12))
    assert len(found) == 1


# --- the brain ----------------------------------------------------------------------------------


def test_a_whole_brain_is_neither_cut_nor_blank() -> None:
    tissue = anatomy()
    facts = sanity.brain_facts(tissue > 0, scan(tissue, T1W), SIZES)
    assert facts["volume_l"] == pytest.approx(4 / 3 * np.pi * 0.66**3, rel=0.02)
    assert facts["cut_share"] < 0.3
    assert facts["flat_share"] < 0.03
    assert facts["empty_share"] == 0
    assert sanity.brain_finding(facts) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_a_brain_is_cut_at_the_border_or_by_zeros(axis: int) -> None:
    tissue = anatomy()
    half = np.take(tissue, range(SHAPE[axis] // 2), axis=axis)
    rest = np.take(tissue, range(SHAPE[axis] // 2, SHAPE[axis]), axis=axis)
    zeroed = np.concatenate([half, np.zeros_like(rest)], axis=axis)
    for cut in (half, zeroed):
        facts = sanity.brain_facts(cut > 0, scan(cut, T1W), SIZES)
        assert facts["cut_share"] == pytest.approx(1, abs=0.02)
        # a ball's steps have 6/4 of its surface: the plane holds 1 of 1 + 3
        assert facts["flat_share"] == pytest.approx(0.25, abs=0.02)
        assert "part of a brain" in (sanity.brain_finding(facts) or "")


def test_a_brain_without_its_lowest_part_is_unusual_but_passes() -> None:
    tissue = anatomy()
    tissue[:, :, :18] = 0
    facts = sanity.brain_facts(tissue > 0, scan(tissue, T1W), SIZES)
    assert facts["cut_share"] > 0.45
    assert facts["flat_share"] > 0.08
    assert sanity.brain_finding(facts) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [0, 1])
def test_a_small_brain_that_ends_in_its_largest_cross_section_fails(axis: int, side: int) -> None:
    half = {"volume_l": 0.8, "cut_share": 0.9, "flat_share": 0.15, "empty_share": 0.0}
    assert "part of a brain" in (sanity.brain_finding(half) or "")
    assert sanity.brain_finding(half | {"volume_l": 1.1}) is None
    brain = anatomy() > 0
    length = SHAPE[axis] // 2
    kept = range(length) if side else range(length, SHAPE[axis])
    assert sanity.cut_share(np.take(brain, kept, axis=axis)) > 0.95


def test_fluid_that_was_taken_away_with_the_skull_is_no_blank_part() -> None:
    # a third of the brain is a ventricle, and a thin fissure leads to it
    tissue = np.where(radius_mm() < 46, 12, anatomy())
    fissure = np.zeros(SHAPE, bool)
    fissure[SHAPE[0] // 2, SHAPE[1] // 2, SHAPE[2] // 2 :] = True
    values = scan(tissue, T1W)
    values[(tissue % 10 == 2) | fissure] = 0
    assert np.mean(values[tissue > 0] == 0) > 0.25
    facts = sanity.brain_facts(tissue > 0, values, SIZES)
    assert facts["empty_share"] < 0.01
    assert sanity.brain_finding(facts) is None
    contrast = sanity.contrast_facts(values, tissue, SIZES)
    assert contrast["empty_share"] < 0.01
    assert not sanity.contrast_findings({"FLAIR": contrast}, True)


def test_a_mask_over_blank_image_is_found() -> None:
    tissue = anatomy()
    values = scan(tissue, T1W)
    values[: SHAPE[0] // 2] = 0
    facts = sanity.brain_facts(tissue > 0, values, SIZES)
    assert facts["empty_share"] == pytest.approx(0.5, abs=0.02)
    assert "blank in 50 %" in (sanity.brain_finding(facts) or "")


def test_no_brain_and_a_giants_are_found() -> None:
    none = np.zeros(SHAPE, bool)
    facts = sanity.brain_facts(none, none, SIZES)
    assert facts["cut_share"] is None
    assert "0 litres" in (sanity.brain_finding(facts) or "")
    giant = sanity.brain_facts(anatomy() > 0, scan(anatomy(), T1W), (5, 5, 5))
    assert "5.59 litres" in (sanity.brain_finding(giant) or "")


# --- likeness -----------------------------------------------------------------------------------


def test_a_template_explains_every_contrast_and_no_noise() -> None:
    tissue = anatomy()
    template, brain = scan(tissue, T1W, noise=1), tissue > 0
    for contrast in (T1W, FLAIR, T2W):
        ratio = sanity.likeness(template, scan(tissue, contrast), brain)
        assert ratio > 0.5
        assert sanity.likeness_finding(ratio) is None
    noise = np.random.default_rng(7).normal(size=SHAPE)
    ratio = sanity.likeness(template, noise, brain)
    assert ratio < 0.01
    assert "no brain that can be recognised" in (sanity.likeness_finding(ratio) or "")


def test_an_image_of_one_value_has_no_likeness() -> None:
    brain = anatomy() > 0
    assert sanity.likeness(scan(anatomy(), T1W), np.ones(SHAPE), brain) is None
    assert sanity.likeness(np.ones(SHAPE), np.ones(SHAPE), np.zeros(SHAPE, bool)) is None
    assert sanity.likeness_finding(None) is not None


# --- contrast -----------------------------------------------------------------------------------


@pytest.mark.parametrize("contrast", [T1W, FLAIR, T2W])
@pytest.mark.parametrize("factor", [1.0, 5.0])
@pytest.mark.parametrize(("sizes", "shape"), [(SIZES, SHAPE), ((1.5, 1.5, 6.0), (100, 100, 30))])
def test_contrast_is_measured_through_bias_and_thick_slices(contrast, factor, sizes, shape) -> None:
    tissue = anatomy(sizes, shape)
    values = scan(tissue, contrast) * bias(shape, factor)
    facts = sanity.contrast_facts(values, tissue, sizes)
    grey, fluid = (contrast[name] / contrast["white"] for name in ("grey", "csf"))
    assert facts["cortex_to_white"] == pytest.approx(grey, rel=0.1)
    # few cubes hold ventricle, and in those it lies to one side
    assert facts["ventricle_to_white"] == pytest.approx(fluid, rel=0.3 if factor > 1 else 0.1)


def test_ratios_and_unevenness_are_exact_without_bias() -> None:
    tissue = anatomy()
    k = tissue % 10
    facts = sanity.contrast_facts(
        np.select([k == 2, k == 3, k == 5], [30.0, 80, 100]), tissue, SIZES
    )
    assert facts["cortex_to_white"] == pytest.approx(0.8)
    assert facts["ventricle_to_white"] == pytest.approx(0.3)
    assert facts["unevenness"] == pytest.approx(1)


def test_a_bias_field_shows_as_unevenness() -> None:
    tissue = anatomy()
    even = sanity.contrast_facts(scan(tissue, T1W), tissue, SIZES)
    uneven = sanity.contrast_facts(scan(tissue, T1W) * bias(), tissue, SIZES)
    assert even["unevenness"] < 1.05
    assert uneven["unevenness"] > 2


def test_contrast_is_the_same_in_every_orientation() -> None:
    tissue = anatomy((3.0, 3.5, 4.0), (64, 54, 48))
    values = scan(tissue, T1W)
    facts = sanity.contrast_facts(values, tissue, (3.0, 3.5, 4.0))
    turned = sanity.contrast_facts(
        values.transpose(2, 0, 1), tissue.transpose(2, 0, 1), (4.0, 3.0, 3.5)
    )
    for name, value in facts.items():
        assert turned[name] == pytest.approx(value, rel=1e-6)


def test_without_tissue_nothing_is_claimed() -> None:
    facts = sanity.contrast_facts(np.ones(SHAPE), np.zeros(SHAPE, int), SIZES)
    assert set(facts.values()) == {None}
    assert sanity.contrast_findings({"T1w": facts, "FLAIR": facts}, True) == {}


def facts_of(contrast):
    return sanity.contrast_facts(scan(anatomy(), contrast), anatomy(), SIZES)


def test_air_behind_the_head_changes_nothing():
    """Only the tissue's box is looked at, where dark tissue is as far from bright as it was."""
    tissue = anatomy()
    values = scan(tissue, T1W)
    values[20:32, 30:40, 25:35] = T1W["csf"]
    wide = [np.pad(part, ((0, 40), (0, 25), (0, 30))) for part in (values, tissue)]
    found, padded = (
        sanity.contrast_facts(values, tissue, SIZES),
        sanity.contrast_facts(*wide, SIZES),
    )
    assert found["dark_tissue_mm3"] > 0
    # how much of it is darker than the air depends on the air
    assert {**found, "below_air_share": 0} == {**padded, "below_air_share": 0}


def test_swapped_images_and_a_t2w_are_found_and_true_ones_are_not() -> None:
    t1w, flair, t2w = map(facts_of, (T1W, FLAIR, T2W))
    assert sanity.contrast_findings({"T1w": t1w, "FLAIR": flair}, True) == {}
    assert sanity.contrast_findings({"FLAIR": flair}, True) == {}
    assert sanity.contrast_findings({"T1w": t1w}, False) == {}
    swapped = sanity.contrast_findings({"T1w": flair, "FLAIR": t1w}, False)
    assert "swapped" in swapped["T1w"]
    # tissues found on a FLAIR that was taken for a T1w are blurred, and so is the difference
    blurred = {"cortex_to_white": 1.0, "ventricle_to_white": 0.4, "empty_share": 0.0}
    assert "swapped" in sanity.contrast_findings({"T1w": blurred, "FLAIR": t1w}, False)["T1w"]
    assert sanity.contrast_findings({"T1w": blurred, "FLAIR": blurred}, True) == {}
    assert sanity.contrast_findings({"T1w": t1w, "FLAIR": t1w}, True) == {}
    assert "no FLAIR" in sanity.contrast_findings({"T1w": t1w, "FLAIR": t2w}, True)["FLAIR"]
    assert sanity.contrast_findings({"T1w": t1w, "FLAIR": t2w}, False) == {}


def test_one_image_given_twice_correlates_with_itself() -> None:
    values, t1w, flair = scan(anatomy(), T1W), facts_of(T1W), facts_of(FLAIR)
    assert sanity.correlation(values, 3 * values + 5) == pytest.approx(1)
    same = sanity.pair_facts(values, 2 * values, {"T1w": t1w, "FLAIR": t1w})
    assert list(same.values()) == pytest.approx([1, 1])
    assert "same image as the T1w" in (sanity.pair_finding(same, True) or "")
    assert sanity.pair_finding(same, False) is None
    brain = anatomy() > 0
    pair = values[brain], scan(anatomy(), FLAIR)[brain]
    other = sanity.pair_facts(*pair, {"T1w": t1w, "FLAIR": flair})
    assert other["T1w_FLAIR_correlation"] < 0.9
    assert sanity.pair_finding(other, True) is None
    assert other["FLAIR_over_T1w_cortex"] > 1.3
    assert sanity.correlation(values, np.ones(SHAPE)) is None
    assert sanity.correlation([], []) is None


def test_a_flair_that_covers_half_the_brain_is_found() -> None:
    half = scan(anatomy(), FLAIR)
    half[:, :, : SHAPE[2] // 2] = 0
    facts = sanity.contrast_facts(half, anatomy(), SIZES)
    assert facts["empty_share"] == pytest.approx(0.5, abs=0.02)
    found = sanity.contrast_findings({"T1w": facts_of(T1W), "FLAIR": facts}, True)
    assert "blank in 50 % of the brain" in found["FLAIR"]
    assert sanity.contrast_findings({"T1w": facts_of(T1W), "FLAIR": facts}, False) == {}


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(
    ("called", "missed"), [(15, True), (14, True), (13, True), (12, False), (11, False)]
)
def test_a_ventricle_that_is_called_tissue_is_measured_even_if_none_was_found(
    called: int, missed: bool, scale: float
) -> None:
    tissue = np.full((40, 40, 40), 15)
    dark = (slice(10, 30), slice(10, 30), slice(10, 30))
    values = np.full(tissue.shape, 300.0)
    values[dark], tissue[dark] = 60, called
    # narrow places are lacunes or sulci
    values[2:8, 2:38, 2:8] = 60
    facts = sanity.contrast_facts(scale * values, tissue, (1, 1, 1))
    # a cube of 20 voxels without four at each side
    assert facts["dark_tissue_mm3"] == (12**3 if missed else 0)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (0.5, 0.5, 5), (5, 0.5, 0.5)])
@pytest.mark.parametrize(("share", "scale"), [(0.0, 1.0), (0.1, 1.0), (0.3, 1e-4), (0.3, 1e4)])
def test_fluid_that_is_called_white_matter_is_counted(
    share: float, scale: float, sizes: tuple[float, float, float]
) -> None:
    tissue = np.full((40, 40, 10), 15)
    tissue[30:] = 12
    values = np.where(tissue == 12, 80.0, 300.0)
    values[: round(30 * share)] = 90
    facts = sanity.contrast_facts(scale * values, tissue, sizes)
    assert facts["dark_white_share"] == pytest.approx(share)
    # on a T2w fluid is the bright one, and there is nothing to say
    inverted = sanity.contrast_facts(scale * (500 - values), tissue, sizes)
    assert inverted["dark_white_share"] is None


def in_air(values: float, air: float, dtype: type = np.float64) -> np.ndarray:
    """White matter of one brightness, an eighth of it fluid, within a rim of air."""
    image = np.full((30, 30, 30), air)
    image[5:25, 5:25, 5:25] = values
    image[5:15, 5:15, 5:15] = air + 0.1 * abs(values)
    return image.astype(dtype)


@pytest.mark.parametrize(
    ("image", "share"),
    [
        (in_air(300, 0), 0.0),
        # scaled to a mean of 0, as some programs do
        (in_air(-0.2, -1.5), 0.0),
        (in_air(300, -1024), 0.0),
        # inverted; and 48,000 in 16 bits with a sign
        (in_air(-300, 0), 1.0),
        (in_air(48_000, 0, np.uint16).astype(np.int16), 1.0),
        # no one value surrounds it
        (in_air(300, 0) + np.random.default_rng(1).normal(0, 9, (30, 30, 30)), None),
    ],
)
def test_white_matter_darker_than_air_is_counted(image: np.ndarray, share: float | None) -> None:
    tissue = np.zeros(image.shape, int)
    tissue[5:25, 5:25, 5:25] = 15
    tissue[5:15, 5:15, 5:15] = 12
    assert sanity.contrast_facts(image, tissue, (2, 2, 2))["below_air_share"] == share
