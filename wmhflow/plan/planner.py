"""What will be done: plain objects that say what was found, what is missing and why it is computed.

The graph (:mod:`wmhflow.workflows`) is made from these objects and decides nothing itself.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wmhflow.bids.naming import TEMPLATE, visit_label
from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile, Query, matches
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.images import load_volume
from wmhflow.files.inspection import (
    ImageFacts,
    check_anatomical,
    inspect_image,
    same_lattice,
    same_values,
)
from wmhflow.files.transforms import TRANSFORM_EXTENSIONS, TransformFile, read_transform
from wmhflow.labels.freesurfer import cortical_codes, load_freesurfer_codes
from wmhflow.plan.atlases import LOBES_ATLAS, AtlasPlan, PlannedAtlases
from wmhflow.plan.visit import (
    Computed,
    Decision,
    Given,
    MapPlan,
    ParticipantPlan,
    Source,
    VisitPlan,
)
from wmhflow.registries.maps import MapDefinition
from wmhflow.settings import Settings

log = logging.getLogger("wmhflow")
WMH_LABELS = ("WMH", "WML", "lesion", "L")
INFARCT_LABELS = ("infarct", "Infarct", "stroke", "Stroke")
NATIVE_SPACES = ("T1w", "FLAIR")
OTHER_LESIONS = ", or call a mask of infarcts or other lesions label-infarct"
EMPTY_MEANS = {"WMH": "volumes are 0 and samples n/a", "infarct": "nothing is kept out"}
PARCELLATION_ORDER = ("aparcaseg", "aparcasegdkt", "aparcDKTaseg", "synthseg", "SynthSeg", "aseg")


def plan_participant(
    query: Query,
    subject: str,
    settings: Settings,
    maps: Mapping[str, MapDefinition],
    is_recorded: Callable[[str, str | None], bool],
    atlases: PlannedAtlases,
) -> ParticipantPlan:
    """Decide everything about one person.

    Parameters
    ----------
    query
        The indexed datasets.
    subject
        Label without ``sub-``.
    settings
        The run's settings.
    maps
        The registry of maps.
    is_recorded
        Tells of a person's session whether an earlier run finished it.
    atlases
        The run's atlases.

    Returns
    -------
    ParticipantPlan
        A visit that cannot be processed carries its problem; nothing is raised for it.
    """
    sessions = _sessions(query, subject)
    wanted = settings.inputs.session_label
    visits, earlier = [], []
    for session in sessions:
        planner = _VisitPlanner(query, subject, session, settings, atlases, len(sessions) == 1)
        if not wanted or session in wanted:
            visits.append(planner.plan_or_problem(maps))
        elif is_recorded(subject, session):
            earlier.append(planner.plan_or_problem(maps))
    return ParticipantPlan(subject, tuple(visits), tuple(earlier))


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def _sessions(query: Query, subject: str) -> list[str | None]:
    there = {
        file.get("session")
        for file in query.raw.of(subject)
        if file.get("suffix") in NATIVE_SPACES and file.get("extension") in IMAGE_EXTENSIONS
    }
    return sorted(there, key=str) or [None]


class _VisitPlanner:
    """Collects the decisions about one visit, in the order in which the plan prints them."""

    def __init__(
        self,
        query: Query,
        subject: str,
        session: str | None,
        settings: Settings,
        atlases: PlannedAtlases,
        only_visit: bool,
    ) -> None:
        self.query = query
        self.subject = subject
        self.session = session
        self.settings = settings
        self.atlases = atlases
        self.only_visit = only_visit
        self.decisions: list[Decision] = []
        self._facts: dict[Path, ImageFacts] = {}
        self._present_codes: dict[Path, set[int]] = {}

    def plan_or_problem(self, maps: Mapping[str, MapDefinition]) -> VisitPlan:
        try:
            return self.plan(maps)
        except Exception as error:
            # whatever one person's files do, the others go on
            if not isinstance(error, InputError):
                log.exception("%s: the plan failed", self.label)
            decided = tuple(self.decisions)
            return VisitPlan(
                self.subject, self.session, decisions=decided, problem=_sentence(error)
            )

    def plan(self, maps: Mapping[str, MapDefinition]) -> VisitPlan:
        t1w, flair = self._raw("T1w"), self._raw("FLAIR")
        if t1w and flair:
            self._check_two_images(t1w, flair)
        visit = VisitPlan(self.subject, self.session, self._reference(t1w, flair), t1w, flair)
        visit = replace(visit, other_transform=self._other_transform(visit))
        forward, inverse = self._template_transforms(visit)
        visit = replace(visit, forward=forward, inverse=inverse)
        visit = replace(visit, tissues=self._tissues(visit))
        visit = replace(visit, zones=self.settings.regions.zones, atlases=self._laid_atlases())
        visit = self._with_lobes(visit)
        visit = replace(visit, infarct=self._infarct(visit))
        visit = replace(visit, wmh=self._wmh(visit))
        visit = replace(visit, maps=tuple(self._maps(visit, maps)))
        return replace(visit, decisions=tuple(self.decisions))

    def _say(self, what: str, state: str, why: str) -> None:
        self.decisions.append(Decision(what, state, why))

    def facts(self, file: FoundFile) -> ImageFacts:
        if file.path not in self._facts:
            self._facts[file.path] = inspect_image(file.path)
        return self._facts[file.path]

    @property
    def label(self) -> str:
        return visit_label(self.subject, self.session)

    # -- raw images ---------------------------------------------------------------------------

    def _raw(self, suffix: str) -> FoundFile | None:
        found = self.query.raw_images(
            suffix.lower(),
            self.subject,
            session=self.session,
            suffix=suffix,
            extension=list(IMAGE_EXTENSIONS),
        )
        if not found:
            self._say(suffix, "missing", "the raw dataset has none for this visit")
            return None
        chosen = self._one_run(suffix, found)
        facts = self.facts(chosen)
        check_anatomical(facts)
        if facts.n_nonfinite:
            self._say(suffix, "note", f"{facts.n_nonfinite} NaN or infinite voxels count as 0")
        if facts.unit not in ("mm", "unknown"):
            why = f"its header's unit is {facts.unit}, but its affine is a head's in mm: read so"
            self._say(suffix, "note", why)
        return chosen

    def _check_two_images(self, t1w: FoundFile, flair: FoundFile) -> None:
        """Refuse one image that was given as both."""
        one, other = self.facts(t1w), self.facts(flair)
        if (one.shape, one.low, one.high, one.n_nonzero) == (
            other.shape,
            other.low,
            other.high,
            other.n_nonzero,
        ) and same_values(t1w.path, flair.path):
            raise InputError(
                f"{t1w.path} and {flair.path} hold the same values; one of them is not what its "
                "name says: give the right file, or leave it out."
            )

    def _one_run(self, what: str, found: Sequence[FoundFile]) -> FoundFile:
        """Take the first run; anything else that differs is the user's to decide."""

        def without_run(file: FoundFile) -> dict[str, Any]:
            ignored = ("run", "extension")
            return {key: value for key, value in file.entities.items() if key not in ignored}

        if any(without_run(file) != without_run(found[0]) for file in found):
            names = " and ".join(file.path.name for file in found[:3])
            raise AmbiguousInputError(
                f"{self.label}: {len(found)} images answer for one {what} ({names}); "
                "choose with --bids-filter-file."
            )
        runs = sorted(found, key=lambda file: int(file.get("run") or 0))
        if len({str(file.get("run")) for file in runs}) < len(runs):
            raise AmbiguousInputError(
                f"{self.label}: {runs[0].path.name} and {runs[1].path.name} are two files for one "
                f"{what}; remove one."
            )
        why = runs[0].path.name
        if len(runs) > 1:
            why += f", the first of {len(runs)} runs (choose another with --bids-filter-file)"
        self._say(what, "found", why)
        return runs[0]

    def _reference(self, t1w: FoundFile | None, flair: FoundFile | None) -> str:
        wanted = self.settings.anatomy.reference
        if t1w is None and flair is None:
            raise InputError(
                f"{self.label} has no T1w and no FLAIR image in {self.query.raw.root}; "
                "one of them is needed as the reference."
            )
        present = {"T1w": t1w, "FLAIR": flair}
        if wanted != "auto":
            if present[wanted] is None:
                raise InputError(f"{self.label} has no {wanted} image, which --reference demands.")
            self._say("reference", "chosen", f"{wanted} (--reference)")
            return wanted
        chosen = "T1w" if t1w is not None else "FLAIR"
        self._say("reference", "chosen", f"{chosen}" + ("" if t1w else ", there is no T1w"))
        return chosen

    # -- transforms ---------------------------------------------------------------------------

    def _transform(self, sources: Iterable[str], target: str) -> FoundFile | None:
        found = self._of_visit(
            self.query.derived(
                "transform",
                self.subject,
                suffix="xfm",
                **{"from": list(sources), "to": target},
                extension=list(TRANSFORM_EXTENSIONS),
            )
        )
        if len(found) > 1:
            names = " and ".join(file.path.name for file in found[:3])
            raise AmbiguousInputError(
                f"{self.label}: {len(found)} transforms answer for one "
                f"({names}); choose with --bids-filter-file."
            )
        return found[0] if found else None

    def _of_visit(self, files: Iterable[FoundFile]) -> list[FoundFile]:
        """Keep the visit's own files, and those without a session if it is the only visit."""
        found = list(files)
        own = [file for file in found if file.get("session") == self.session]
        if own or not self.only_visit:
            return own
        return [file for file in found if file.get("session") is None]

    def _other_transform(self, visit: VisitPlan) -> Source | None:
        if visit.other_anatomical is None:
            return None
        name = "FLAIR" if visit.reference == "T1w" else "T1w"
        given = self._transform([name], visit.reference)
        what = f"{name} to {visit.reference}"
        if given:
            read = read_transform(given.path)
            kind = "" if read.is_linear else ", which is not linear"
            self._say(what, "found", f"{given.path.name} ({read.program}){kind}")
            return Given(given, convert=read.program != "ITK")
        self._say(what, "computed", "rigid registration; no transform is given")
        return Computed("register_rigid")

    def _template_transforms(self, visit: VisitPlan) -> tuple[Source, Source]:
        forward = self._transform([visit.reference], TEMPLATE)
        inverse = self._transform([TEMPLATE], visit.reference)
        what = f"{visit.reference} to template"
        if forward and inverse:
            for given in (forward, inverse):
                _check_itk(given)
            self._say(what, "found", f"{forward.path.name} and {inverse.path.name}")
            return Given(forward), Given(inverse)
        why = "no transform is given"
        if forward or inverse:
            why = "only one direction is given, and both are needed"
        self._say(what, "computed", f"affine and SyN to {TEMPLATE}; {why}")
        computed = Computed("register_to_template")
        return computed, computed

    # -- masks --------------------------------------------------------------------------------

    def _wmh(self, visit: VisitPlan) -> Source:
        source = self.settings.anatomy.wmh_source
        given = None if source == "compute" else self._given_wmh(visit)
        if given:
            return given
        if source == "given":
            raise InputError(
                f"{self.label} has no WMH mask in the derivative datasets, "
                "which --wmh-source given demands."
            )
        why = "--wmh-source compute" if source == "compute" else "no mask is given"
        if self.settings.anatomy.wmh_command:
            self._check_command(visit, self.settings.anatomy.wmh_command)
            command = with_whole_path(self.settings.anatomy.wmh_command)
            program = shlex.split(self.settings.anatomy.wmh_command)[0]
            self._say("WMH", "computed", f"by {program} (--wmh-command); {why}")
            return Computed("run_program", command=command)
        if visit.flair is None:
            self._say("WMH", "missing", "no mask is given and there is no FLAIR to compute it from")
            raise InputError(
                f"{self.label} has neither a WMH mask nor a FLAIR to compute one from; "
                "add one of them, or leave the person out."
            )
        self._check_leads_back(visit)
        self._say("WMH", "computed", f"outliers of the FLAIR from the person's own tissues; {why}")
        return Computed("segment_wmh")

    def _check_leads_back(self, visit: VisitPlan) -> None:
        """Refuse a transform of the FLAIR without an inverse where priors need one."""
        given = visit.other_transform
        if visit.reference != "T1w" or not isinstance(given, Given):
            return
        if read_transform(given.file.path).is_linear:
            return
        raise InputError(
            f"{self.label} needs WMH computed on the FLAIR's grid, and {given.file.path} is not "
            "linear, so that nothing leads back to it; give the WMH mask or a linear transform, or "
            "choose --reference FLAIR."
        )

    def _check_command(self, visit: VisitPlan, command: str) -> None:
        for name, image in (("t1w", visit.t1w), ("flair", visit.flair)):
            if f"{{{name}}}" in command and image is None:
                raise InputError(
                    f"{self.label} has no image for {{{name}}} of --wmh-command; "
                    "add it, or leave the person out."
                )

    def _given_wmh(self, visit: VisitPlan) -> Given | None:
        found = self._masks("wmh", {"label": list(WMH_LABELS)})
        # label-L and label-lesion are WMH unless the filter file says that they are infarcts
        infarcts = self._infarct_files() if self._names_infarcts else []
        return self._given_mask("WMH", visit, [file for file in found if file not in infarcts])

    def _infarct(self, visit: VisitPlan) -> Given | None:
        return self._given_mask("infarct", visit, self._infarct_files())

    @property
    def _names_infarcts(self) -> bool:
        return "label" in self.query.filters.get("infarct", {})

    def _infarct_files(self) -> list[FoundFile]:
        wanted = {} if self._names_infarcts else {"label": list(INFARCT_LABELS)}
        return self._masks("infarct", wanted)

    def _masks(self, kind: str, wanted: Mapping[str, Any]) -> list[FoundFile]:
        """Find masks and probability images of one kind."""
        entities = {"suffix": ["mask", "probseg"], "extension": list(IMAGE_EXTENSIONS)}
        return self._of_visit(self.query.derived(kind, self.subject, **entities, **wanted))

    def _given_mask(self, what: str, visit: VisitPlan, found: Sequence[FoundFile]) -> Given | None:
        """Choose the one mask; probabilities serve where there is none."""
        for suffix in ("mask", "probseg"):
            same = [file for file in found if file.get("suffix") == suffix]
            given = self._native(what, visit, same)
            if given:
                empty = self.facts(given.file).is_empty
                note = f"; it is EMPTY: {EMPTY_MEANS[what]}" if empty else ""
                self._say(what, "found", f"{given.file.path.name} in {given.space} space{note}")
                return replace(given, is_probability=suffix == "probseg")
        return None

    def _tissues(self, visit: VisitPlan) -> Source:
        found = [
            file
            for file in self._of_visit(
                self.query.derived(
                    "parcellation",
                    self.subject,
                    suffix="dseg",
                    atlas=None,
                    extension=list(IMAGE_EXTENSIONS),
                )
            )
            if _parcellation_rank(file) < len(PARCELLATION_ORDER)
        ]
        given = None
        for rank in sorted({_parcellation_rank(file) for file in found}):
            same = [file for file in found if _parcellation_rank(file) == rank]
            given = given or self._native("parcellation", visit, same)
        if given is None:
            self._say("parcellation", "missing", "tissues and ventricles are computed")
            return Computed("segment_tissue")
        self._check_freesurfer(given.file)
        name = given.file.path.name
        self._say("parcellation", "found", f"{name} in {given.space} space (FreeSurfer codes)")
        return given

    def _laid_atlases(self) -> tuple[AtlasPlan, ...]:
        for atlas in self.atlases.asked:
            how = f"on {atlas.template}"
            if atlas.bridge is not None:
                image = "its own labels" if atlas.by_labels else atlas.bridge.name
                how += f", registered to {TEMPLATE} by {image}"
            what = "; ".join(
                [f"{atlas.path.name}, {len(atlas.regions)} regions, {how}", *atlas.notes]
            )
            self._say(f"atlas {atlas.name}", "found", what)
        return self.atlases.asked

    def _with_lobes(self, visit: VisitPlan) -> VisitPlan:
        """Say where lobes come from: the parcels of the cortex, given or of an atlas."""
        given = visit.parcellation
        if given and self._codes(given.file) & set(cortical_codes()):
            self._say("lobes", "found", f"cortical parcels of {given.file.path.name}")
            return replace(visit, lobes="parcellation")
        try:
            atlas = self.atlases.for_lobes
        except InputError as error:
            # nobody asked for it: the person goes on without lobes
            self._say("lobes", "missing", f"the atlas {LOBES_ATLAS} cannot be used: {error}")
            return visit
        if atlas is not None:
            self._say("lobes", "computed", f"from the atlas {atlas.name}, laid over the cortex")
            return replace(visit, lobes=atlas.name, lobes_atlas=atlas)
        self._say(
            "lobes",
            "missing",
            "a parcellation with the parcels of the cortex would give lobes and the bullseye, or "
            f"the atlas {LOBES_ATLAS} ('wmhflow atlas fetch {LOBES_ATLAS}')",
        )
        for pair in self.settings.regions.cross:
            if {"lobes", "bullseye"} & set(pair):
                self._say(
                    "cross", "missing", f"{':'.join(pair)} needs lobes; its rows are left out"
                )
        return visit

    def _codes(self, file: FoundFile) -> set[int]:
        import numpy as np

        if file.path not in self._present_codes:
            values = np.unique(np.nan_to_num(load_volume(file.path)[0]))
            self._present_codes[file.path] = {int(code) for code in values}
        return self._present_codes[file.path]

    def _check_freesurfer(self, file: FoundFile) -> None:
        known = self._codes(file) & set(load_freesurfer_codes())
        if len(known & {2, 41}) == 1 and known & {4, 43}:
            raise InputError(
                f"{file.path} has white matter of the {'left' if 2 in known else 'right'} "
                "hemisphere alone (2 is left, 41 right); zones, lobes and asymmetry need both: "
                "mend it, or leave the person out."
            )
        if not {2, 41} <= known or not known & {4, 43}:
            raise InputError(
                f"{file.path} is no FreeSurfer-coded parcellation (2 and 41 for white matter, "
                "4 and 43 for the lateral ventricles are expected); narrow what is used with "
                "--bids-filter-file."
            )

    def _native(self, what: str, visit: VisitPlan, found: Sequence[FoundFile]) -> Given | None:
        """Choose the one image that lies in a native space, the reference's first."""
        placed = []
        for file in found:
            space = file.get("space")
            if space is None:
                space = self._space_by_grid(visit, file)
            if space in NATIVE_SPACES and self._has(visit, space):
                placed.append(Given(file, space))
            else:
                self._say(what, "note", f"{file.path.name} is ignored: it lies in space-{space}")
        for space in sorted(NATIVE_SPACES, key=lambda name: name != visit.reference):
            there = [given for given in placed if given.space == space]
            if len(there) > 1:
                names = " and ".join(given.file.path.name for given in there[:3])
                raise AmbiguousInputError(
                    f"{self.label}: {len(there)} files answer for one {what} ({names}); "
                    f"choose with --bids-filter-file{OTHER_LESIONS if what == 'WMH' else ''}."
                )
            if there:
                self._check_overlap(visit, there[0])
                return there[0]
        return None

    def _has(self, visit: VisitPlan, space: str) -> bool:
        return (visit.t1w if space == "T1w" else visit.flair) is not None

    def _raw_of(self, visit: VisitPlan, space: str | None) -> FoundFile:
        chosen = visit.t1w if space == "T1w" else visit.flair
        if chosen is None:
            raise InputError(f"{self.label} has no {space} image.")
        return chosen

    def _space_by_grid(self, visit: VisitPlan, file: FoundFile) -> str:
        for space in NATIVE_SPACES:
            if self._has(visit, space) and same_lattice(
                self.facts(file), self.facts(self._raw_of(visit, space))
            ):
                return space
        raise InputError(
            f"{file.path} states no space and lies neither on the T1w's nor on the FLAIR's grid; "
            "put space-T1w or space-FLAIR into its name."
        )

    def _check_overlap(self, visit: VisitPlan, given: Given) -> None:
        """Refuse an image whose field of view does not meet its space's; note another grid."""
        native = self.facts(self._raw_of(visit, given.space))
        facts = self.facts(given.file)
        if same_lattice(facts, native):
            return
        if not _boxes_meet(facts, native):
            raise InputError(
                f"{given.file.path} lies outside the {given.space} image {native.path.name} "
                "although its name says the same space; check its header."
            )
        self._say("grid", "note", f"{given.file.path.name} is resampled by its header")

    # -- maps ---------------------------------------------------------------------------------

    def _maps(self, visit: VisitPlan, maps: Mapping[str, MapDefinition]) -> Iterable[MapPlan]:
        for definition in maps.values():
            found = self._of_visit(
                self.query.derived(
                    "map", self.subject, **definition.query, extension=list(IMAGE_EXTENSIONS)
                )
            )
            native = [file for file in found if self._is_native(visit, file)]
            ignored = [file for file in found if file not in native]
            for file in ignored:
                why = f"{file.path.name} is ignored: it lies in space-{file.get('space')}"
                self._say(definition.name, "note", why)
            in_reference = [file for file in native if file.get("space") == visit.reference]
            native = in_reference or native
            if len(native) > 1:
                names = " and ".join(file.path.name for file in native[:3])
                raise AmbiguousInputError(
                    f"{self.label}: {len(native)} files answer for one map {definition.name} "
                    f"({names}); choose with --bids-filter-file."
                )
            if native:
                self._check_map(definition, native[0])
                transform = self._map_transform(visit, definition, native[0])
                grid = self._grid(native[0])
                yield MapPlan(definition, Given(native[0]), transform, grid)

    def _is_native(self, visit: VisitPlan, file: FoundFile) -> bool:
        space = file.get("space")
        return space in (None, visit.reference, "ACPC", "orig", "native", "dwi", "asl", "aslref")

    def _check_map(self, definition: MapDefinition, file: FoundFile) -> None:
        import numpy as np

        low, high = definition.valid_range
        data, _, _ = load_volume(file.path)
        self._facts[file.path] = inspect_image(file.path)
        inside = np.isfinite(data) & (data >= low) & (data <= high) & (data != 0)
        if not inside.any():
            raise InputError(
                f"{file.path}: no value of {definition.name} other than 0 lies in its valid range "
                f"{low:g} to {high:g} {definition.unit}; if the unit is another, "
                "define the map with --maps."
            )

    def _grid(self, file: FoundFile) -> tuple[Any, ...]:
        """Return what is equal for maps that are stored on one grid."""
        facts = self.facts(file)
        return facts.shape, tuple(facts.affine.round(5).ravel().tolist())

    def _map_transform(
        self, visit: VisitPlan, definition: MapDefinition, file: FoundFile
    ) -> Source | None:
        name = definition.name
        if file.get("space") == visit.reference:
            self._say(name, "found", f"{file.path.name}, aligned by its header")
            return None
        given = self._transform([*definition.transform_from, name], visit.reference)
        if given:
            read = _check_linear(given)
            self._say(
                name, "found", f"{file.path.name}, aligned by {given.path.name} ({read.program})"
            )
            return Given(given, convert=read.program != "ITK")
        companion = self._companion(definition, file)
        moved = companion.path.name if companion else "the map itself, lacking a companion image"
        self._say(name, "found", f"{file.path.name}; registered rigidly by {moved}")
        return Computed("register_rigid", (companion,) if companion else ())

    def _companion(self, definition: MapDefinition, file: FoundFile) -> FoundFile | None:
        near = [f for f in self.query.derived("map", self.subject) if f.dataset == file.dataset]
        for wanted in definition.companions:
            for files in (near, self.query.raw.of(self.subject)):
                for candidate in self._of_visit(f for f in files if matches(f, wanted)):
                    if self._lies_on_grid_of(candidate, file):
                        return candidate
        return None

    def _lies_on_grid_of(self, candidate: FoundFile, file: FoundFile) -> bool:
        if candidate.get("extension") not in IMAGE_EXTENSIONS:
            return False
        try:
            return same_lattice(self.facts(candidate), self.facts(file))
        except InputError as error:
            self._say("companion", "note", f"not used: {error}")
            return False


