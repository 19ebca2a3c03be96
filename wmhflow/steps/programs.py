"""Steps that let an outside program segment lesions, and make a mask of what it wrote."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.checks.masks import read_mask_values, whole_numbers
from wmhflow.core.space.geometry import same_grid
from wmhflow.errors import InputError
from wmhflow.files.checksums import checksum
from wmhflow.files.children import die_with_parent
from wmhflow.files.images import for_others, load_volume, read_header, save_work_image
from wmhflow.files.inspection import ImageFacts, boxes_meet, inspect_image, same_lattice
from wmhflow.registries.segmenters import IMAGES, OUT
from wmhflow.steps.containers import words_in_image
from wmhflow.steps.kinds import Folder, step

TAIL_CHARACTERS = 2000
# what interpolation and rounding may add to a probability
PROBABILITY_SLACK = 1e-3


class ProgramMask(NamedTuple):
    """What a program wrote, and what leads from its grid to the reference."""

    mask: Path
    transforms: list[Path]


@step(mem_gb=4.0, seconds=600)
def run_program(
    command: str,
    reference_name: str,
    folder: Folder,
    t1w: Path | None = None,
    flair: Path | None = None,
    other_transform: Path | None = None,
    image: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
) -> ProgramMask:
    """Run a program that writes a WMH mask on the grid of the T1w or of the FLAIR.

    Parameters
    ----------
    command
        Command line with the placeholders ``{t1w}``, ``{flair}`` and ``{out}``.
    reference_name
        ``T1w`` or ``FLAIR``.
    folder
        Where it runs.
    t1w, flair
        Images in their own spaces.
    other_transform
        From the other image to the reference.
    image
        The container image that holds the program, as :func:`image_option` states it.
    files
        What the program's own files held when the run began, as :func:`program_files` states it.

    Raises
    ------
    InputError
        If the program fails, or what it writes is no mask.
    """
    _check_unchanged([command], files)
    out = folder / "external_wmh.nii.gz"
    given = {
        name: str(_readable(path, folder / name))
        for name, path in (("t1w", t1w), ("flair", flair))
        if path
    }
    words = fill_command(command, out=str(out), **given)
    inputs = [Path(path).parent for path in given.values()]
    said = call_program(_in_image(image, words, folder, inputs), folder, words[0])
    if not out.is_file():
        raise InputError(f"--wmh-command: {words[0]} did not write {{out}} ({out.name}): {said}")
    moved = grid_of_mask(out, given) != reference_name.lower()
    return ProgramMask(out, [other_transform] if moved and other_transform else [])


@step(mem_gb=8.0, seconds=600)
def run_segmenter(
    segmenter: dict[str, Any],
    reference_name: str,
    folder: Folder,
    t1w: Path | None = None,
    flair: Path | None = None,
    other_transform: Path | None = None,
    image: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
) -> ProgramMask:
    """Run a segmenter of the registry, and make a mask of 0 and 1 of what it wrote.

    Parameters
    ----------
    segmenter
        What decides on its result: :meth:`wmhflow.registries.segmenters.Segmenter.running`.
    reference_name
        ``T1w`` or ``FLAIR``.
    folder
        Where it runs.
    t1w, flair
        The images that it reads.
    other_transform
        From the image that is not the reference to the reference.
    image
        The container image that holds it, as :func:`image_option` states it.
    files
        What its own files held when the run began, as :func:`program_files` states it.

    Raises
    ------
    InputError
        If it fails, or what it writes is not what the registry says.
    """
    _check_unchanged(segmenter["commands"], files)
    name, results = segmenter["name"], folder / "results"
    # of a run that was cut
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    images = {key: path for key, path in (("t1w", t1w), ("flair", flair)) if path}
    copies = _copies(images, folder / "inputs")
    out = results / "wmh.nii.gz"
    paths = {"folder": str(results), "out": str(out)}
    paths |= {key: str(path) for key, path in copies.items()}
    said = ""
    for line in segmenter["commands"]:
        words = fill_command(line, **paths)
        if image is not None:
            words = [*segmenter["image_words"].get(words[0], words[:1]), *words[1:]]
        variables = segmenter["image_files"]
        started = _in_image(image, words, folder, [folder / "inputs"], variables)
        said = call_program(started, folder, name)
    written = _written(segmenter, results, out, said)
    values, affine = load_volume(written)
    mask = lesion_voxels(values, segmenter["labels"], segmenter["threshold"], name)
    reference, space = reference_name.lower(), segmenter["space"]
    own = reference if space == "reference" else space
    _check_place(segmenter, inspect_image(written), inspect_image(images[own]))
    moved = own != reference
    path = Path(save_work_image(folder / "external_wmh.nii", mask, affine))
    return ProgramMask(path, [other_transform] if moved and other_transform else [])


def _readable(path: Path, folder: Path) -> Path:
    """Return an image that the user's program can read, in a folder of its own if it is a copy."""
    folder.mkdir(exist_ok=True)
    return for_others(path, folder)


