"""The graph of a run: the persons side by side, what they share made once for all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from nipype import Workflow

import wmhflow
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.products.study import study_unit
from wmhflow.products.unit import Unit
from wmhflow.products.visit import person_folder, safe_name
from wmhflow.products.writing import with_writing
from wmhflow.settings import Settings
from wmhflow.workflows.graph import build_graph
from wmhflow.workflows.units import units_of


def init_study_wf(
    participants: Sequence[ParticipantPlan],
    settings: Settings,
    log_dirs: dict[str, Path],
    first: str | None = None,
) -> Workflow:
    """Build the graph of some persons of a run.

    Parameters
    ----------
    participants
        Plans; visits that have a problem are left out.
    settings
        The run's settings.
    log_dirs
        Where each person's tracebacks go.
    first
        The person after whom what all persons share is named, so that the next graph of a run finds
        it in the work folder. Default: the first of these persons.

    Returns
    -------
    Workflow
        Named after the program's version, so that another version starts anew.
    """
    workflow = Workflow(name=study_name(settings), base_dir=str(settings.execution.work_dir))
    workflow.config["execution"]["crashdump_dir"] = str(log_dirs[participants[0].subject])
    build_graph(workflow, run_units(participants, settings, first or participants[0].subject))
    for participant in participants:
        person = workflow.get_node(person_folder(participant.subject))
        _log_to(person, log_dirs[participant.subject])
    return workflow


def run_units(
    participants: Sequence[ParticipantPlan], settings: Settings, first: str
) -> list[Unit]:
    """List the units of a run: what persons share, every visit, every person.

    Parameters
    ----------
    participants
        Plans; visits that have a problem are left out.
    settings
        The run's settings.
    first
        The person after whom what they share is named, so that jobs of other persons in the same
        work folder have their own.
    """
    plans = [visit for participant in participants for visit in participant.visits]
    shared = f"template_{safe_name(first)}_wf"
    units = [study_unit([plan for plan in plans if plan.problem is None], settings, shared)]
    for participant in participants:
        units += [with_writing(unit, settings) for unit in units_of(participant, settings)]
    return units


def study_name(settings: Settings) -> str:
    """Name a run's workflow after the version and the two datasets, so that studies do not mix."""
    version = safe_name(wmhflow.__version__)
    key = f"{settings.bids_dir.resolve()} {settings.output_dir.resolve()}"
    return f"wmhflow_{version}_{hashlib.sha256(key.encode()).hexdigest()[:8]}_wf"


def _log_to(workflow: Workflow, log_dir: Path) -> None:
    """Let every step's traceback go to the person's own folder."""
    for name in workflow.list_node_names():
        workflow.get_node(name).config = {"execution": {"crashdump_dir": str(log_dir)}}
