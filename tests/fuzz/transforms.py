"""Given transforms of every program: their numbers, and the files that hold them.

A linear transform is *another sound one* if the file can be read by the plain rules below and its
matrix is finite, keeps left left, and changes no volume by more than a factor of eight: two images
of one head differ by no more than twice along each axis. Where the program believes a file that is
not sound, a whole run has to fail, or to say ``check`` in the QC table.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, savemat

from tests.coarse import MOTIONS, PLACE
from tests.fuzz.fields import fields
from tests.fuzz.mutate import Random, disturbed_bytes, other_number, pick
from tests.fuzz.verdicts import AS_IT_SAYS, LEFT_OUT, OTHER_NUMBERS, REFUSED, SAME, Verdict
from tests.fuzz.whole import judge_whole
from tests.fuzz.world import World, disturbed, look_at
from wmhflow.bids.naming import TEMPLATE
from wmhflow.errors import InputError
from wmhflow.files.itk import read_point_map
from wmhflow.files.transforms import linear_matrix
from wmhflow.plan.visit import REFUSED as MAP_REFUSED

Matrix = NDArray[np.float64]
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
CENTRE = np.array([3.0, -4.0, 5.0])
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MOST_VOLUME, LEAST_INVERTIBLE = 8.0, 1e-9
# what a transform leads from, and the image that it moves
FROM = {"FLAIR": "FLAIR", "dwi": "FA", "asl": "CBF"}


def is_sound(matrix: Matrix | None) -> bool:
    """Whether a matrix can lead from an image of a head to another one."""
    if matrix is None or not np.isfinite(matrix).all():
        return False
    volume = float(np.linalg.det(matrix[:3, :3]))
    return 1 / MOST_VOLUME <= volume <= MOST_VOLUME


# --- what each program's file says, by plain rules ------------------------------------------------


def _of_itk(numbers: Sequence[float]) -> Matrix | None:
    """Return the matrix of ITK's 12 numbers and the 3 of the centre, RAS mm."""
    if len(numbers) != 15:
        return None
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(numbers[:9], (3, 3))
    centre = np.array(numbers[12:])
    lps[:3, 3] = np.array(numbers[9:12]) + centre - lps[:3, :3] @ centre
    return LPS @ lps @ LPS


def _to_itk(matrix: Matrix) -> list[float]:
    lps = LPS @ matrix @ LPS
    shift = lps[:3, 3] - CENTRE + lps[:3, :3] @ CENTRE
    return [*lps[:3, :3].ravel(), *shift, *CENTRE]


def _flirt_from_world(image: Path) -> Matrix:
    loaded = nib.load(image)
    sizes = np.linalg.norm(loaded.affine[:3, :3], axis=0)
    scaled = np.diag([*sizes, 1.0])
    if np.linalg.det(loaded.affine) > 0:
        scaled[0] = [-sizes[0], 0, 0, (loaded.shape[0] - 1) * sizes[0]]
    return scaled @ np.linalg.inv(loaded.affine)


def _inverse(matrix: Matrix) -> Matrix | None:
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < LEAST_INVERTIBLE:
        return None
    return np.linalg.inv(matrix)


@dataclass(frozen=True)
class Form:
    """How one program writes a linear transform.

    ``write`` makes a file of words, in which ``words`` finds them again; ``says`` makes a matrix of
    numbers, and ``numbers`` numbers of a matrix.
    """

    ending: str
    numbers: Callable[[Matrix, Path, Path], list[float]]
    write: Callable[[Sequence[str], Path, Path], bytes]
    words: Callable[[bytes], list[str] | None]
    says: Callable[[Sequence[float], Path, Path], Matrix | None]


def _itk_text(words: Sequence[str], *_: Path) -> bytes:
    return (
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        f"Parameters: {' '.join(words[:12])}\nFixedParameters: {' '.join(words[12:])}\n"
    ).encode()


def _text_words(content: bytes) -> list[str] | None:
    text = content.decode("utf-8", errors="replace")
    pattern = (
        r"#Insight Transform File V1\.0\n#Transform 0\n"
        r"Transform: (?:MatrixOffsetTransformBase|AffineTransform)_double_3_3\n"
        r"Parameters: (.*)\nFixedParameters: (.*)\n"
    )
    found = re.fullmatch(pattern, text)
    return f"{found[1]} {found[2]}".split() if found else None


def _itk_matlab(words: Sequence[str], *_: Path) -> bytes:
    numbers = np.array([float(word) for word in words])
    stream = io.BytesIO()
    content = {"AffineTransform_double_3_3": numbers[:12, None], "fixed": numbers[12:, None]}
    savemat(stream, content, format="4")
    return stream.getvalue()


