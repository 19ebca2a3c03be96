"""A parcellation that lies elsewhere than the tissues of the image that it is laid over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nibabel import affines
from scipy import ndimage

from tests.builders import save_image
from tests.coarse import anatomical, head
from wmhflow.core.checks.border import tissue_shifts_mm, without_parts
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import CORTEX, WHITE_MATTER
from wmhflow.registries.quality import find_measure
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.shifts import MOST_BORDER_MM
from wmhflow.steps.tissue import (
    MOST_PARCELLATION_MM,
    _apart,
    _as_aligned,
    _other_apart,
    painted_tissues,
    read_parcellation,
)


@pytest.mark.parametrize("suffix", ["T1w", "FLAIR"])
@pytest.mark.parametrize("moved_mm", [0, 3, 6])
def test_how_far_it_lies_from_the_tissues_is_measured_and_said(
    tmp_path: Path, suffix: str, moved_mm: int, caplog: Any
) -> None:
    """Zones, NAWM and every sample lay beside the tissue that they were named after."""
    away = np.eye(4)
    away[1, 3] = moved_mm
    path = save_image(tmp_path / "dseg.nii.gz", head().codes, away @ head().affine)
    found = read_parcellation(path, Grid3D(anatomical(suffix), head().affine))
    apart = found.facts["parcellation_apart_mm"]
    assert apart == pytest.approx(moved_mm, abs=0.5)
    assert (apart > MOST_PARCELLATION_MM) == (moved_mm > 0)
    said = "dseg.nii.gz lies "
    assert (said in caplog.text) == (moved_mm > 0)
    measure = find_measure("parcellation_apart_mm")
    assert measure is not None
    assert measure.high == MOST_PARCELLATION_MM


def test_one_beside_the_brain_is_not_called_blank(tmp_path: Path) -> None:
    """The message had named the parcellation as the image that shows no brain."""
    away = np.eye(4)
    away[:3, 3] = 40, 40, 0
    path = save_image(tmp_path / "dseg.nii.gz", head().codes, away @ head().affine)
    with pytest.raises(InputError, match=r"dseg\.nii\.gz lies beside the brain of the reference"):
        read_parcellation(path, Grid3D(anatomical("T1w"), head().affine))


def test_tissues_have_the_brightness_of_most_of_them() -> None:
    tissue = np.array([[[0, 5, 5, 5, 3]]])
    image = np.array([[[9.0, 1, 2, 90, 7]]])
    assert painted_tissues(tissue, image).tolist() == [[[0, 2, 2, 2, 7]]]


SHAPE = (64, 60, 56)
# to the left and turned, as scanners store it
AFFINE = np.array([[-1.0, 0, 0, 32], [0, 0, 1, -28], [0, 1, 0, -30], [0, 0, 0, 1]])


def folded() -> Any:
    """White matter with gyri, cortex of 3 mm around it, and nothing beyond: FreeSurfer's codes."""
    places = np.moveaxis(np.indices(SHAPE), 0, -1) - (np.array(SHAPE) - 1) / 2
    radius = np.linalg.norm(places, axis=-1)
    gyri = ndimage.gaussian_filter(np.random.default_rng(8).standard_normal(SHAPE), 4)
    white = radius < 18 + 4 * gyri / gyri.std()
    cortex = ndimage.binary_dilation(white, iterations=3) & ~white
    left = affines.apply_affine(AFFINE, np.indices(SHAPE).reshape(3, -1).T)[:, 0] < 0
    sides = left.reshape(SHAPE)
    return np.select([white & sides, white, cortex & sides, cortex], [2, 41, 1028, 2028], 0)


def shown(codes: Any, white: float, cortex: float, noise: float) -> Any:
    """How a scan shows them: edges in between, and noise."""
    plain = np.select([np.isin(codes, (2, 41)), codes > 0], [white, cortex], 20.0)
    soft = ndimage.gaussian_filter(plain, 0.6)
    return (soft + np.random.default_rng(9).normal(0, noise, SHAPE)).astype(np.float32)


MOVES = {
    "as it is": ((0, 0, 0), ""),
    "a voxel to the right": ((-1, 0, 0), "1.0 mm left"),
    "a voxel to the left": ((1, 0, 0), "1.0 mm right"),
    "a voxel back": ((0, 1, 0), "1.0 mm forward"),
    "a voxel down": ((0, 0, 1), "1.0 mm up"),
    "along two axes": ((1, 0, -2), "1.0 mm right and 2.0 mm down"),
    "by half a voxel": ((0, 0.5, 0), ""),
}


