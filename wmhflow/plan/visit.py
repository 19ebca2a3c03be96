"""What is decided about a visit: plain objects that say what was found and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wmhflow.bids.naming import visit_label
from wmhflow.bids.query import FoundFile
from wmhflow.errors import InputError
from wmhflow.labels.schemes import DEFAULT_SCHEME
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.segmenters import Segmenter


@dataclass(frozen=True)
class Given:
    """Something that was found: a file that is used as it is.

    ``space`` is the native space of an image, ``T1w`` or ``FLAIR``, from where it is brought to the
    reference. ``is_probability`` says that an image holds probabilities; ``labels`` are the numbers
    that count in a mask, empty where any does, and ``others`` those that may stand in it and do
    not; ``convert`` says that a transform has to be written anew, since it is none of ITK's, or
    since ``inverted`` says that its inverse is meant; ``bends`` that it is not linear.
    """

    file: FoundFile
    space: str | None = None
    is_probability: bool = False
    convert: bool = False
    labels: tuple[int, ...] = ()
    others: tuple[int, ...] = ()
    inverted: bool = False
    bends: bool = False

    @property
    def files(self) -> tuple[FoundFile, ...]:
        """What is read."""
        return (self.file,)

    @property
    def named(self) -> str:
        """How messages name a transform."""
        return f"the inverse of {self.file.path}" if self.inverted else str(self.file.path)


@dataclass(frozen=True)
class Computed:
    """Something that a step makes, from these files beside what the visit has anyway.

    ``step`` names the step's function, ``command`` the outside program that does it, ``segmenter``
    what the registry says of that program, if it knows it, and ``image`` the container image that
    holds it, if one does. A step that takes more than one file gets them by parameter as ``takes``
    says, and fixed values as ``options`` say; ``told`` is what the products' JSON files say of it,
    ``series`` the name of the series that it is computed from, if it is one, and ``which`` tells
    series of one kind apart, such as those of tracers.
    """

    step: str
    files: tuple[FoundFile, ...] = ()
    command: str | None = None
    segmenter: Segmenter | None = None
    image: str | None = None
    takes: Mapping[str, FoundFile | tuple[FoundFile, ...]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    series: str | None = None
    which: str = ""

    @property
    def command_lines(self) -> tuple[str, ...]:
        """The command lines of the outside program; none where no such program does it."""
        if self.segmenter is not None:
            return self.segmenter.commands
        return () if self.command is None else (self.command,)


Source = Given | Computed


@dataclass(frozen=True)
class Composed:
    """A transform of several: given ones one after the other, and what is registered here.

    It is linear unless one of them ``bends``. ``legs`` lead from the map on; ``through_other`` says
    that they end at the T1w or FLAIR that is not the reference, from where its own transform leads
    to the reference. ``last`` is the image where the legs end.
    """

    legs: tuple[Given, ...]
    last: FoundFile
    through_other: bool = False

    @property
    def bends(self) -> bool:
        """Whether it is not linear."""
        return any(leg.bends for leg in self.legs)

    @property
    def files(self) -> tuple[FoundFile, ...]:
        """What is read."""
        return tuple(leg.file for leg in self.legs)

    @property
    def named(self) -> str:
        """How messages name it."""
        last = [f"the transform of {self.last.path}"] if self.through_other else []
        return " and then ".join([*(leg.named for leg in self.legs), *last])


@dataclass(frozen=True)
class UnitReading:
    """How the values of a map's file become those of the tables.

    ``unit`` is the file's, ``factor`` what values are multiplied by, and ``by`` what says so: the
    ``sidecar``, the ``producer``, the ``values`` (whose typical ``size`` it was) or, where there is
    only one, the ``registry``.
    """

    unit: str
    factor: float = 1.0
    by: str = "registry"
    size: float | None = None


@dataclass(frozen=True)
class MapPlan:
    """A quantitative map: where its values come from, and how it comes to lie on the reference.

    ``transform`` leads from the map to the reference; None where the headers agree. ``grid`` says
    which maps are stored on one grid. ``shown_by`` is an image on the map's grid that shows more of
    the anatomy, by which the alignment is judged, if there is one. ``read_as`` says how values are
    converted; None where the map is computed here.
    """

    definition: MapDefinition
    values: Source
    transform: Source | Composed | None
    grid: tuple[Any, ...] = ()
    shown_by: FoundFile | None = None
    read_as: UnitReading | None = None

    @property
    def name(self) -> str:
        """The map's name in the tables."""
        return self.definition.name

    @property
    def file(self) -> FoundFile:
        """The file that holds its values, or the first of those that it is computed from."""
        return self.values.files[0]

    @property
    def how(self) -> str:
        """How it is aligned: ``header``, ``transform`` or ``register``."""
        return how_aligned(self.transform)