def _matlab_words(content: bytes) -> list[str] | None:
    try:
        read = {k: v for k, v in loadmat(io.BytesIO(content)).items() if not k.startswith("_")}
        fixed = np.ravel(read.pop("fixed"))
        (numbers,) = (np.ravel(value) for value in read.values())
        return [repr(float(one)) for one in (*numbers, *fixed)]
    except Exception:  # noqa: BLE001 - whatever scipy finds, the file is not sound
        return None


def _itk_hdf5(words: Sequence[str], *_: Path) -> bytes:
    numbers = np.array([float(word) for word in words])
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["ITKVersion"] = np.array([b"5.4.0"])
        part = file.create_group("TransformGroup/0")
        part["TransformType"] = np.array([b"AffineTransform_double_3_3"])
        part["TransformParameters"], part["TransformFixedParameters"] = numbers[:12], numbers[12:]
    return stream.getvalue()


def _hdf5_words(content: bytes) -> list[str] | None:
    try:
        with h5py.File(io.BytesIO(content)) as file:
            part = file["TransformGroup/0"]
            names = ("TransformParameters", "TransformFixedParameters")
            return [repr(float(one)) for name in names for one in np.ravel(part[name][()])]
    except Exception:  # noqa: BLE001 - whatever h5py finds, the file is not sound
        return None


def _flirt(words: Sequence[str], *_: Path) -> bytes:
    return "".join(" ".join(words[row : row + 4]) + "  \n" for row in range(0, 16, 4)).encode()


def _flirt_words(content: bytes) -> list[str] | None:
    rows = [line.split() for line in content.decode("utf-8", errors="replace").splitlines()]
    rows = [row for row in rows if row]
    if [len(row) for row in rows] != [4] * 4:
        return None
    return [word for row in rows for word in row]


def _flirt_says(numbers: Sequence[float], moving: Path, fixed: Path) -> Matrix | None:
    inverse = _inverse(np.reshape(numbers, (4, 4)))
    if inverse is None:
        return None
    return np.linalg.inv(_flirt_from_world(moving)) @ inverse @ _flirt_from_world(fixed)


def _flirt_numbers(matrix: Matrix, moving: Path, fixed: Path) -> list[float]:
    own = (
        _flirt_from_world(fixed) @ np.linalg.inv(matrix) @ np.linalg.inv(_flirt_from_world(moving))
    )
    return list(own.ravel())


def _lta(words: Sequence[str], moving: Path, fixed: Path) -> bytes:
    rows = "".join(" ".join(words[row : row + 4]) + " \n" for row in range(0, 16, 4))
    head = "type      = 1\nnxforms   = 1\nmean      = 0 0 0\nsigma     = 10000\n1 4 4\n"
    return (head + rows + _volume("src", moving) + _volume("dst", fixed)).encode()


def _volume(which: str, image: Path) -> str:
    loaded = nib.load(image)
    sizes = np.linalg.norm(loaded.affine[:3, :3], axis=0)
    axes, middle = loaded.affine[:3, :3] / sizes, loaded.affine @ [*np.array(loaded.shape) / 2, 1]
    lines = [f"{which} volume info", "valid = 1", f"filename = {image.name}"]
    lines += [f"volume = {' '.join(map(str, loaded.shape))}"]
    lines += [f"voxelsize = {' '.join(map(repr, sizes.tolist()))}"]
    named = {"xras": axes[:, 0], "yras": axes[:, 1], "zras": axes[:, 2], "cras": middle[:3]}
    lines += [f"{name} = {' '.join(map(repr, row.tolist()))}" for name, row in named.items()]
    return "\n".join(lines) + "\n"


def _lta_words(content: bytes) -> list[str] | None:
    text = content.decode("utf-8", errors="replace")
    found = re.search(
        r"^type +=\s*1\s*\n(?:.*\n)*?1 4 4\n((?:.*\n){4})src", text, flags=re.MULTILINE
    )
    return _flirt_words(found[1].encode()) if found else None


def _lta_says(numbers: Sequence[float], *_: Path) -> Matrix | None:
    return _inverse(np.reshape(numbers, (4, 4)))


FORMS = {
    "ITK text": Form(".txt", lambda m, *_: _to_itk(m), _itk_text, _text_words,
                     lambda n, *_: _of_itk(n)),
    "ITK matlab": Form(".mat", lambda m, *_: _to_itk(m), _itk_matlab, _matlab_words,
                       lambda n, *_: _of_itk(n)),
    "ITK hdf5": Form(".h5", lambda m, *_: _to_itk(m), _itk_hdf5, _hdf5_words,
                     lambda n, *_: _of_itk(n)),
    "flirt": Form(".mat", _flirt_numbers, _flirt, _flirt_words, _flirt_says),
    "LTA": Form(".lta", lambda m, *_: list(np.linalg.inv(m).ravel()), _lta, _lta_words, _lta_says),
}  # fmt: skip


