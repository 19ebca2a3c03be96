"""Brain, tissues and sides: the template segments itself, and real people come out sane."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import DATA, save_image
from tests.heads import coarse, coarse_template
from wmhflow.core.space.geometry import world_coordinates
from wmhflow.core.space.grids import Grid3D, cropped
from wmhflow.errors import InputError
from wmhflow.files.images import load_grid
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import PRIORS, Template, cached_template
from wmhflow.labels.digits import CORTEX, LEFT, RIGHT, WHITE_MATTER, class_of, side_of
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.tissue import (
    Tissues,
    find_brain,
    find_nawm,
    label_tissues,
    put_lesions_in,
    read_parcellation,
    share_brain,
    template_likeness,
    warp_priors,
)

SPACING_MM = 4.0
RAW = DATA / "raw_longitudinal" / "openms_patient01" / "raw"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return coarse_template(tmp_path_factory.mktemp("template"), SPACING_MM)


@pytest.fixture(scope="module")
def t1w() -> Grid3D:
    return coarse("t1w", SPACING_MM)


@pytest.fixture(scope="module")
def inner() -> np.ndarray:
    """The template's brain."""
    return coarse("brain_mask", SPACING_MM).data


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def left_of_midline(grid: Grid3D) -> np.ndarray:
    places = np.moveaxis(np.indices(grid.data.shape), 0, -1)
    return world_coordinates(places, grid.affine)[..., 0] < 0


def segmented(image: Grid3D, inner: np.ndarray) -> Tissues:
    """Label the tissues of an image that lies where the template does."""
    priors = {name: coarse(name, SPACING_MM) for name in PRIORS}
    masks = {
        name: MaskImage(priors.pop(name).data, image.affine)
        for name in ("ventricles", "infratentorial")
    }
    sides = np.where(left_of_midline(image), LEFT, RIGHT).astype(np.uint8)
    return label_tissues(
        image,
        MaskImage(inner, image.affine),
        **priors,
        **masks,
        hemispheres=LabelImage(sides, image.affine),
        lesion_mask=MaskImage(np.zeros_like(inner), image.affine),
        source="sub-01_T1w.nii.gz",
    )


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("contrast", ["T1w", "FLAIR"])
def test_the_template_segments_itself(contrast: str, t1w: Grid3D, inner: np.ndarray) -> None:
    truth = {name: coarse(name, SPACING_MM).data for name in PRIORS}
    values = {"T1w": (40, 150, 210), "FLAIR": (30, 130, 100)}[contrast]
    grey = truth["cortex"] + truth["deep_grey"]
    data = values[0] * truth["csf"] + values[1] * grey + values[2] * truth["white"]
    data += np.random.default_rng(0).normal(0, 2, data.shape) * (data > 0)
    image = Grid3D(data.astype(np.float32), t1w.affine)
    found = segmented(image, inner)
    labels = found.tissue.data
    inside = ~truth["infratentorial"] & inner
    assert dice(class_of(labels) == WHITE_MATTER, (truth["white"] > 0.5) & inside) > 0.85
    assert dice(class_of(labels) == CORTEX, (truth["cortex"] > 0.5) & inside) > 0.8
    assert found.ventricles.data.sum() * SPACING_MM**3 > 5000
    assert left_of_midline(image)[side_of(labels) == LEFT].all()
    assert set(np.unique(labels)) <= {0, *(10 * s + k for s in (1, 2) for k in (1, 2, 3, 4, 5, 7))}
    if contrast == "T1w":
        again = segmented(image, inner)
        assert np.array_equal(again.tissue.data, labels)
        assert np.array_equal(again.ventricles.data, found.ventricles.data)


