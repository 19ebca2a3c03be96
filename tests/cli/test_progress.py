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


def test_the_live_display_shows_every_person() -> None:
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(Progress({"sub-01": 2, "sub-02": 3}).table())
    text = console.export_text()
    assert "sub-01" in text
    assert "0/3" in text
