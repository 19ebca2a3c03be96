"""What is sent, beside what there is: the limits of the site, and the dataset as it is by now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import wmhflow
from wmhflow.bids.scan import is_folder
from wmhflow.cluster.scheduler import Limits
from wmhflow.cluster.state import Study
from wmhflow.cluster.submission import Needs, Task
from wmhflow.cluster.text import minutes_text
from wmhflow.errors import UsageError

# the memory of a node that is asked for in steps, and never wholly: its system has some
STEP_GB = 0.5


def refuse_beyond_site(
    limits: Limits, mem_gb: float | None, minutes: int | None, partition: str
) -> None:
    """Refuse a memory or time that nobody there can have: such a task would wait for ever.

    Parameters
    ----------
    limits
        Of the partition.
    mem_gb, minutes
        As they were given; None where they were not.
    partition
        Its name, as it was given.

    Raises
    ------
    UsageError
        With the limit, and what to do.
    """
    if minutes is not None and limits.minutes is not None and minutes > limits.minutes:
        raise UsageError(
            f"--time: {minutes_text(minutes)} is more than the {minutes_text(limits.minutes)} that "
            f"partition {partition} gives; give less, or another --partition. Nothing was sent."
        )
    if mem_gb is not None and limits.mem_gb is not None and mem_gb > limits.mem_gb:
        raise UsageError(
            f"--mem-gb {mem_gb:g} is more than the {limits.mem_gb:.1f} GB of a node of partition "
            f"{partition}; give less, or another --partition. Nothing was sent."
        )


def fit_to_site(
    needs: Sequence[Needs], limits: Limits, partition: str | None
) -> tuple[list[Needs], str]:
    """Ask for no more than there is in a partition that was named, and say so.

    Where none was named, a site may choose another one than the default by what is asked for: then
    it is only said.

    Examples
    --------
    >>> fit_to_site([Needs(12, 90, 2)], Limits(60, 8.2), "long")[0]
    [Needs(mem_gb=8.0, minutes=60, cpus=2)]
    >>> fit_to_site([Needs(12, 90, 2)], Limits(60, 8.2), None)[0]
    [Needs(mem_gb=12, minutes=90, cpus=2)]
    """
    fitted = [_fitted(one, limits) for one in needs]
    said = []
    if any(one.mem_gb < before.mem_gb for one, before in zip(fitted, needs, strict=True)):
        said.append(f"{max(one.mem_gb for one in fitted):g} GB are all that a node has")
    if any(one.minutes < before.minutes for one, before in zip(fitted, needs, strict=True)):
        said.append(f"{minutes_text(max(one.minutes for one in fitted))} are all that it gives")
    if not said:
        return list(needs), ""
    if partition is None:
        return list(needs), (
            f"Of the default partition, {' and '.join(said)}: unless your site chooses another one "
            "itself, a task that asks for more waits for ever; give --partition."
        )
    return fitted, (
        f"Of partition {partition}, {' and '.join(said)}, less than a task should ask for; where "
        "that is not enough, give another --partition."
    )


def _fitted(one: Needs, limits: Limits) -> Needs:
    if limits.mem_gb is not None and one.mem_gb > limits.mem_gb:
        one = one._replace(mem_gb=max(STEP_GB, limits.mem_gb // STEP_GB * STEP_GB))
    if limits.minutes is not None and one.minutes > limits.minutes:
        one = one._replace(minutes=max(1, limits.minutes))
    return one


def in_dataset(bids_dir: Path, tasks: Sequence[Task]) -> set[Task]:
    """Tell which persons and visits are still in the dataset; its folder is listed once."""
    persons = set(_subjects(bids_dir))
    return {
        one
        for one in tasks
        if one.subject in persons
        and (not one.session or is_folder(bids_dir / f"sub-{one.subject}" / f"ses-{one.session}"))
    }


def resume_text(study: Study, bids_dir: Path, missing: Sequence[Task]) -> str:
    """Say what has changed since the first submission, of which nothing else would tell.

    Parameters
    ----------
    study
        What was submitted.
    bids_dir
        The dataset.
    missing
        Who is to be sent again.
    """
    said = []
    there = in_dataset(bids_dir, missing)
    gone = [task for task in missing if task not in there]
    if gone:
        said.append(
            f"{len(gone)} are not in the dataset any more, and were not sent: "
            f"{_some(one.name for one in gone)}."
        )
    known = {one.task.subject for one in study.tasks}
    new = [one for one in _subjects(bids_dir) if one not in known]
    if new:
        said.append(
            f"{len(new)} of the dataset were never submitted ({_some(new)}); wmhflow submit "
            "without --resume sends them."
        )
    versions = {one.version for one in study.submissions if one.version}
    others = sorted(versions - {wmhflow.__version__})
    if others and study.count("done"):
        said.append(
            f"Some were done by wmhflow {', '.join(others)}, and this is {wmhflow.__version__}: "
            "for one study use one version (a new OUTPUT_DIR, or the earlier program)."
        )
    return " ".join(said)


def _subjects(bids_dir: Path) -> list[str]:
    with os.scandir(bids_dir) as entries:
        folders = [one.name for one in entries if one.name.startswith("sub-") and is_folder(one)]
    return sorted(name.removeprefix("sub-") for name in folders)


def _some(of: Iterable[str]) -> str:
    names = list(of)
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
