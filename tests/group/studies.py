"""Finished visits made by hand: their records and tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.builders import describe
from wmhflow.bids.writer import table_text, write_text
from wmhflow.group.study import Study, Visit
from wmhflow.products.columns import VOLUMES, lesion_columns, majority_columns, names
from wmhflow.products.tables import table_columns
from wmhflow.settings import Settings

SCHEME = "jv3-pv13-jc4"


def finished(
    out: Path, subject: str, schemes: Sequence[str] = (SCHEME,), session: str = "n/a"
) -> Visit:
    """A finished visit with one lesion, made with these zone schemes."""
    visit = Visit(out, f"sub-{subject}", session)
    visit.record.parent.mkdir(parents=True, exist_ok=True)
    visit.record.write_text(json.dumps({"settings": {"zones": list(schemes)}}))
    row = {"index": 1, "majority": "PV"} | dict.fromkeys(majority_columns(schemes)[1:], "D")
    write_text(visit.table("lesions"), table_text(names(lesion_columns(schemes)), [row]))
    write_text(visit.table("volumes"), table_text(names(VOLUMES), []))
    return visit


def study_of(visits: Iterable[Visit], schemes: Sequence[str] = (SCHEME,)) -> Study:
    """The study of these visits."""
    visits = tuple(visits)
    return Study(visits[0].output_dir, visits, tuple(schemes))


def give(visit: Visit, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Give a visit a table of one kind."""
    write_text(visit.table(kind), table_text(names(table_columns(kind, (SCHEME,))), rows))


def group_settings(raw: Path, visits: Iterable[Visit]) -> Settings:
    """Settings of a group run over a dataset that has these persons."""
    visits = tuple(visits)
    describe(raw)
    for visit in visits:
        (raw / visit.participant_id).mkdir(exist_ok=True)
    return Settings(raw, visits[0].output_dir, "group")
