"""Images: their headers' fields, and the streams that hold them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from tests.fuzz.mutate import Random, disturbed_bytes, pick
from tests.fuzz.oracle import Numbers, is_same, told, unpacked
from tests.fuzz.verdicts import AS_IT_SAYS, LEFT_OUT, OTHER_NUMBERS, REFUSED, SAME, Verdict
from tests.fuzz.world import World, disturbed, look_at
from wmhflow.errors import InputError
from wmhflow.files.images import load_volume

# name, place in the header, what is stored
FIELDS = (
    ("sizeof_hdr", 0, "i"), ("dim_info", 39, "B"), ("dim", 40, "8h"), ("intent", 56, "3f"),
    ("intent_code", 68, "h"), ("datatype", 70, "h"), ("bitpix", 72, "h"),
    ("slice_start", 74, "h"), ("pixdim", 76, "8f"), ("vox_offset", 108, "f"),
    ("scl_slope", 112, "f"), ("scl_inter", 116, "f"), ("slice_end", 120, "h"),
    ("slice_code", 122, "B"), ("xyzt_units", 123, "B"), ("cal", 124, "2f"),
    ("slice_duration", 132, "f"), ("toffset", 136, "f"), ("glmax", 140, "2i"),
    ("descrip", 148, "80B"), ("aux_file", 228, "24B"), ("qform_code", 252, "h"),
    ("sform_code", 254, "h"), ("quatern", 256, "3f"), ("qoffset", 268, "3f"),
    ("srow_x", 280, "4f"), ("srow_y", 296, "4f"), ("srow_z", 312, "4f"),
    ("intent_name", 328, "16B"), ("magic", 344, "4B"), ("extension", 348, "4B"),
)  # fmt: skip
# what decides on numbers comes more often
TELLING = (
    "dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "scl_inter", "quatern",
    "qoffset", "srow_x", "srow_y", "srow_z", "qform_code", "sform_code", "xyzt_units",
)  # fmt: skip
EXTREMES = {
    "f": (0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, 1e30, 1e10, 352.0,
          0.001),
    "h": (0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 64, 255, 256, 512, 768, 1024, 128, 1536, 2304, 32767,
          -32768),
    "i": (0, 1, -1, 348, 540, 2**31 - 1, -(2**31)),
    "B": (0, 1, 2, 3, 4, 7, 8, 10, 127, 255),
}  # fmt: skip
BOMB_MEMBERS = 16
# beyond this many bytes a file is none of the images here, whatever it says
LARGE = 2**24


def headers(world: World, rng: Random) -> Verdict:
    """Disturb one to three fields of an image's header."""
    name = pick(rng, tuple(world.images))
    made = bytearray(gzip.decompress(world.images[name].read_bytes()))
    how = pick(rng, ("fields",) * 12 + ("swapped header", "swapped", "cut", "appended", "bytes"))
    what = how
    if how == "fields":
        what = ", ".join(disturb_field(rng, made) for _ in range(pick(rng, (1, 1, 1, 2, 3))))
    elif how.startswith("swapped"):
        made = _swapped(made, with_data=how == "swapped")
    elif how == "cut":
        del made[int(rng.integers(352 if rng.random() < 0.5 else len(made))) :]
    elif how == "appended":
        made += rng.bytes(int(rng.integers(1, 5000)))
    else:
        start, what = disturbed_bytes(rng, bytes(made[:348]))
        made[:348] = start[:348].ljust(348, b"\0")
    ending = pick(rng, (".nii.gz", ".nii.gz", ".nii"))
    content = gzip.compress(bytes(made), 1, mtime=0) if ending == ".nii.gz" else bytes(made)
    return judge_image(world, name, content, ending, f"{name}{ending}: {what}")


