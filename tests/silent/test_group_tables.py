"""A finished person's table that cannot be gathered is named, and no half of a study is written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from tests.group.studies import finished, give, group_settings, study_of
from wmhflow.bids.writer import read_table, write_text
from wmhflow.cli.main import main
from wmhflow.errors import InputError
from wmhflow.group import run, staging
from wmhflow.group.gather import gather
from wmhflow.group.study import Visit
from wmhflow.products.tables import TABLES

Harm = Callable[[Path], object]
KINDS = ("lesions", "volumes", "qc", "maps")


@pytest.fixture
def study(tmp_path: Path) -> tuple[list[str], list[Visit]]:
    """Three finished visits with tables of some kinds, and the words that gather them."""
    out, raw = tmp_path / "out", tmp_path / "raw"
    visits = [finished(out, "01"), finished(out, "02"), finished(out, "03", session="ses-1")]
    for number, visit in enumerate(visits):
        give(visit, "volumes", [{"seg": "tissue", "index": 1, "volume_mm3": number + 5}])
        give(visit, "qc", [{"metric": "a", "value": number}])
        give(visit, "maps", [{"seg": "zones", "index": 1, "mean": number}] * 2)
        record_outputs(visit)
    group_settings(raw, visits)
    return [str(raw), str(out), "group"], visits


def record_outputs(visit: Visit) -> None:
    """Write into the record what a run would: every file and its size."""
    record = json.loads(visit.record.read_text())
    paths = [visit.table(kind) for kind in TABLES if visit.table(kind).is_file()]
    record["outputs"] = {
        path.relative_to(visit.output_dir).as_posix(): held(path) for path in paths
    }
    visit.record.write_text(json.dumps(record))


def held(path: Path) -> object:
    """Tell what a table holds: its length alone, or its checksum, too."""
    size = path.stat().st_size
    if "qc" in path.name:
        return {"size": size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return size


def contents(out: Path) -> dict[str, bytes]:
    """Every file of the study, hidden ones as well."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for folder in ("group", "phenotype")
        for path in (out / folder).rglob("*")
        if path.is_file()
    } | {path.name: b"" for path in out.glob(".group*")}


def rows_of(visit: Visit, kind: str) -> list[dict[str, str]]:
    path = visit.output_dir / "group" / f"{TABLES[kind].ending}.tsv"
    return [row for row in read_table(path) if row["participant_id"] == visit.participant_id]


def rid(path: Path) -> Path:
    path.unlink()
    return path


def in_header(old: str, new: str) -> Harm:
    """Change the first line alone; the length may stay."""

    def change(path: Path) -> None:
        header, _, rest = path.read_text().partition("\n")
        assert old in header
        path.write_text(header.replace(old, new, 1) + "\n" + rest)

    return change


