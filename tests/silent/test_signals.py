"""SIGTERM, SIGHUP and SIGINT end a run, and its children, with a sentence and the shell's code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.builders import ROOT
from wmhflow.cli import main as program
from wmhflow.cli.signals import Stopped, stopping_signals
from wmhflow.workflows.plugin import stop_processes

CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
# the program's entry, with a command that begins a child that begins another, and waits
WAITING = """
import subprocess, sys, time
from wmhflow.cli import main
from wmhflow.workflows.plugin import stop_processes

def run(words, streams):
    grandchild = "import time; time.sleep(600)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    process = subprocess.Popen([sys.executable, "-c", child])
    time.sleep(1)
    try:
        print("begun", flush=True)
        time.sleep(600)
    finally:
        stop_processes([process.pid])

main._run = run
sys.exit(main.main([]))
"""


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """Behind nohup or in the background signals are ignored, by children as well."""
    usual = {
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def begun(code: str = WAITING, *before: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*before, sys.executable, "-c", code], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_with_a_sentence_a_code_and_no_children(number: signal.Signals) -> None:
    process = begun()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 2
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == CODES[number]
    name = "interrupted" if number is signal.SIGINT else f"stopped by {number.name}"
    assert said == f"wmhflow: {name}; the same command goes on from here.\n"
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def test_a_run_behind_nohup_does_not_end_with_its_terminal() -> None:
    with stopping_signals():
        assert signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_handlers_are_put_back_and_a_second_signal_would_end_at_once(number: int) -> None:
    before = signal.getsignal(number)

    def wait() -> None:
        with stopping_signals():
            try:
                os.kill(os.getpid(), number)
                time.sleep(5)
            finally:
                assert signal.getsignal(number) is signal.SIG_DFL

    with pytest.raises(Stopped) as caught:
        wait()
    assert caught.value.code == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (Stopped(15), 143), (Stopped(1), 129)]
)
@pytest.mark.parametrize("words", [["atlas", "list"], ["a", "b", "group"]])
def test_every_command_says_what_stopped_it(
    raised: BaseException, code: int, words: list[str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def stop(*_: object) -> int:
        raise raised

    monkeypatch.setattr(program, "_run", stop)
    assert program.main(words) == code
    assert capsys.readouterr().err.endswith("; the same command goes on from here.\n")


def test_processes_that_do_not_end_are_killed() -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('begun', flush=True); time.sleep(600)"
    )
    process = begun(stubborn)
    stop_processes([process.pid, 2**22 - 1])
    assert process.wait(timeout=20) == -signal.SIGKILL


TOOL = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / "x").write_text(str(os.getpid()))
(folder / "x").rename(folder / "pid")
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
from pathlib import Path
from wmhflow.steps.programs import call_program
call_program(sys.argv[1:], Path(sys.argv[-1]), "tool")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_program_ends_with_the_worker_that_was_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TOOL, str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-c", PARENT, *words], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child = psutil.Process(int((tmp_path / "pid").read_text()))
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive
