"""What was submitted, read back: nothing in it is believed before it is looked at."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wmhflow.bids.writer import read_object
from wmhflow.cluster.submission import FOLDER, Cut, Needs, Submission
from wmhflow.errors import InputError, UsageError
from wmhflow.registries.executors import executor_names
from wmhflow.settings import Submission as Chosen

# how folders are called that `new_folder` makes; one that was renamed is out of the way
NAME = re.compile(r"(\d{8}-\d{6})(?:-(\d+))?")
JOB = re.compile(r"\d+\S*")


def read_submissions(output_dir: Path) -> list[Submission]:
    """Read what was submitted into an output folder, the oldest first.

    They are ordered by when they were sent, which their names do not tell: they are in local time,
    which leaps back once a year, and differs between machines.

    Raises
    ------
    InputError
        If the note of one is damaged.
    """
    paths = (output_dir / FOLDER).glob("*/submission.json")
    found = [_read(path) for path in paths if NAME.fullmatch(path.parent.name)]
    return sorted(found, key=lambda one: (one.created, *_in_order(one.id)))


def _in_order(name: str) -> tuple[str, int]:
    found = NAME.fullmatch(name)
    return (found[1], int(found[2] or 1)) if found else (name, 1)


def _read(path: Path) -> Submission:
    content = read_object(path)
    try:
        cuts = tuple(Cut(**(cut | {"needs": Needs(**cut["needs"])})) for cut in content.pop("cuts"))
        # wherever the output folder lies now
        placed: dict[str, Any] = {
            "id": path.parent.name,
            "folder": path.parent,
            "output_dir": path.parents[3],
        }
        placed |= {"bids_dir": Path(content.pop("bids_dir")), "cuts": cuts}
        # another version may have noted more
        known = {entry.name for entry in dataclasses.fields(Submission)} - set(placed)
        kept = {name: value for name, value in content.items() if name in known}
        read = Submission(**placed, **kept)
        _check(read)
        _check_chosen(read.chosen)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path} is not as it was written ({error!r}); move its folder away, or rename it, and "
            "submit anew."
        ) from None
    if len(read.tasks) < sum(cut.count for cut in read.cuts):
        raise InputError(
            f"{path.with_name('labels.txt')} names {len(read.tasks)} of the "
            f"{sum(cut.count for cut in read.cuts)} who were sent; move its folder away, or rename "
            "it, and submit anew."
        )
    return read


def _check(read: Submission) -> None:
    """Refuse values that no submission has.

    Raises
    ------
    ValueError
        Naming the field.
    """
    if read.executor not in executor_names():
        raise ValueError(f"executor {read.executor!r:.40}")
    sent = 0
    for cut in read.cuts:
        if not (_is_whole(cut.first) and cut.first == sent and _is_whole(cut.count)):
            raise ValueError("first and count of cuts")
        sent += cut.count
        needs = (cut.needs.mem_gb, cut.needs.minutes, cut.needs.cpus)
        if not all(_is_number(one) and one > 0 for one in needs):
            raise ValueError("needs of cuts")
    for job in (read.caches, read.group, *(cut.job for cut in read.cuts)):
        if job is not None and not (isinstance(job, str) and JOB.fullmatch(job)):
            raise ValueError(f"job {job!r:.40}")
    if not isinstance(read.estimate, Mapping) or not all(map(_is_number, read.estimate.values())):
        raise ValueError("estimate")
    if not _is_number(read.created):
        raise ValueError("created")
    if not isinstance(read.tagged, bool) or not isinstance(read.version, str):
        raise ValueError("tagged, version")
    if read.resumes is not None and not isinstance(read.resumes, str):
        raise ValueError("resumes")


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _check_chosen(chosen: Any) -> None:
    """Refuse values of other types than options of ``wmhflow submit`` have."""
    if not isinstance(chosen, dict):
        raise TypeError("chosen")
    for entry in dataclasses.fields(Chosen):
        value = chosen.get(entry.name, entry.default)
        if value not in (entry.default, []) and not _is_given(entry.metadata["option"], value):
            raise ValueError(f"chosen: {entry.name}")


def _is_given(option: Any, value: Any) -> bool:
    """Tell whether an option could have been given this value."""
    if option.many:
        return _is_list(value) and all(_is_given_one(option, one) for one in value)
    return _is_given_one(option, value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_given_one(option: Any, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    try:
        return bool(option.parse(str(value)) == value) and value in (option.allowed or (value,))
    except ValueError:
        return False


def chosen_before(last: Submission) -> dict[str, Any]:
    """Return the options of ``wmhflow submit`` that a submission was sent with, by name.

    Raises
    ------
    UsageError
        If another version of the program sent it with one that this version does not have.
    """
    unknown = set(last.chosen) - {entry.name for entry in dataclasses.fields(Chosen)}
    if unknown:
        raise UsageError(
            f"{last.folder} was sent with --{min(unknown).replace('_', '-')}, which this version "
            "of the program does not have; submit anew without --resume: who is done is not "
            "processed again."
        )
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in last.chosen.items()
    }