@dataclass(frozen=True)
class SpectrumPlan:
    """A single voxel of spectroscopy, and the table of its metabolites, if one is given.

    ``legs`` are linear transforms of ITK that lead from it on, and none where the header says the
    place; ``through_other`` says that they end at the T1w or FLAIR that is not the reference, from
    where its own transform leads to the reference.
    """

    name: str
    file: FoundFile
    legs: tuple[Given, ...] = ()
    through_other: bool = False
    values: FoundFile | None = None

    @property
    def files(self) -> tuple[FoundFile, ...]:
        """What is read."""
        given = [self.values] if self.values else []
        return (self.file, *given, *(leg.file for leg in self.legs))


def how_aligned(transform: Source | Composed | None) -> str:
    """Say in a word how an image comes to lie on the reference.

    Parameters
    ----------
    transform
        None where the headers agree.

    Examples
    --------
    >>> how_aligned(None), how_aligned(Computed("register_rigid"))
    ('header', 'register')
    """
    if transform is None:
        return "header"
    return "register" if isinstance(transform, Computed) else "transform"


def how_wmh(visit: VisitPlan) -> str:
    """Say where lesions come from: a program's command, ``given`` or ``computed``."""
    if isinstance(visit.wmh, Given):
        return "given"
    return visit.wmh.command or "computed"


REFUSED, UNUSABLE, PASSED = "refused", "unusable", "passed"


@dataclass(frozen=True)
class Decision:
    """One line of the plan: a thing, its state and why.

    States are found, missing, computed, note, refused, unusable and passed. What is refused costs
    itself and not the visit: all else is made, and the run ends with 1. So does a map that its
    voxels show to be unusable, but it is made, with n/a in every table, and a row of the QC table
    says `check`: the run ends with 0. So it does where a raw series gives no map, which nobody may
    want. What is passed over stands behind another file of its kind, which is used. All three are
    said by warnings, too, and by rows of the QC table.
    """

    what: str
    state: str
    why: str


