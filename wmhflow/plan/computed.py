"""Maps that are not given: which are computed, from which files, and why the others are not."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile
from wmhflow.bids.sidecars import inherited_files
from wmhflow.errors import InputError, UsageError
from wmhflow.files.inspection import inspect_image, odd_size, same_lattice
from wmhflow.plan.context import Planning
from wmhflow.plan.leads import that_can_lead
from wmhflow.plan.nearest import FoundSeries, what_stands_nearer
from wmhflow.plan.visit import (
    PASSED,
    REFUSED,
    UNUSABLE,
    Composed,
    Computed,
    Decision,
    MapPlan,
    Source,
    VisitPlan,
)
from wmhflow.registries.maps import MapComputation, MapDefinition
from wmhflow.registries.series import SeriesDefinition, SeriesFile, load_series_definitions
from wmhflow.settings import Inputs


def check_uncomputed(names: Collection[str], maps: Mapping[str, MapDefinition]) -> None:
    """Refuse names of maps that would not be computed anyway.

    Parameters
    ----------
    names
        Of ``--no-compute``.
    maps
        The registry of maps.

    Raises
    ------
    UsageError
        With the name, and those that can be meant.
    """
    computed = [one for one in maps.values() if one.computed is not None]
    known = [one.name for one in computed]
    for name in names:
        if not any(_is_meant(name, one) for one in computed):
            raise UsageError(
                f"--no-compute {name} names no map that is computed; there are: {', '.join(known)}."
            )


def _is_meant(name: str, definition: MapDefinition) -> bool:
    """Tell whether a name is a map's, or that of one of its tracers."""
    if definition.per is None:
        return name == definition.name
    return name.startswith(definition.name)


def _is_left_out(definition: MapDefinition, names: Collection[str]) -> bool:
    """Tell whether a map is named, or, of one per tracer, the map of all tracers."""
    is_one = definition.per is not None
    own = definition.name
    return own in names or (is_one and any(own.startswith(name) for name in names))


# By the name that the registry of series gives it: whether an option asks for raw series, too.
ASKED_FOR: Mapping[str, Callable[[Inputs], bool]] = {
    "allow_raw_dwi": lambda inputs: inputs.allow_raw_dwi
}
# Steps that need label images which only a parcellation has, and what is said without one.
OF_PARCELLATION: Mapping[str, str] = {
    "uptake": "its region of reference is read from a parcellation with FreeSurfer's codes, and "
    "none is given with -d"
}


@dataclass(frozen=True)
class Fit:
    """How a step is applied to a series: on which part of it, and what is told of that.

    Attributes
    ----------
    volumes
        Which part is used, in words, for the plan.
    options
        Fixed values of the step's parameters.
    told
        What the maps' JSON files say of it.
    """

    volumes: str
    options: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


# Tells how a step is applied to a series that was found, or, as a text, why it is not.
Judge = Callable[[Planning, FoundSeries], Fit | str]


class Placing(Protocol):
    """Finds out how a map comes to lie on the reference, and says it.

    ``shown_by`` says in words what is registered where no transform is given, if that is an image
    that the series itself gives.
    """

    def __call__(
        self,
        planning: Planning,
        visit: VisitPlan,
        definition: MapDefinition,
        file: FoundFile,
        shown_by: str | None = None,
    ) -> Source | Composed | None:
        """Return what leads from the file to the reference; None where the headers agree."""


