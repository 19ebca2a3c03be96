"""What was not made alike is not gathered in silence: one row per thing that differs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.group.studies import finished, give, group_settings
from wmhflow.bids.writer import table_text, write_text
from wmhflow.cli.main import main
from wmhflow.group.alike import DRAWN
from wmhflow.group.study import Visit
from wmhflow.products.columns import names
from wmhflow.products.tables import QC_TABLE
from wmhflow.steps.measures import quality_row

Record = dict[str, Any]


@pytest.fixture
def study(tmp_path: Path) -> tuple[list[str], list[Visit]]:
    """Three finished visits of three persons that were made alike."""
    out, raw = tmp_path / "out", tmp_path / "raw"
    visits = [finished(out, "01"), finished(out, "02"), finished(out, "03", session="ses-1")]
    for number, visit in enumerate(visits):
        give(visit, "volumes", [{"seg": "tissue", "index": 1, "volume_mm3": number + 5}])
        edit(visit, alike(number))
    group_settings(raw, visits)
    return [str(raw), str(out), "group"], visits


def edit(visit: Visit, change: Callable[[Record], object]) -> None:
    record = json.loads(visit.record.read_text())
    change(record)
    visit.record.write_text(json.dumps(record))


def alike(number: int) -> Callable[[Record], object]:
    """Note what a run notes; what a person has of one's own differs."""

    def change(record: Record) -> None:
        record["versions"] = {"wmhflow": "0.1.0", "numpy": "2.0"}
        record["settings"] |= {
            "shell_width": 2.0, "wmh": "given", "reference": "T1w", "tissue_guard": None,
            "lobes": ["parcellation", None, "dkt31"][number], "random_seed": number + 1,
            "registration_qc": ["flag", "fail", "off"][number],
        }  # fmt: skip
        record["maps"] = {"MD": {"unit": "mm^2/s", "file": f"bids:maps:{number}"}}
        record["parts"] = {
            "T1w": [f"bids:raw:{number}"], "FLAIR": [], "wmh": [f"bids:masks:{number}"],
            "tissues": [f"bids:seg:{number}"], "forward": ["bids:identity"],
        }  # fmt: skip
        record["inputs"] = {
            f"bids:raw:{number}": f"{number}" * 64,
            f"bids:maps:{number}": ("m" if number == 0 else f"{number}9") * 64,
            f"bids:masks:{number}": f"{number}w" * 32,
            f"bids:seg:{number}": f"{number}s" * 32,
            "bids:identity": "i" * 64,
        }

    return change


def setting(name: str, value: Any) -> Callable[[Record], object]:
    return lambda record: record["settings"].update({name: value})


DIFFERS: dict[str, tuple[Callable[[Record], object], str]] = {
    "version": (lambda record: record["versions"].update(wmhflow="0.2.0"),
                "different versions of wmhflow (0.1.0: sub-01 n/a and 1 more; 0.2.0: sub-02 n/a)"),
    "shells": (setting("shell_width", 1.0),
               "different --shell-width (2.0: sub-01 n/a and 1 more; 1.0: sub-02 n/a)"),
    "a guard": (setting("tissue_guard", 3.0), "different --tissue-guard (n/a: sub-01 n/a and 1"),
    "reference": (setting("reference", "FLAIR"), "different reference images (T1w: sub-01 n/a"),
    "source": (setting("wmh", "computed"), "different sources of WMH (given: sub-01 n/a and 1"),
    "labels": (setting("wmh_labels", ["1", "2"]), ""),
    "unit": (lambda record: record["maps"]["MD"].update(unit="um^2/ms"),
             "(given, in mm^2/s: sub-01 n/a and 1 more; given, in um^2/ms: sub-02 n/a)"),
    "computed": (lambda record: record["maps"]["MD"].update(computed={"step": "tensor"}),
                 "The map MD is not the same in all visits (given, in mm^2/s: sub-01"),
    "a copy": (lambda record: record["inputs"].update({"bids:raw:1": "0" * 64}),
               "One image under two names: the T1w of sub-02 n/a is also that of sub-01 n/a."),
    "a copy of a mask": (lambda record: record["inputs"].update({"bids:masks:1": "0w" * 32}),
                         "the mask of WMH of sub-02 n/a is also that of sub-01 n/a."),
    "a copy of a parcellation": (lambda record: record["inputs"].update({"bids:seg:1": "0s" * 32}),
                                 "the parcellation of sub-02 n/a is also that of sub-01 n/a."),
    "a copy of a map": (lambda record: record["inputs"].update({"bids:maps:1": "m" * 64}),
                        "One image under two names: the MD of sub-02 n/a is also that of sub-01"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), DIFFERS.values(), ids=DIFFERS)
def test_what_differs_is_said_with_the_visits(
    study: tuple[list[str], list[Visit]],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Record], object],
    said: str,
) -> None:
    words, visits = study
    edit(visits[1], change)
    assert main(words) == 0
    told = capsys.readouterr().err.splitlines()
    assert len(told) == bool(said)
    assert said in "".join(told)


