"""What a visit and a person promise: every file that exists when their run has ended well."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from wmhflow.plan.visit import ParticipantPlan, VisitPlan
from wmhflow.products.product import Page, Place
from wmhflow.products.visit import visit_unit
from wmhflow.settings import Settings


def promised_files(visit: VisitPlan, settings: Settings) -> list[PurePosixPath]:
    """List every file of one visit that must exist when the run has ended well.

    Parameters
    ----------
    visit
        The plan, without a problem.
    settings
        The run's settings.

    Returns
    -------
    list of PurePosixPath
        Relative to the output folder; images and tables come with their JSON files.
    """
    return visit_unit(visit, settings).files


def report_path(subject: str) -> PurePosixPath:
    """Return a person's page, relative to the output folder."""
    return Page("page").path(Place(subject))


def missing_promises(settings: Settings, participant: ParticipantPlan) -> list[PurePosixPath]:
    """List what a person's run promised and what does not exist.

    Parameters
    ----------
    settings
        The run's settings; its output folder is looked into.
    participant
        The plan; none of its visits has a problem.
    """
    promised = [path for visit in participant.visits for path in promised_files(visit, settings)]
    promised.append(report_path(participant.subject))
    return [path for path in promised if not Path(settings.output_dir / path).is_file()]
