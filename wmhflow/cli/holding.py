"""A person is worked on by one run at a time; what a killed run left is removed by the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from wmhflow.bids.writer import remove_leftovers
from wmhflow.cli.batches import Problem
from wmhflow.files.locks import HeldError, Lock
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.settings import Settings


@contextmanager
def held_persons(
    settings: Settings,
    plans: Sequence[ParticipantPlan],
    problems: list[Problem],
    replan: Callable[[str], ParticipantPlan] | None = None,
) -> Iterator[list[ParticipantPlan]]:
    """Hold persons, so that no other run into the same folder works on them meanwhile.

    Parameters
    ----------
    settings
        The run's settings.
    plans
        Persons.
    problems
        Gets one for each whom another run holds, for longer than ``--wait-minutes``.
    replan
        Plans a person anew, by label: what the run wrote that was waited for is to be seen. One
        without visits has nothing left to do.

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
                lock, waited = _taken(Lock(path), settings.execution.wait_minutes * 60.0)
                stack.enter_context(lock)
            except HeldError as error:
                why = f"another run works on this person ({error}); wait until it has ended"
                problems.append(Problem(person, why))
                continue
            except OSError as error:
                problems.append(Problem(person, f"{path} cannot be made: {error.strerror}"))
                continue
            _sweep(settings, person)
            if not (waited and replan):
                held.append(plan)
            elif (now := replan(plan.subject)).visits:
                held.append(now)
        yield held


def _taken(lock: Lock, wait_s: float) -> tuple[Lock, bool]:
    """Take a lock, and tell whether it had to be waited for."""
    try:
        return lock.take(), False
    except HeldError:
        if not wait_s:
            raise
    return lock.take(wait_s), True


def _sweep(settings: Settings, person: str) -> None:
    """Remove what runs that were killed had begun to write for a person."""
    out = settings.output_dir
    remove_leftovers(out, f"{person}.")
    for start in (out / person, out / "logs" / person):
        # no link is followed
        for path in start.rglob(".*.part"):
            path.unlink(missing_ok=True)
