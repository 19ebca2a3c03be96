"""Which visit a file of another dataset belongs to, where sessions are written in two ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wmhflow.bids.query import FoundFile


@dataclass(frozen=True)
class Sorted:
    """A visit's files, and those of which nobody can say whose visit they show."""

    own: tuple[FoundFile, ...] = ()
    unclear: tuple[FoundFile, ...] = ()
    why: str = ""


def sort_by_visit(
    files: Iterable[FoundFile],
    session: str | None,
    sessions: Sequence[str | None],
    given: frozenset[str] = frozenset(),
) -> Sorted:
    """Take the files of one visit, where there is one reading of what their names say.

    Parameters
    ----------
    files
        Of one person.
    session
        The visit's label, None if it has none.
    sessions
        The labels of all of the person's visits.
    given
        The sessions that the person's derivatives have; asked for where the visit has no label.

    Returns
    -------
    Sorted
        A file without a session is the only visit's, where the visit has none of its own. Files of
        one session are the only visit's if that has no label. ``ses-1`` is ``ses-01`` where the
        person has not both.
    """
    found = list(files)
    own = [file for file in found if _same(file.get("session"), session, sessions)]
    if own:
        return Sorted(tuple(own))
    without = [file for file in found if file.get("session") is None]
    if len(sessions) > 1:
        why = f"it states no session, and the person has {len(sessions)}"
        return Sorted(unclear=tuple(without), why=f"{why}: put ses-… into its name")
    if without:
        return Sorted(tuple(without))
    if session is None and len(given) == 1:
        return Sorted(tuple(found))
    if session is None and found:
        told = " and ".join(f"ses-{label}" for label in sorted(given)[:3])
        why = f"the derivatives have {told}, and the raw images state no session"
        return Sorted(unclear=tuple(found), why=f"{why}: choose with --bids-filter-file")
    return Sorted()


def _same(given: object, session: str | None, sessions: Sequence[str | None]) -> bool:
    if given == session:
        return True
    if given is None or session is None or given in sessions:
        return False
    return session.isdecimal() and str(given).isdecimal() and int(session) == int(str(given))
