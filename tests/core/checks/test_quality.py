"""Measures of a lesion mask's soundness, with answers known from how the images are made."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from wmhflow.core.checks.quality import (
    count_small_lesions,
    lesion_mask_quality,
    likeliest_tissue,
    robust_contrast,
    share_inside,
)
from wmhflow.core.measure.mirror import asymmetry_index

SPACING = (1.0, 1.0, 1.0)


def head() -> dict[str, np.ndarray]:
    """A cube of white matter with a ventricle and a lesion of 4x4x4 that is 5 robust SD bright."""
    tissue = np.zeros((24, 24, 24), dtype=np.uint8)
    tissue[2:22, 2:22, 2:22] = 5
    tissue[10:13, 8:16, 8:16] = 2
    lesions = np.zeros(tissue.shape, dtype=np.int32)
    lesions[4:8, 4:8, 4:8] = 1
    nawm = (tissue == 5) & (lesions == 0)
    # 90, 95, 100, 105, 110 in equal parts: the median is 100 and the median deviation 5
    flair = 90.0 + 5 * (np.indices(tissue.shape).sum(axis=0) % 5)
    flair[tissue == 2] = 20
    flair[lesions > 0] = 100 + 5 * (1.4826 * 5)
    return {"lesions": lesions, "tissue": tissue, "nawm": nawm, "flair": flair}


def measure(images: dict[str, np.ndarray], **changed: np.ndarray | None) -> dict[str, float]:
    now = images | changed
    brain = now.pop("brain", None)
    return lesion_mask_quality(
        now["lesions"],
        now["tissue"],
        images["tissue"] > 0 if brain is None else brain,
        now["nawm"],
        SPACING,
        now["flair"],
    )


def test_a_sound_mask() -> None:
    found = measure(head())
    assert found["wmh_flair_contrast"] == pytest.approx(5)
    assert found["n_lesions"] == 1
    assert found["small_lesion_fraction"] == 0
    assert found["brain_volume_mm3"] == 8000
    assert found["wmh_brain_fraction"] == pytest.approx(64 / 8000)
    assert found["wmh_outside_white_matter"] == 0
    assert found["wmh_in_ventricles"] == 0
    assert found["wmh_outside_brain"] == 0
    assert found["wmh_cavity_rim_share"] == 0


def test_a_contrast_in_robust_deviations() -> None:
    image = np.array([80.0, 90.0, 100.0, 110.0, 120.0, 174.13, 174.13, 174.13]).reshape(2, 2, 2)
    inside = image > 150
    assert robust_contrast(image, inside, ~inside) == pytest.approx(5.0)
    # one wild voxel of the reference, and one of the lesion, change a mean but not this
    wild = image.copy()
    wild[0, 0, 0], wild[1, 1, 1] = -1e6, 1e6
    assert robust_contrast(wild, inside, ~inside) == pytest.approx(5.0)


@given(
    gain=st.floats(0.1, 100),
    offset=st.floats(-1000, 1000),
    seed=st.integers(0, 100),
)
def test_a_contrast_has_no_unit_and_a_sign(gain: float, offset: float, seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(6, 6, 6))
    inside = np.zeros(image.shape, dtype=bool)
    inside[:2, :2, :2] = True
    image[inside] += 4
    contrast = robust_contrast(image, inside, ~inside)
    assert contrast > 1
    scaled = robust_contrast(gain * image + offset, inside, ~inside)
    assert scaled == pytest.approx(contrast, rel=1e-6)
    assert robust_contrast(-image, inside, ~inside) == pytest.approx(-contrast)


def test_what_is_not_there_is_nan_and_never_0() -> None:
    images = head()
    empty = np.zeros_like(images["lesions"])
    without_lesions = measure(images, lesions=empty)
    assert without_lesions["n_lesions"] == 0
    for name in (
        "small_lesion_fraction",
        "wmh_outside_white_matter",
        "wmh_in_ventricles",
        "wmh_outside_brain",
        "wmh_flair_contrast",
        "wmh_cavity_rim_share",
    ):
        assert math.isnan(without_lesions[name]), name
    assert math.isnan(measure(images, flair=None)["wmh_flair_contrast"])
    assert math.isnan(measure(images, flair=None)["wmh_cavity_rim_share"])
    assert math.isnan(measure(images, nawm=empty > 0)["wmh_flair_contrast"])
    assert math.isnan(measure(images, brain=empty > 0)["wmh_brain_fraction"])
    assert math.isnan(asymmetry_index(0.0, 0.0))
    constant = np.ones((2, 2, 2))
    assert math.isnan(robust_contrast(constant, constant > 0, constant > 0))


def test_non_finite_voxels_of_the_image_do_not_count() -> None:
    images = head()
    expected = measure(images)["wmh_flair_contrast"]
    flair = images["flair"].copy()
    flair[4:5, 4:8, 4:8] = np.nan
    assert measure(images, flair=flair)["wmh_flair_contrast"] == expected


@pytest.mark.parametrize(
    ("shift", "ventricles", "brain"),
    [
        (6, 3 / 4, 0.0),  # three of four planes lie in the ventricle
        (-4, 0.0, 1 - (2 / 4) ** 3),  # half of each side has left the brain
    ],
)
def test_a_shifted_mask_is_seen(shift: int, ventricles: float, brain: float) -> None:
    images = head()
    moved = np.roll(images["lesions"], shift, axis=(0, 1, 2))
    found = measure(images, lesions=moved, nawm=(images["tissue"] == 5) & (moved == 0))
    assert found["wmh_in_ventricles"] == ventricles
    assert found["wmh_outside_brain"] == brain
    assert found["wmh_outside_white_matter"] == ventricles + brain
    assert found["wmh_flair_contrast"] < 1.5


def test_a_mask_that_fills_the_ventricles_is_seen_as_dark() -> None:
    images = head()
    filled = (images["tissue"] == 2).astype(np.int32)
    found = measure(images, lesions=filled)
    assert found["wmh_in_ventricles"] == 1
    assert found["wmh_flair_contrast"] < 0


def test_the_rim_of_a_cavity_is_seen() -> None:
    images = head()
    cavity = np.zeros(images["tissue"].shape, bool)
    cavity[15:18, 4:8, 4:8] = True
    rim = ndimage.binary_dilation(cavity, iterations=2) & ~cavity
    flair = np.where(cavity, 20, np.where(rim, 140, images["flair"]))
    nawm = images["nawm"] & ~rim & ~cavity
    assert (
        measure(images, lesions=rim.astype(np.int32), flair=flair, nawm=nawm)[
            "wmh_cavity_rim_share"
        ]
        == 1
    )


def test_the_side_of_the_tissue_does_not_matter() -> None:
    images = head()
    tissue = images["tissue"].astype(int)
    split = np.where(tissue > 0, tissue + 10, 0)
    split[12:][split[12:] > 0] += 10
    assert measure(images, tissue=split) == measure(images)


@pytest.mark.parametrize(("voxel_mm3", "small"), [(1.0, 2), (1.25, 1), (5.0, 0), (0.75, 3)])
def test_small_is_a_volume_and_not_a_number_of_voxels(voxel_mm3: float, small: int) -> None:
    lesions = np.zeros((3, 3, 3), dtype=int)
    lesions[0, 0, 0] = 1
    lesions[2, :2, :2] = 2
    lesions[0, 2], lesions[1, 2] = 7, 7  # numbers may leave gaps
    assert count_small_lesions(lesions, voxel_mm3) == (3, small)


def test_asymmetry_is_between_minus_1_and_1() -> None:
    assert asymmetry_index(2.0, 0.0) == 1
    assert asymmetry_index(0.0, 2.0) == -1
    assert asymmetry_index(2.0, 2.0) == 0


def test_the_template_names_the_likeliest_tissue_and_nothing_where_it_knows_nothing() -> None:
    def image(*values: float) -> np.ndarray:
        return np.array(values).reshape(1, 1, -1)

    tissue = likeliest_tissue(
        csf=image(0.9, 0.9, 0.1, 0.0, 0.1, 0.1),
        cortex=image(0.0, 0.0, 0.8, 0.1, 0.2, 0.0),
        deep_grey=image(0.0, 0.0, 0.1, 0.7, 0.1, 0.0),
        white=image(0.1, 0.1, 0.0, 0.2, 0.6, 0.2),
        ventricle_region=image(1, 0, 1, 1, 1, 1) > 0,
    )
    assert tissue.ravel().tolist() == [2, 1, 3, 4, 5, 0]


def test_images_of_two_grids_are_refused() -> None:
    mask = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(ValueError, match="region has shape"):
        share_inside(mask, np.ones((2, 2, 3), dtype=bool))
    with pytest.raises(ValueError, match="reference has shape"):
        robust_contrast(np.ones((2, 2, 2)), mask, np.ones((2, 2, 3), dtype=bool))