@dataclass(frozen=True)
class VisitPlan:
    """Everything that is decided about one visit of one person.

    ``other_transform`` leads from the T1w or FLAIR that is not the reference to the reference,
    ``forward`` from the reference to the template and ``inverse`` back. ``tissues`` are given by a
    parcellation, or computed. ``zones`` are the schemes that divide white matter; ``lobes`` says
    where lobes come from (``parcellation``, or the name of ``lobes_atlas``), or None. ``atlases``
    are those asked for. ``acute_image`` is the diffusion-weighted image on which acute lesions are
    looked for, if they are.
    ``problem`` is the one sentence why the visit cannot be processed; then nothing else counts.
    """

    subject: str
    session: str | None
    reference: str = "T1w"
    t1w: FoundFile | None = None
    flair: FoundFile | None = None
    other_transform: Source | None = Computed("register_rigid")
    forward: Source = Computed("register_to_template")
    inverse: Source = Computed("register_to_template")
    tissues: Source = Computed("segment_tissue")
    wmh: Source = Computed("segment_wmh")
    infarct: Given | None = None
    others: Mapping[str, Given] = field(default_factory=dict)
    maps: tuple[MapPlan, ...] = ()
    spectra: tuple[SpectrumPlan, ...] = ()
    acute_image: MapPlan | None = None
    zones: tuple[str, ...] = (DEFAULT_SCHEME,)
    lobes: str | None = None
    lobes_atlas: AtlasPlan | None = None
    atlases: tuple[AtlasPlan, ...] = ()
    decisions: tuple[Decision, ...] = ()
    problem: str | None = None

    @property
    def label(self) -> str:
        """How the visit is named in messages."""
        return visit_label(self.subject, self.session)

    @property
    def reference_file(self) -> FoundFile:
        """The raw image whose grid holds all label images."""
        chosen = self.t1w if self.reference == "T1w" else self.flair
        if chosen is None:
            raise InputError(f"{self.label} has no {self.reference} image.")
        return chosen

    @property
    def other_name(self) -> str:
        """What the T1w or FLAIR is called that is not the reference, if there is one."""
        return "FLAIR" if self.reference == "T1w" else "T1w"

    @property
    def other_anatomical(self) -> FoundFile | None:
        """The T1w or FLAIR that is not the reference."""
        return self.flair if self.reference == "T1w" else self.t1w

    @property
    def anatomical(self) -> dict[str, FoundFile]:
        """The raw images that there are, by suffix."""
        found = {"T1w": self.t1w, "FLAIR": self.flair}
        return {suffix: file for suffix, file in found.items() if file is not None}

    @property
    def wmh_comes_first(self) -> bool:
        """Whether lesions are known before brain and tissues are looked for."""
        return isinstance(self.wmh, Given) or self.wmh.command is not None

    @property
    def parcellation(self) -> Given | None:
        """The parcellation that gives the tissues, if one does."""
        return self.tissues if isinstance(self.tissues, Given) else None

    @property
    def laid_atlases(self) -> tuple[AtlasPlan, ...]:
        """Every atlas that is laid over the person, for rows or for lobes alone."""
        more = self.lobes_atlas
        return self.atlases if more is None or more in self.atlases else (*self.atlases, more)

    @property
    def territories(self) -> AtlasPlan | None:
        """The atlas that names the lesions' territories: the first one of arteries."""
        arterial = (
            atlas for atlas in self.atlases if atlas.definition and atlas.definition.territories
        )
        return next(arterial, None)

    @property
    def refused(self) -> tuple[str, ...]:
        """Why things that were given are not used, a sentence each."""
        return tuple(
            one.why if one.why.startswith(f"{self.label}: ") else f"{one.what}: {one.why}"
            for one in self.decisions
            if one.state == REFUSED
        )

    @property
    def parts(self) -> dict[str, Source | None]:
        """Where everything but the anatomical images and the maps comes from, by what it is."""
        return {
            "other_transform": self.other_transform,
            "forward": self.forward,
            "inverse": self.inverse,
            "wmh": self.wmh,
            "infarct": self.infarct,
            **self.others,
            "tissues": self.tissues,
        }

    @property
    def sources(self) -> tuple[FoundFile, ...]:
        """Every file that the visit reads."""
        found: list[FoundFile | None] = [self.t1w, self.flair]
        parts: list[Source | Composed | None] = list(self.parts.values())
        images = (*self.maps, *([self.acute_image] if self.acute_image else []))
        parts += [part for one in images for part in (one.values, one.transform)]
        found += [file for part in parts if part is not None for file in part.files]
        found += [one.shown_by for one in self.maps]
        found += [file for one in self.spectra for file in one.files]
        unique = {file.path: file for file in found if file is not None}
        return tuple(unique.values())


@dataclass(frozen=True)
class ParticipantPlan:
    """The visits of a person; `earlier` ones were not asked for now, but the report has them."""

    subject: str
    visits: tuple[VisitPlan, ...]
    earlier: tuple[VisitPlan, ...] = ()

    @property
    def reported(self) -> tuple[VisitPlan, ...]:
        """All visits that the report shows, in order."""
        return tuple(sorted((*self.visits, *self.earlier), key=lambda visit: visit.session or ""))