HARMS: list[tuple[str, str, Harm, str]] = [
    ("gone", "maps", Path.unlink, "is missing"),
    ("gone", "qc", Path.unlink, "is missing"),
    ("gone", "volumes", Path.unlink, "is missing"),
    ("gone", "lesions", Path.unlink, "is missing"),
    ("a link to nowhere", "qc", lambda path: rid(path).symlink_to("gone"), "not fetched"),
    ("a folder", "qc", lambda path: rid(path).mkdir(), "a folder where a file is meant"),
    ("a pipe", "qc", lambda path: os.mkfifo(rid(path)), "a pipe or a device"),
    ("empty", "maps", lambda path: path.write_bytes(b""), "the table is empty"),
    ("an empty line", "maps", lambda path: path.write_bytes(b"\n\n"), "the table is empty"),
    ("cut at a line", "maps", lambda path: os.truncate(path, path.read_bytes().rindex(b"\n", 0, -1)
                                                       + 1), "it was changed or cut"),
    ("cut in a line", "maps", lambda path: os.truncate(path, path.stat().st_size - 3), "line 3: "),
    ("a header alone", "volumes", lambda path: path.write_text(path.read_text().partition("\n")[0]
                                                               + "\n"), "it was changed or cut"),
    ("a row twice", "maps", lambda path: path.write_text(path.read_text() + path.read_text()
                                                         .split("\n")[-2] + "\n"), "changed"),
    ("a column lacks", "qc", in_header("value", "valve"), "not those of qc, it lacks value"),
    ("a column more", "qc", in_header("value", "value\tmore"), "not those of qc, it has more"),
    ("a column twice", "qc", in_header("value", "value\tvalue"), "not those of qc"),
    ("another's", "qc", lambda path: path.write_text("a\tb\n1\t2\n"), "not those of qc"),
    ("no table", "qc", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" * 9), "not those of qc"),
    ("a cell", "qc", lambda path: path.write_text(path.read_text().replace("\t1\t", "\tx\t")),
     "line 2: 'x' in the column value is not a number"),
    ("no number", "qc", lambda path: path.write_text(path.read_text().replace("\t1\t", "\tnan\t")),
     "line 2: 'nan' in the column value is not a number"),
    ("no end", "qc", lambda path: path.write_text(path.read_text().replace("\t1\t", "\t-inf\t")),
     "line 2: '-inf' in the column value is not a number"),
    ("cells", "qc", lambda path: path.write_text(path.read_text().replace("\t1\t", " 1\t")),
     "line 2: 4 cells under a header of 5"),
    ("a value", "qc", lambda path: path.write_text(path.read_text().replace("\t1\t", "\t7\t")),
     "it was changed or cut"),
    ("bytes", "qc", lambda path: path.write_bytes(path.read_bytes().replace(b"a", b"\xff")
                                                  .replace(b"v\xfflue", b"value")),
     "not those of qc|not text in UTF-8"),
]  # fmt: skip


@pytest.mark.acts("--allow-missing")
@pytest.mark.parametrize(("what", "kind", "harm", "said"), HARMS)
def test_a_table_that_cannot_be_gathered_is_named_and_all_stays(
    study: tuple[list[str], list[Visit]],
    capsys: pytest.CaptureFixture[str],
    what: str,
    kind: str,
    harm: Harm,
    said: str,
) -> None:
    words, visits = study
    out = visits[0].output_dir
    assert main(words) == 0
    before = contents(out)
    # what would be new, were it written
    give(visits[0], "qc", [{"metric": "a", "value": 99}])
    record_outputs(visits[0])
    harm(visits[1].table(kind))
    capsys.readouterr()
    assert main(words) == 1, what
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert told[0].startswith(f"sub-02 n/a: {visits[1].table(kind).relative_to(out)}")
    assert contains(told[0], said)
    assert told[1].startswith("1 tables of 1 visits")
    assert contents(out) == before

    assert main([*words, "--allow-missing"]) == 0
    assert "left out (--allow-missing)" in capsys.readouterr().err
    assert not rows_of(visits[1], kind)
    for other in set(KINDS) - {kind}:
        assert rows_of(visits[1], other)
    for visit in (visits[0], visits[2]):
        assert all(rows_of(visit, one) for one in KINDS)
    assert rows_of(visits[0], "qc")[0]["value"] == "99"
    person = read_table(out / "phenotype" / "wmhflow_volumes.tsv")[1]
    assert (person["n_lesions"] == "n/a") == (kind == "lesions")
    assert (person["tissue_CSF_volume_mm3"] == "n/a") == (kind == "volumes")


def contains(text: str, said: str) -> bool:
    return any(part in text for part in said.split("|"))


def test_every_one_is_named_and_counted(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str]
) -> None:
    words, visits = study
    visits[0].table("maps").unlink()
    visits[0].table("qc").write_bytes(b"")
    visits[2].table("volumes").unlink()
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "sub-01 n/a: " in told
    assert "sub-03 ses-1: " in told
    assert "3 tables of 2 visits" in told
    assert not contents(visits[0].output_dir)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": {"zones": []}}'])
