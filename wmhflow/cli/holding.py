"""A person is worked on by one run at a time; what a killed run left is removed by the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from wmhflow.bids.writer import remove_leftovers
from wmhflow.cli.batches import Problem
from wmhflow.files.locks import HeldError, Lock
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.settings import Settings


@contextmanager
def held_persons(
    settings: Settings, plans: Sequence[ParticipantPlan], problems: list[Problem]
) -> Iterator[list[ParticipantPlan]]:
    """Hold persons, so that no other run into the same folder works on them meanwhile.

    Parameters
    ----------
    settings
        The run's settings.
    plans
        Persons.
    problems
        Gets one for each whom another run holds.

    Returns
    -------
    iterator of list
        Those who are held. The kernel gives them back if this process is killed.
    """
    held: list[ParticipantPlan] = []
    with ExitStack() as stack:
        for plan in plans:
            person = f"sub-{plan.subject}"
            path = settings.output_dir / "logs" / person / ".lock"
            try:
                stack.enter_context(Lock(path).take(settings.execution.wait_minutes * 60.0))
            except HeldError as error:
                why = f"another run works on this person ({error}); wait until it has ended"
                problems.append(Problem(person, why))
                continue
            except OSError as error:
                problems.append(Problem(person, f"{path} cannot be made: {error.strerror}"))
                continue
            _sweep(settings, person)
            held.append(plan)
        yield held


def _sweep(settings: Settings, person: str) -> None:
    """Remove what runs that were killed had begun to write for a person."""
    out = settings.output_dir
    remove_leftovers(out, f"{person}.")
    for start in (out / person, out / "logs" / person):
        # no link is followed
        for path in start.rglob(".*.part"):
            path.unlink(missing_ok=True)
