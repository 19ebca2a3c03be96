"""What is known while one visit is planned, and the choice of the one image that answers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from wmhflow.bids.naming import visit_label
from wmhflow.bids.query import FoundFile, Query
from wmhflow.bids.sidecars import Names
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.forms import check_forms, trusted_affine
from wmhflow.files.inspection import (
    ImageFacts,
    boxes_meet,
    check_millimetres,
    inspect_image,
    inspect_series,
    same_lattice,
)
from wmhflow.files.transforms import TransformFile, read_transform
from wmhflow.plan.atlases import PlannedAtlases
from wmhflow.plan.sessions import sort_by_visit
from wmhflow.plan.spaces import Spaces
from wmhflow.plan.visit import Decision, Given, VisitPlan
from wmhflow.registries.spaces import kind_of_space
from wmhflow.settings import Settings

NATIVE_SPACES = ("T1w", "FLAIR")
PARCELLATION = "parcellation"


@dataclass
class Planning:
    """One visit's question and the decisions so far, in the order in which the plan prints them.

    Attributes
    ----------
    query, settings, atlases
        The run's.
    subject, session
        Labels without prefix.
    sessions
        The labels of all of the person's visits.
    considered
        The files that answered a question: used, or said to be passed over.
    unclear
        Why the files of which no visit can be told are not used.
    names
        What lies in the person's folders.
    routes, companions, grids
        What was found for one image and is so for others alike, by what they have in common.
    decisions
        What was decided.
    """

    query: Query
    subject: str
    session: str | None
    settings: Settings
    atlases: PlannedAtlases
    sessions: tuple[str | None, ...]
    decisions: list[Decision] = field(default_factory=list)
    considered: set[Path] = field(default_factory=set)
    unclear: dict[Path, str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    routes: dict[Hashable, Any] = field(default_factory=dict)
    companions: dict[Hashable, FoundFile | None] = field(default_factory=dict)
    grids: dict[Hashable, tuple[Any, ...]] = field(default_factory=dict)
    _facts: dict[Path, ImageFacts] = field(default_factory=dict)
    _in_mm: set[Path] = field(default_factory=set)
    _transforms: dict[Path, TransformFile] = field(default_factory=dict)
    _in_place: set[tuple[Hashable, ...]] = field(default_factory=set)

    @property
    def label(self) -> str:
        """How the visit is named in messages."""
        return visit_label(self.subject, self.session)

    @cached_property
    def spaces(self) -> Spaces:
        """What names of spaces mean."""
        return Spaces(self.query, self.subject, self.session)

    def say(self, what: str, state: str, why: str) -> None:
        """Note a decision."""
        self.decisions.append(Decision(what, state, why))

    def facts(self, file: FoundFile) -> ImageFacts:
        """Return what an image's header tells, read once; one that is not in mm is refused."""
        found = self._read_facts(file, inspect_image)
        if file.path not in self._in_mm:
            check_millimetres(found)
            self._in_mm.add(file.path)
        return found

    def known_grid(self, file: FoundFile) -> Hashable:
        """Return the grid of an image whose header was read; None if it was not yet."""
        facts = self._facts.get(file.path)
        return None if facts is None else (facts.shape, facts.affine.tobytes(), facts.n_volumes)

    def series_facts(self, file: FoundFile) -> ImageFacts:
        """Return what the header of a series tells: where each of its volumes lies, read once."""
        return self._read_facts(file, inspect_series)

    def _read_facts(self, file: FoundFile, inspect: Callable[[Path], ImageFacts]) -> ImageFacts:
        known = self._facts.get(file.path)
        if known is None:
            facts, trust = inspect(file.path), self.settings.inputs.trust
            note = check_forms(file.path, trust, facts.begin)
            if note:
                self.say("header", "note", note)
            affine = trusted_affine(file.path, facts.affine, trust)
            known = facts if affine is facts.affine else replace(facts, affine=affine)
            self._facts[file.path] = known
        return known

    def transform(self, file: FoundFile) -> TransformFile:
        """Return what a transform's file holds, read once: many maps share one."""
        return self.transform_at(file.path)

    def transform_at(self, path: Path) -> TransformFile:
        """Return the same, of a path."""
        known = self._transforms.get(path)
        if known is None:
            known = self._transforms[path] = read_transform(path)
        return known

    def is_known_in_place(
        self, given: FoundFile, inverted: bool, fixed: FoundFile, grid: Hashable
    ) -> bool:
        """Tell whether a transform was found to bring images of a grid to where they belong."""
        return (given.path, inverted, fixed.path, grid) in self._in_place

    def note_in_place(
        self, given: FoundFile, inverted: bool, fixed: FoundFile, grid: Hashable
    ) -> None:
        """Note that it does."""
        self._in_place.add((given.path, inverted, fixed.path, grid))

    def of_visit(self, files: Iterable[FoundFile]) -> list[FoundFile]:
        """Keep the visit's own files, where there is one reading of whose they are."""
        files = list(files)
        if not files:
            # so it is with most maps and masks
            return []
        found = sort_by_visit(files, self.session, self.sessions, self._given_sessions)
        self.considered.update(file.path for file in found.own)
        self.unclear.update((file.path, found.why) for file in found.unclear)
        return list(found.own)

    @cached_property
    def _given_sessions(self) -> frozenset[str]:
        """Return the sessions in the derivative datasets; asked for where the raw one has none."""
        if self.session is not None:
            return frozenset()
        given = (file.get("session") for file in self.query.given(self.subject))
        return frozenset(str(label) for label in given if label is not None)

    def is_series(self, file: FoundFile) -> bool:
        """Tell whether an image is 4D; what else is wrong with it is said by who uses it."""
        known = self._facts.get(file.path)
        if known is not None:
            # it may have been read as a series before
            return known.n_volumes > 1
        try:
            self.facts(file)
        except InputError:
            try:
                return inspect_series(file.path).n_volumes > 1
            except InputError:
                return False
        return False