# --- linear ones ----------------------------------------------------------------------------------


def transforms(world: World, rng: Random) -> Verdict:
    """Disturb a given transform."""
    kind = rng.random()
    if kind < 0.45:
        return warps(world, rng) if kind < 0.25 else fields(world, rng)
    source, name = pick(rng, tuple(FROM)), pick(rng, tuple(FORMS))
    form = FORMS[name]
    moving, fixed = world.images[FROM[source]], world.images["T1w"]
    sound = world.coarse.find(f"from-{source}_to-T1w_mode-image_xfm.txt")
    words = [repr(float(one)) for one in form.numbers(MOTIONS[source], moving, fixed)]
    content, what = _disturb(rng, form, words, moving, fixed)
    path = sound.with_suffix(form.ending)
    about = f"{source} by {name}: {what}"
    expected = _expected(form, content, moving, fixed)
    with disturbed({sound: None, path: content}):
        found = _looked(world, path, about)
        if found:
            return found
        try:
            matrix = linear_matrix(path, moving, fixed)
        except InputError as error:
            return Verdict(REFUSED, f"{error}", about)
        if np.isfinite(matrix).all() and np.allclose(matrix, MOTIONS[source], atol=1e-4):
            return Verdict(SAME, "", about)
        if is_sound(expected) and np.allclose(matrix, expected, rtol=1e-6, atol=1e-6):
            return Verdict(AS_IT_SAYS, "", about)
        said = f"taken as {matrix.tolist()}, while the file says {_listed(expected)}"
        return judge_whole(world, world.words, about, said)


def _listed(matrix: Matrix | None) -> str:
    return "nothing sound" if not is_sound(matrix) else str(matrix.tolist())


def _disturb(
    rng: Random, form: Form, words: list[str], moving: Path, fixed: Path
) -> tuple[bytes, str]:
    """Disturb the numbers of a transform, or the bytes of its file."""
    if rng.random() < 0.4:
        return disturbed_bytes(rng, form.write(words, moving, fixed))
    made, said = list(words), []
    for _ in range(pick(rng, (1, 1, 2, 3))):
        at = int(rng.integers(len(made)))
        new = other_number(rng, made[at])
        if form.write in {_itk_matlab, _itk_hdf5}:
            new = new if PLAIN.fullmatch(new) else pick(rng, ("nan", "inf", "1e300"))
        said.append(f"number {at} {made[at]} → {new[:20]!r}")
        made[at] = new
    return form.write(made, moving, fixed), ", ".join(said)


def _expected(form: Form, content: bytes, moving: Path, fixed: Path) -> Matrix | None:
    """Return what a file says; None if it is not written as its program writes it."""
    words = form.words(content)
    if words is None or not all(PLAIN.fullmatch(word) for word in words):
        return None
    numbers = [float(word) for word in words]
    if len(numbers) not in {15, 16} or not np.isfinite(numbers).all():
        return None
    with np.errstate(all="ignore"):
        try:
            return form.says(numbers, moving, fixed)
        except ValueError:
            return None


def _looked(world: World, path: Path, about: str) -> Verdict | None:
    """Look at the disturbed input; None if it is taken."""
    look = look_at(world.words)
    ended = look.stopped(about)
    if ended:
        return ended
    used = {file.path.name for visit in look.visits for file in visit.sources}
    # a map's transform costs its maps alone: the run ends with 1
    for what, state, why in look.decided:
        if state == MAP_REFUSED and path.name in why and path.name not in used:
            return Verdict(REFUSED, f"{what}: {why}", about)
    if path.name in used:
        return None
    # without a transform there is a registration, which is judged, and the plan says so
    told_of = any("no transform is given" in why or "registered" in why for *_, why in look.decided)
    return Verdict(LEFT_OUT if told_of else OTHER_NUMBERS, "not used", about)


# --- warps ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Warps:
    """A warp to the template and back that says what the linear transforms say."""

    forward: bytes
    inverse: bytes

    @classmethod
    def of(cls, world: World) -> Warps:
        """Make both: a matrix, and a field of no displacement over the reference."""
        return cls(*(_composite(world, matrix) for matrix in (PLACE, np.linalg.inv(PLACE))))


def _made_warps(world: World) -> Warps:
    return Warps.of(world)


