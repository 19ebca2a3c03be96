"""Lateral ventricles: CSF in the region, with plexus and without sulci."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.tissue.ventricles import lateral_ventricles

SHAPE = (60, 60, 60)


def scene():
    region, csf = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    region[10:30, 10:50, 10:30] = True
    csf[15:25, 15:45, 15:25] = True
    return csf, region, np.zeros(SHAPE, np.float32)


def test_csf_in_the_region_is_ventricle_and_csf_elsewhere_is_not() -> None:
    csf, region, cortex = scene()
    truth = csf.copy()
    csf[45:55, 15:45, 15:25] = True
    assert np.array_equal(lateral_ventricles(csf, region, cortex, cortex, (1, 1, 1)), truth)


def test_choroid_plexus_is_filled_in() -> None:
    csf, region, cortex = scene()
    truth = csf.copy()
    csf[19:22, 28:32, 18:22] = False
    assert np.array_equal(lateral_ventricles(csf, region, cortex, cortex, (1, 1, 1)), truth)


def test_a_dark_lesion_at_the_rim_is_no_ventricle() -> None:
    csf, region, cortex = scene()
    truth = csf.copy()
    csf[28:30, 15:45, 12:14] = True
    assert np.array_equal(lateral_ventricles(csf, region, cortex, cortex, (1, 1, 1)), truth)


def test_nothing_dark_gives_an_empty_mask() -> None:
    csf, region, cortex = scene()
    assert not lateral_ventricles(csf & False, region, cortex, cortex, (1, 1, 1)).any()


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.5, 0.5, 5), (5, 0.5, 0.5), (2, 2, 2)])
@pytest.mark.parametrize(
    ("what", "grows"),
    [
        ("hangs together, in white matter", True),
        ("hangs together, in a cistern", False),
        ("hangs together, in cortex", False),
        ("lies apart, in white matter", False),
    ],
)
def test_a_wide_ventricle_grows_where_the_template_has_white_matter(
    what: str, grows: bool, spacing: tuple[float, float, float]
) -> None:
    csf, region, cortex = scene()
    # what the template has there, as in a warp that did not stretch enough
    tissue = np.zeros(SHAPE, np.float32)
    tissue[30:58, 10:50, 10:30] = 1
    far = np.zeros(SHAPE, bool)
    far[25:55, 18:40, 16:24] = True
    if "apart" in what:
        far[25:40] = False
    white = tissue if "white" in what else 0 * tissue
    cortex = tissue if "cortex" in what else cortex
    found = lateral_ventricles(csf | far, region, cortex, white, spacing)
    reached = found[50:54, 20:38, 18:22].mean()
    assert reached == (1 if grows else 0)


@pytest.mark.parametrize(
    ("what", "found"),
    [("most of it in the ventricles", True), ("apart", False), ("narrow", False)],
)
@pytest.mark.parametrize("spacing", [(1, 1, 1), (2, 2, 2), (1, 1, 3)])
def test_a_wide_place_of_fluid_is_ventricle_whatever_the_template_has_there(
    what: str, found: bool, spacing: tuple[float, float, float]
) -> None:
    csf, region, inner = scene()
    cortex = np.zeros(SHAPE, np.float32)
    cortex[27:] = 1
    csf[15:40, 14:46, 12:28] = True
    if what == "apart":
        csf[21:28] = False
    if what == "narrow":
        csf[25:40] = False
        csf[25:40, 20:22, 12:28] = True
    grown = lateral_ventricles(csf, region, cortex, 0 * inner, spacing)
    assert grown[16:20, 20:40, 16:24].all()
    assert grown[36:38, 20:22, 16:24].mean() == found


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    places = np.indices(SHAPE, dtype=np.float32)
    away = sum((part - c) ** 2 for part, c in zip(places, centre, strict=True))
    return np.asarray(away <= radius**2)


def wide_scene():
    _, region, _ = scene()
    return region.copy(), region


def neck(x0: int, x1: int, half_width: int) -> np.ndarray:
    found = np.zeros(SHAPE, bool)
    found[x0:x1, 30 - half_width : 31 + half_width, 20 - half_width : 21 + half_width] = True
    return found


@pytest.mark.parametrize(
    ("cavity", "is_ventricle"),
    [
        pytest.param(ball((45, 30, 20), 11) | neck(24, 36, 2), False, id="narrow neck"),
        pytest.param(ball((45, 30, 20), 11) | neck(24, 36, 5), False, id="neck of half its width"),
        pytest.param(ball((42, 30, 20), 9), False, id="beside it"),
        pytest.param(neck(24, 56, 8), True, id="a horn in its full width"),
        pytest.param(ball((45, 30, 20), 11) | neck(24, 46, 10), True, id="a wide front"),
    ],
)
def test_a_cavity_that_opens_into_a_ventricle_by_a_neck_is_no_ventricle(
    cavity: np.ndarray, is_ventricle: bool
) -> None:
    csf, region = wide_scene()
    white = np.where(region, 0, 1).astype(np.float32)
    found = lateral_ventricles(csf | cavity, region, 0 * white, white, (1, 1, 1))
    assert found[csf].mean() > 0.999
    beyond = cavity & ~region
    beyond[:40] = False
    assert found[beyond].mean() == pytest.approx(float(is_ventricle), abs=0.01)


def test_a_cavity_is_left_out_in_thick_slices_as_well() -> None:
    csf, region = wide_scene()
    white = np.where(region, 0, 1).astype(np.float32)
    cavity = ball((45, 30, 20), 11) | neck(24, 36, 3)
    thick = [values[:, :, ::4] for values in (csf | cavity, region, 0 * white, white)]
    found = lateral_ventricles(*thick, (1, 1, 4))
    beyond = np.arange(SHAPE[0]) >= 40
    assert found[csf[:, :, ::4]].mean() > 0.999
    assert not found[beyond].any()


def test_a_ventricle_far_wider_than_its_region_is_no_pocket() -> None:
    region, csf = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    region[4:12, 20:40, 20:30] = True
    csf[8:56, 8:52, 8:52] = True
    white = np.where(region, 0, 1).astype(np.float32)
    found = lateral_ventricles(csf, region, 0 * white, white, (1, 1, 1))
    assert found[csf].mean() > 0.99
