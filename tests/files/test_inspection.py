"""Bad images are found at the first look, with a message that names the file."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, save_image
from wmhflow.errors import GridError, InputError
from wmhflow.files.images import load_volume
from wmhflow.files.inspection import boxes_meet, check_anatomical, inspect_image, same_lattice


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
    data, _ = load_volume(save_image(tmp_path / "b.nii.gz", np.ones((8, 8, 8, 1))))
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


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_a_header_read_alone_is_nibabels(
    tmp_path: Path, kind: Any, ending: str, endian: str
) -> None:
    rng = np.random.default_rng(1)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [1, 2, 3]
    affine = np.vstack([np.column_stack([turned, [5, -6, 7]]), [0, 0, 0, 1]])
    header = kind.header_class(endianness=endian)
    for number, codes in enumerate([(1, 1), (0, 2), (4, 0), (1, 0)]):
        image = kind(rng.normal(size=(5, 6, 7, 1)).astype(np.float32), affine, header)
        image.set_sform(affine, code=codes[0])
        image.set_qform(affine @ np.diag([2, 2, 2, 1]), code=codes[1])
        image.header.set_xyzt_units("micron")
        path = tmp_path / f"{number}.{ending}"
        nib.save(image, path)
        read = nib.load(path)
        facts = inspect_image(path)
        assert facts.shape == (5, 6, 7)
        assert facts.unit == "micron"
        np.testing.assert_array_equal(facts.affine, read.affine)
        np.testing.assert_array_equal(facts.affine, load_volume(path)[1])


@pytest.mark.parametrize("field", ["pixdim", "qfac", "code", "datatype", "offset"])
def test_a_header_that_nibabel_mends_or_refuses_ends_alike(tmp_path: Path, field: str) -> None:
    path = save_image(tmp_path / "a.nii", np.ones((8, 9, 10)))
    header = nib.load(path).header
    header.set_data_offset(352)
    content = bytearray(path.read_bytes())
    changed = header.copy()
    changed["sform_code"] = 0
    if field == "pixdim":
        changed["pixdim"][1:4] *= -1
    elif field == "qfac":
        changed["pixdim"][0] = 0
    elif field == "code":
        changed["sform_code"] = 77
    elif field == "datatype":
        changed["datatype"] = 77
    else:
        changed["vox_offset"] = 16
    content[:348] = changed.binaryblock
    path.write_bytes(bytes(content))
    try:
        expected = load_volume(path)[1]
    except InputError as error:
        with pytest.raises(InputError, match=re.escape(str(error))):
            inspect_image(path)
    else:
        np.testing.assert_array_equal(inspect_image(path).affine, expected)


def test_headers_are_refused_with_the_sentences_of_images(tmp_path: Path) -> None:
    for number, data in enumerate((np.ones((8, 9)), np.ones((8, 9, 10, 3)))):
        path = save_image(tmp_path / f"{number}.nii.gz", data)
        with pytest.raises(InputError, match="where one 3D image is meant") as whole:
            load_volume(path)
        with pytest.raises(InputError, match=re.escape(str(whole.value))):
            inspect_image(path)
    for content in (b"", b"not an image", gzip.compress(b"not an image"), b"\x1f\x8b broken"):
        path = tmp_path / "bad.nii.gz"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.nii\.gz cannot be read to its end"):
            inspect_image(path)
    with pytest.raises(InputError, match="does not exist"):
        inspect_image(tmp_path / "none.nii.gz")


@pytest.mark.parametrize(("shift", "meet"), [(0, True), (79, True), (500, False)])
def test_fields_of_view_meet_or_not(tmp_path: Path, shift: float, meet: bool) -> None:
    moved = AFFINE.copy()
    moved[0, 3] = shift
    one = inspect_image(save_image(tmp_path / "a.nii.gz", np.ones((9, 9, 10))))
    two = inspect_image(save_image(tmp_path / "b.nii.gz", np.ones((9, 9, 10)), moved))
    assert boxes_meet(one, two) == boxes_meet(two, one) == meet


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


def test_a_tiny_voxel_is_no_singular_affine(tmp_path: Path) -> None:
    affine = np.diag([1e-3, 1e-3, 1e-3, 1.0])
    _, read = load_volume(save_image(tmp_path / "a.nii.gz", np.ones((8, 9, 10)), affine))
    np.testing.assert_allclose(read, affine)
    flat = AFFINE.copy()
    flat[2, 2] = 0
    image = nib.Nifti1Image(np.ones((8, 9, 10), np.float32), None)
    image.header.set_sform(flat, code=1)
    nib.save(image, tmp_path / "b.nii.gz")
    with pytest.raises(GridError, match="cannot be inverted"):
        load_volume(tmp_path / "b.nii.gz")
