"""Whose a file of another dataset is, where persons and sessions are written in two ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wmhflow.bids.folders import plain_label
from wmhflow.bids.query import FoundFile, Query
from wmhflow.errors import InputError


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
        one session are the only visit's if that has no label. ``ses-1`` is ``ses-01``, and
        ``ses-bl`` is ``ses-BL``, where the person has not both.
    """
    found = list(files)
    own = [file for file in found if is_same_session(file.get("session"), session, sessions)]
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


def is_same_session(given: object, session: str | None, sessions: Sequence[str | None]) -> bool:
    """Tell whether a session of a file's name is a visit's, but for zeros and large letters.

    Parameters
    ----------
    given
        The file's.
    session, sessions
        The visit's label, and those of all of the person's visits.

    Examples
    --------
    >>> is_same_session("1", "01", ("01", "02")), is_same_session("1", "01", ("01", "1"))
    (True, False)
    """
    if given == session:
        return True
    if given is None or session is None or given in sessions:
        return False
    return plain_label(str(given)) == plain_label(session)


def check_labels(query: Query, subject: str) -> None:
    """Refuse a person of whom a dataset has nothing but what is called nearly so.

    What was given would be computed in its place: ``sub-1`` is ``sub-01`` to who wrote it.

    Parameters
    ----------
    query
        The run's datasets.
    subject
        Label without ``sub-``.

    Raises
    ------
    InputError
        With both names.
    """
    for dataset in query.derivatives:
        if dataset.folders is None or dataset.of(subject):
            continue
        near = dataset.folders.nearly(subject)
        if near and not any((query.raw.root / f"sub-{label}").exists() for label in near):
            raise InputError(
                f"sub-{subject} has no file in {dataset.root}, which has {near[0]} as a label, and "
                f"{query.raw.root} has no sub-{near[0]}; call one person alike in both, or take "
                "the other one's files out."
            )
