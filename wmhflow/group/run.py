"""The group level: the visits' tables gathered, and the tables of the study made of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from wmhflow.bids.query import check_dataset, find_subjects
from wmhflow.bids.writer import remove_leftovers
from wmhflow.errors import InputError, NothingToDoError
from wmhflow.files.locks import HeldError, Lock
from wmhflow.group.faults import Fault, find_faults
from wmhflow.group.gather import gather
from wmhflow.group.staging import check_own_places, install, stage_in
from wmhflow.group.study import Study, Visit, find_visits, read_study
from wmhflow.group.tables import STUDY_TABLES, write_study_table
from wmhflow.products.dataset import write_dataset_files
from wmhflow.products.tables import TABLES
from wmhflow.settings import Settings

OK, FAILED = 0, 1
# So many finished visits that are not gathered are named.
MOST_NAMED = 10
ENDINGS = (".tsv", ".json", ".parquet")
# What the program writes into group/; anything else there is the user's.
OURS = frozenset(
    f"{name}{ending}"
    for name in (
        *(table.ending for table in TABLES.values()),
        *(table.name.removeprefix("group/") for table in STUDY_TABLES),
    )
    for ending in ENDINGS
)


def run_group(settings: Settings) -> int:
    """Gather the tables of a study.

    Parameters
    ----------
    settings
        The run's settings.

    Returns
    -------
    int
        0; persons of the dataset that have no tables are named. 1 if a finished visit's table is
        missing, damaged or of other columns, or its record is damaged, and ``--allow-missing`` was
        not given.

    Raises
    ------
    NothingToDoError
        If nobody has tables yet.
    InputError
        If another run gathers them now.
    """
    check_dataset(settings.bids_dir, "BIDS_DIR")
    check_own_places(settings.output_dir)
    subjects = find_subjects(settings.bids_dir, settings.inputs.participant_label)
    visits = list(find_visits(settings, subjects))
    if not visits:
        raise NothingToDoError(
            f"{settings.output_dir} holds no person's tables; run the participant level first."
        )
    if settings.reporting.dry_run:
        print("\n".join(str(visit) for visit in visits))
        return 0
    if not (settings.output_dir / "dataset_description.json").is_file():
        write_dataset_files(settings)
    try:
        with Lock(settings.output_dir / "logs" / "group" / ".lock").take():
            return _gathered(settings, subjects, visits)
    except HeldError as error:
        raise InputError(
            f"Another run gathers the tables of {settings.output_dir} ({error}); wait until it has "
            "ended."
        ) from None


def _gathered(settings: Settings, subjects: Sequence[str], visits: Sequence[Visit]) -> int:
    for name in ("group", "phenotype"):
        remove_leftovers(settings.output_dir / name)
    damaged: list[InputError] = []
    before = {visit: _seen(visit) for visit in visits}
    study = read_study(settings.output_dir, visits, damaged.append, settings)
    study = replace(study, layers_p=settings.reporting.layers_p)
    for error in damaged:
        print(error, file=sys.stderr)
    if damaged and not (settings.reporting.allow_missing and study.visits):
        print(
            f"{len(damaged)} of {len(visits)} records are damaged: the study's tables are as they "
            "were. Process these visits again, or leave them out with --allow-missing.",
            file=sys.stderr,
        )
        return FAILED
    with stage_in(settings.output_dir) as stage:
        faults = _make(replace(study, written_to=stage, left_out={}))
        again = [visit for visit, seen in before.items() if _seen(visit) != seen]
        if again:
            # rows of one visit may be of two runs
            shown = ", ".join(map(str, again[:MOST_NAMED]))
            print(
                f"{len(again)} visits were processed while their tables were gathered ({shown}): "
                "the study's tables are as they were. Run the group level again.",
                file=sys.stderr,
            )
            return FAILED
        n_left_out = len({fault.visit for fault in faults})
        for fault in faults:
            print(fault.said, file=sys.stderr)
        told = (
            f"{len(faults)} tables of {n_left_out} visits are missing, damaged or of other columns"
        )
        if faults and not settings.reporting.allow_missing:
            print(f"{told}: the study's tables are as they were.", file=sys.stderr)
            return FAILED
        install(stage, settings.output_dir, OURS)
    if faults:
        print(f"{told}, and are left out (--allow-missing).", file=sys.stderr)
    if damaged:
        print(
            f"{len(damaged)} visits whose records are damaged are left out (--allow-missing).",
            file=sys.stderr,
        )
    _say_who_is_missing(subjects, visits)
    _say_who_is_no_more(settings, subjects, visits)
    print(f"{len(study.visits)} visits gathered; tables are in {settings.output_dir / 'group'}.")
    return OK


def _seen(visit: Visit) -> tuple[int, int, int] | None:
    """Tell a record from any other that takes its place: none is there while a visit is processed.

    The record is the last file that is written of a visit, and the first that goes.
    """
    try:
        facts = visit.record.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _make(study: Study) -> list[Fault]:
    """Make every file of the study, and list the tables that could not be gathered."""
    faults: list[Fault] = []
    left_out: dict[str, set[Visit]] = {}

    def leave_out(fault: Fault) -> None:
        faults.append(fault)
        left_out.setdefault(fault.kind, set()).add(fault.visit)

    study = replace(study, left_out=left_out)
    for visit in study.visits:
        for fault in find_faults(visit):
            leave_out(fault)
    for kind in TABLES:
        gather(study, kind, leave_out)
    for table in STUDY_TABLES:
        if table.is_wanted(study):
            write_study_table(study, table)
    return faults


def _say_who_is_missing(subjects: Sequence[str], visits: Sequence[Visit]) -> None:
    there = {visit.participant_id for visit in visits}
    missing = [f"sub-{subject}" for subject in subjects if f"sub-{subject}" not in there]
    if missing:
        shown = ", ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
        print(f"{len(missing)} persons have no tables and are left out: {shown}", file=sys.stderr)


def _say_who_is_no_more(
    settings: Settings, subjects: Sequence[str], visits: Sequence[Visit]
) -> None:
    """Name finished visits that are not gathered: of persons or sessions that are not asked for.

    A person who was taken out of BIDS_DIR, or whose images got a session, has old tables still.
    """
    if settings.inputs.participant_label or settings.inputs.session_label:
        return
    gathered = {visit.record for visit in visits}
    there = {f"sub-{subject}" for subject in subjects}
    left = [
        path
        for path in sorted((settings.output_dir / "logs").glob("sub-*/*record.json"))
        if path not in gathered and not path.name.startswith("page_")
    ]
    for path in left[:MOST_NAMED]:
        name = path.parent.name
        why = "an earlier run made it without the sessions that there are now"
        if name not in there:
            why = f"{settings.bids_dir} has no {name}"
        what = path.name.removesuffix("record.json").strip("_")
        print(f"{' '.join(filter(None, (name, what)))} is finished and left out: {why}.",
              file=sys.stderr)  # fmt: skip
    if len(left) > MOST_NAMED:
        print(f"{len(left) - MOST_NAMED} more finished visits are left out so.", file=sys.stderr)
