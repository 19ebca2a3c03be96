"""A damaged stream is never read as data: its checksum and its length are compared, always."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE
from wmhflow.errors import InputError
from wmhflow.files.images import load_grid, load_image, load_volume, open_image
from wmhflow.files.itk import check_whole, write_itk_affine
from wmhflow.files.streams import inflated
from wmhflow.files.transforms import read_transform

HEADER = 10  # of a gzip stream without a name
READERS: list[Callable[[Path], Any]] = [
    lambda path: load_volume(path)[0], lambda path: load_image(path)[0],
    lambda path: load_grid(path).data,
]  # fmt: skip


def mask_file(path: Path) -> tuple[bytes, Any]:
    """Write a mask of some lesions; return its bytes and its values."""
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 40, 40), np.uint8)
    for x, y, z in rng.integers(2, 36, (60, 3)):
        mask[x : x + 3, y : y + 2, z : z + 3] = 1
    image = nib.Nifti1Image(mask, AFFINE)
    image.set_sform(AFFINE, code=1)
    content = gzip.compress(image.to_bytes(), mtime=0)
    path.write_bytes(content)
    return content, mask


def data_or_sentence(read: Callable[[Path], Any], path: Path) -> tuple[Any, str | None]:
    """Return what was read, or what was said instead."""
    try:
        return read(path), None
    except InputError as error:
        return None, str(error)


@pytest.mark.parametrize(("read", "n_bits"), list(zip(READERS, (240, 40, 40), strict=True)))
def test_no_flipped_bit_is_read_as_other_data(
    tmp_path: Path, read: Callable[[Path], Any], n_bits: int
) -> None:
    path = tmp_path / "sub-01_label-WMH_mask.nii.gz"
    content, mask = mask_file(path)
    rng = np.random.default_rng(1)
    bits = rng.choice(np.arange(8 * HEADER, 8 * len(content)), n_bits, replace=False)
    n_refused = 0
    for bit in [*range(8 * HEADER), *bits]:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        data, said = data_or_sentence(read, path)
        if said is not None:
            n_refused += 1
            assert str(path) in said
        else:
            # what no checksum sees changes nothing: the time in the stream's header, or a copy that
            # is taken from another place where the same bytes stand
            np.testing.assert_array_equal(data, mask)
            assert bit < 8 * HEADER or zlib.decompress(damaged, 31) == zlib.decompress(content, 31)
    assert n_refused > 0.8 * n_bits


@pytest.mark.parametrize("length", [0.2, 0.5, 0.9, 0.99, -8, -4, -1])
def test_a_stream_that_was_cut_is_refused(tmp_path: Path, length: float) -> None:
    path = tmp_path / "a.nii.gz"
    content, _ = mask_file(path)
    path.write_bytes(content[: int(length * len(content) if length > 0 else length)])
    for read in READERS:
        with pytest.raises(InputError, match=r"a\.nii\.gz cannot be read to its end"):
            read(path)


def test_what_is_sound_is_read_however_it_was_packed(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    content, mask = mask_file(path)
    whole = gzip.decompress(content)
    members = [gzip.compress(whole[k : k + 5000]) for k in range(0, len(whole), 5000)]
    for packed in (
        b"".join(members),
        b"".join([*members, gzip.compress(b"")]),  # as bgzip ends
        gzip.compress(whole, 0),
        gzip.compress(whole, 1),
        content + bytes(512),
        content + b"what follows a stream",
    ):
        path.write_bytes(packed)
        for read in READERS:
            np.testing.assert_array_equal(read(path), mask)
    # whatever is lost or stands there twice
    for packed in (b"".join(members[:-1]), b"".join(members[1:]), content + content):
        path.write_bytes(packed)
        for read in READERS:
            with pytest.raises(InputError, match=r"a\.nii\.gz"):
                read(path)


def test_more_than_is_promised_is_not_decompressed(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(2**20)))
    assert len(inflated(path, 2**20).getvalue()) == 2**20
    with pytest.raises(ValueError, match="more than its header says"):
        inflated(path, 2**20 - 1)


def test_a_file_without_a_checksum_has_the_length_that_it_says(tmp_path: Path) -> None:
    content, mask = mask_file(tmp_path / "a.nii.gz")
    path = tmp_path / "a.nii"
    whole = gzip.decompress(content)
    path.write_bytes(whole)
    for read in READERS:
        np.testing.assert_array_equal(read(path), mask)
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole + whole):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.nii "):
            load_volume(path)


@pytest.mark.parametrize("ending", ["mgz", "img.gz"])
def test_images_of_other_kinds_are_read_to_their_ends(tmp_path: Path, ending: str) -> None:
    values = np.random.default_rng(0).normal(size=(9, 8, 7)).astype(np.float32)
    kind = nib.MGHImage if ending == "mgz" else nib.Nifti1Pair
    path = tmp_path / f"a.{ending}"
    nib.save(kind(values, AFFINE), path)
    np.testing.assert_array_equal(np.asanyarray(open_image(path).dataobj), values)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="incorrect data check"):
        load_volume(path)


def composite(path: Path) -> Path:
    """Write a field and a matrix as ITK does, without checksums."""
    with h5py.File(path, "w") as file:
        group = file.create_group("TransformGroup")
        for number, (kind, numbers, fixed) in enumerate(
            [
                ("CompositeTransform", [], []),
                (
                    "DisplacementFieldTransform",
                    np.linspace(-1, 1, 360),
                    [4, 5, 6, 0, 0, 0, 1, 1, 1, *np.eye(3).ravel()],
                ),
                ("AffineTransform", [*np.eye(3).ravel(), 1, 2, 3], [0, 0, 0]),
            ]
        ):
            part = group.create_group(str(number))
            part["TransformType"] = np.array([f"{kind}_double_3_3".encode()])
            if number:
                part["TransformParameters"] = np.array(numbers, float)
                part["TransformFixedParameters"] = np.array(fixed, float)
    return path


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda part: part["1/TransformParameters"].write_direct(np.full(360, np.nan)), "finite"),
        (lambda part: part["1/TransformFixedParameters"].__setitem__(0, 5), "360 numbers for 150"),
        (lambda part: part["1/TransformFixedParameters"].__setitem__(4, np.inf), "finite"),
        (lambda part: part["2/TransformParameters"].__setitem__(3, np.nan), "finite"),
        (lambda part: part.__delitem__("1/TransformParameters"), "cannot be read"),
        (lambda part: part.__delitem__("2/TransformType"), "cannot be read"),
    ],
)
def test_a_transform_is_read_to_its_end(
    tmp_path: Path, damage: Callable[[Any], None], said: str
) -> None:
    path = composite(tmp_path / "x.h5")
    check_whole(path)
    with h5py.File(path, "r+") as file:
        damage(file["TransformGroup"])
    with pytest.raises(InputError, match=rf"x\.h5 .*{said}"):
        check_whole(path)


def test_more_numbers_than_a_transforms_file_holds_are_not_made_room_for(tmp_path: Path) -> None:
    path = composite(tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        part = file["TransformGroup/2"]
        del part["TransformParameters"]
        part.create_dataset("TransformParameters", shape=(2**40,), dtype=float, chunks=(2**16,))
    with pytest.raises(InputError, match=r"x\.h5 .*promises"):
        check_whole(path)


@pytest.mark.parametrize("name", ["x.h5", "x.txt", "x.mat", "x.lta"])
def test_no_mutation_of_a_transform_ends_otherwise(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "x.h5":
        composite(path)
    elif name == "x.txt":
        write_itk_affine(np.eye(4), path)
    elif name == "x.mat":
        np.savetxt(path, np.eye(4))
    else:
        path.write_text("type = 1\n1 4 4\n1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"
                        "src volume info\nvalid = 0\ndst volume info\nvalid = 0\n")  # fmt: skip
    check_whole(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    n_said = 0
    for _ in range(60):
        content = bytearray(whole)
        place = rng.integers(len(content))
        if rng.random() < 0.5:
            content[place] ^= 1 << rng.integers(8)
        else:
            del content[place : place + rng.integers(1, 40)]
        path.write_bytes(content)
        _, said = data_or_sentence(check_whole, path)
        if said is not None:
            n_said += 1
            assert str(path) in said
    assert n_said > 10


@pytest.mark.parametrize("name", ["x.h5", "x.txt", "x.mat", "x.lta"])
@pytest.mark.parametrize("content", [b"", b"\0" * 50, b"/annex/objects/MD5E-s1--0.h5\n"])
def test_what_holds_no_transform_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.\w+ (cannot be read|holds)"):
        read_transform(path)
