"""Brain masks: what is stripped, what is a head, and what is tidied away."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from tests.builders import DATA, save_image
from wmhflow.core.arrays import masks
from wmhflow.core.tissue import brain
from wmhflow.core.tissue.brain import Shown
from wmhflow.core.tissue.brain_mask import refine_brain_mask
from wmhflow.files.images import load_grid
from wmhflow.products.anatomy import shows_no_skull


def sphere(shape, centre, radius):
    grid = np.indices(shape)
    return sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2


SIDE, VOXEL_MM = 110, 2.5
VOXEL_MM3 = VOXEL_MM**3


def ellipsoid(centre_mm, radii_mm):
    """Mark an ellipsoid on the grid of 11 litres; millimetres from its middle."""
    places = (np.indices((SIDE, SIDE, SIDE)) - (SIDE - 1) / 2) * VOXEL_MM
    away = zip(places, centre_mm, radii_mm, strict=True)
    return sum(((axis - c) / r) ** 2 for axis, c, r in away) <= 1


@cache
def brain_image():
    """Draw a brain of 1.3 litres that varies, in nothing."""
    inside = ellipsoid((0, 0, 30), (66, 82, 58))
    noise = np.random.default_rng(1).normal(0, 5, inside.shape)
    return np.where(inside, 100 + noise, 0.0).astype(np.float32)


@cache
def head_image():
    """Draw the same brain in bone and scalp, over a face and a neck that leaves the image."""
    image = brain_image().copy()
    scalp = ellipsoid((0, 0, 28), (78, 96, 72)) | ellipsoid((0, 40, -40), (60, 55, 70))
    neck = ellipsoid((0, -25, -100), (55, 60, 400)) & (np.arange(SIDE) < 55)
    image[(scalp | neck) & (image == 0)] = 60
    image[ellipsoid((0, 0, 30), (70, 86, 62)) & (brain_image() == 0)] = 12
    return image


def with_scraps(image):
    """Leave eyes, a strip of bone and some neck on a brain."""
    image = image.copy()
    for x in (-32, 32):
        image[ellipsoid((x, 75, -10), (13, 13, 13))] = 80
    image[ellipsoid((0, -10, -50), (62, 66, 78))] = 50
    return image


def defaced(image):
    """Set the face to 0, as programs do that make a head unrecognisable."""
    places = np.indices(image.shape) - SIDE / 2
    return np.where((places[1] > 0) & (places[2] < places[1] - 35), 0, image)


def short(image):
    """Cut a head to a field of view of 12 cm and pad it with zeros again."""
    return np.pad(image[:, :, 38:86], ((0, 0), (0, 0), (38, 24)))


def noisy(image):
    """Fill the air with noise."""
    noise = np.abs(np.random.default_rng(2).normal(0, 3, (2, *image.shape))).sum(axis=0)
    return image + noise.astype(np.float32)


# Images are made where they are looked at.
KINDS = {
    "a head in noise": (lambda: noisy(head_image()), Shown.WHOLE_HEAD),
    "a head whose air is 0": (head_image, Shown.WHOLE_HEAD),
    "a head whose air is -3": (
        lambda: np.where(head_image() == 0, -3, head_image()),
        Shown.WHOLE_HEAD,
    ),
    "a defaced head": (lambda: defaced(head_image()), Shown.WHOLE_HEAD),
    "a defaced head in noise": (lambda: defaced(noisy(head_image())), Shown.WHOLE_HEAD),
    "a head padded with zeros": (lambda: np.pad(head_image(), 15), Shown.WHOLE_HEAD),
    "a noisy head padded with zeros": (lambda: np.pad(noisy(head_image()), 15), Shown.WHOLE_HEAD),
    "a short head, padded": (lambda: short(head_image()), Shown.WHOLE_HEAD),
    "a short head": (lambda: head_image()[:, :, 38:86], Shown.WHOLE_HEAD),
    "a brain": (brain_image, Shown.BRAIN),
    "a brain on -3": (lambda: np.where(brain_image() == 0, -3, brain_image()), Shown.BRAIN),
    "a brain that fills its grid": (lambda: brain_image()[27:83, 20:90, 42:92], Shown.BRAIN),
    "a brain with scraps": (lambda: with_scraps(brain_image()), Shown.ROUGH_BRAIN),
    "nothing": (lambda: np.zeros((20, 20, 20)), Shown.WHOLE_HEAD),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_is_told(kind) -> None:
    make, truth = KINDS[kind]
    image = make()
    assert brain.what_is_shown(image, VOXEL_MM3) is truth
    # whatever the order of the axes
    turned = np.transpose(image, (2, 0, 1))[::-1]
    assert brain.what_is_shown(turned, VOXEL_MM3) is truth


def real_images(folder):
    return sorted(
        path
        for path in (DATA / folder).glob("**/*.nii.gz")
        if re.search(r"(T1w|T2w|FLAIR)\.nii\.gz$", path.name, re.IGNORECASE)
    )


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "skull"), [("raw_longitudinal", True), ("lesions", False)])
def test_real_scans_are_told(folder, skull) -> None:
    images = real_images(folder)
    if not images:
        pytest.skip(f"the real scans are not there ({DATA.name}/{folder})")
    for path in images:
        grid = load_grid(path)
        shown = brain.what_is_shown(grid.data, grid.voxel_mm3)
        assert shown.without_skull is not skull, (path.name, shown)


def test_a_real_head_whose_air_is_zero_is_told() -> None:
    images = [path for path in real_images("raw_longitudinal") if "T2W" not in path.name]
    if not images:
        pytest.skip(f"the real scans are not there ({DATA.name}/raw_longitudinal)")
    for path in images:
        grid = load_grid(path)
        bright = ndimage.binary_opening(grid.data > 0.08 * np.percentile(grid.data, 99))
        image = np.where(bright, grid.data, 0)
        for given in (image, np.pad(image, 10)):
            assert brain.what_is_shown(given, grid.voxel_mm3) is Shown.WHOLE_HEAD, path.name


def test_sidecars_ask_the_same_question_of_the_image_as_it_was_given(tmp_path) -> None:
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1])
    for kind, (make, truth) in KINDS.items():
        image = make()
        holed = np.where(np.arange(image.size).reshape(image.shape) == 0, np.nan, image)
        path = save_image(tmp_path / f"{kind}.nii", holed, affine)
        assert shows_no_skull(path) is truth.without_skull, kind


@cache
def without_its_fluid():
    """Draw a brain of which grey and white matter was kept: fissures lead to a wide ventricle."""
    inside = brain_image() > 0
    x, y, _ = (np.indices(inside.shape) - (SIDE - 1) / 2) * VOXEL_MM
    ventricle = ellipsoid((0, 0, 30), (28, 40, 22))
    sulci = (np.abs(x) < 3) | (np.abs(x) % 24 < 3) & (np.abs(y) > 40)
    return inside & ~ventricle & ~sulci, inside, ventricle


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("step", [1, 3])
def test_a_brain_without_its_fluid_gets_it_back(axes, step) -> None:
    found, inside, ventricle = (
        np.transpose(part[:, :, ::step], axes) for part in without_its_fluid()
    )
    sizes = [(VOXEL_MM, VOXEL_MM, step * VOXEL_MM)[axis] for axis in axes]
    whole = brain.with_fluid(found, sizes)
    assert whole[ventricle].all()
    assert not whole[~inside].any()
    assert (whole & inside).sum() > 0.95 * inside.sum()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_ventricle_that_opens_into_a_wide_cistern_is_enclosed_in_thick_slices(axes) -> None:
    found, inside, ventricle = without_its_fluid()
    x, y, z = (np.indices(inside.shape) - (SIDE - 1) / 2) * VOXEL_MM
    cistern = (np.hypot(x, y) < 12) & (z < 30)
    parts = (found & ~cistern, inside, ventricle)
    opened, inside, ventricle = (np.transpose(part[:, :, ::3], axes) for part in parts)
    sizes = [(VOXEL_MM, VOXEL_MM, 3 * VOXEL_MM)[axis] for axis in axes]
    whole = brain.with_fluid(opened, sizes)
    assert whole[ventricle].all()
    assert not whole[~inside].any()


@pytest.mark.parametrize("kind", [name for name in KINDS if "brain" in name])
def test_a_whole_brain_gets_nothing(kind) -> None:
    body = brain.filled_foreground(KINDS[kind][0]())
    assert brain.with_fluid(body, (VOXEL_MM,) * 3) is body


def test_background_need_not_be_zero() -> None:
    image = np.where(sphere((40, 40, 40), (20, 20, 20), 10), 5.0, -3.0)
    assert brain.background_value(image) == -3
    assert brain.filled_foreground(image).sum() == (image == 5).sum()


def test_noise_has_no_background() -> None:
    noise = np.random.default_rng(0).random((20, 20, 20))
    assert brain.background_value(noise) is None
    assert not brain.filled_foreground(noise).any()


@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (0.5, 1.0, 4.0)])
def test_growing_is_in_millimetres(sizes) -> None:
    mask = np.zeros((21, 21, 21), bool)
    mask[10, 10, 10] = True
    grown = masks.within(mask, 4.0, sizes)
    for axis, size in enumerate(sizes):
        line = np.moveaxis(grown, axis, 0)[:, 10, 10]
        assert line.sum() == 1 + 2 * int(4.0 / size)


def test_shrinking_is_growing_of_the_outside_and_ends_at_no_border() -> None:
    mask = sphere((21, 21, 21), (10, 10, 10), 7)
    sizes = (1.0, 0.9999999, 1.0000001)
    assert np.array_equal(masks.deeper(mask, 2.0, sizes), ~masks.within(~mask, 2.0, (1, 1, 1)))
    nothing, everything = np.zeros((5, 5, 5), bool), np.ones((5, 5, 5), bool)
    assert not masks.within(nothing, 3.0, sizes).any()
    assert masks.deeper(everything, 3.0, sizes).all()


def test_refining_drops_air_and_a_thin_bridge_to_the_scalp() -> None:
    image = np.where(sphere((60, 60, 60), (30, 30, 30), 20), 100.0, 0.0).astype(np.float32)
    image += np.random.default_rng(0).normal(0, 3, image.shape) * (image > 0)
    image[29:31, 29:31, 50:58] = 100
    rough = sphere((60, 60, 60), (30, 30, 30), 24) | (image > 50)
    refined = refine_brain_mask(image, rough, (1, 1, 1))
    truth = sphere((60, 60, 60), (30, 30, 30), 20)
    assert 2 * (refined & truth).sum() / (refined.sum() + truth.sum()) > 0.97
    assert not refined[:, :, 53:].any()
