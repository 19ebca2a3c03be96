"""Bad images are found at the first look, with a message that names the file."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, save_image
from wmhflow.errors import GridError, InputError
from wmhflow.files.images import load_volume
from wmhflow.files.inspection import check_anatomical, inspect_image, same_lattice


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(20, 20, 20))
    path = save_image(tmp_path / "a.nii.gz", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"a\.nii\.gz cannot be read to its end"):
        load_volume(path)


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"not an image")
    with pytest.raises(InputError, match="cannot be read"):
        load_volume(path)


def test_4d_is_refused_but_a_fourth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="8×8×8×3"):
        load_volume(save_image(tmp_path / "a.nii.gz", np.ones((8, 8, 8, 3))))
    data, _, _ = load_volume(save_image(tmp_path / "b.nii.gz", np.ones((8, 8, 8, 1))))
    assert data.shape == (8, 8, 8)


def test_no_valid_position_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="does not say where it lies"):
        load_volume(save_image(tmp_path / "a.nii.gz", code=0))


def test_a_sheared_grid_is_refused(tmp_path: Path) -> None:
    sheared = AFFINE.copy()
    sheared[0, 1] = 0.5
    path = tmp_path / "a.nii.gz"
    image = nib.Nifti1Image(np.ones((8, 8, 8), np.float32), sheared)
    image.set_sform(sheared, code=1)
    nib.save(image, path)
    with pytest.raises(GridError, match="sheared"):
        load_volume(path)


def test_facts_count_nonfinite_and_nonzero(tmp_path: Path) -> None:
    data = np.zeros((4, 4, 4))
    data[0, 0, :3] = [np.nan, np.inf, 7]
    facts = inspect_image(save_image(tmp_path / "a.nii.gz", data))
    assert (facts.n_nonfinite, facts.n_nonzero, facts.low, facts.high) == (2, 1, 0, 7)
    assert not facts.is_empty


def test_the_same_voxels_in_another_order_are_the_same_lattice(tmp_path: Path) -> None:
    flip = AFFINE @ np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = 7 * AFFINE[0, 0]
    one = inspect_image(save_image(tmp_path / "a.nii.gz", np.ones((8, 9, 10))))
    flipped = inspect_image(save_image(tmp_path / "b.nii.gz", np.ones((8, 9, 10)), flip))
    moved = flip.copy()
    moved[1, 3] = 1
    other = inspect_image(save_image(tmp_path / "c.nii.gz", np.ones((8, 9, 10)), moved))
    assert same_lattice(one, flipped)
    assert not same_lattice(one, other)


def test_rounding_noise_does_not_make_another_lattice(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        affine = np.diag([1.25, 1.25, 1.25, 1.0])
        affine[:3, 3] = np.round(rng.uniform(-100, -50, 3) / 0.05) * 0.05
        noisy = affine + rng.normal(scale=1e-9, size=(4, 4)) * (np.arange(4) < 3)[:, None]
        one = inspect_image(save_image(tmp_path / f"{number}a.nii", np.ones((8, 9, 10)), affine))
        two = inspect_image(save_image(tmp_path / f"{number}b.nii", np.ones((8, 9, 10)), noisy))
        assert same_lattice(one, two)


SHAPE = (90, 110, 90)


def anatomical(path: Path, shape: tuple[int, ...], sizes: tuple[float, ...], unit: str) -> Path:
    image = nib.Nifti1Image(np.zeros(shape, np.uint8), np.diag([*sizes, 1.0]))
    image.dataobj[shape[0] // 2] = 1
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    return path


@pytest.mark.parametrize(
    ("shape", "sizes", "unit", "said"),
    [
        (SHAPE, (2000.0, 2000.0, 2000.0), "micron", r"in µm \(its header's unit is micron\)"),
        (SHAPE, (2000.0, 2000.0, 2000.0), "mm", r"in µm \(its header's unit is mm\)"),
        (SHAPE, (0.002, 0.002, 0.002), "meter", r"in m \(its header's unit is meter\)"),
        (SHAPE, (0.2, 0.2, 0.2), "mm", "in cm"),
        ((90, 110, 1), (2.0, 2.0, 5.0), "mm", r"spans 180×220×5 mm \(90×110×1 voxels\)"),
        ((90, 110, 8), (2.0, 2.0, 5.0), "mm", "75 to 600 mm along every axis"),
        ((12, 12, 12), (15.0, 15.0, 15.0), "mm", "voxels of 15×15×15 mm, too coarse"),
    ],
)
def test_what_covers_no_head_is_refused(
    tmp_path: Path, shape: tuple[int, ...], sizes: tuple[float, ...], unit: str, said: str
) -> None:
    facts = inspect_image(anatomical(tmp_path / "a.nii.gz", shape, sizes, unit))
    with pytest.raises(InputError, match=said) as refusal:
        check_anatomical(facts)
    assert str(tmp_path / "a.nii.gz") in str(refusal.value)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        (SHAPE, (2.0, 2.0, 2.0)),
        ((256, 256, 18), (0.9, 0.9, 5.0)),
        ((60, 75, 55), (2.0, 2.0, 2.0)),
        ((192, 320, 320), (1.0, 1.0, 1.0)),
    ],
)
def test_heads_and_tightly_cropped_brains_pass(
    tmp_path: Path, shape: tuple[int, ...], sizes: tuple[float, ...]
) -> None:
    check_anatomical(inspect_image(anatomical(tmp_path / "a.nii.gz", shape, sizes, "mm")))


def test_one_value_everywhere_is_no_image(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.nii.gz", np.full((8, 9, 10), 7))
    with pytest.raises(InputError, match="holds the one value 7"):
        check_anatomical(inspect_image(path))


def test_a_tiny_voxel_is_no_singular_affine(tmp_path: Path) -> None:
    affine = np.diag([1e-3, 1e-3, 1e-3, 1.0])
    _, read, _ = load_volume(save_image(tmp_path / "a.nii.gz", np.ones((8, 9, 10)), affine))
    np.testing.assert_allclose(read, affine)
    flat = AFFINE.copy()
    flat[2, 2] = 0
    image = nib.Nifti1Image(np.ones((8, 9, 10), np.float32), None)
    image.header.set_sform(flat, code=1)
    nib.save(image, tmp_path / "b.nii.gz")
    with pytest.raises(GridError, match="cannot be inverted"):
        load_volume(tmp_path / "b.nii.gz")
