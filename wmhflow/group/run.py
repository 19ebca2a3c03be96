"""The group level: the visits' tables gathered, and the tables of the study made of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from wmhflow.bids.query import check_dataset, find_subjects
from wmhflow.bids.writer import remove_leftovers
from wmhflow.errors import InputError, NothingToDoError
from wmhflow.files.locks import HeldError, Lock
from wmhflow.group.gather import gather
from wmhflow.group.study import Visit, find_visits, read_study
from wmhflow.group.tables import STUDY_TABLES, write_study_table
from wmhflow.products.dataset import write_dataset_files
from wmhflow.products.tables import TABLES
from wmhflow.settings import Settings


def run_group(settings: Settings) -> int:
    """Gather the tables of a study.

    Parameters
    ----------
    settings
        The run's settings.

    Returns
    -------
    int
        0; persons of the dataset that have no tables are named.

    Raises
    ------
    NothingToDoError
        If nobody has tables yet.
    InputError
        If a person's table does not hold what its columns declare.
    """
    check_dataset(settings.bids_dir, "BIDS_DIR")
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
    group = settings.output_dir / "group"
    try:
        with Lock(group / ".lock").take():
            _write_tables(settings, visits)
    except HeldError as error:
        raise InputError(
            f"Another run gathers the tables of {settings.output_dir} ({error}); wait until it has "
            "ended."
        ) from None
    _say_who_is_missing(subjects, visits)
    print(f"{len(visits)} visits gathered; tables are in {group}.")
    return 0


def _write_tables(settings: Settings, visits: Sequence[Visit]) -> None:
    for name in ("group", "phenotype"):
        remove_leftovers(settings.output_dir / name)
    study = read_study(settings.output_dir, visits)
    for kind in TABLES:
        gather(study, kind)
    for table in STUDY_TABLES:
        write_study_table(study, table)


def _say_who_is_missing(subjects: Sequence[str], visits: Sequence[Visit]) -> None:
    there = {visit.participant_id for visit in visits}
    missing = [f"sub-{subject}" for subject in subjects if f"sub-{subject}" not in there]
    if missing:
        shown = ", ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
        print(f"{len(missing)} persons have no tables and are left out: {shown}", file=sys.stderr)
