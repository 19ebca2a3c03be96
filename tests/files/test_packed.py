"""Images of the work folder are read exactly as they were written, and damaged ones are refused."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from wmhflow.errors import InputError
from wmhflow.files.images import (
    for_others,
    load_grid,
    load_image,
    load_volume,
    map_image,
    read_header,
    save_work_image,
)
from wmhflow.files.packed import ENDING, load_packed, save_packed

AFFINE = np.array([[0, -1.1, 0, 5], [0.9, 0, 0, -7], [0, 0, 2, 1 / 3], [0, 0, 0, 1]])
AFFINE = AFFINE.astype(np.float32).astype(np.float64)
SHAPE = (9, 11, 13)
RNG = np.random.default_rng(3)


def within(values, fill=0):
    """Put values into a part of an image that is the same elsewhere."""
    data = np.full(SHAPE, fill, values.dtype)
    data[2:7, 3:9, 4:9] = values[2:7, 3:9, 4:9]
    return data


REAL = RNG.normal(size=SHAPE).astype(np.float32)
WHOLE = RNG.integers(-300, 3000, SHAPE)
CASES = {
    "empty mask": np.zeros(SHAPE, bool),
    "full mask": np.ones(SHAPE, bool),
    "mask": within(WHOLE > 900),
    "labels": within(WHOLE.astype(np.int32)),
    "wide labels": within(WHOLE.astype(np.int32) * 40_000),
    "unsigned": within(RNG.integers(0, 2**16, SHAPE).astype(np.uint16)),
    "distance": within(REAL, np.inf),
    "map without data": within(REAL, np.nan),
    "map with holes": np.where(RNG.random(SHAPE) < 0.5, np.nan, within(REAL)).astype(np.float32),
    "scan": WHOLE.astype(np.float32),
    "scan of halves": WHOLE.astype(np.float32) / 2,
    "minus 0": -np.zeros(SHAPE, np.float32),
    "one minus 0": within(np.where(WHOLE > 0, np.float32(-0.0), np.float32(1))),
    "double": within(RNG.normal(size=SHAPE)),
    "too large for 16 bits": np.full(SHAPE, 40_000, np.float32),
    "four dimensions": RNG.normal(size=(*SHAPE, 2)).astype(np.float32),
    "one voxel": np.full((1, 1, 1), 7, np.int16),
    "last voxel": np.eye(5, dtype=np.uint8)[:, :, None] * 0 + (np.arange(3) == 2),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_read_is_what_was_written(tmp_path, name):
    data = CASES[name]
    path = tmp_path / f"a{ENDING}"
    save_packed(path, data, AFFINE)
    found, affine = load_packed(path)
    expected = data.view(np.uint8) if data.dtype == bool else data
    assert found.dtype == expected.dtype
    assert found.tobytes() == np.ascontiguousarray(expected).tobytes()
    assert found.flags.c_contiguous
    assert found.flags.writeable
    np.testing.assert_array_equal(affine, AFFINE)


def test_the_order_in_memory_does_not_matter(tmp_path):
    one, other = tmp_path / f"a{ENDING}", tmp_path / f"b{ENDING}"
    save_packed(one, np.asfortranarray(REAL), AFFINE)
    save_packed(other, REAL, AFFINE)
    assert one.read_bytes() == other.read_bytes()


def test_little_is_stored_of_a_small_part(tmp_path):
    path = tmp_path / f"a{ENDING}"
    labels = np.zeros((64, 64, 64), np.int32)
    labels[30:34, 30:34, 30:34] = 200
    save_packed(path, labels, AFFINE)
    # a byte for each of the voxels, a bit for each of the box, and the header
    assert path.stat().st_size < 64 + 8 + 700


def test_all_readers_of_the_work_folder_read_it(tmp_path):
    path = tmp_path / f"a{ENDING}"
    save_work_image(path, CASES["scan"], AFFINE)
    grid = load_grid(path)
    read = (load_image(path), map_image(path), load_volume(path), (grid.data, grid.affine))
    for found, affine in read:
        np.testing.assert_array_equal(found, CASES["scan"])
        np.testing.assert_array_equal(affine, AFFINE)
    shape, affine, unit = read_header(path)
    assert (shape, unit) == (SHAPE, "mm")
    np.testing.assert_array_equal(affine, AFFINE)


def test_other_programs_get_an_image(tmp_path):
    path = tmp_path / f"flair{ENDING}"
    save_work_image(path, REAL, AFFINE)
    (tmp_path / "own").mkdir()
    copy = for_others(path, tmp_path / "own")
    assert copy == tmp_path / "own" / "flair.nii"
    image = nib.load(copy)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), REAL)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)
    assert for_others(copy, tmp_path) == copy


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:30],
        lambda whole: whole[:-1],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"something else\n" + whole,
        lambda whole: whole.replace(b'"fill"', b'"full"'),
        lambda whole: whole.replace(b"[9, 11, 13]", b"[9, 11, 1]"),
    ],
)
@pytest.mark.parametrize("name", ["distance", "scan"])
def test_a_damaged_file_is_refused(tmp_path, name, damage):
    path = tmp_path / f"a{ENDING}"
    save_packed(path, CASES[name], AFFINE)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="cannot be read to its end"):
        load_packed(path)


def test_a_file_that_is_gone_is_said(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_image(tmp_path / f"a{ENDING}")