@dataclass(frozen=True)
class Unmade:
    """A series, the name of its first file if it is whole, and why maps are not made of it."""

    series: SeriesDefinition
    lead: str | None
    said: list[Decision] = field(default_factory=list)

    def of_one(self) -> str:
        """Say why the one map that it is there for is not computed, and the way out."""
        (line,) = self.said
        step, _, why = line.why.partition(": ")
        source = f" from {self.lead}" if self.lead else ""
        return f"{step}{source}: {why} (--no-compute {line.what} leaves it out)"

    def of_several(self) -> str:
        """Say why none of its maps is computed: every reason once."""
        reasons: dict[str, list[str]] = {}
        for line in self.said:
            reasons.setdefault(line.why.partition(": ")[2], []).append(line.what)
        told = [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
        source = self.lead or f"the {self.series.title}"
        names = " ".join(line.what for line in self.said)
        return (
            f"no map is computed from {source} ({'; '.join(told)}); correct it, or leave its maps "
            f"out with --no-compute {names}"
        )


@dataclass
class Computing:
    """Plans a visit's maps that are not given; every series is looked for and judged once.

    Attributes
    ----------
    planning
        The visit's; gets a line for every map, or why it is not computed.
    visit
        What is decided so far.
    judges
        By step: whether and how it is applied to a series. A step without one takes any.
    place
        How a map comes to lie on the reference.
    is_unmoved
        Whether a file lies where it was acquired, or on the reference: a model is fitted to nothing
        that lies on a template.
    """

    planning: Planning
    visit: VisitPlan
    judges: Mapping[str, Judge]
    place: Placing
    is_unmoved: Callable[[FoundFile], bool]
    _series: dict[str, FoundSeries | str | None] = field(default_factory=dict)
    _fits: dict[str, Fit | str] = field(default_factory=dict)
    _made: set[str] = field(default_factory=set)
    _unmade: dict[str, Unmade] = field(default_factory=dict)

    def plan(self, definition: MapDefinition) -> Iterator[MapPlan]:
        """Plan a map that is not given, if what it is computed from is there.

        Parameters
        ----------
        definition
            The map.
        """
        how = definition.computed
        if how is None:
            return
        if _is_left_out(definition, self.planning.settings.inputs.no_compute):
            self.planning.say(definition.name, "note", "not computed: --no-compute")
        elif how.series is None:
            yield from self._from_files(definition, how)
        else:
            yield from self._from_series(definition, how, how.series)

    def _from_series(
        self, definition: MapDefinition, how: MapComputation, name: str
    ) -> Iterator[MapPlan]:
        known = load_series_definitions()
        if name not in known:
            raise UsageError(
                f"The registry of maps computes {definition.name} from a series {name!r}, and "
                f"there is no such series; there are: {', '.join(known)}."
            )
        value = _value_of(definition, known[name])
        which = _word(value)
        series = known[name].narrowed(value)
        found = self._found(series, which)
        if found is None:
            return
        fit = found if isinstance(found, str) else self._fit(how.step, found, which)
        if isinstance(found, str) or isinstance(fit, str):
            said = Decision(definition.name, "note", f"not computed by {how.step}: {fit}")
            self.planning.decisions.append(said)
            lead = None if isinstance(found, str) else next(listed_files(found)).named
            self._unmade.setdefault(name + which, Unmade(series, lead)).said.append(said)
            return
        self._made.add(name + which)
        files = tuple(listed_files(found))
        why = f"by {how.step} from {files[0].named}: {fit.volumes}"
        self.planning.say(definition.name, "computed", why)
        transform = self.place(
            self.planning, self.visit, definition, files[0], known[name].shown_by
        )
        source = Computed(
            how.step, files, takes=found, options=fit.options, told=fit.told, series=name,
            which=which,
        )  # fmt: skip
        yield MapPlan(definition, source, transform, (str(files[0].path),))

    def note_given(self, definition: MapDefinition) -> None:
        """Note that a map is given, so that a series that could give it need not.

        Parameters
        ----------
        definition
            The map.
        """
        name = definition.computed.series if definition.computed else None
        if name in (known := load_series_definitions()):
            self._made.add(f"{name}{_word(_value_of(definition, known[name]))}")

    def say_unmade(self) -> None:
        """Refuse the series of which no map could be made, where maps were to be expected of them.

        Notes of single maps stay as they are, but of a series of one map, whose note it becomes.
        """
        for key, unmade in self._unmade.items():
            state = None if key in self._made else self._state_of(unmade.series)
            if state is None:
                continue
            lines = self.planning.decisions
            if len(unmade.said) == 1:
                at = next(n for n, line in enumerate(lines) if line is unmade.said[0])
                lines[at] = Decision(lines[at].what, state, unmade.of_one())
            else:
                lines.append(Decision(unmade.series.name, state, unmade.of_several()))

    def _state_of(self, series: SeriesDefinition) -> str | None:
        """Return what the plan calls a series without any map, by where it lies."""
        lead, kind = series.files[series.lead], f"series.{series.name}"
        planning = self.planning
        given = planning.query.derived(kind, planning.subject, **lead.query)
        if planning.of_visit(file for file in given if _is_part(file, lead)):
            return series.unmade.get("given")
        if isinstance(series.raw, str):
            return series.unmade.get("given") if _takes_raw(planning, series) else None
        return series.unmade.get("raw")

    def _found(self, definition: SeriesDefinition, which: str) -> FoundSeries | str | None:
        key = definition.name + which
        if key not in self._series:
            found = find_series(self.planning, self.visit, definition, self.is_unmoved)
            odd = (
                None
                if found is None or isinstance(found, str)
                else self._odd_size(definition, found)
            )
            self._series[key] = odd or found
        return self._series[key]

    def _odd_size(self, series: SeriesDefinition, found: FoundSeries) -> str | None:
        """Say why the header of a series cannot be right, or read, or is one of several volumes."""
        for parameter, files in found.items():
            for file in files if isinstance(files, tuple) else (files,):
                if not file.path.name.endswith(IMAGE_EXTENSIONS):
                    continue
                try:
                    if not series.files[parameter].volumes and self.planning.is_series(file):
                        inspect_image(file.path)
                    odd = odd_size(self.planning.series_facts(file))
                except InputError as error:
                    return str(error)
                if odd is not None:
                    return f"{file.named}: {odd}"
        return None

    def _fit(self, step: str, found: FoundSeries, which: str) -> Fit | str:
        if step in OF_PARCELLATION and self.visit.parcellation is None:
            return OF_PARCELLATION[step]
        key = step + which
        if key not in self._fits:
            judge = self.judges.get(step)
            try:
                self._fits[key] = judge(self.planning, found) if judge else Fit("all volumes")
            except InputError as error:
                self._fits[key] = str(error)
        return self._fits[key]

    def _from_files(self, definition: MapDefinition, how: MapComputation) -> Iterator[MapPlan]:
        """Plan a map from single files, if there is one of each."""
        planning, takes = self.planning, dict[str, FoundFile]()
        for parameter, wanted in how.files.items():
            raw = planning.query.raw_images("map", planning.subject, **wanted)
            derived = planning.query.derived("map", planning.subject, **wanted)
            found = planning.of_visit([*raw, *derived])
            if len(found) != 1:
                if takes or found:
                    # of several nobody can tell which is meant; one may be missing in a visit
                    state = REFUSED if found else UNUSABLE
                    why = (
                        f"not computed by {how.step}: {len(found)} files answer for {dict(wanted)}"
                    )
                    planning.say(definition.name, state, why)
                return
            takes[parameter] = found[0]
        files = tuple(takes.values())
        names = " and ".join(file.named for file in files)
        planning.say(definition.name, "computed", f"by {how.step} from {names}")
        transform = self.place(planning, self.visit, definition, files[0])
        source = Computed(how.step, files, takes=takes)
        yield MapPlan(definition, source, transform, (str(files[0].path),))


# ---- series --------------------------------------------------------------------------------------


def _value_of(definition: MapDefinition, series: SeriesDefinition) -> str | None:
    """Return the value of the entity by which series of one kind are told apart, of a map."""
    value = definition.query.get(series.per or "")
    return None if value is None else str(value)


def _word(value: str | None) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", value) if value else ""


def find_series(
    planning: Planning,
    visit: VisitPlan,
    definition: SeriesDefinition,
    is_unmoved: Callable[[FoundFile], bool],
) -> FoundSeries | str | None:
    """Find the files of a series.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far.
    definition
        Which files belong to it.
    is_unmoved
        As in :class:`Computing`.

    Returns
    -------
    Mapping, str or None
        The files by parameter, several along an entity as a tuple, the lead's first; or why there
        is no such series; or None where there is nothing like it.
    """
    lead = definition.files[definition.lead]
    kind = f"series.{definition.name}"
    derived = planning.of_visit(planning.query.derived(kind, planning.subject, **lead.query))
    native = [file for file in derived if is_unmoved(file) and _is_part(file, lead)]
    leads = that_can_lead(planning, definition, native)
    if not leads:
        raw = planning.query.raw_images(kind, planning.subject, **lead.query)
        leads = [file for file in planning.of_visit(raw) if _is_part(file, lead)]
        if leads and not _takes_raw(planning, definition):
            return (
                f"the {definition.title} {leads[0].path.name} is raw; give one that was corrected "
                f"for motion and distortion with -d, or take it as it is with {_flag(definition)}"
            )
        leads = that_can_lead(planning, definition, leads)
    if not leads:
        moved = [file for file in derived if file.get("space") is not None]
        return _moved_away(definition, moved) if moved else None
    if definition.per is not None:
        leads = _unmoved_first(planning, definition, leads)
    several = len(leads) > 1 and lead.along is None
    if several or len({_apart_from(file, lead.along) for file in leads}) > 1:
        names = " and ".join(file.named for file in leads[:3])
        return (
            f"{len(leads)} files answer for one {definition.title} ({names}); choose with "
            f'"{kind}" in --bids-filter-file'
        )
    return _with_companions(planning, definition, leads)


def _is_part(file: FoundFile, lead: SeriesFile) -> bool:
    """Tell whether a file is one of several, or, by its suffix, all of them in one."""
    if lead.along is None or file.get(lead.along) is not None:
        return True
    suffix = lead.query.get("suffix")
    return not isinstance(suffix, list) or file.get("suffix") == suffix[0]


def _moved_away(definition: SeriesDefinition, files: Sequence[FoundFile]) -> str:
    return (
        f"the {definition.title} {files[0].named} lies in space-{files[0].get('space')}, where no "
        "map is computed; give it where its scan lies"
    )


def _unmoved_first(
    planning: Planning, definition: SeriesDefinition, leads: list[FoundFile]
) -> list[FoundFile]:
    """Keep files that lie where they were acquired, if there are any, and say the others."""
    kept = [file for file in leads if file.get("space") is None]
    if not kept or kept == leads:
        return leads
    for file in leads:
        if file not in kept:
            why = f"{kept[0].named} lies where its scan does"
            planning.say(definition.name, PASSED, f"{file.named} is passed over: {why}")
    return kept


def _with_companions(
    planning: Planning, definition: SeriesDefinition, leads: list[FoundFile]
) -> FoundSeries | str:
    """Gather what belongs to the lead of a series, or say what is missing."""
    lead = definition.files[definition.lead]
    found: dict[str, FoundFile | tuple[FoundFile, ...]] = {
        definition.lead: _in_order(leads, lead.along) if lead.along else leads[0]
    }
    missing: dict[str, int] = {}
    if lead.along and (odd := _off_grid(planning, leads[1:], leads[0])):
        return odd
    for parameter, wanted in definition.files.items():
        if parameter == definition.lead:
            continue
        answers = _belonging(planning, wanted, leads[0], lead.along)
        if wanted.along and (odd := _off_grid(planning, answers, leads[0])):
            return odd
        if wanted.along and answers:
            found[parameter] = _in_order(answers, wanted.along)
        elif len(answers) == 1:
            found[parameter] = answers[0]
        elif not wanted.optional or (wanted.beside and answers):
            missing[parameter] = len(answers)
        elif answers:
            names = " and ".join(file.named for file in answers[:3])
            why = f"no {parameter} is used: {len(answers)} files answer for one ({names})"
            planning.say(definition.name, "note", why)
    nearest = what_stands_nearer(definition, found)
    if isinstance(nearest, str):
        return nearest
    for parameter in (name for name in missing if name not in nearest):
        wanted = definition.files[parameter]
        what = f"{leads[0].path.name.split('.')[0]}{wanted.beside}" if wanted.beside else (
            f"{parameter} ({dict(wanted.query)})"
        )  # fmt: skip
        return (
            f"{missing[parameter]} files answer for {what}, which belongs to the {definition.title}"
        )
    return nearest


def _belonging(
    planning: Planning, wanted: SeriesFile, lead: FoundFile, along: str | None
) -> list[FoundFile]:
    """List the files of a lead's dataset and scan that a part of a series may be."""
    datasets = (planning.query.raw, *planning.query.derivatives)
    dataset = next(one for one in datasets if one.name == lead.dataset)
    if wanted.beside is not None:
        return inherited_files(lead, wanted.beside)
    ask = planning.query.raw_images if dataset is planning.query.raw else planning.query.derived
    own = planning.of_visit(ask("", planning.subject, **wanted.query))
    here = [file for file in own if file.root == lead.root]
    same = [file for file in here if _scan(file) == _scan(lead)]
    if wanted.on_grid:
        same = [file for file in same if _on_grid(planning, file, lead)]
    return same


def _scan(file: FoundFile) -> tuple[Any, ...]:
    """Return what is equal for files of one scan."""
    return tuple(str(file.get(name)) for name in ("session", "acquisition", "direction", "run",
                                                  "space"))  # fmt: skip


def _off_grid(planning: Planning, files: Sequence[FoundFile], lead: FoundFile) -> str | None:
    """Say of images that are taken voxel by voxel which does not lie on the first one's grid."""
    try:
        for file in files:
            ours, theirs = planning.facts(file), planning.facts(lead)
            if ours.shape != theirs.shape or not same_lattice(ours, theirs):
                return f"{file.named} lies on another grid than {lead.named}"
    except InputError as error:
        return str(error)
    return None


def _on_grid(planning: Planning, file: FoundFile, lead: FoundFile) -> bool:
    try:
        ours, theirs = planning.facts(file), planning.series_facts(lead)
    except InputError as error:
        planning.say("series", "note", f"not used: {error}")
        return False
    if ours.shape == theirs.shape and same_lattice(ours, theirs):
        return True
    planning.say("series", "note", f"{file.path.name} is not used: it lies on another grid")
    return False


def _apart_from(file: FoundFile, along: str | None) -> tuple[Any, ...]:
    """Return all that a file's name says but the entity along which a series runs."""
    told = {key: str(value) for key, value in file.entities.items() if key != along}
    return (file.dataset, file.path.parent, *sorted(told.items()))


def _in_order(files: list[FoundFile], along: str | None) -> tuple[FoundFile, ...]:
    def number(file: FoundFile) -> tuple[int, str]:
        value = str(file.get(along)) if along else ""
        return (int(value) if value.isdecimal() else 0, value)

    return tuple(sorted(files, key=number))


def listed_files(found: FoundSeries) -> Iterator[FoundFile]:
    """List the files of a series, its lead first."""
    for one in found.values():
        yield from one if isinstance(one, tuple) else (one,)


def _takes_raw(planning: Planning, definition: SeriesDefinition) -> bool:
    if isinstance(definition.raw, bool):
        return definition.raw
    return ASKED_FOR[definition.raw](planning.settings.inputs)


def _flag(definition: SeriesDefinition) -> str:
    return f"--{str(definition.raw).replace('_', '-')}"