def test_a_damaged_record_costs_its_visit(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str], content: str
) -> None:
    words, visits = study
    assert main(words) == 0
    before = contents(visits[0].output_dir)
    visits[1].record.write_text(content)
    capsys.readouterr()
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "record.json is damaged; process sub-02 n/a again" in told
    assert "1 of 3 records are damaged: the study's tables are as they were" in told
    assert contents(visits[0].output_dir) == before
    assert main([*words, "--allow-missing"]) == 0
    shown = capsys.readouterr()
    assert "1 visits whose records are damaged are left out (--allow-missing)" in shown.err
    assert "2 visits gathered" in shown.out
    assert not rows_of(visits[1], "volumes")
    assert rows_of(visits[2], "volumes")


def test_where_all_records_are_damaged_nothing_is_written(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str]
) -> None:
    words, visits = study
    for visit in visits:
        visit.record.write_text("{")
    assert main([*words, "--allow-missing"]) == 1
    assert "3 of 3 records are damaged" in capsys.readouterr().err
    assert not contents(visits[0].output_dir)


def test_a_kind_that_was_never_promised_lacks_nowhere(
    study: tuple[list[str], list[Visit]],
) -> None:
    words, visits = study
    visits[1].table("maps").unlink()
    record_outputs(visits[1])
    assert main(words) == 0
    assert not rows_of(visits[1], "maps")


class Killed(BaseException):
    """What ends a run at any moment, as a signal does."""


