"""Fields of displacements that are given as images, as ANTs' ``1Warp.nii.gz`` and its inverse.

A field is *another sound one* if its image is one by the rules of :mod:`tests.fuzz.oracle`, says in
five dimensions that it holds vectors, moves no point by more than a head's half, and folds nearly
nowhere. Where the program believes one that is not, a whole run has to fail, or to say ``check``.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.coarse import MOTIONS
from tests.fuzz.images import disturb_field
from tests.fuzz.mutate import Random, disturbed_bytes, pick
from tests.fuzz.oracle import Numbers, is_same, told, unpacked
from tests.fuzz.verdicts import AS_IT_SAYS, LEFT_OUT, OTHER_NUMBERS, REFUSED, SAME, Verdict
from tests.fuzz.whole import judge_whole
from tests.fuzz.world import World, disturbed, look_at
from tests.test_fields_whole import written
from wmhflow.errors import InputError
from wmhflow.files.fields import read_field
from wmhflow.plan.visit import REFUSED as MAP_REFUSED
from wmhflow.plan.visit import UNUSABLE

FLIPS = np.array([-1.0, -1.0, 1.0])  # from ITK's directions to the program's
VECTORS = 1007
START = 352
MOST_MM, MOST_FOLDED = 300.0, 0.1
VALUES = (np.nan, np.inf, -np.inf, 3e38, 0.0, -1.0, 1e6, 32767.0, 700.0, 100.0, 10.0)
SCALES = (0.0, -1.0, 2.0, 10.0, 1000.0, 0.001, 0.5)
INTENTS = (0, 1, 1001, 1002, 1006, 1008, 2006, 2007, 2016)


class Fields:
    """The bytes, not compressed, of the fields that say what the linear transforms say.

    By the image that is moved and whether the field leads from the reference back to it.
    """

    def __init__(self, world: World) -> None:
        self.made: dict[tuple[str, bool], bytes] = {}
        path = world.folder / "field.nii.gz"
        for source in ("FLAIR", "dwi"):
            for is_back in (False, True):
                motion = np.linalg.inv(MOTIONS[source]) if is_back else MOTIONS[source]
                written(path, motion)
                self.made[source, is_back] = gzip.decompress(path.read_bytes())
        path.unlink()


def _made_fields(world: World) -> Fields:
    return Fields(world)


def fields(world: World, rng: Random) -> Verdict:
    """Disturb a field that leads between the reference and the FLAIR, or a scan of maps."""
    made: Fields = world.room(_made_fields)
    source, is_back = pick(rng, ("FLAIR", "dwi")), bool(rng.random() < 0.4)
    plain = made.made[source, is_back]
    ending = pick(rng, (".nii.gz", ".nii.gz", ".nii"))
    content, what = _disturb(rng, plain, ending)
    direct = world.coarse.find(f"from-{source}_to-T1w_mode-image_xfm.txt")
    ends = ("T1w", source) if is_back else (source, "T1w")
    path = direct.with_name(f"sub-01_from-{ends[0]}_to-{ends[1]}_mode-image_xfm{ending}")
    about = f"field of {source}{', back' if is_back else ''}{ending}: {what}"
    # a way of linear transforms would go first, over another image as well
    others = [*direct.parent.glob(f"*{source}_*_xfm.txt"), *direct.parent.glob("*-FLAIR_*_xfm.txt")]
    gone: dict[Path, bytes | None] = dict.fromkeys(others)
    with disturbed({**gone, path: content}):
        found = _looked(world, path, about)
        if found:
            return found
        try:
            now = _read(path)
        except InputError as error:
            return Verdict(REFUSED, f"{error}", about)
        sound = told(plain)
        if sound is not None and is_same(now, sound):
            return Verdict(SAME, "", about)
        says = _says(unpacked(content, ending))
        if says is not None and is_same(now, says):
            return Verdict(AS_IT_SAYS, "", about)
        words = world.words if source == "FLAIR" else world.coarse.words()
        return judge_whole(world, words, about, "a field is taken that is not sound")


def _read(path: Path) -> Numbers:
    found = read_field(path)
    values = np.asarray(found.vectors, float) * FLIPS
    return Numbers(values[:, :, :, None, :], np.asarray(found.affine, float))


def _looked(world: World, path: Path, about: str) -> Verdict | None:
    """Look at the disturbed input; None if it is taken."""
    look = look_at(world.words)
    ended = look.stopped(about)
    if ended:
        return ended
    for what, state, why in look.decided:
        if state in {MAP_REFUSED, UNUSABLE} and path.name in why:
            return Verdict(REFUSED, f"{what}: {why}", about)
    if path.name in {file.path.name for visit in look.visits for file in visit.sources}:
        return None
    told_of = any(path.name in why or "registered" in why for *_, why in look.decided)
    return Verdict(LEFT_OUT if told_of else OTHER_NUMBERS, "not used", about)


# --- what is disturbed ----------------------------------------------------------------------------


def _disturb(rng: Random, plain: bytes, ending: str) -> tuple[bytes, str]:
    """Disturb the header, the vectors, what the image says of them, or the bytes of the file."""
    how = pick(rng, ("header",) * 3 + ("vectors",) * 4 + ("intent", "volumes") + ("bytes",) * 2)
    if how == "bytes":
        return disturbed_bytes(rng, _packed(plain, ending))
    made = bytearray(plain)
    if how == "header":
        what = ", ".join(disturb_field(rng, made) for _ in range(pick(rng, (1, 1, 2))))
    elif how == "intent":
        code = pick(rng, INTENTS)
        struct.pack_into("<h", made, 68, code)
        what = f"intent {code}"
    elif how == "volumes":
        lengths = list(struct.unpack_from("<8h", made, 40))
        (lengths[0], *lengths[4:6]), what = pick(
            rng, (((4, 3, 1), "three volumes"), ((5, 3, 1), "five axes, three volumes"))
        )
        struct.pack_into("<8h", made, 40, *lengths)
    else:
        what = _disturb_vectors(rng, made)
    return _packed(bytes(made), ending), what


def _packed(plain: bytes, ending: str) -> bytes:
    return gzip.compress(plain, 1, mtime=0) if ending == ".nii.gz" else plain


def _disturb_vectors(rng: Random, made: bytearray) -> str:
    lengths = struct.unpack_from("<6h", made, 40)
    shape = (*lengths[1:4], 3)
    vectors = np.frombuffer(bytes(made[START:]), "<f4").reshape(shape, order="F").copy()
    corner = [int(rng.integers(length)) for length in shape[:3]]
    sizes = [int(rng.integers(1, length)) for length in shape[:3]]
    block = tuple(slice(at, at + size) for at, size in zip(corner, sizes, strict=True))
    value, axis, scale = pick(rng, VALUES), int(rng.integers(3)), pick(rng, SCALES)
    ways: dict[str, Callable[[], None]] = {
        f"one number → {value}": lambda: vectors.__setitem__((*corner, axis), value),
        f"a block → {value}": lambda: vectors.__setitem__(block, value),
        "a block → 0": lambda: vectors.__setitem__(block, 0),
        f"all times {scale}": lambda: vectors.__imul__(scale),
        f"axis {axis} turned round": lambda: vectors[..., axis].__imul__(-1),
        "two axes exchanged": lambda: vectors.__setitem__(..., vectors[..., [1, 0, 2]]),
        f"moved along {axis}": lambda: vectors.__setitem__(..., np.roll(vectors, 3, axis)),
        "noise": lambda: vectors.__iadd__(rng.normal(0, 20, shape).astype(np.float32)),
    }
    what = pick(rng, tuple(ways))
    with np.errstate(all="ignore"):
        ways[what]()
    made[START:] = vectors.astype("<f4").tobytes(order="F")
    return what


# --- what a field says ----------------------------------------------------------------------------


def _says(plain: bytes | None) -> Numbers | None:
    """Return what a field says, if it is a sound one by plain rules."""
    says = told(plain)
    if plain is None or says is None:
        return None
    order = "<" if struct.unpack_from("<i", plain)[0] == 348 else ">"
    if struct.unpack_from(f"{order}h", plain, 68)[0] != VECTORS:
        return None
    values = says.values
    if values.ndim != 5 or values.shape[3:] != (1, 3) or min(values.shape[:3]) < 2:
        return None
    vectors = values[:, :, :, 0]
    if not np.isfinite(vectors).all() or np.abs(vectors).max() > MOST_MM:
        return None
    return says if _folded(vectors * FLIPS, says.affine) <= MOST_FOLDED else None


def _folded(vectors: NDArray[np.float64], affine: NDArray[np.float64]) -> float:
    """Return the share of voxels at which a field turns space inside out."""
    steps = np.stack(np.gradient(vectors, axis=(0, 1, 2)), axis=-1)
    local = np.eye(3) + steps @ np.linalg.inv(affine[:3, :3])
    return float(np.mean(np.linalg.det(local) <= 0))
