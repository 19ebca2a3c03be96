"""Columns of gathered tables have the same type in every study."""

from __future__ import annotations

import io

from wmhflow.bids.outputs import TABLES
from wmhflow.bids.tables import names
from wmhflow.group.tables import KEYS, TEXT_COLUMNS, WHOLE_COLUMNS, parquet_bytes


def types_of(columns: list[str], rows: list[dict[str, str]]) -> dict[str, str]:
    import pyarrow.parquet as pq

    schema = pq.read_table(io.BytesIO(parquet_bytes(columns, rows))).schema
    return {field.name: str(field.type) for field in schema}


def test_types_do_not_depend_on_what_is_missing() -> None:
    for columns in TABLES.values():
        header = names((*KEYS, *columns))
        missing = [dict.fromkeys(header, "n/a")]
        types = types_of(header, missing)
        for name in header:
            wanted = "string" if name in TEXT_COLUMNS else "double"
            assert types[name] == ("int64" if name in WHOLE_COLUMNS else wanted)


def test_na_is_null_and_bytes_are_the_same_every_time() -> None:
    import pyarrow.parquet as pq

    rows = [{"participant_id": "sub-1", "mean": "1.5"}, {"participant_id": "sub-2", "mean": "n/a"}]
    content = parquet_bytes(["participant_id", "mean"], rows)
    assert content == parquet_bytes(["participant_id", "mean"], rows)
    assert pq.read_table(io.BytesIO(content)).to_pydict()["mean"] == [1.5, None]
