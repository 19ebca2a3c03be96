"""The gathered tables: every row of everybody, with types that do not depend on the study."""

from __future__ import annotations

import math
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.group.studies import SCHEME, finished, give, group_settings, study_of
from wmhflow.bids.writer import Column, read_table, table_text, write_text
from wmhflow.cli.main import main
from wmhflow.errors import InputError
from wmhflow.group import gather as module
from wmhflow.group.gather import Batch, gather, iter_batches, keyed_lines, typed_table
from wmhflow.group.study import Visit
from wmhflow.products.columns import KEYS, PROFILES, names
from wmhflow.products.tables import TABLES, table_columns

ARROW = {"text": "string", "whole": "int64", "number": "double", "flag": "bool"}
CELL = {"text": "some 'text', \"quoted\"", "whole": "12", "number": "-1.5e-07", "flag": "true"}
VALUE = {"text": "some 'text', \"quoted\"", "whole": 12, "number": -1.5e-07, "flag": True}
SCHEMES = (SCHEME, "pv10", "pv4-14")
every_table = pytest.mark.parametrize("kind", TABLES)


def gathered_types(path: Path) -> dict[str, str]:
    schema = parquet.read_schema(path.with_suffix(".parquet"))
    return {field.name: str(field.type) for field in schema}


@every_table
@pytest.mark.parametrize("is_missing", [False, True])
def test_every_column_has_its_declared_type_whatever_is_missing(
    tmp_path: Path, kind: str, is_missing: bool
) -> None:
    visit = Visit(tmp_path, "sub-01", "ses-1")
    columns = table_columns(kind, SCHEMES)
    row = {column.name: "n/a" if is_missing else CELL[column.kind] for column in columns}
    write_text(visit.table(kind), table_text(names(columns), [row]))
    study = study_of([visit], SCHEMES)
    gather(study, kind)
    wanted = {column.name: ARROW[column.kind] for column in (*KEYS, *columns)}
    assert gathered_types(study.table(kind)) == wanted
    values = {column.name: None if is_missing else VALUE[column.kind] for column in columns}
    keys = {"participant_id": "sub-01", "session_id": "ses-1"}
    assert parquet.read_table(study.table(kind).with_suffix(".parquet")).to_pylist() == [
        keys | values
    ]


def test_flags_are_true_false_or_missing() -> None:
    columns = (*KEYS, Column("is_so", "Whether it is so", kind="flag"))
    cells = ("true", "false", "n/a")
    lines = "".join(f"sub-01\tses-1\t{cell}\n" for cell in cells).encode()
    table = typed_table(Batch(lines, ()), "qc", columns)
    assert table.column("is_so").to_pylist() == [True, False, None]


def test_kinds_agree_with_names_and_units() -> None:
    for columns in [table_columns(kind, SCHEMES) for kind in TABLES]:
        assert len(set(names(columns))) == len(columns)
        for column in columns:
            assert column.unit is None or column.kind == "number", column
            if column.name in {"index", "n", "opposite_n"} or column.name.startswith("n_lesions"):
                assert column.kind == "whole", column
    kinds: dict[str, set[str]] = {}
    for column in (column for one in TABLES.values() for column in one.columns):
        kinds.setdefault(column.name, set()).add(column.kind)
    assert all(len(found) == 1 for found in kinds.values())


@pytest.mark.parametrize(
    ("kind", "column", "cell", "wanted"),
    [
        ("maps", "mean", "0,5", "'0,5' in the column mean is not a number"),
        ("maps", "n", "1.5", "'1.5' in the column n is not a whole number"),
        ("qc", "high", "much", "'much' in the column high is not a number"),
        ("lesions", "index", "first", "'first' in the column index is not a whole number"),
    ],
)
def test_a_cell_of_another_kind_is_named_and_the_study_stays_as_it_was(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    column: str,
    cell: str,
    wanted: str,
) -> None:
    out, raw = tmp_path / "out", tmp_path / "raw"
    visits = [finished(out, "01"), finished(out, "02", session="ses-1")]
    group_settings(raw, visits)
    for visit in visits:
        give(visit, kind, [{}, {column: 1}])
    assert main([str(raw), str(out), "group"]) == 0
    old = {path: path.read_bytes() for path in (out / "group").iterdir()}
    give(visits[0], kind, [{column: 2}])
    give(visits[1], kind, [{column: 2}, {column: cell}])
    capsys.readouterr()
    assert main([str(raw), str(out), "group"]) == 1
    said = capsys.readouterr().err
    path = visits[1].table(kind).relative_to(out)
    assert f"sub-02 ses-1: {path}, line 3: {wanted}" in said
    assert "Traceback" not in said
    assert {path: path.read_bytes() for path in (out / "group").iterdir()} == old


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: the table is empty"),
        (b"metric\tvalue\tlow\thigh\tverdict\na\t1\t2\n", "line 2: 3 cells under a header of 5"),
        (b"metric\tvalue\tlow\thigh\tverdict\n\n", "line 2: 1 cells under a header of 5"),
        (b"value\tmetric\n1\ta\n2\n", "line 3: 1 cells under a header of 2"),
        (b"metric\tvalue\na\xff\t1\n", "line 2: .* in the column metric is not text in UTF-8"),
        (b"metric\tvalue\na\t1e\n", "line 2: '1e' in the column value is not a number"),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    visit = Visit(tmp_path, "sub-07", "n/a")
    give(visit, "qc", [])
    visit.table("qc").write_bytes(content)
    with pytest.raises(InputError, match=f"^sub-07 n/a: .*sub-07_desc-wmhflow_qc.tsv, {said}"):
        gather(study_of([visit]), "qc")
    assert not list((tmp_path / "group").glob("*"))