def test_alike_is_no_news(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(study[0]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("part", [part for part in DRAWN if part != "tissues"])
@pytest.mark.parametrize(("volume_mm3", "is_said"), [(0, False), (12.5, True), (None, True)])
def test_masks_of_nothing_may_be_alike(
    study: tuple[list[str], list[Visit]],
    capsys: pytest.CaptureFixture[str],
    part: str,
    volume_mm3: float | None,
    is_said: bool,
) -> None:
    words, visits = study
    for number, visit in enumerate(visits[:2]):

        def have(record: Record, uri: str = f"bids:drawn:{number}") -> None:
            record["parts"][part] = [uri]
            record["inputs"][uri] = "0d" * 32

        edit(visit, have)
        if volume_mm3 is not None:
            rows = [quality_row(f"{part}_given_volume_mm3", volume_mm3)]
            path = visit.output_dir / QC_TABLE.path(visit.place)
            write_text(path, table_text(names(QC_TABLE.columns), rows))
    assert main(words) == 0
    said = f"the {DRAWN[part]} of sub-02 n/a is also that of sub-01 n/a" if is_said else ""
    err = capsys.readouterr().err
    assert said in err
    assert bool(err) is is_said


@pytest.mark.parametrize("key", ["versions", "settings", "maps", "parts", "inputs"])
@pytest.mark.parametrize("value", [None, 3, "text", [], [1], {"a": [1]}, {"T1w": 3, "MD": []}])
def test_a_record_of_other_types_is_no_traceback(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str], key: str, value: Any
) -> None:
    words, visits = study
    edit(visits[1], lambda record: record.update({key: value}))
    # without the zones nobody can tell the table's columns
    assert main(words) == (1 if key == "settings" else 0)
    assert "Traceback" not in capsys.readouterr().err


def test_of_very_many_ways_a_few_are_shown(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str]
) -> None:
    words, visits = study
    out = visits[0].output_dir
    more = [finished(out, f"1{number}") for number in range(9)]
    for number, visit in enumerate(more):
        edit(visit, lambda record, n=number: record.update(versions={"wmhflow": f"{n}" * 60}))
    group_settings(Path(words[0]), [*visits, *more])
    assert main(words) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "6 other values" in line
    assert len(line) < 400


# ---- whose tables are there and not gathered -----------------------------------------------------


def test_a_person_who_was_taken_out_is_named(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str]
) -> None:
    words, _ = study
    (Path(words[0]) / "sub-02").rmdir()
    assert main(words) == 0
    told = capsys.readouterr()
    assert f"sub-02 is finished and left out: {words[0]} has no sub-02." in told.err
    assert "2 visits gathered" in told.out
    # who is asked for by name is what is wanted
    assert main([*words, "--participant-label", "01"]) == 0
    assert "left out" not in capsys.readouterr().err


def test_tables_from_before_there_were_sessions_are_named(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str]
) -> None:
    words, visits = study
    finished(visits[0].output_dir, "02", session="ses-1")
    assert main(words) == 0
    assert "sub-02 is finished and left out: an earlier run made it without the sessions" in (
        capsys.readouterr().err
    )


def as_file(path: Path) -> None:
    path.write_text("mine")


def as_link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to("elsewhere")


def as_link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [as_file, as_link, as_link_to_nowhere])
@pytest.mark.parametrize("name", ["group", "phenotype"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_what_stands_where_the_tables_go_is_not_replaced(
    study: tuple[list[str], list[Visit]],
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    name: str,
    more: tuple[str, ...],
) -> None:
    words, visits = study
    out = visits[0].output_dir
    shutil.rmtree(out / "group", ignore_errors=True)
    make(out / name)
    # files may be written through a link to a folder
    is_fine = make is as_link and name == "phenotype"
    assert main([*words, *more]) == (0 if is_fine else 2)
    said = capsys.readouterr().err
    assert (str(out / name) in said) != is_fine
    assert not is_fine or more or (out / "elsewhere" / "wmhflow_volumes.tsv").is_file()
    assert make is not as_file or (out / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shell-width", "1"], ("--shell-width 1.0 changes nothing here: visits were made with "
                                 "another one (2.0: sub-01 n/a and 2 more)")),
        (["--reference", "FLAIR"], "--reference FLAIR changes nothing here"),
        (["--zones", "pv10"], "--zones pv10 changes nothing here"),
        (["--tissue-guard", "3"], "--tissue-guard 3.0 changes nothing here"),
    ],
)  # fmt: skip
def test_an_option_that_the_visits_were_not_made_with_is_said(
    study: tuple[list[str], list[Visit]],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    # profiles of shells of 2 mm were gathered, whatever width was given
    assert main([*study[0], *words]) == 0
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--shell-width", "2"], ["--reference", "T1w"], ["--nprocs", "1"],
              ["--random-seed", "9"], ["--participant-label", "01"], ["--layers-p", "0.05"]]
)  # fmt: skip
def test_the_options_that_they_were_made_with_are_no_news(
    study: tuple[list[str], list[Visit]], capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main([*study[0], *words]) == 0
    assert "changes nothing" not in capsys.readouterr().err
