"""The graph of a run: the persons side by side, the template's priors made once for all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from nipype import Node, Workflow
from nipype.interfaces.utility import Merge

import wmhflow
from wmhflow.ants.bridge import DRAWN_PRIORS
from wmhflow.interfaces.bridge import BridgeTemplates
from wmhflow.interfaces.report import PersonReport
from wmhflow.interfaces.segmentation import TemplatePriors
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.settings import Settings
from wmhflow.workflows.anatomy import TEMPLATE_FILES
from wmhflow.workflows.graph import bridge_name, bridged, safe_name
from wmhflow.workflows.visit import init_visit_wf, visit_name


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
    first = first or participants[0].subject
    # named after the first person, so that jobs of other persons in the same folder have their own
    name = f"template_priors_{safe_name(first)}"
    priors = Node(TemplatePriors(), name=name, mem_gb=1.0, n_procs=1)
    workflow.add_nodes([priors])
    bridges = _add_bridges(workflow, participants, settings, priors, first)
    for participant in participants:
        log_dir = log_dirs[participant.subject]
        _add_participant(workflow, participant, settings, priors, bridges, log_dir)
    return workflow


def _add_bridges(
    workflow: Workflow,
    participants: Sequence[ParticipantPlan],
    settings: Settings,
    priors: Node,
    first: str,
) -> dict[Path, Node]:
    """Register every other template that atlases lie on to the program's, once for all persons."""
    bridges: dict[Path, Node] = {}
    visits = [visit for participant in participants for visit in participant.visits]
    for atlas in (atlas for visit in visits for atlas in bridged(visit)):
        if atlas.bridge in bridges:
            continue
        name = f"{bridge_name(atlas)}_{safe_name(first)}"
        node = Node(BridgeTemplates(), name=name, mem_gb=3.0, n_procs=1)
        node.inputs.trait_set(
            image=str(atlas.bridge),
            has_labels=atlas.by_labels,
            seed=settings.execution.random_seed,
        )
        drawn = [(name, name) for name in DRAWN_PRIORS]
        links = [("t1w", "template_t1w"), ("brain_mask", "template_mask"), *drawn]
        workflow.connect([(priors, node, links)])
        bridges[atlas.bridge] = node
    return bridges


def _add_participant(
    workflow: Workflow,
    participant: ParticipantPlan,
    settings: Settings,
    priors: Node,
    bridges: Mapping[Path, Node],
    log_dir: Path,
) -> None:
    person = Workflow(name=person_name(participant.subject))
    workflow.add_nodes([person])
    report = Node(PersonReport(), name="report", mem_gb=1.0, n_procs=1)
    report.inputs.trait_set(settings=settings, participant=participant)
    visits = [visit for visit in participant.visits if visit.problem is None]
    finished = Node(Merge(len(visits)), name="finished", mem_gb=0.1, run_without_submitting=True)
    for number, plan in enumerate(visits, start=1):
        visit = init_visit_wf(plan, settings)
        person.connect(visit, "finished.out", finished, f"in{number}")
    person.connect(finished, "out", report, "finished")
    for plan in visits:
        path = f"{visit_name(plan)}.template"
        links = [(name, f"{path}.{name}") for name in TEMPLATE_FILES]
        workflow.connect([(priors, person, links)])
        for atlas in bridged(plan):
            link = ("forward", f"{path}.{bridge_name(atlas)}")
            workflow.connect([(bridges[atlas.bridge], person, [link])])
    _log_to(person, log_dir)


def study_name(settings: Settings) -> str:
    """Name a run's workflow after the version and the two datasets, so that studies do not mix."""
    version = safe_name(wmhflow.__version__.replace(".", "_"))
    key = f"{settings.bids_dir.resolve()} {settings.output_dir.resolve()}"
    return f"wmhflow_{version}_{hashlib.sha256(key.encode()).hexdigest()[:8]}_wf"


def person_name(subject: str) -> str:
    """Name a person's workflow."""
    return f"sub_{safe_name(subject)}_wf"


def _log_to(workflow: Workflow, log_dir: Path) -> None:
    """Let every step's traceback go to the person's own folder."""
    for name in workflow.list_node_names():
        workflow.get_node(name).config = {"execution": {"crashdump_dir": str(log_dir)}}
