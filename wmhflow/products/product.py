"""What a product is, and how it is made: the words in which every product is declared.

A recipe names a step's function, what it takes, and the products that it makes. Everything else
follows from the recipes of a unit: what is promised, what is written, the sources of every image,
the rows and columns of tables, and the graph (:mod:`wmhflow.workflows.graph`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from wmhflow.bids.naming import derivative_path, visit_folder
from wmhflow.bids.query import FoundFile
from wmhflow.bids.writer import Column


@dataclass(frozen=True)
class Place:
    """The person and visit whose folder a product lies in."""

    subject: str
    session: str | None = None


@dataclass(frozen=True)
class Work:
    """Something that only other steps need; it stays in the work folder."""

    key: str


@dataclass(frozen=True)
class Facts:
    """Numbers for the QC table, and what is put before their names there."""

    key: str
    prefix: str = ""


@dataclass(frozen=True)
class Image:
    """An image that is written, with a JSON file beside it.

    Attributes
    ----------
    key
        Its name in the unit.
    suffix, entities
        Its BIDS name.
    caption
        What it shows, in the sidecar and in ``descriptions.tsv``.
    kind
        How it is stored: ``labels``, ``mask``, ``probabilities`` (a volume each), ``scalars``, or
        in 16 bits as ``scan``, ``distance`` or ``depth``.
    more
        Further fields of the sidecar.
    parameters
        What it was made with.
    measured
        Fields of the sidecar that have to be found out when it is written, and what finds them.
    look_up
        The look-up table beside it: its text, or ``numbered`` where labels count lesions.
    told_by
        The facts that are added to the parameters in the sidecar: what the step found out.
    in_brain
        Whether it is written for voxels of the brain alone, those of ``seg_tissue``.
    """

    key: str
    suffix: str
    entities: Mapping[str, str]
    caption: str
    kind: str = "labels"
    more: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    look_up: str | None = None
    told_by: str | None = None
    in_brain: bool = False

    def path(self, place: Place) -> PurePosixPath:
        """Return where it lies, relative to the output folder."""
        return derivative_path(
            place.subject, place.session, self.suffix, ".nii.gz", **self.entities
        )

    def files(self, place: Place) -> list[PurePosixPath]:
        """Return all that is written: the image, its sidecar, its look-up table."""
        image = self.path(place)
        beside = [beside_path(image, ".tsv")] if self.look_up is not None else []
        return [image, beside_path(image, ".json"), *beside]


@dataclass(frozen=True)
class Table:
    """A table that is written, with its data dictionary beside it.

    ``ending`` is its name after person and visit, without ``.tsv``.
    """

    key: str
    ending: str
    caption: str
    columns: tuple[Column, ...]

    def path(self, place: Place) -> PurePosixPath:
        """Return where it lies, relative to the output folder."""
        folder = visit_folder(place.subject, place.session)
        return folder / "anat" / f"{'_'.join(folder.parts)}_{self.ending}.tsv"

    def files(self, place: Place) -> list[PurePosixPath]:
        """Return all that is written: the table and its dictionary."""
        table = self.path(place)
        return [table, beside_path(table, ".json")]


@dataclass(frozen=True)
class Transform:
    """A transform that is written: from points of ``target`` to points of ``source``, as ITK's."""

    key: str
    source: str
    target: str
    extension: str

    def path(self, place: Place) -> PurePosixPath:
        """Return where it lies, relative to the output folder."""
        entities = {"from_": self.source, "to": self.target, "mode": "image"}
        return derivative_path(place.subject, place.session, "xfm", self.extension, **entities)

    def files(self, place: Place) -> list[PurePosixPath]:
        """Return all that is written."""
        return [self.path(place)]


@dataclass(frozen=True)
class Page:
    """A person's page; it is written where the person's folders lie."""

    key: str

    def path(self, place: Place) -> PurePosixPath:
        """Return where it lies, relative to the output folder."""
        return PurePosixPath(f"sub-{place.subject}.html")

    def files(self, place: Place) -> list[PurePosixPath]:
        """Return all that is promised: pictures may be others with other settings."""
        return [self.path(place)]


def page_path(subject: str) -> PurePosixPath:
    """Return where a person's page lies, relative to the output folder."""
    return Page("page").path(Place(subject))


Written = Image | Table | Transform | Page
Product = Work | Facts | Written


def beside_path(path: PurePosixPath, ending: str) -> PurePosixPath:
    """Return the file of another ending beside an image or a table.

    Examples
    --------
    >>> str(beside_path(PurePosixPath("a/b_dseg.nii.gz"), ".json"))
    'a/b_dseg.json'
    """
    return path.with_name(path.name.split(".", maxsplit=1)[0] + ending)


@dataclass(frozen=True)
class From:
    """A product of another unit."""

    unit: str
    key: str


# A product of the unit by its key, one of another unit, a file that was found (or any other file),
# several of these, or nothing.
Taken = str | From | FoundFile | Path | Sequence["Taken"] | None


def parts_of(taken: Taken) -> Iterator[str | From | FoundFile | Path]:
    """List the single things in what a recipe takes.

    Examples
    --------
    >>> list(parts_of(["mask_WMH", None, From("study", "template"), ["seg_zones"]]))
    ['mask_WMH', From(unit='study', key='template'), 'seg_zones']
    """
    if isinstance(taken, Sequence) and not isinstance(taken, str):
        for one in taken:
            yield from parts_of(one)
    elif taken is not None:
        yield taken


@dataclass(frozen=True)
class Recipe:
    """How products are made: the one declaration from which all else follows.

    Attributes
    ----------
    name
        The step's name in the graph.
    function
        The step.
    takes
        What its parameters are fed with.
    makes
        The product of each field of what it gives; other fields are not kept.
    beside
        Parameters that only judge, or say where voxels lie: these are no sources of the products.
    options
        Parameters with fixed values.
    mem_gb, seconds
        Memory and time, where the step's own statement does not fit.
    after
        A product that has to be there before the step begins, although it is not taken.
    """

    name: str
    function: Callable[..., Any]
    makes: Mapping[str, Product]
    takes: Mapping[str, Taken] = field(default_factory=dict)
    beside: Mapping[str, Taken] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    mem_gb: float | None = None
    seconds: float | None = None
    after: str | None = None