@pytest.mark.parametrize("kind", [(400, 280, 12), (260, 330, 20)], ids=["T1w", "FLAIR"])
@pytest.mark.parametrize("name", MOVES)
def test_a_border_that_lies_a_voxel_beside_is_told_and_said(
    name: str, kind: tuple[float, float, float], caplog: Any
) -> None:
    """A header that lost a voxel moved all zones and samples by one, below every other bound."""
    move, way = MOVES[name]
    codes = folded()
    voxels = np.linalg.inv(AFFINE[:3, :3]) @ np.array(move, float)
    # the labels stay, and the image lies where `move` brings them
    image = ndimage.shift(shown(codes, *kind), voxels, order=1, mode="nearest")
    tissue = np.select([np.isin(codes, (2, 41)), codes > 0], [WHITE_MATTER, CORTEX], 0)
    facts = _apart(tissue.astype(np.uint8), Grid3D(image, AFFINE), Path("dseg.nii.gz"))
    found = facts["parcellation_border_apart_mm"]
    assert found == pytest.approx(float(np.linalg.norm(move)), abs=0.25)
    assert (found > MOST_BORDER_MM) == bool(np.linalg.norm(move) > 0.7)
    assert f"it fits if it is moved {way}" in caplog.text or not way
    assert ("header lose a voxel" in caplog.text) == (found > MOST_BORDER_MM)


KINDS = {"T1w": (400.0, 280.0, 12.0), "FLAIR": (260.0, 330.0, 20.0)}
IMAGE_MOVES = {
    "as it is": ((0, 0, 0), (0, 0, 0), ""),
    "a voxel right": ((1, 0, 0), (0, 0, 0), "1.0 mm left"),
    "two back": ((0, -2, 0), (0, 0, 0), "2.0 mm forward"),
    "along two axes": ((0, 1, -1), (0, 0, 0), "1.0 mm back and 1.0 mm up"),
    "both, beside the tissues": ((1, 0, 0), (1, 0, 0), ""),
    "each in its way": ((1, 0, 0), (0, 0, 1), "1.0 mm left and 1.0 mm up"),
}


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("name", IMAGE_MOVES)
def test_an_image_that_was_aligned_a_voxel_beside_is_told_and_said(
    name: str, other: str, caplog: Any
) -> None:
    """A transform that is a voxel off is below the 2.5 mm from which a misalignment counts."""
    moved, reference_moved, way = IMAGE_MOVES[name]
    (reference,) = KINDS.keys() - {other}
    codes, images = folded(), {}
    for kind, mm in ((other, moved), (reference, reference_moved)):
        voxels = np.linalg.inv(AFFINE[:3, :3]) @ np.array(mm, float)
        images[kind] = ndimage.shift(shown(codes, *KINDS[kind]), voxels, order=0, mode="nearest")
    # the digits of the left side
    white, left = np.isin(codes, (2, 41)), 10
    tissue = np.select([white, codes > 0], [left + WHITE_MATTER, left + CORTEX], 0)
    pair = Grid3D(images[reference], AFFINE), Grid3D(images[other], AFFINE)
    sources = f"{reference}.nii.gz", f"{other}.nii.gz"
    found = _other_apart(*pair, LabelImage(tissue.astype(np.uint8), AFFINE), sources)
    expected = float(np.linalg.norm(np.subtract(moved, reference_moved)))
    assert found == pytest.approx(expected, abs=0.25)
    assert (f"{other}.nii.gz lies" in caplog.text) == bool(way)
    assert f"it fits if it is moved {way}" in caplog.text or not way
    measure = find_measure(f"{other}_border_apart_mm")
    assert measure is not None
    assert measure.high == MOST_BORDER_MM