def choose_native(
    planning: Planning, what: str, visit: VisitPlan, found: Sequence[FoundFile], hint: str = ""
) -> Given | None:
    """Choose the one image that lies in a native space, the reference's first.

    Parameters
    ----------
    planning
        The visit's; gets a note for every image that lies elsewhere.
    what
        What the image is, for messages.
    visit
        What is decided so far: T1w, FLAIR and reference.
    found
        The images that could be meant.
    hint
        A further way out where several answer.

    Raises
    ------
    AmbiguousInputError
        If several images of one space answer.
    InputError
        If it lies nowhere near its space's image, or states no space and lies on no known grid.
    """
    placed = []
    for file in found:
        space = file.get("space")
        if space is None:
            space = _space_by_grid(planning, visit, file)
        elif kind_of_space(space) in NATIVE_SPACES:
            # space-flair is the FLAIR, too
            space = kind_of_space(space)
        if space in visit.anatomical:
            if space != "T1w" or _lies_on_raw(planning, what, file):
                placed.append(Given(file, space))
        else:
            planning.say(what, "note", f"{file.named} is ignored: it lies in space-{space}")
    for space in sorted(NATIVE_SPACES, key=lambda name: name != visit.reference):
        there = [given for given in placed if given.space == space]
        if len(there) > 1:
            names = " and ".join(given.file.named for given in there[:3])
            raise AmbiguousInputError(
                f"{planning.label}: {len(there)} files answer for one {what} ({names}); "
                f"choose with --bids-filter-file{hint}."
            )
        if there:
            _check_overlap(planning, there[0].file, space, visit.anatomical[space])
            return there[0]
    return None


def _lies_on_raw(planning: Planning, what: str, file: FoundFile) -> bool:
    """Tell whether what a file calls T1w is the raw T1w; one that states no space may mean it.

    Raises
    ------
    InputError
        If it is not, and the file is a mask, which nothing that is computed can stand for.
    """
    why = planning.spaces.whose(file)
    if why is None:
        return True
    if what != PARCELLATION:
        raise InputError(
            f"{file.path} does not lie on the visit's raw T1w: {why}; give it resampled to the raw "
            "T1w, in a dataset of its own."
        )
    planning.say(what, "note", f"{file.path.name} is not used: {why}")
    return False


def _space_by_grid(planning: Planning, visit: VisitPlan, file: FoundFile) -> str:
    for space, native in visit.anatomical.items():
        if same_lattice(planning.facts(file), planning.facts(native)):
            return space
    raise InputError(
        f"{file.path} states no space and lies neither on the T1w's nor on the FLAIR's grid; "
        "put space-T1w or space-FLAIR into its name."
    )


def _check_overlap(planning: Planning, file: FoundFile, space: str, native: FoundFile) -> None:
    """Refuse an image whose field of view does not meet its space's; note another grid."""
    facts, of_native = planning.facts(file), planning.facts(native)
    if same_lattice(facts, of_native):
        return
    if not boxes_meet(facts, of_native):
        raise InputError(
            f"{file.path} lies outside the {space} image {native.path.name} "
            "although its name says the same space; check its header."
        )
    planning.say("grid", "note", f"{file.named} is resampled by its header")
