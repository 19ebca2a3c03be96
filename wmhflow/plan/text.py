"""Plans as text."""

from __future__ import annotations

from collections.abc import Iterable

from wmhflow.plan.visit import ParticipantPlan


def format_plan(participants: Iterable[ParticipantPlan]) -> str:
    """Write plans as the text of ``--dry-run``.

    Parameters
    ----------
    participants
        The plans.
    """
    lines: list[str] = []
    for participant in participants:
        for visit in participant.visits:
            lines.append(visit.label)
            if visit.problem:
                lines.append(f"  cannot be processed: {visit.problem}")
            width = max((len(entry.what) for entry in visit.decisions), default=0)
            lines += [
                f"  {entry.what:<{width}}  {entry.state:<8}  {entry.why}"
                for entry in visit.decisions
            ]
    return "\n".join(lines) + "\n"
