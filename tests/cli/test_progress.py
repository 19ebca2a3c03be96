"""A log gets plain lines that count steps and persons."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from wmhflow.cli.progress import Progress


def node(name: str) -> SimpleNamespace:
    return SimpleNamespace(fullname=f"wmhflow_wf.sub_01_wf.visit_wf.{name}")


def test_lines_count_steps_and_persons(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress({"sub-01": 2})
    progress.step(node("zones"), "start")
    assert "now: sub-01 zones" in progress.line()
    progress.step(node("zones"), "end")
    progress.step(node("shells"), "start")
    progress.step(node("shells"), "exception")
    assert "1 of 1 persons, 2 of 2 steps; now: –" in progress.line()
    assert progress.failed == {"sub-01"}
    assert "\x1b" not in capsys.readouterr().out


def test_a_line_names_what_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmhflow.cli.progress.PLAIN_INTERVAL_S", 0.0)
    progress = Progress({"sub-01": 2})
    for name in ("zones", "shells"):
        progress.step(node(name), "start")
        progress.step(node(name), "end")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("now: ")[2] for line in lines] == ["sub-01 zones", "sub-01 shells"]


def test_the_live_display_shows_every_person() -> None:
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(Progress({"sub-01": 2, "sub-02": 3}).table())
    text = console.export_text()
    assert "sub-01" in text
    assert "0/3" in text