def _composite(
    world: World, matrix: Matrix, changes: dict[str, tuple[int, float]] | None = None
) -> bytes:
    numbers = np.array(_to_itk(matrix))
    image = nib.load(world.images["T1w"])
    grid = LPS @ image.affine
    spacing = np.linalg.norm(grid[:3, :3], axis=0) * np.array(image.shape) / 8
    about = np.array([8, 8, 8, *grid[:3, 3], *spacing, *(grid[:3, :3] / np.linalg.norm(
        grid[:3, :3], axis=0)).ravel()])  # fmt: skip
    field = np.zeros(8**3 * 3, np.float32)
    parts = {"numbers": numbers, "about": about, "field": field}
    for name, (at, value) in (changes or {}).items():
        with np.errstate(over="ignore"):
            parts[name][at % parts[name].size] = value
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["ITKVersion"] = np.array([b"5.4.0"])
        group = file.create_group("TransformGroup")
        group["0/TransformType"] = np.array([b"CompositeTransform_double_3_3"])
        group["1/TransformType"] = np.array([b"AffineTransform_double_3_3"])
        group["1/TransformParameters"] = numbers[:12]
        group["1/TransformFixedParameters"] = numbers[12:]
        group["2/TransformType"] = np.array([b"DisplacementFieldTransform_double_3_3"])
        group["2/TransformParameters"] = field
        group["2/TransformFixedParameters"] = about
    return stream.getvalue()


def warps(world: World, rng: Random) -> Verdict:
    """Disturb a warp between the reference and the template."""
    made: Warps = world.room(_made_warps)
    ways = {"forward": f"from-T1w_to-{TEMPLATE}", "inverse": f"from-{TEMPLATE}_to-T1w"}
    which = pick(rng, tuple(ways))
    sound = {way: world.coarse.find(f"{name}_mode-image_xfm.txt") for way, name in ways.items()}
    changes: dict[Path, bytes | None] = {}
    for way, path in sound.items():
        changes |= {path: None, path.with_suffix(".h5"): getattr(made, way)}
    path = sound[which].with_suffix(".h5")
    if rng.random() < 0.5:
        part = pick(rng, ("numbers", "about", "field"))
        at, value = (
            int(rng.integers(10**6)),
            pick(rng, (np.nan, np.inf, 1e300, 0.0, -1.0, 1e6, 32767.0)),
        )
        matrix = PLACE if which == "forward" else np.linalg.inv(PLACE)
        changes[path] = _composite(world, matrix, {part: (at, value)})
        about = f"warp {which}: {part}[{at}] → {value}"
    else:
        changes[path], what = disturbed_bytes(rng, getattr(made, which))
        about = f"warp {which}: {what}"
    with disturbed(changes):
        found = _looked(world, path, about)
        if found:
            return found
        try:
            now = _field_of(path)
        except InputError as error:
            return Verdict(REFUSED, f"{error}", about)
        content = getattr(made, which)
        path.write_bytes(content)
        before = _field_of(path)
        path.write_bytes(changes[path] or b"")
        if now is not None and all(map(np.array_equal, now, before or ())):
            return Verdict(SAME, "", about)
        if now is not None and all(np.isfinite(part).all() for part in now):
            own = _sound_warp(changes[path] or b"")
            if own:
                return Verdict(AS_IT_SAYS, "", about)
        return judge_whole(world, world.words, about, "a damaged warp is taken")


def _field_of(path: Path) -> tuple[NDArray, ...] | None:
    """Return what a warp says to the program; None if it leaves it to ANTs."""
    found = read_point_map([path])
    if found is None:
        return None
    parts = [found.before, found.after]
    if found.displacements is not None:
        parts += [found.displacements.vectors, found.displacements.affine]
    return tuple(parts)


def _sound_warp(content: bytes) -> bool:
    """Whether a warp has all its parts, finite ones, a sound matrix and a grid of its size."""
    try:
        with h5py.File(io.BytesIO(content)) as file:
            group = file["TransformGroup"]
            numbers = [*np.ravel(group["1/TransformParameters"]),
                       *np.ravel(group["1/TransformFixedParameters"])]  # fmt: skip
            about = np.ravel(group["2/TransformFixedParameters"])
            field = np.ravel(group["2/TransformParameters"])
    except Exception:  # noqa: BLE001 - whatever h5py finds, the file is not sound
        return False
    sizes, directions = about[6:9], about[9:].reshape(3, 3)
    return bool(
        is_sound(_of_itk([float(one) for one in numbers]))
        and np.isfinite(about).all()
        and np.isfinite(field).all()
        and np.abs(field).max() < 300  # mm, more than a head's half
        and np.all(sizes > 0)
        and abs(abs(np.linalg.det(directions)) - 1) < 1e-3
    )