@pytest.mark.parametrize("kind", ["lesions", "maps", "qc"])
def test_a_run_that_ends_while_it_gathers_leaves_the_old_tables(
    study: tuple[list[str], list[Visit]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    words, visits = study
    out = visits[0].output_dir
    assert main(words) == 0
    before = contents(out)
    give(visits[0], "lesions", [{"index": 1}, {"index": 2}])
    record_outputs(visits[0])
    gather = run.gather

    def gather_until(study: object, this: str, *given: object) -> None:
        if this == kind:
            raise Killed
        gather(study, this, *given)

    with monkeypatch.context() as patch:
        patch.setattr(run, "gather", gather_until)
        with pytest.raises(Killed):
            main(words)
    assert contents(out) == before
    assert main(words) == 0
    assert len(rows_of(visits[0], "lesions")) == 2


@pytest.mark.acts("--allow-missing")
@pytest.mark.parametrize("more", [[], ["--allow-missing"]])
@pytest.mark.parametrize("is_finished", [True, False])
def test_a_visit_that_is_processed_meanwhile_gives_no_rows_of_two_runs(
    study: tuple[list[str], list[Visit]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_finished: bool,
    more: list[str],
) -> None:
    # volumes of the old run stood beside maps of the new one, or beside none
    words, visits = study
    out = visits[0].output_dir
    assert main(words) == 0
    before = contents(out)
    gather = run.gather

    def gather_meanwhile(study: object, kind: str, *given: object) -> None:
        gather(study, kind, *given)
        if kind == "volumes":
            record = visits[0].record.read_text()
            visits[0].record.unlink()
            visits[0].table("maps").unlink()
            if is_finished:
                give(visits[0], "maps", [{"seg": "zones", "index": 1, "mean": 77}])
                visits[0].record.write_text(record)
                record_outputs(visits[0])

    with monkeypatch.context() as patch:
        patch.setattr(run, "gather", gather_meanwhile)
        assert main([*words, *more]) == 1
    assert "1 visits were processed while" in capsys.readouterr().err
    assert contents(out) == before


def test_a_table_that_the_last_run_did_not_write_is_not_gathered_with_its_own(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str]
) -> None:
    # the record was removed, and the run that made it anew had no maps
    words, visits = study
    record = json.loads(visits[0].record.read_text())
    name = visits[0].table("maps").relative_to(visits[0].output_dir).as_posix()
    del record["outputs"][name]
    visits[0].record.write_text(json.dumps(record))
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"{name} was not written by the run that finished this visit" in said
    visits[0].table("maps").unlink()
    assert main(words) == 0
    assert not rows_of(visits[0], "maps")


@pytest.mark.parametrize("moment", ["full", "between", "locked"])
def test_what_a_killed_run_left_is_swept_and_a_living_ones_is_not(
    study: tuple[list[str], list[Visit]], moment: str
) -> None:
    words, visits = study
    out = visits[0].output_dir
    assert main(words) == 0
    before = contents(out)
    left = out / ".group-killed"
    left.mkdir()
    (left / staging.LOCK).touch()
    write_text(left / "group" / "lesions.tsv", "half\n")
    if moment == "between":
        (out / "group").replace(left / staging.OLD)
    with (left / staging.LOCK).open("rb") as lock:
        if moment == "locked":
            staging.fcntl.flock(lock, staging.fcntl.LOCK_EX)
        with staging.stage_in(out):
            assert left.exists() == (moment == "locked")
    if moment != "locked":
        assert contents(out) == before


# How the system answers: it exchanges folders, it cannot here, it does not know how.
EXCHANGES = [None, mock.Mock(renameat2=lambda *_: -1), mock.Mock(spec=[])]


@pytest.mark.parametrize("system", EXCHANGES)
def test_the_folder_changes_as_one_and_keeps_what_is_not_ours(
    study: tuple[list[str], list[Visit]], monkeypatch: pytest.MonkeyPatch, system: object
) -> None:
    words, visits = study
    out = visits[0].output_dir
    assert main(words) == 0
    (out / "group" / "my_model.R").write_text("lm()")
    write_text(out / "group" / "mine" / "figure.svg", "<svg/>")
    write_text(out / "phenotype" / "age.tsv", "participant_id\tage\n")
    unchanged = out / "group" / f"{TABLES['lesions'].ending}.tsv"
    number = unchanged.stat().st_ino
    give(visits[0], "qc", [{"metric": "a", "value": 7}])
    record_outputs(visits[0])
    if system is not None:
        monkeypatch.setattr(staging.ctypes, "CDLL", lambda *_, **__: system)
    assert main(words) == 0
    assert rows_of(visits[0], "qc")[0]["value"] == "7"
    assert (out / "group" / "my_model.R").read_text() == "lm()"
    assert (out / "group" / "mine" / "figure.svg").read_text() == "<svg/>"
    assert (out / "phenotype" / "age.tsv").is_file()
    assert unchanged.stat().st_ino == number
    assert not list(out.glob(".group-*"))
    # and where nothing changed nothing does
    folder = (out / "group").stat().st_ino
    assert main(words) == 0
    assert (out / "group").stat().st_ino == folder


def test_tables_of_a_kind_that_nobody_has_any_more_go(
    study: tuple[list[str], list[Visit]],
) -> None:
    words, visits = study
    assert main(words) == 0
    for visit in visits:
        visit.table("maps").unlink()
        record_outputs(visit)
    assert main(words) == 0
    left = {path.name for path in (visits[0].output_dir / "group").iterdir()}
    assert not any("maps_regions" in name for name in left)
    assert f"{TABLES['qc'].ending}.parquet" in left


def test_a_dry_run_writes_nothing(study: tuple[list[str], list[Visit]]) -> None:
    words, visits = study
    assert main([*words, "--dry-run"]) == 0
    assert not contents(visits[0].output_dir)


@pytest.mark.parametrize("written", ["nan", "NaN", "inf", "-inf"])
def test_no_number_is_gathered_as_one(tmp_path: Path, written: str) -> None:
    """A change that keeps the length, of a table of which the record holds the length alone."""
    visit = finished(tmp_path / "out", "01")
    give(visit, "maps", [{"seg": "zones", "index": 1, "mean": "0.5" + "0" * (len(written) - 3)}])
    record_outputs(visit)
    path = visit.table("maps")
    path.write_text(path.read_text().replace("0.5" + "0" * (len(written) - 3), written))
    group_settings(tmp_path / "raw", [visit])
    with pytest.raises(InputError, match=f"'{written}' in the column mean is not a number"):
        gather(study_of([visit]), "maps")