@pytest.mark.parametrize("moved", [(0, 0, 0), (1, 0, 0), (0, 0, -2)])
def test_the_thickness_of_slices_is_no_place(tmp_path: Path, moved: Any, caplog: Any) -> None:
    """Of slices that were brought to the reference their thickness counted as half a millimetre."""
    codes = folded()
    first = Grid3D(shown(codes, *KINDS["T1w"]), AFFINE)
    thick = 4
    slices = shown(codes, *KINDS["FLAIR"]).reshape(*SHAPE[:2], -1, thick).mean(axis=3)
    spread = np.diag([1.0, 1, thick, 1])
    spread[2, 3] = (thick - 1) / 2
    own = Grid3D(slices, AFFINE @ spread)
    transform = np.eye(4)
    transform[:3, 3] = moved
    path = Path(write_itk_affine(transform, tmp_path / "FLAIR_to_T1w.txt"))
    brought = Grid3D(np.repeat(slices, thick, axis=2), AFFINE)
    white, left = np.isin(codes, (2, 41)), 10
    tissue = np.select([white, codes > 0], [left + WHITE_MATTER, left + CORTEX], 0)
    laid = LabelImage(tissue.astype(np.uint8), AFFINE)
    placed = _as_aligned(brought, own, path)
    found = _other_apart(first, placed, laid, ("T1w.nii.gz", "FLAIR.nii.gz"))
    assert found == pytest.approx(float(np.linalg.norm(moved)), abs=0.15)
    assert ("FLAIR.nii.gz lies" in caplog.text) == any(moved)


def shift_of(image: Any, white: Any, cortex: Any, sizes: Any) -> Any:
    images = {"image": (image, np.isfinite(image))}
    shift = tissue_shifts_mm(images, np.eye(4), white, cortex, sizes)["image"]
    return None if shift is None else without_parts(shift, np.array(sizes, float), np.eye(4))


NOTHING_TOLD: dict[str, Any] = {
    "all noise": lambda: np.random.default_rng(2).normal(0, 60, SHAPE),
    "blank": lambda: np.full(SHAPE, 7, np.float32),
    "no numbers": lambda: np.full(SHAPE, np.nan, np.float32),
}


@pytest.mark.parametrize("name", NOTHING_TOLD)
def test_where_the_image_shows_no_tissue_nothing_is_told(name: str) -> None:
    codes = folded()
    white = np.isin(codes, (2, 41))
    image = NOTHING_TOLD[name]()
    assert shift_of(image, white, (codes > 0) & ~white, (1, 1, 1)) is None


SOMETHING_TOLD: dict[str, Any] = {
    "both tissues alike, beside fluid": lambda: shown(folded(), 300, 300, 10),
    "much noise": lambda: shown(folded(), 320, 280, 60),
    "no numbers in a slice": lambda: np.where(
        np.arange(SHAPE[0])[:, None, None] == 30, np.nan, shown(folded(), 400, 280, 12)
    ),
}


@pytest.mark.parametrize("name", SOMETHING_TOLD)
def test_what_an_image_shows_is_enough(name: str) -> None:
    image = np.roll(SOMETHING_TOLD[name](), 2, axis=1)
    codes = folded()
    white = np.isin(codes, (2, 41))
    shift = shift_of(image, white, (codes > 0) & ~white, (1, 1, 1))
    assert shift == pytest.approx([0, 2, 0], abs=0.1)


def test_with_little_of_a_border_nothing_is_told() -> None:
    white = np.zeros(SHAPE, bool)
    white[20:30, 20:30, 20:30] = True
    cortex = ndimage.binary_dilation(white) & ~white
    assert shift_of(white * 2.0 + cortex, white, cortex, (1, 1, 1)) is None


@pytest.mark.parametrize("axis", range(3))
def test_in_thick_slices_a_part_of_one_is_not_told(axis: int) -> None:
    """What lies a fifth of a slice of 5 mm beside could be the slice's own thickness."""
    codes = folded()
    sizes = tuple(5.0 if one == axis else 1.0 for one in range(3))
    whole = codes.shape[axis] // 5 * 5
    move = np.eye(3)[axis]
    kept = [np.take(one, range(whole), axis) for one in (shown(codes, 400, 280, 5), codes)]
    image = np.stack(np.split(kept[0], whole // 5, axis), 0).mean(axis=axis + 1)
    image = np.moveaxis(image, 0, axis)
    for away, told in ((0, False), (1, False), (5, True)):
        moved = ndimage.shift(kept[1], away * move, order=0)
        labels = np.take(moved, range(2, whole, 5), axis)
        white = np.isin(labels, (2, 41))
        shift = shift_of(image, white, (labels > 0) & ~white, sizes)
        assert shift is not None
        assert (abs(shift[axis]) > 0) == told