def test_what_no_rule_of_ours_finds_is_said_in_the_words_of_the_reader(tmp_path: Path) -> None:
    visit = Visit(tmp_path, "sub-07", "n/a")
    give(visit, "lesions", [{"index": 1}])
    with pytest.raises(InputError, match=r"The lesions of sub-07 n/a to sub-07 n/a .*'x'"):
        typed_table(Batch(b"a\tb\tx\n", (visit,)), "lesions", (*KEYS, Column("index", "Number")))


def test_columns_are_put_in_order_left_out_or_missing(tmp_path: Path) -> None:
    plain, other = Visit(tmp_path, "sub-01", "n/a"), Visit(tmp_path, "sub-02", "n/a")
    rows = [{"metric": "a", "value": 1.5, "verdict": "ok", "new": "x"}, {"metric": "b", "low": 2}]
    give(plain, "qc", rows)
    write_text(other.table("qc"), table_text(["new", "verdict", "low", "value", "metric"], rows))
    study = study_of([plain, other])
    gather(study, "qc")
    first, second, third, fourth = read_table(study.table("qc"))
    assert list(first) == ["participant_id", "session_id", *names(TABLES["qc"].columns)]
    assert (first | {"participant_id": "sub-02"}, second | {"participant_id": "sub-02"}) == (
        third,
        fourth,
    )
    assert third["high"] == "n/a"
    values = parquet.read_table(study.table("qc").with_suffix(".parquet")).to_pylist()
    assert [row["value"] for row in values] == [1.5, None, 1.5, None]


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[list[str], list[list[str]]]]:
    """Tables of several visits: some columns of the profiles and others, in any order."""
    cells = {
        "text": st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=5),
        "number": st.floats(allow_infinity=False).map(lambda x: "n/a" if math.isnan(x) else repr(x))
        | st.just(""),
    }
    kinds = {column.name: column.kind for column in PROFILES} | {"new": "text"}
    made = []
    for _ in range(draw(st.integers(1, 4))):
        header = draw(st.just(names(PROFILES)) | st.permutations(list(kinds)).map(lambda x: x[:7]))
        row = st.tuples(*(cells[kinds[name]] for name in header)).map(list)
        made.append((header, draw(st.lists(row, max_size=4))))
    return made


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(1, 200))
def test_it_is_what_row_by_row_in_python_gives(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[list[str], list[list[str]]]],
    batch_bytes: int,
) -> None:
    out = tmp_path_factory.mktemp("out")
    visits = [Visit(out, f"sub-{number}", "n/a") for number in range(len(made))]
    rows = []
    for visit, (header, lines) in zip(visits, made, strict=True):
        text = "\n".join("\t".join(line) for line in [header, *lines]) + "\n"
        write_text(visit.table("profiles"), text)
        keys = {"participant_id": visit.participant_id}
        rows += [keys | dict(zip(header, line, strict=True)) for line in lines]
    study = study_of(visits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH_BYTES", batch_bytes)
        gather(study, "profiles")
    path = study.table("profiles")
    columns = (*KEYS, *PROFILES)
    assert path.is_file() == bool(rows)
    if not rows:
        return
    assert path.read_text(encoding="utf-8") == table_text(names(columns), rows)
    for got, row in zip(
        parquet.read_table(path.with_suffix(".parquet")).to_pylist(), rows, strict=True
    ):
        for column in columns:
            cell = row.get(column.name) or "n/a"
            value = None if cell == "n/a" else cell if column.kind == "text" else float(cell)
            assert got[column.name] == value


def test_only_what_changed_is_written_again(tmp_path: Path) -> None:
    visits = [Visit(tmp_path, f"sub-{number}", "n/a") for number in range(3)]
    for visit in visits:
        give(visit, "qc", [{"metric": "a", "value": 1}])
    study = study_of(visits)
    gather(study, "qc")
    path = study.table("qc")
    files = [path, path.with_suffix(".json"), path.with_suffix(".parquet")]
    for file in files:
        os.utime(file, (0, 0))
    gather(study, "qc")
    assert [file.stat().st_mtime for file in files] == [0, 0, 0]
    give(visits[2], "qc", [{"metric": "a", "value": 2}])
    gather(study, "qc")
    assert [file.stat().st_mtime == 0 for file in files] == [False, True, False]
    assert sorted(path.parent.iterdir()) == sorted(files)


def test_memory_does_not_grow_with_the_number_of_visits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_BYTES", 40_000)
    visits = [Visit(tmp_path, f"sub-{number}", "n/a") for number in range(120)]
    for visit in visits:
        give(visit, "qc", [{"metric": f"metric {i}", "value": i} for i in range(400)])
    columns = (*KEYS, *TABLES["qc"].columns)
    lengths = [len(keyed_lines(visit, "qc", columns)) for visit in visits]
    batches = list(iter_batches(visits, "qc", columns))
    assert len(batches) > 10
    assert all(len(batch.lines) < 40_000 + max(lengths) for batch in batches)
    assert [visit for batch in batches for visit in batch.visits] == visits

    def peak(count: int) -> int:
        tracemalloc.start()
        gather(study_of(visits[:count]), "qc")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(12)  # what is imported and cached the first time
    # held as bytes, what was added would count in full, and as cells many times over
    assert peak(120) - peak(12) < sum(lengths[12:]) / 4
