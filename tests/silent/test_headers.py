"""A header that cannot be true costs its person one sentence, at planning as at reading."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, describe, save_image
from wmhflow.errors import InputError
from wmhflow.files import headers
from wmhflow.files.atlases import load_atlas
from wmhflow.files.images import load_image, load_volume, read_header

KINDS = {1: nib.Nifti1Image, 2: nib.Nifti2Image}
VALUES = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10)
# Readers of what is given: of headers alone, of images, of our own images, of atlases.
READERS: list[Callable[[Path], Any]] = [
    read_header, load_volume, load_image, lambda path: load_atlas(f"mine={path}")
]  # fmt: skip


def made(path: Path, version: int = 1, order: str = "<", extra: bytes = b"", **fields: Any) -> Path:
    """Write an image of which the header says these things, whatever is true."""
    header = KINDS[version].header_class(endianness=order)
    header.set_data_dtype(f"{order}i2")
    image = KINDS[version](VALUES, AFFINE, header)
    image.set_sform(AFFINE, code=1)
    image.set_qform(AFFINE, code=1)
    image.header.set_xyzt_units("mm")
    raw = bytearray(image.to_bytes())
    length = headers.LENGTHS[version][0]
    changed = KINDS[version].header_class(bytes(raw[:length]), check=False)
    for name, value in fields.items():
        if isinstance(value, dict):
            for place, number in value.items():
                changed[name][place] = number
        else:
            changed[name] = value
    content = changed.binaryblock + bytes(raw[length:]) + extra
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"xyzt_units": 5}, "unit of length has the unknown code 5"),
    ({"xyzt_units": 7 + 8}, "unit of length has the unknown code 7"),
    ({"vox_offset": -16}, "voxels begin at byte -16"),
    ({"vox_offset": 0}, "voxels begin at byte 0"),
    ({"vox_offset": 16}, "voxels begin at byte 16"),
    ({"vox_offset": 2**30}, "it holds"),
    ({"vox_offset": 560}, "it holds"),
    ({"scl_slope": np.nan, "scl_inter": 0}, "scaled by nan"),
    ({"scl_slope": np.inf, "scl_inter": 0}, "scaled by inf"),
    ({"scl_slope": -np.inf, "scl_inter": 0}, "scaled by -inf"),
    ({"scl_slope": 1, "scl_inter": np.nan}, "moved by nan"),
    ({"scl_slope": 1, "scl_inter": np.inf}, "moved by inf"),
    ({"datatype": 77}, "data code 77"),
    ({"datatype": -1}, "data code -1"),
    ({"datatype": 0}, "data code 0"),
    ({"datatype": 1}, "data code 1"),
    ({"datatype": 32, "dim": {1: 2}}, "where real numbers are meant"),
    ({"datatype": 1536, "dim": {1: 1}}, "data code 1536 not supported|of 128 bits"),
    ({"datatype": 64}, "it holds"),
    ({"datatype": 2}, "holds more than its header says"),
    ({"magic": b"n+9"}, "its mark is 'n"),
    ({"magic": b""}, "its mark is"),
    ({"sizeof_hdr": 347}, "does not begin as a NIfTI image does"),
    ({"dim": {0: 0}}, "it counts 0 axes"),
    ({"dim": {0: -3}}, "it counts -3 axes"),
    ({"dim": {0: 8}}, "it counts"),
    ({"dim": {1: 0}}, "its shape is 0×9×10"),
    ({"dim": {2: -9}}, "its shape is 8×-9×10"),
    ({"dim": {1: 32767, 2: 32767, 3: 32767}}, "32767×32767×32767 voxels"),
    ({"dim": {3: 11}}, "8×9×11 voxels of type int16.* it holds"),
    ({"dim": {3: 9}}, "holds more than its header says"),
    ({"dim": {1: 7}}, "holds more than its header says"),
    ({"srow_x": np.nan}, "not finite"),
    ({"srow_x": 0}, "cannot be inverted"),
    ({"sform_code": 0, "qform_code": 0}, "does not say where it lies"),
    ({"sform_code": 0, "quatern_b": 5}, "cannot be read to its end"),
]  # fmt: skip


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize(("fields", "said"), WRONG)
def test_what_cannot_be_true_is_one_sentence(
    tmp_path: Path, fields: dict[str, Any], said: str, ending: str
) -> None:
    for version in KINDS:
        for order in "<>":
            path = made(tmp_path / f"x{version}.{ending}", version, order, **fields)
            refused = sentence_of(load_volume, path)
            assert re.search(said, refused)
            # the beginning of a short stream is all of it
            needs_voxels = "holds more" in said or "of 128 bits" in said
            if not needs_voxels:
                assert sentence_of(read_header, path) == refused


def sentence_of(read: Callable[[Path], Any], path: Path) -> str:
    with pytest.raises(InputError) as refusal:
        read(path)
    said = str(refusal.value)
    assert str(path) in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("read", READERS[2:])
@pytest.mark.parametrize(("fields", "said"), WRONG[2:12] + WRONG[19:29])
def test_every_reader_says_so(
    tmp_path: Path, fields: dict[str, Any], said: str, read: Callable[[Path], Any]
) -> None:
    path = made(tmp_path / "x.nii.gz", **fields)
    with pytest.raises(InputError, match=said):
        read(path)


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", KINDS)
@pytest.mark.parametrize(
    ("fields", "scale"),
    [
        ({}, (1, 0)),
        # 0 says that nothing is scaled, whatever stands beside it
        ({"scl_slope": 0, "scl_inter": np.nan}, (1, 0)),
        ({"scl_slope": 0.5, "scl_inter": -3}, (0.5, -3)),
        ({"scl_slope": -1, "scl_inter": 0}, (-1, 0)),
        ({"xyzt_units": 0}, (1, 0)),
        # a unit of time that nobody knows is no matter
        ({"xyzt_units": 2 + 56}, (1, 0)),
        ({"bitpix": 0}, (1, 0)),
        ({"intent_code": 9999, "slice_code": 99, "cal_max": np.nan}, (1, 0)),
    ],
)
def test_what_is_sound_is_read_in_this_machines_order(
    tmp_path: Path, version: int, order: str, ending: str, fields: dict[str, Any], scale: Any
) -> None:
    path = made(tmp_path / f"x.{ending}", version, order, **fields)
    for read in (load_volume, load_image):
        data, affine = read(path)
        np.testing.assert_array_equal(data, VALUES * float(scale[0]) + scale[1])
        np.testing.assert_array_equal(affine, AFFINE)
        assert data.dtype.isnative
    assert read_header(path)[0] == VALUES.shape


@pytest.mark.parametrize(("n_zeros", "is_read"), [(1, True), (100, True), (200, False)])
def test_a_block_that_is_filled_with_zeros_is_none_of_the_voxels(
    tmp_path: Path, n_zeros: int, is_read: bool
) -> None:
    # a plane has 8 * 9 voxels of two bytes
    for ending in ("nii", "nii.gz"):
        path = made(tmp_path / f"x.{ending}", extra=bytes(n_zeros))
        if is_read:
            np.testing.assert_array_equal(load_volume(path)[0], VALUES)
        else:
            with pytest.raises(InputError, match="holds more than its header says"):
                load_volume(path)
        path = made(tmp_path / f"y.{ending}", extra=bytes(n_zeros - 1) + b"\1")
        with pytest.raises(InputError, match="holds more than its header says"):
            load_volume(path)


def test_voxels_that_begin_within_an_extension_are_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VALUES, AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100))
    image.set_sform(AFFINE, code=1)
    path = tmp_path / "x.nii.gz"
    nib.save(image, path)
    np.testing.assert_array_equal(load_volume(path)[0], VALUES)
    content = bytearray(gzip.decompress(path.read_bytes()))
    offset = struct.unpack_from("<f", content, 108)[0]
    struct.pack_into("<f", content, 108, offset - 16)
    # the end of the voxels is zeros, as often
    content[-200:] = bytes(200)
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match=r"reach into its voxels|holds more"):
        load_volume(path)


@pytest.mark.parametrize("length", [0, 1, 3, 100, 347, 348, 351])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_header_that_ends_too_early_is_said(tmp_path: Path, ending: str, length: int) -> None:
    path = made(tmp_path / "a.nii")
    content = path.read_bytes()[:length]
    path = tmp_path / f"b.{ending}"
    path.write_bytes(gzip.compress(content) if ending == "nii.gz" and length else content)
    for read in READERS:
        with pytest.raises(InputError, match="cannot be read to its end"):
            read(path)


def test_a_stream_that_does_not_end_is_given_up_soon(tmp_path: Path) -> None:
    path = tmp_path / "bomb.nii.gz"
    small = made(tmp_path / "a.nii").read_bytes()
    path.write_bytes(gzip.compress(small + bytes(2**25)))
    with pytest.raises(InputError, match="holds more than its header says"):
        load_volume(path)


def test_an_image_larger_than_the_memory_is_refused_though_its_stream_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_image(tmp_path / "x.nii.gz", np.zeros((100, 100, 100)), dtype=np.uint8)
    monkeypatch.setattr(headers, "usable_memory", lambda: 7_999_999)
    for read in (read_header, load_volume):
        with pytest.raises(InputError, match="100×100×100 voxels, which take 0 GB of memory, more"):
            read(path)
    monkeypatch.setattr(headers, "usable_memory", lambda: 8_000_000)
    assert load_volume(path)[0].shape == read_header(path)[0] == (100, 100, 100)


def test_a_pair_of_files_is_read_as_an_atlas_and_named_as_a_persons_image(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("7|HL|half left\n3|HR|half right\n")
    affine = np.array([[-4.0, 0, 0, 98], [0, 4, 0, -134], [0, 0, 4, -72], [0, 0, 0, 1]])
    labels = np.full((50, 59, 48), 3, np.int16)
    labels[25:] = 7
    pair = nib.Nifti1Pair(labels, affine)
    nib.save(pair, tmp_path / "x.img")
    for name in ("x.img", "x.hdr"):
        assert set(load_atlas(f"mine={tmp_path / name}").regions) == {3, 7}
    content = (tmp_path / "x.img").read_bytes()
    (tmp_path / "x.img").write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"x\.hdr cannot be read to its end"):
        load_atlas(f"mine={tmp_path / 'x.hdr'}")
    (tmp_path / "x.img").unlink()
    with pytest.raises(InputError, match=r"x\.img|does not exist|cannot be read"):
        load_atlas(f"mine={tmp_path / 'x.hdr'}")
    alone = tmp_path / "x.nii"
    alone.write_bytes((tmp_path / "x.hdr").read_bytes() + bytes(4) + content)
    with pytest.raises(InputError, match=r"another file \(\.img\)"):
        load_volume(alone)


@pytest.mark.parametrize("ending", ["mgh", "mgz"])
@pytest.mark.parametrize(
    ("place", "number"), [(4, 0), (4, -5), (4, 2**31 - 1), (8, 2000), (16, 2), (20, 77), (0, 9)]
)
def test_images_of_other_kinds_are_refused_in_a_sentence(
    tmp_path: Path, ending: str, place: int, number: int
) -> None:
    path = tmp_path / f"x.{ending}"
    nib.save(nib.MGHImage(VALUES.astype(np.float32), AFFINE), path)
    np.testing.assert_array_equal(load_volume(path)[0], VALUES)
    content = path.read_bytes()
    content = bytearray(gzip.decompress(content) if ending == "mgz" else content)
    struct.pack_into(">i", content, place, number)
    path.write_bytes(gzip.compress(bytes(content)) if ending == "mgz" else content)
    assert sentence_of(load_volume, path)


@pytest.mark.parametrize(
    ("place", "numbers", "said"),
    [
        # half of every length, and left and right exchanged
        (42, (2, 0, 0), "axes whose lengths are not 1"),
        (54, (0, 0.5, 0), "axes whose lengths are not 1"),
        (30, (-3,), "size below 0"),
        (42, (np.nan, 0, 0), "cannot be inverted or is not finite"),
    ],
)
def test_axes_that_freesurfer_does_not_write_are_refused(
    tmp_path: Path, place: int, numbers: tuple[float, ...], said: str
) -> None:
    path = tmp_path / "x.mgh"
    nib.save(nib.MGHImage(VALUES.astype(np.float32), AFFINE), path)
    content = bytearray(path.read_bytes())
    struct.pack_into(f">{len(numbers)}f", content, place, *numbers)
    path.write_bytes(content)
    for read in (load_volume, read_header):
        with pytest.raises(InputError, match=said):
            read(path)


def test_analyze_says_no_place(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(VALUES, AFFINE), tmp_path / "x.img")
    with pytest.raises(InputError, match="does not say where it lies"):
        load_volume(tmp_path / "x.img")


def what_is_said(read: Callable[[Path], Any], path: Path) -> str | None:
    try:
        read(path)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_of_a_header_ends_otherwise(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    version, order = list(KINDS)[seed // 2], "<>"[seed % 2]
    whole = made(tmp_path / "a.nii", version, order).read_bytes()
    length = headers.LENGTHS[version][1]
    n_said = 0
    for number in range(80):
        content = bytearray(whole)
        kind = rng.integers(4)
        if kind == 0:
            content[rng.integers(length)] ^= 1 << rng.integers(8)
        elif kind == 1:
            place = 4 * rng.integers(length // 4)
            value = rng.choice([np.nan, np.inf, -np.inf, 1e30, -1, 0, 3e38, 1e-40])
            struct.pack_into(f"{order}f", content, place, value)
        elif kind == 2:
            place = 2 * rng.integers(length // 2)
            struct.pack_into(f"{order}h", content, place, rng.choice([-32768, -1, 0, 32767, 8]))
        else:
            place = rng.integers(length - 8)
            content[place : place + 8] = rng.bytes(8)
        path = tmp_path / ("b.nii" if number % 2 else "b.nii.gz")
        path.write_bytes(bytes(content) if number % 2 else gzip.compress(bytes(content), 1))
        for read in (read_header, load_volume):
            said = what_is_said(read, path)
            if said is not None:
                n_said += 1
                assert str(path) in said
                assert "\n" not in said
    assert n_said > 10


def test_a_person_with_such_an_image_fails_alone_at_planning(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from wmhflow.cli.main import main

    made(raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz", xyzt_units=5)
    made(describe(raw) / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", vox_offset=np.inf)
    assert main([str(raw), str(tmp_path / "out"), "participant", "--dry-run"]) == 1
    said = capsys.readouterr()
    assert "unknown code 5" in said.out
    assert "Traceback" not in said.out + said.err