def _check_linear(given: FoundFile) -> TransformFile:
    """Refuse a map's transform that is not linear: maps are sampled in their own grid."""
    read = read_transform(given.path)
    if not read.is_linear:
        raise InputError(
            f"{given.path} is not linear ({', '.join(read.parts)}), and a map is measured in its "
            "own grid, which only a linear transform brings to the reference; give the linear part "
            "alone, or the map resampled to the reference."
        )
    return read


def _check_itk(given: FoundFile) -> None:
    """Refuse a transform to the template that ANTs cannot apply."""
    read = read_transform(given.path)
    if read.program != "ITK":
        raise InputError(
            f"{given.path} is a transform of {read.program}, where one of ITK (.h5 or .txt) is "
            "needed between the reference and the template; convert it, or leave it out."
        )


def _parcellation_rank(file: FoundFile) -> int:
    for entity in ("segmentation", "desc"):
        value = file.get(entity)
        if value in PARCELLATION_ORDER:
            return PARCELLATION_ORDER.index(value)
    return len(PARCELLATION_ORDER)


def _boxes_meet(one: ImageFacts, other: ImageFacts) -> bool:
    import numpy as np

    corners = np.array(np.meshgrid(*[[0, 1]] * 3, indexing="ij")).reshape(3, 8)
    boxes = []
    for facts in (one, other):
        index = corners * (np.array(facts.shape) - 1)[:, None]
        world = facts.affine[:3, :3] @ index + facts.affine[:3, 3:]
        boxes.append((world.min(axis=1), world.max(axis=1)))
    (low_a, high_a), (low_b, high_b) = boxes
    return bool(np.all(low_a < high_b) and np.all(low_b < high_a))


def with_whole_path(command: str) -> str:
    """Name a program by its whole path, since a step does not run where the user stands.

    Parameters
    ----------
    command
        As ``--wmh-command``.

    Returns
    -------
    str
        The same, with a program that is named by a path named by its whole path.

    Examples
    --------
    >>> with_whole_path("/opt/tool '{flair}' {out}")
    "/opt/tool '{flair}' '{out}'"
    """
    program, *arguments = shlex.split(command)
    return shlex.join([str(Path(program).absolute()) if "/" in program else program, *arguments])
