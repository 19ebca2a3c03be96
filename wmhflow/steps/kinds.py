"""What a step takes and gives: kinds of files, each with one way to read it and one to write it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.images import load_grid, load_image, read_header, save_work_image
from wmhflow.files.packed import ENDING
from wmhflow.files.template import Template

log = logging.getLogger("wmhflow")
Step = TypeVar("Step", bound=Callable[..., Any])


@dataclass(frozen=True)
class Needs:
    """What a step needs, and whether it runs again although its inputs are the same.

    ``mem_gb`` and ``seconds`` are for a head of 256 voxels along each axis; seconds only order the
    steps that could begin, so a rough figure will do. ``always`` is for steps that write or read
    what nipype does not watch. ``gives_maps`` is for steps that make maps of images: images of
    which they cannot be made cost these maps, and not the visit. ``ants`` is for steps that call
    ANTs itself: it is imported once for all of them, which takes two seconds.
    """

    mem_gb: float = 0.5
    threads: int = 1
    always: bool = False
    seconds: float = 1.0
    gives_maps: bool = False
    ants: bool = False


def step(
    mem_gb: float = 0.5,
    threads: int = 1,
    *,
    always: bool = False,
    seconds: float = 1.0,
    gives_maps: bool = False,
    ants: bool = False,
) -> Callable[[Step], Step]:
    """State what a step needs, beside its function.

    Parameters
    ----------
    mem_gb, threads, always, seconds, gives_maps, ants
        As in :class:`Needs`.

    Examples
    --------
    >>> @step(mem_gb=2.0)
    ... def double(value: float) -> float:
    ...     return 2 * value
    >>> double(4.0), needs_of(double).mem_gb
    (8.0, 2.0)
    """

    def stated(function: Step) -> Step:
        needs = Needs(mem_gb, threads, always, seconds, gives_maps, ants)
        setattr(function, "needs", needs)  # noqa: B010 - mypy
        return function

    return stated


def needs_of(function: Callable[..., Any]) -> Needs:
    """Return what a step needs; it has to be stated."""
    needs = getattr(function, "needs", None)
    if not isinstance(needs, Needs):
        raise TypeError(f"{function.__qualname__} is no step: it does not state what it needs")
    return needs


class LabelImage(NamedTuple):
    """Whole numbers on a grid, in the type in which they are stored."""

    data: NDArray[np.integer]
    affine: NDArray[np.float64]


class MaskImage(NamedTuple):
    """Booleans on a grid."""

    data: NDArray[np.bool_]
    affine: NDArray[np.float64]


class Space(NamedTuple):
    """A grid without its values: an image that is read for where its voxels lie."""

    shape: tuple[int, ...]
    affine: NDArray[np.float64]

    @property
    def empty(self) -> Grid3D:
        """An image of zeros on the grid."""
        return Grid3D(np.zeros(self.shape, np.float32), self.affine)


class Columns(NamedTuple):
    """Values, (n, k), at the n voxels of a mask, in the order of ``voxels_of``."""

    values: NDArray[Any]
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]


class _Json:
    """Marks what is kept as a JSON file."""


Rows = Annotated[list[dict[str, Any]], _Json]
Table = Annotated[dict[str, Any], _Json]
Facts = dict[str, Any]
# the folder that a step may fill
Folder = Annotated[Path, "folder"]


def load_labels(path: str | Path) -> LabelImage:
    """Read a label image, in the integer type in which it is stored."""
    data, affine = load_image(path)
    if not np.issubdtype(data.dtype, np.integer):
        data = np.rint(data).astype(np.int32)
    return LabelImage(data, affine)


def load_mask(path: str | Path) -> MaskImage:
    """Read a mask as booleans."""
    data, affine = load_image(path)
    return MaskImage(data != 0, affine)


def load_space(path: str | Path) -> Space:
    """Read where an image's voxels lie."""
    shape, affine, _ = read_header(Path(path))
    return Space(shape, affine)


def load_columns(path: str | Path) -> Columns:
    """Read what :func:`save_columns` wrote."""
    with np.load(path) as stored:
        return Columns(**stored)


def save_columns(path: Path, columns: Columns) -> None:
    """Write columns as ``.npz``."""
    np.savez(path, **columns._asdict())


def load_json(path: str | Path) -> Any:
    """Read a JSON file; NaN was written as NaN."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def save_json(path: Path, content: Any) -> None:
    """Write a JSON file; NaN is written as NaN.

    In one line: Python writes indented ones without its compiled code, in ten times the time.
    """
    path.write_text(json.dumps(content), encoding="utf-8")


def _save_image(path: Path, image: LabelImage | MaskImage) -> None:
    save_work_image(path, image.data, image.affine)


def _save_grid(path: Path, grid: Grid3D) -> None:
    save_work_image(path, grid.data, grid.affine, np.float32)


class Kind(NamedTuple):
    """How a kind of file is read, and how and under which ending it is written."""

    load: Callable[[str], Any]
    save: Callable[[Path, Any], None] | None = None
    ending: str = ""


KINDS: dict[Any, Kind] = {
    Path: Kind(Path),
    Template: Kind(lambda folder: Template(Path(folder))),
    LabelImage: Kind(load_labels, _save_image, ENDING),
    MaskImage: Kind(load_mask, _save_image, ENDING),
    Grid3D: Kind(load_grid, _save_grid, ENDING),
    Space: Kind(load_space),
    Columns: Kind(load_columns, save_columns, ".npz"),
    _Json: Kind(load_json, save_json, ".json"),
}


@contextmanager
def about(file: str) -> Iterator[None]:
    """Put a file's name before what the science says of the image in it.

    Parameters
    ----------
    file
        Path of the image as the user gave it.

    Raises
    ------
    InputError
        If the image shows none of what it should.
    """
    try:
        yield
    except UnfitImageError as error:
        raise InputError(f"{file}: {error}") from error


def computed_or_nothing(
    name: str,
    like: Grid3D,
    compute: Callable[[], tuple[NDArray[np.floating], Facts]],
    facts: Sequence[str],
) -> tuple[Grid3D, Facts]:
    """Compute a map; images of which that is not possible cost the map, and nothing else.

    Parameters
    ----------
    name
        The map's.
    like
        An image on its grid.
    compute
        Gives the map's values and what was found out.
    facts
        The names of that, which is n/a where there is no map.

    Returns
    -------
    tuple of Grid3D and Facts
        NaN everywhere, with ``refused`` 1 and a warning, where the images are not what they should
        be, or no voxel has a value; else ``refused`` is 0.
    """
    try:
        values, found = compute()
        if not np.isfinite(values).any():
            raise UnfitImageError("no voxel of the images gives a value")
    except UnfitImageError as error:
        log.warning(
            "%s is not computed, and is n/a: %s. Correct the images, or leave the map out with "
            "--no-compute %s.", name, error, name,
        )  # fmt: skip
        empty = np.full(like.data.shape, np.nan, dtype=np.float32)
        return Grid3D(empty, like.affine), {"refused": 1, **dict.fromkeys(facts)}
    return Grid3D(values.astype(np.float32), like.affine), {"refused": 0, **found}
