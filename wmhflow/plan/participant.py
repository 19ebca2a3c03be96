"""The plan of a person: what was found, what is missing, what is computed and why.

Names, headers and small text files are read here, and no voxels (but those of a parcellation whose
name and table do not say whether it has parcels), so that a person is planned in milliseconds; what
only voxels tell is judged when a visit's turn comes (:mod:`wmhflow.plan.judging`). The graph
(:mod:`wmhflow.workflows`) is made from these objects and decides nothing itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile, Query
from wmhflow.errors import InputError
from wmhflow.plan.acute import find_acute_image
from wmhflow.plan.atlases import PlannedAtlases
from wmhflow.plan.context import NATIVE_SPACES, Planning
from wmhflow.plan.filters import check_filters
from wmhflow.plan.maps import find_maps
from wmhflow.plan.masks import find_infarct, find_wmh
from wmhflow.plan.named import say_unused
from wmhflow.plan.others import find_others, say_untested
from wmhflow.plan.raw import choose_reference, find_raw
from wmhflow.plan.sessions import check_labels
from wmhflow.plan.spectra import find_spectra
from wmhflow.plan.tissues import find_tissues, lay_atlases, with_lobes
from wmhflow.plan.transforms import between_images, to_template
from wmhflow.plan.unused import say_left_over
from wmhflow.plan.visit import ParticipantPlan, VisitPlan
from wmhflow.registries.maps import MapDefinition
from wmhflow.settings import Settings

SESSION = re.compile(r"ses-[a-zA-Z0-9+]+")
MEANT_SESSION = re.compile("ses(?:sion)?[-_ ]?", re.IGNORECASE)
# of the 255 signs of a name, the rest is for what stands behind person and visit
LONGEST_START = 175
log = logging.getLogger("wmhflow")


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
        The run's datasets.
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
    try:
        sessions = sessions_of(query, subject)
        check_labels(query, subject)
    except InputError as error:
        return ParticipantPlan(subject, (VisitPlan(subject, None, problem=str(error)),))
    wanted = settings.inputs.session_label
    visits, earlier = [], []
    for session in sessions:
        planning = Planning(query, subject, session, settings, atlases, tuple(sessions))
        if session is None and len(sessions) > 1:
            # nobody can say to which of the visits it belongs
            visits += [] if wanted else [_without_session(planning)]
        elif not wanted or session in wanted:
            visits.append(_plan_or_problem(planning, maps))
        elif is_recorded(subject, session):
            earlier.append(_plan_or_problem(planning, maps))
    return ParticipantPlan(subject, tuple(visits), tuple(earlier))


def _without_session(planning: Planning) -> VisitPlan:
    """Refuse images that state no session where others of the person do."""
    names = sorted(
        file.path.name
        for file in planning.query.raw.of(planning.subject)
        if file.get("suffix") in NATIVE_SPACES and file.get("session") is None
    )
    visits = " and ".join(f"ses-{one}" for one in planning.sessions if one is not None)
    problem = (
        f"sub-{planning.subject} has images with a session ({visits}) and {names[0]} without one, "
        "so that nobody can say which visit it shows; put ses-… into its name and its folder, or "
        "take it out."
    )
    return VisitPlan(planning.subject, None, problem=problem)


def sessions_of(query: Query, subject: str) -> list[str | None]:
    """List a person's visits: the sessions of the raw T1w and FLAIR; None is one without a label.

    Parameters
    ----------
    query
        The run's datasets.
    subject
        Label without ``sub-``.

    Raises
    ------
    InputError
        If a visit's folder has a name of which names of files hold a part alone.
    """
    for file in query.raw.of(subject):
        _check_session(file)
    there = {
        file.get("session")
        for file in query.raw.of(subject)
        if file.get("suffix") in NATIVE_SPACES and file.get("extension") in IMAGE_EXTENSIONS
    }
    return sorted(there, key=str) or [None]


def _check_session(file: FoundFile) -> None:
    """Refuse a folder such as ses-2020-01-05, of whose files the session would be 2020."""
    person, folder, *_ = *file.inside, file.path.name
    # SES-1 or ses_1 is meant as a visit's, and its images would be of a visit without a label
    is_meant = folder.startswith("ses-") or (
        file.get("session") is None and MEANT_SESSION.match(folder)
    )
    if is_meant and not SESSION.fullmatch(folder):
        label = re.sub(r"[^a-zA-Z0-9]", "", MEANT_SESSION.sub("", folder))
        raise InputError(
            f"{file.root / person / folder} is no visit's folder: such a name is ses- and letters "
            f"or digits alone; rename it and its files, such as to ses-{label}."
        )


def _plan_or_problem(planning: Planning, maps: Mapping[str, MapDefinition]) -> VisitPlan:
    try:
        return _plan(planning, maps)
    except Exception as error:
        # whatever one person's files do, the others go on
        if not isinstance(error, InputError):
            log.exception("%s: the plan failed", planning.label)
        decided = tuple(planning.decisions)
        return VisitPlan(
            planning.subject, planning.session, decisions=decided, problem=sentence(error)
        )


def sentence(error: Exception) -> str:
    """Say why a visit cannot be processed."""
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def _check_length(planning: Planning) -> None:
    """Refuse labels of which no name of an output could be made, before an hour is spent."""
    session = f"ses-{planning.session}_" if planning.session else ""
    left = LONGEST_START - len(f"sub-{planning.subject}_{session}")
    if left < 0:
        raise InputError(
            f"The labels of {planning.label} are too long by {-left}: outputs are called by them, "
            "and a name may have 255 signs; shorten them in the names of the inputs."
        )


def _plan(planning: Planning, maps: Mapping[str, MapDefinition]) -> VisitPlan:
    _check_length(planning)
    check_filters(planning.query, planning.subject, maps)
    t1w, flair = find_raw(planning, "T1w"), find_raw(planning, "FLAIR")
    reference = choose_reference(planning, t1w, flair)
    visit = VisitPlan(planning.subject, planning.session, reference, t1w, flair)
    visit = replace(visit, other_transform=between_images(planning, visit))
    forward, inverse = to_template(planning, visit)
    visit = replace(visit, forward=forward, inverse=inverse)
    visit = replace(visit, tissues=find_tissues(planning, visit))
    zones = planning.settings.regions.zones
    visit = replace(visit, zones=zones, atlases=lay_atlases(planning))
    visit = with_lobes(planning, visit)
    visit = replace(visit, wmh=find_wmh(planning, visit))
    visit = replace(visit, infarct=find_infarct(planning, visit))
    visit = replace(visit, others=find_others(planning, visit))
    visit = replace(visit, maps=tuple(find_maps(planning, visit, maps)))
    say_untested(planning, visit)
    visit = replace(visit, spectra=find_spectra(planning, visit))
    visit = replace(visit, acute_image=find_acute_image(planning, visit))
    say_left_over(planning, visit, maps)
    say_unused(planning, visit)
    return replace(visit, decisions=tuple(planning.decisions))