def disturb_field(rng: Random, made: bytearray) -> str:
    """Disturb a field of the header that ``made`` begins with; say what was done."""
    telling = [one for one in FIELDS if one[0] in TELLING]
    name, at, form = pick(rng, telling if rng.random() < 0.75 else FIELDS)
    order = pick(rng, ("<", "<", "<", "<", "<", "<", ">"))
    numbers = list(struct.unpack_from("<" + form, made, at))
    which = int(rng.integers(len(numbers)))
    kind, old = form[-1], numbers[which]
    if rng.random() < 0.3:
        size = struct.calcsize(form[-1])
        numbers[which] = struct.unpack("<" + kind, rng.bytes(size))[0]
    elif rng.random() < 0.3:
        numbers[which] = _near(rng, kind, old)
    else:
        numbers[which] = pick(rng, EXTREMES[kind])
    struct.pack_into(order + form, made, at, *numbers)
    wrong = " in the other order of bytes" if order == ">" else ""
    return f"{name}[{which}] {old!r} → {numbers[which]!r}{wrong}"


def _near(rng: Random, kind: str, old: float) -> float:
    if kind == "f":
        return float(
            np.float32(pick(rng, (old * 1.0001, -old, old * 2, old + 1, old / 10, old * 1000)))
        )
    limits = {"h": (-32768, 32767), "i": (-(2**31), 2**31 - 1), "B": (0, 255)}[kind]
    return int(np.clip(old + pick(rng, (-2, -1, 1, 2, 10)), *limits))


def _swapped(made: bytearray, *, with_data: bool) -> bytearray:
    """Turn the order of bytes, as a program of the other kind of machine would write it."""
    swapped = bytearray(made)
    for _, at, form in FIELDS[:-1]:
        if form[-1] != "B":
            struct.pack_into(">" + form, swapped, at, *struct.unpack_from("<" + form, made, at))
    size = struct.unpack_from("<h", made, 72)[0] // 8
    if with_data and size > 1:
        swapped[352:] = np.frombuffer(bytes(made[352:]), f"u{size}").byteswap().tobytes()
    return swapped


def streams(world: World, rng: Random) -> Verdict:
    """Disturb the compressed stream of an image."""
    name = pick(rng, tuple(world.images))
    content = world.images[name].read_bytes()
    if rng.random() < 0.005:
        # a gigabyte of zeros behind the image, in a few kilobytes
        tail = world.room(_bomb)
        return judge_image(world, name, content + tail, ".nii.gz", f"{name}: a bomb")
    if rng.random() < 0.03:
        others = {
            "compressed twice": gzip.compress(content, mtime=0),
            "not compressed": gzip.decompress(content),
            "twice": content + content,
            "zeros behind it": content + bytes(100),
        }
        what = pick(rng, tuple(others))
        content = others[what]
    else:
        content, what = disturbed_bytes(rng, content)
    return judge_image(world, name, content, ".nii.gz", f"{name}: {what}")


def _bomb(_: World) -> bytes:
    return gzip.compress(bytes(2**26), 9, mtime=0) * BOMB_MEMBERS


def _load(path: Path) -> Numbers:
    values, affine = load_volume(path)
    return Numbers(np.asarray(values, float), affine)


def judge_image(world: World, name: str, content: bytes, ending: str, about: str) -> Verdict:
    """Put a disturbed image in its place, and see what the program makes of it."""
    sound = world.images[name]
    path = sound.with_name(sound.name.removesuffix(".nii.gz") + ending)
    before = _load(sound)
    with disturbed({sound: None, path: content}):
        look = look_at(world.words)
        ended = look.stopped(about)
        if ended:
            return ended
        if path.name not in {file.path.name for visit in look.visits for file in visit.sources}:
            told_of = any(path.name in why for _, _, why in look.decided)
            return Verdict(LEFT_OUT if told_of else OTHER_NUMBERS, "not used", about)
        try:
            numbers = _load(path)
        except InputError as error:
            return Verdict(REFUSED, f"{error}", about)
    if is_same(numbers, before):
        return Verdict(SAME, "", about)
    with np.errstate(all="ignore"):
        says = None if len(content) > LARGE else told(unpacked(content, ending))
    if says is not None and is_same(numbers, says):
        return Verdict(AS_IT_SAYS, "", about)
    return Verdict(OTHER_NUMBERS, _difference(before, numbers, says), about)


def _difference(before: Numbers, now: Numbers, says: Numbers | None) -> str:
    def words(one: Numbers) -> str:
        return (
            f"{one.values.shape} sum {np.nansum(one.values):.6g} affine {one.affine[:3].tolist()}"
        )

    sound = "which is no sound image" if says is None else f"which says {words(says)}"
    return f"taken as {words(now)} instead of {words(before)}; {sound}"
