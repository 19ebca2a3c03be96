"""Bad images are found at the first look, with a message that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.builders import AFFINE, save_image
from wmhflow.bids.images import inspect_image, load_volume, same_lattice
from wmhflow.errors import GridError, InputError


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
    import nibabel as nib

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
    flip = np.diag([-2.0, 2.0, 2.0, 1.0])
    flip[0, 3] = 14
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
