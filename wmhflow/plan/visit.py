"""What is decided about a visit: plain objects that say what was found and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from wmhflow.bids.naming import visit_label
from wmhflow.bids.query import FoundFile
from wmhflow.errors import InputError
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.registries.maps import MapDefinition


@dataclass(frozen=True)
class GivenImage:
    """An image that was found, the native space it lies in, and whether voxels must be weighed.

    ``space`` is ``T1w`` or ``FLAIR``; the image is brought from there to the reference.
    """

    file: FoundFile
    space: str
    is_probability: bool = False


@dataclass(frozen=True)
class Alignment:
    """How an image comes to lie on the reference: ``header``, ``transform`` or ``register``.

    ``convert`` says that the transform is none of ITK's and has to be written as one.
    """

    how: str
    transform: FoundFile | None = None
    companion: FoundFile | None = None
    convert: bool = False


@dataclass(frozen=True)
class MapPlan:
    """A quantitative map, and how it is aligned."""

    definition: MapDefinition
    file: FoundFile
    alignment: Alignment

    @property
    def name(self) -> str:
        """The map's name in the tables."""
        return self.definition.name


@dataclass(frozen=True)
class Decision:
    """One line of the plan: a thing, its state (found, missing, computed, note) and why."""

    what: str
    state: str
    why: str


@dataclass(frozen=True)
class VisitPlan:
    """Everything that is decided about one visit of one person.

    ``zones`` are the schemes that divide white matter; ``lobes`` says where lobes come from
    (``parcellation``, or the name of ``lobes_atlas``), or None. ``atlases`` are those asked for.
    ``problem`` is the one sentence why the visit cannot be processed; then nothing else counts.
    """

    subject: str
    session: str | None
    reference: str = "T1w"
    t1w: FoundFile | None = None
    flair: FoundFile | None = None
    flair_alignment: Alignment = Alignment("register")
    template_transforms: tuple[FoundFile, FoundFile] | None = None
    wmh: GivenImage | None = None
    wmh_command: str | None = None
    infarct: GivenImage | None = None
    parcellation: GivenImage | None = None
    maps: tuple[MapPlan, ...] = ()
    zones: tuple[str, ...] = ("jv3-pv13-jc4",)
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
        return self.wmh is not None or self.wmh_command is not None

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
    def sources(self) -> tuple[FoundFile, ...]:
        """Every file that the visit reads."""
        found: list[FoundFile | None] = [self.t1w, self.flair, self.flair_alignment.transform]
        found += list(self.template_transforms or ())
        found += [given.file for given in (self.wmh, self.infarct, self.parcellation) if given]
        for entry in self.maps:
            found += [entry.file, entry.alignment.transform, entry.alignment.companion]
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
