"""The harness finds what it is for, planted, and no fault where there is none."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.coarse import MOTIONS
from tests.fuzz import fields, images, studies, transforms
from tests.fuzz.cases import KINDS, ROUND, kind_of, numbers_of, run_case
from tests.fuzz.oracle import is_same, told, unpacked
from tests.fuzz.planted import make
from tests.fuzz.verdicts import (
    AS_IT_SAYS,
    CRASH,
    HANG,
    OTHER_NUMBERS,
    REFUSED,
    SAME,
    TRACEBACK,
    Verdict,
)
from tests.fuzz.workers import answers
from tests.fuzz.world import World
from wmhflow.files.transforms import linear_matrix

# what it tests is no part of the program, and runs in .ci/run itself
pytestmark = pytest.mark.slow

SEED = 7


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("fuzz"))


def put(plain: bytes, at: int, form: str, *numbers: float) -> bytes:
    made = bytearray(plain)
    struct.pack_into(form, made, at, *numbers)
    return bytes(made)


# --- what an image says ---------------------------------------------------------------------------


def plain_image() -> bytes:
    affine = nib.affines.from_matvec(np.diag([2.0, 3.0, 4.0]), [5, 6, 7])
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    return image.to_bytes()


def test_a_sound_image_says_what_nibabel_reads() -> None:
    image = nib.Nifti1Image.from_bytes(plain_image())
    says = told(plain_image())
    assert says is not None
    assert np.array_equal(says.values, image.get_fdata())
    assert np.allclose(says.affine, image.affine)
    by_qform = told(put(plain_image(), 254, "<h", 0))
    assert by_qform is not None
    assert np.allclose(by_qform.affine, image.affine, atol=1e-5)


@pytest.mark.parametrize(
    ("at", "form", "numbers"),
    [
        (0, "<i", (349,)),
        (40, "<h", (0,)),
        (42, "<h", (1,)),
        (42, "<h", (-2,)),
        (70, "<h", (128,)),
        (70, "<h", (16,)),
        (80, "<f", (2.1,)),
        (108, "<f", (float("inf"),)),
        (108, "<f", (0.0,)),
        (108, "<f", (353.0,)),
        (112, "<f", (float("inf"),)),
        (112, "<2f", (1.0, float("nan"))),
        (252, "<2h", (0, 0)),
        (280, "<f", (float("nan"),)),
        (280, "<f", (0.0,)),
        (344, "4s", (b"ni1\0",)),
    ],
)
def test_an_image_that_contradicts_itself_says_nothing(
    at: int, form: str, numbers: tuple[float, ...]
) -> None:
    assert told(put(plain_image(), at, form, *numbers)) is None


def test_a_damaged_stream_says_nothing() -> None:
    content = gzip.compress(plain_image())
    assert unpacked(content, ".nii.gz") == plain_image()
    flipped = bytearray(content)
    flipped[-6] ^= 1
    assert unpacked(bytes(flipped), ".nii.gz") is None
    assert told(unpacked(content[:-1], ".nii.gz")) is None


# --- what transforms and tables say ---------------------------------------------------------------


@pytest.mark.parametrize("name", transforms.FORMS)
def test_what_a_transform_says_is_what_the_program_reads(
    world: World, tmp_path: Path, name: str
) -> None:
    form, (moving, fixed) = transforms.FORMS[name], (world.images["FA"], world.images["T1w"])
    words = [repr(float(one)) for one in form.numbers(MOTIONS["dwi"], moving, fixed)]
    content = form.write(words, moving, fixed)
    path = tmp_path / f"a{form.ending}"
    path.write_bytes(content)
    assert np.allclose(linear_matrix(path, moving, fixed), MOTIONS["dwi"], atol=1e-9)
    says = transforms._expected(form, content, moving, fixed)
    assert says is not None
    assert np.allclose(says, MOTIONS["dwi"], atol=1e-9)
    assert transforms._expected(form, content[:120], moving, fixed) is None


@pytest.mark.parametrize("is_back", [False, True])
def test_what_a_field_says_is_what_the_program_reads(
    world: World, tmp_path: Path, is_back: bool
) -> None:
    plain = world.room(fields._made_fields).made["dwi", is_back]
    path = tmp_path / "field.nii"
    path.write_bytes(plain)
    says = fields._says(plain)
    assert says is not None
    assert is_same(fields._read(path), says)
    motion = np.linalg.inv(MOTIONS["dwi"]) if is_back else MOTIONS["dwi"]
    first = says.values[0, 0, 0, 0] * fields.FLIPS
    place = says.affine[:3, 3]
    assert np.allclose(place + first, motion[:3, :3] @ place + motion[:3, 3], atol=1e-3)


@pytest.mark.parametrize(
    ("at", "form", "number"),
    [(68, "<h", 0), (fields.START, "<f", 400.0), (fields.START, "<f", np.nan), (40, "<h", 4)],
)
def test_a_field_that_is_none_says_nothing(world: World, at: int, form: str, number: float) -> None:
    plain = world.room(fields._made_fields).made["FLAIR", False]
    assert fields._says(put(plain, at, form, number)) is None


def test_a_field_that_folds_is_not_sound() -> None:
    turned = np.zeros((6, 6, 6, 3))
    turned[..., 0] = -2 * np.arange(6)[:, None, None]
    assert fields._folded(np.zeros((6, 6, 6, 3)), np.eye(4)) == 0
    assert fields._folded(turned, np.eye(4)) == 1


@pytest.mark.parametrize(
    ("matrix", "sound"),
    [
        (np.eye(4), True),
        (np.diag([-1.0, 1, 1, 1]), False),
        (np.diag([0.0, 1, 1, 1]), False),
        (np.diag([1e300, 1, 1, 1]), False),
        (np.diag([np.nan, 1, 1, 1]), False),
        (None, False),
    ],
)
def test_a_transform_of_heads(matrix: Any, sound: bool) -> None:
    assert transforms.is_sound(matrix) == sound


@pytest.mark.parametrize(
    ("made", "sound"),
    [
        (b"name\tvalue\na\t1\nb\t2\n", True),
        (b"name\tvalue\na\t1\nb\t7\n", True),
        (b"name\tvalue\na\t1\n", False),
        (b"name\tvalue\na\t1\nb\tx\n", False),
        (b"nome\tvalue\na\t1\nb\t2\n", False),
        (b"name\tvalue\na\t1\nb 22\n", False),
        (b"name\tvalue\na\t1\nb\t2.", False),
        (b"name\tvalue\na\t1\n\xff\t2\n", False),
    ],
)
def test_a_table_that_could_have_been_written(made: bytes, sound: bool) -> None:
    assert studies.is_sound(b"name\tvalue\na\t1\nb\t2\n", made) == sound


# --- planted faults -------------------------------------------------------------------------------


def disturbed_mask(world: World, change: Callable[[bytes], bytes]) -> Verdict:
    plain = gzip.decompress(world.images["mask"].read_bytes())
    content = gzip.compress(change(plain))
    return images.judge_image(world, "mask", content, ".nii.gz", "")


def test_images_that_hold_what_they_should(world: World) -> None:
    assert disturbed_mask(world, lambda plain: plain).outcome == SAME
    said = disturbed_mask(world, lambda plain: put(plain, 148, "3s", b"abc"))
    assert said.outcome == SAME
    assert disturbed_mask(world, lambda plain: put(plain, 112, "<2f", 1, 0)).outcome == SAME
    assert disturbed_mask(world, lambda plain: plain[:-5]).outcome == REFUSED
    moved = disturbed_mask(world, lambda plain: put(plain, 352 + 20_000, "B", 1))
    assert moved.outcome == AS_IT_SAYS
    assert world.images["mask"].is_file()


def test_a_traceback_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr("wmhflow.plan.judging.judge_visit", fail)
    assert disturbed_mask(world, lambda plain: plain).outcome == TRACEBACK
    monkeypatch.setattr("wmhflow.cli.run.make_plans", fail)
    assert disturbed_mask(world, lambda plain: plain).outcome == TRACEBACK


def test_other_numbers_are_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = images._load(world.images["mask"])
    loaded = iter([before, before._replace(values=2 * before.values)])
    monkeypatch.setattr(images, "_load", lambda _: next(loaded))
    assert disturbed_mask(world, lambda plain: plain).outcome == OTHER_NUMBERS


def test_a_case_is_its_seed_and_number(world: World) -> None:
    chosen = [
        numbers_of(kind, 0, 3)[2]
        for kind in sorted(set(ROUND))
        if kind not in {"records", "groups"}
    ]
    once = [run_case(world, SEED, number) for number in chosen]
    assert [run_case(world, SEED, number) for number in reversed(chosen)] == once[::-1]


def test_every_kind_has_its_turn() -> None:
    assert {kind_of(number) for number in range(400)} == set(KINDS)


def test_a_case_that_hangs_or_dies_costs_itself() -> None:
    found = {one.number: one.verdict.outcome for one in answers(range(5), make, 1, lambda _: 1.0)}
    assert found == {0: SAME, 1: HANG, 2: CRASH, 3: SAME, 4: SAME}


def test_sameness_is_of_single_precision() -> None:
    says = told(plain_image())
    assert says is not None
    assert is_same(says, says._replace(values=says.values * (1 + 1e-7)))
    assert not is_same(says, says._replace(values=says.values * 1.01))
    assert not is_same(says, says._replace(affine=says.affine + 0.1))