@pytest.mark.parametrize(
    ("fault", "values"),
    [
        ("one value", lambda data: np.full_like(data, 100)),
        ("zeros", np.zeros_like),
        ("no numbers", lambda data: np.full_like(data, np.nan)),
        ("infinite", lambda data: np.full_like(data, np.inf)),
    ],
)
def test_what_shows_no_tissues_is_refused_by_its_name(
    fault: str, values: Any, t1w: Grid3D, inner: np.ndarray
) -> None:
    """Noise is refused before (`files.inspection`) and after, by its likeness to the template."""
    image = Grid3D(values(t1w.data).astype(np.float32), t1w.affine)
    with pytest.raises(InputError, match=r"^sub-01_T1w\.nii\.gz: .*look at"):
        segmented(image, inner)


def test_priors_come_to_a_brain_and_end_soon_beyond_it(
    template: Template, t1w: Grid3D, inner: np.ndarray, tmp_path: Path
) -> None:
    still = Path(write_itk_affine(np.eye(4), tmp_path / "still.txt"))
    found = warp_priors(MaskImage(inner, t1w.affine), template, still)
    assert np.allclose(found.white.data[inner], coarse("white", SPACING_MM).data[inner], atol=1e-4)
    assert np.array_equal(found.ventricles.data, coarse("ventricles", SPACING_MM).data & inner)
    assert (found.hemispheres.data > 0).all()
    left = left_of_midline(t1w) & inner
    assert (found.hemispheres.data[left] == LEFT).all()
    # half of the brain: what is further than 10 mm from it is not asked for
    half = inner.copy()
    half[: half.shape[0] // 2] = False
    there = warp_priors(MaskImage(half, t1w.affine), template, still)
    first = int(np.flatnonzero(half.any(axis=(1, 2)))[0])
    assert (there.cortex.data[: first - 4] == 0).all()
    assert (found.cortex.data[: first - 4] > 0.5).any()


# ---- likeness ------------------------------------------------------------------------------------


def as_flair(t1w: Grid3D, inner: np.ndarray) -> np.ndarray:
    """A FLAIR's brain: grey brighter than white, and both far from what is not scanned."""
    truth = {name: coarse(name, SPACING_MM).data for name in PRIORS}
    data = 100.0 * inner - 70 * truth["csf"] + 30 * (truth["cortex"] + truth["deep_grey"])
    # a coil, and grain that the template does not explain
    data *= np.linspace(0.8, 1.2, data.shape[1])[:, None]
    return data + np.random.default_rng(0).normal(0, 6, data.shape)


@pytest.mark.parametrize(
    ("how", "unit"),
    [("cut", 1.0), ("cut", 1e-6), ("blank", 1.0), ("blank", 1e6), ("stripped and cut", 1.0)],
)
@pytest.mark.parametrize(("axis", "upper"), [(2, True), (2, False), (1, True), (0, False)])
def test_what_was_not_scanned_does_not_count_against_an_image(
    axis: int, upper: bool, how: str, unit: float,
    t1w: Grid3D, inner: np.ndarray, template: Template, tmp_path: Path,
) -> None:  # fmt: skip
    still = Path(write_itk_affine(np.eye(4), tmp_path / "still.txt"))
    data = as_flair(t1w, inner)
    whole = template_likeness(grid_of(data, t1w, unit), still, template)
    first, last = (int(n) for n in np.flatnonzero(inner.any(axis=(axis - 1, axis - 2)))[[0, -1]])
    third = (last - first) // 3
    kept = [slice(None)] * 3
    kept[axis] = slice(0, last - third) if upper else slice(first + third, None)
    if how.startswith("stripped"):
        data = data * inner
    image = grid_of(data, t1w, unit)
    if how == "blank":
        image = Grid3D(np.zeros_like(image.data), image.affine)
        image.data[tuple(kept)] = grid_of(data, t1w, unit).data[tuple(kept)]
    else:
        image = cropped(image, tuple(kept))
    assert template_likeness(image, still, template) > 0.8 * whole > 0.15


def grid_of(data: np.ndarray, like: Grid3D, unit: float) -> Grid3D:
    return Grid3D((unit * data).astype(np.float32), like.affine)


@pytest.mark.parametrize("cut", [0, 12])
def test_noise_one_value_and_a_corner_are_explained_by_nothing(
    cut: int, t1w: Grid3D, template: Template, tmp_path: Path
) -> None:
    still = Path(write_itk_affine(np.eye(4), tmp_path / "still.txt"))
    shape = t1w.data.shape
    noise = np.random.default_rng(1).normal(100, 20, shape).astype(np.float32)
    part = np.s_[:, :, : shape[2] - cut]
    ratio = template_likeness(cropped(Grid3D(noise, t1w.affine), part), still, template)
    assert ratio is not None
    assert ratio < 0.05
    flat = Grid3D(np.full(shape, 7, np.float32), t1w.affine)
    assert template_likeness(cropped(flat, part), still, template) is None
    corner = cropped(t1w, np.s_[: shape[0] // 2, : shape[1] // 2, : shape[2] // 2])
    assert template_likeness(corner, still, template) is None


# ---- brain ---------------------------------------------------------------------------------------


def test_a_stripped_image_is_its_own_mask(
    template: Template, t1w: Grid3D, inner: np.ndarray
) -> None:
    image = Grid3D(t1w.data * inner, t1w.affine)
    assert dice(find_brain(image, template, 1, "x").brain_mask.data, inner) > 0.98


def test_an_image_without_a_brain_is_refused_by_its_name(
    template: Template, few_turns: None
) -> None:
    """Four litres of one brightness are too much for a brain without its skull, and no head."""
    places = np.indices((60, 60, 60)) - 29.5
    ball = np.where((places**2).sum(axis=0) < 25**2, np.float32(100), np.float32(0))
    image = Grid3D(ball, np.diag([4.0, 4.0, 4.0, 1.0]))
    with pytest.raises(InputError, match=r"sub-01_T1w\.nii\.gz: no brain was found"):
        find_brain(image, template, 1, "sub-01_T1w.nii.gz")


def test_what_two_stripped_images_share_is_the_brain(
    template: Template, t1w: Grid3D, inner: np.ndarray, tmp_path: Path
) -> None:
    first, last = (int(edge) for edge in np.flatnonzero(inner.any(axis=(0, 2)))[[0, -1]])
    # eyes and bone, left on one of the two images, the other one 4 mm away
    scraps = t1w.data * inner
    eyes = np.zeros(inner.shape, bool)
    eyes[12:-12, last - 4 : last + 1, 12:-12] = True
    scraps[eyes & ~inner] = scraps.max()
    moved = t1w.affine.copy()
    moved[0, 3] += 4
    halved = inner.copy()
    halved[:, : (first + last) // 2] = False
    top = int(np.flatnonzero(inner.any(axis=(0, 1)))[-1])
    others = {
        "stripped": t1w.data * inner,
        "short": t1w.data[:, :, : top - 1] * inner[:, :, : top - 1],
        "whole": t1w.data + 20,
        "half": t1w.data * halved,
    }
    image = Grid3D(scraps, t1w.affine)
    shift = np.eye(4)
    shift[0, 3] = 4
    way = Path(write_itk_affine(shift, tmp_path / "x.txt"))
    alone = find_brain(image, template, 1, "x", check=False).brain_mask
    by_itself = alone.data
    found = {
        name: share_brain(image, alone, Grid3D(data, moved), way, "x").brain_mask.data
        for name, data in others.items()
    }
    assert dice(found["stripped"], inner) > 0.98
    assert by_itself.sum() > 1.02 * inner.sum()
    # what ends in the brain takes nothing from it
    assert not (inner & ~found["short"])[:, :, top - 1 :].any()
    # a whole head says nothing, half a brain is not believed
    assert (found["whole"] == by_itself).all()
    assert (found["half"] == by_itself).all()


@pytest.mark.slow
@pytest.mark.skipif(not RAW.is_dir(), reason="the shared raw heads are not there")
@pytest.mark.parametrize("name", ["study1_T1W", "study1_FLAIR"])
def test_raw_heads_give_a_brain(name: str) -> None:
    head = load_grid(RAW / f"{name}.nii.gz")
    found = find_brain(head, cached_template(), 1, name).brain_mask
    assert 1.0 < found.data.sum() * head.voxel_mm3 / 1e6 < 1.6


# ---- a given parcellation, and what is made of tissues -------------------------------------------

BLOCK_SHAPE, BLOCK_AFFINE = (8, 9, 10), np.diag([10.0, 10.0, 10.0, 1.0])


def block() -> np.ndarray:
    data = np.zeros(BLOCK_SHAPE, bool)
    data[2:5, 2:5, 2:5] = True
    return data


def test_the_infarct_is_counted_out_of_nawm() -> None:
    white = LabelImage(np.full(BLOCK_SHAPE, 5, np.uint8), BLOCK_AFFINE)
    left = LabelImage(np.ones(BLOCK_SHAPE, np.uint8), BLOCK_AFFINE)
    nothing = MaskImage(np.zeros(BLOCK_SHAPE, bool), BLOCK_AFFINE)
    tissue = put_lesions_in(white, left, nothing).tissue
    assert (tissue.data == 15).all()
    found = find_nawm(tissue, infarct=MaskImage(block(), BLOCK_AFFINE))
    # the block of 27 and one voxel on each of its 6 faces of 9
    assert found.facts["nawm_removed_infarct_voxels"] == 27 + 6 * 9
    assert found.nawm.data.sum() == np.prod(BLOCK_SHAPE) - 27 - 6 * 9
    assert found.facts["tissue_guard_mm"] == 10
    again = find_nawm(tissue)
    assert "nawm_removed_infarct_voxels" not in again.facts
    assert again.nawm.data.all()


def test_the_guard_is_what_was_asked_for() -> None:
    tissue = np.full(BLOCK_SHAPE, 15, np.uint8)
    tissue[0] = 13
    image = LabelImage(tissue, BLOCK_AFFINE)
    for guard_mm, planes in ((5.0, 1), (10.0, 2), (25.0, 3)):
        found = find_nawm(image, guard_mm=guard_mm)
        assert np.array_equal(np.flatnonzero(~found.nawm.data.all(axis=(1, 2))), range(planes))
        assert found.facts["tissue_guard_mm"] == guard_mm


def test_a_parcellation_tells_tissues_sides_and_lobes_and_unknown_codes_are_counted(
    tmp_path: Path,
) -> None:
    shape = (20, 20, 20)
    x, y, z = np.indices(shape) - 9.5
    radius = np.sqrt(x**2 + y**2 + z**2)
    # cortex of the frontal lobe around white matter, ventricles in the middle, on either side
    codes = np.select([radius < 2, radius < 5, radius < 6.5], [4, 2, 1028], 0)
    right = np.select([radius < 2, radius < 5, radius < 6.5], [43, 41, 2028], 0)
    affine = BLOCK_AFFINE.copy()
    affine[:3, 3] = -95
    codes = np.where(x > 0, right, codes)
    codes[0, 0, :3] = 4711
    image = Grid3D(np.where(codes > 0, 100.0, 0).astype(np.float32), affine)
    found = read_parcellation(save_image(tmp_path / "dseg.nii.gz", codes, affine), image)
    known = (codes > 0) & (codes != 4711)
    assert found.facts["parcellation_unknown_voxels"] == 3
    names = {"parcellation_unknown_voxels", "brain_cut_share"}
    names |= {"parcellation_apart_mm", "parcellation_border_apart_mm"}
    assert set(found.facts) == names
    assert np.array_equal(found.brain_mask.data, known)
    assert np.array_equal(found.ventricles.data, np.isin(codes, (4, 43)))
    assert np.array_equal(found.tissue.data == WHITE_MATTER, np.isin(codes, (2, 41)))
    assert np.array_equal(found.tissue.data == CORTEX, np.isin(codes, (1028, 2028)))
    assert (found.cortex_lobes.data[np.isin(codes, (1028, 2028))] == 1).all()
    assert np.array_equal(found.hemispheres.data, np.where(x > 0, RIGHT, LEFT))