def _copies(images: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Give a program images of its own, compressed, as some demand; the originals stay unseen."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copies = {name: folder / f"{IMAGES[name]}.nii.gz" for name in images}
    for name, copy in copies.items():
        if images[name].suffix == ".gz":
            shutil.copyfile(images[name], copy)
            continue
        plain = for_others(images[name], folder)
        copy.write_bytes(gzip.compress(plain.read_bytes(), 1, mtime=0))
        if plain != images[name]:
            plain.unlink()
    return copies


def _written(segmenter: Mapping[str, Any], results: Path, out: Path, said: str) -> Path:
    """Find the one file that holds the lesions."""
    name, pattern = segmenter["name"], segmenter["output"]
    found = [out] if pattern == OUT and out.is_file() else sorted(results.glob(pattern))
    if not found:
        wanted = out.name if pattern == OUT else pattern
        raise InputError(f"--wmh-command {name}: it did not write {wanted}: {said}")
    if len(found) > 1:
        names = " and ".join(path.name for path in found[:3])
        raise InputError(f"--wmh-command {name}: {len(found)} files answer for {pattern}: {names}.")
    return found[0]


def _check_place(segmenter: Mapping[str, Any], written: ImageFacts, own: ImageFacts) -> None:
    name, space = segmenter["name"], segmenter["space"]
    where = "the reference" if space == "reference" else f"the {IMAGES[space]}"
    if segmenter["keeps_grid"] and not same_lattice(written, own):
        raise InputError(
            f"--wmh-command {name}: {written.path.name} does not lie on the grid of {where}, as "
            "this segmenter's output does; look at its log, external.log in the work folder."
        )
    if not boxes_meet(written, own):
        raise InputError(
            f"--wmh-command {name}: {written.path.name} lies outside {where}; look at its log, "
            "external.log in the work folder."
        )


def lesion_voxels(
    values: NDArray[Any], labels: Sequence[int], threshold: float | None, name: str
) -> NDArray[np.bool_]:
    """Tell which voxels of a segmenter's output are lesion.

    Parameters
    ----------
    values
        What it wrote; non-finite values count as 0.
    labels
        Numbers that are lesion, if it writes labels.
    threshold
        From which value on a voxel is lesion, if it writes probabilities. With neither, it writes
        a mask.
    name
        The segmenter's, for messages.

    Returns
    -------
    ndarray of bool
        Of the shape of ``values``.

    Raises
    ------
    InputError
        If the values are of another kind.

    Examples
    --------
    >>> lesion_voxels(np.array([0, 2, 41, 77]), [77], None, "it")
    array([False, False, False,  True])
    >>> lesion_voxels(np.array([0, 0.2, 0.5]), [], 0.5, "it")
    array([False, False,  True])
    """
    plain = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    found = np.unique(plain)
    if threshold is not None:
        fits = found[0] >= -PROBABILITY_SLACK and found[-1] <= 1 + PROBABILITY_SLACK
        _check_kind(bool(fits), found, "probabilities from 0 to 1", name)
        return np.asarray(plain >= threshold)
    if labels:
        # an image of the whole brain's labels has many, also where there is no lesion
        whole = whole_numbers(found)
        fits = whole is not None and (np.isin(labels, whole).any() or found.size > 2)
        _check_kind(bool(fits), found, f"labels, {' and '.join(map(str, labels))} for WMH", name)
        return np.isin(np.rint(plain), labels)
    _check_kind(bool(found.size <= 2 and found[0] == 0), found, "0 and 1", name)
    return np.asarray(plain != 0)


def _check_kind(fits: bool, found: NDArray[Any], wanted: str, name: str) -> None:
    if not fits:
        raise InputError(
            f"--wmh-command {name}: it wrote {found.size} different values from {found[0]:g} to "
            f"{found[-1]:g}, where {wanted} are expected; is it the version that the registry "
            "names?"
        )


def image_option(image: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """State a container image for a step, so that another image makes the step run again.

    Parameters
    ----------
    image
        As ``--segmenter-image``.
    facts
        What it is told from another by.

    Examples
    --------
    >>> image_option("maker/tool:1.0", {"name": "maker/tool:1.0"})
    {'name': 'maker/tool:1.0'}
    """
    # never the whole path: what looks like a file is read to its end to tell whether it changed
    folder = {"folder": str(Path(image).parent)} if Path(image).is_absolute() else {}
    return {**facts, **folder}


def program_files(commands: Sequence[str]) -> dict[str, str]:
    """State what the files of a program hold, so that an edited program is another program.

    Parameters
    ----------
    commands
        Command lines. Known are each line's executable, and every file that is named in it by a
        whole path, alone or after ``=``: a script behind its interpreter, a model, a configuration.
        Folders are not looked into.

    Returns
    -------
    dict
        SHA-256 by the word of the command line. A file that cannot be read holds ``unreadable``.
    """
    found: dict[str, str] = {}
    for line in commands:
        program, *arguments = shlex.split(line)
        whole = shutil.which(program)
        parts = (part for word in arguments for part in (word, word.partition("=")[2]))
        # no pathlib: a word may be a text too long for a name
        paths = {part: part for part in parts if part[:1] == "/" and os.path.isfile(part)}  # noqa: PTH113
        paths |= {program: whole} if whole else {}
        found |= {word: _holds(Path(path)) for word, path in paths.items()}
    return found


def _holds(path: Path) -> str:
    try:
        return checksum(path)
    except OSError:
        # such as a program that may be run and not be read
        return "unreadable"


def _check_unchanged(commands: Sequence[str], files: Mapping[str, str] | None) -> None:
    """Refuse a program that was edited after the run began: its result would be told wrongly."""
    now = program_files(commands) if files is not None else {}
    changed = [word for word, held in (files or {}).items() if now.get(word) != held]
    if changed:
        raise InputError(
            f"--wmh-command: {changed[0]} was changed while this run went on; run it again."
        )


def _in_image(
    image: Mapping[str, Any] | None,
    words: Sequence[str],
    folder: Path,
    inputs: Sequence[Path],
    file_variables: Sequence[str] = (),
) -> list[str]:
    """Let a program run in its container image, if it has one."""
    if image is None:
        return list(words)
    name = str(Path(image["folder"]) / image["name"]) if "folder" in image else image["name"]
    return words_in_image(name, words, folder, inputs, file_variables)


def fill_command(command: str, **paths: str) -> list[str]:
    """Split a command line and put paths in the place of ``{t1w}``, ``{flair}`` and ``{out}``.

    Parameters
    ----------
    command
        As a shell would read it, quotes included; no shell runs it.
    paths
        The path that each placeholder stands for. It stays one word, whatever it holds.

    Returns
    -------
    list of str
        Program and arguments.

    Examples
    --------
    >>> fill_command("tool -i {flair} --out={out}", flair="/a b/f.nii", out="o.nii")
    ['tool', '-i', '/a b/f.nii', '--out=o.nii']
    """
    words = shlex.split(command)
    for name, path in paths.items():
        words = [word.replace("{" + name + "}", path) for word in words]
    return words


def call_program(words: Sequence[str], folder: Path, name: str) -> str:
    """Run a program in a folder; what it prints goes to ``external.log`` there.

    Parameters
    ----------
    words
        Program and arguments.
    folder
        Where it runs.
    name
        What it is called in messages.

    Returns
    -------
    str
        The end of what it printed.

    Raises
    ------
    InputError
        If the program fails; with the end of what it printed.
    """
    log = folder / "external.log"
    with log.open("ab") as stream:
        begun = stream.tell()
        try:
            done = subprocess.run(
                words,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                check=False,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            raise InputError(
                f"--wmh-command: {name} cannot be started: {error.strerror}; does it run by itself?"
            ) from None
    printed = log.read_bytes()[begun:].decode("utf-8", errors="replace")
    said = printed[-TAIL_CHARACTERS:].strip()
    if done.returncode != 0:
        raise InputError(f"--wmh-command: {name} ended with exit code {done.returncode}: {said}")
    return said


def grid_of_mask(mask: Path, images: dict[str, str]) -> str:
    """Say on which image's grid a mask lies, and refuse what is no mask.

    Parameters
    ----------
    mask
        The mask.
    images
        Paths by name; the first one with the mask's grid counts.

    Returns
    -------
    str
        The name.

    Raises
    ------
    InputError
        If the mask lies on no image's grid, or holds probabilities.
    """
    data, affine = load_volume(mask)
    reading = read_mask_values(data)
    if reading.fault is not None or reading.is_graded:
        why = reading.fault or f"holds {reading.notes[0]}"
        raise InputError(
            f"--wmh-command wrote an image that {why}: no mask; have the program write a mask of "
            "0 and 1."
        )
    for name, path in images.items():
        shape, own, _ = read_header(Path(path))
        if same_grid(data.shape, affine, shape, own):
            return name
    raise InputError(
        "--wmh-command wrote a mask that lies on the grid of none of "
        f"{' and '.join('{' + name + '}' for name in images)}; have the program write it there."
    )
