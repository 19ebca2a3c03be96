"""How far a run is: lines in a log, and a display that fits any terminal and leaves nothing."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import pytest

from tests.runs import phantom_words
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.progress import Progress
from wmhflow.cli.run import make_plans
from wmhflow.cli.steptimes import MOST_BYTES, Expected, StepTimes, expected_steps
from wmhflow.cli.terminal import Block
from wmhflow.cluster.estimate import reference_voxels


def node(name: str, person: str = "01") -> SimpleNamespace:
    return SimpleNamespace(fullname=f"wmhflow_wf.sub_{person}_wf.visit_wf.{name}")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# ---- a log ---------------------------------------------------------------------------------------


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


def test_a_log_has_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """Also while one step takes minutes: three of them here, with ten steps before."""
    clock = Clock()
    progress = Progress({"sub-01": 11}, clock=clock)
    for second in range(180):
        clock.now = 100.0 + second
        if second < 10:
            progress.step(node(f"step{second}"), "start")
            progress.step(node(f"step{second}"), "end")
        elif second == 10:
            progress.step(node("warp"), "start")
        progress.tick()
    lines = capsys.readouterr().out.splitlines()
    assert [re.match(r"\[(.*?)\]", line)[1] for line in lines] == ["0:00", "1:00", "2:00"]
    assert lines[1].endswith("10 of 11 steps; now: sub-01 warp")


def test_the_last_line_says_that_all_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress({"sub-01": 1})
    with progress.shown():
        progress.step(node("zones"), "start")
        progress.step(node("zones"), "end")
    assert capsys.readouterr().out.splitlines()[-1].endswith("1 of 1 steps; now: –")
    with Progress({"sub-01": 1}, how="quiet").shown():
        pass
    assert capsys.readouterr().out == ""


# ---- the time left -------------------------------------------------------------------------------

MILLION = 1_000_000
KNOWN = {f"wmhflow_wf.sub_01_wf.visit_wf.step{i}": Expected("work", MILLION, 1.0) for i in range(4)}


def test_the_time_left_comes_from_steps_done_before(tmp_path: Path) -> None:
    """Four steps of a minute for a million voxels: two minutes are left on two processors."""
    before = StepTimes(tmp_path / "times.json")
    before.add(Expected("work", 2 * MILLION, 1.0), 120.0)
    before.save()
    clock = Clock()
    times = StepTimes(tmp_path / "times.json")
    progress = Progress({"sub-01": 4}, "", KNOWN, times, 2, clock=clock)
    assert "0 of 4 steps, about 2 min left; now: –" in progress.line()
    progress.step(node("step0"), "start")
    clock.now += 60
    progress.step(node("step0"), "end")
    assert progress.seconds_left() == pytest.approx(90)
    progress.step(node("step1"), "start")
    clock.now += 30
    # half of what runs now is over
    assert progress.seconds_left() == pytest.approx(75)
    for name in ("step1", "step2", "step3"):
        progress.step(node(name), "end")
    assert progress.seconds_left() is None
    assert "left" not in progress.line()


def test_nothing_is_said_where_nothing_is_known() -> None:
    progress = Progress({"sub-01": 4}, "", KNOWN, StepTimes(), 2)
    assert progress.seconds_left() is None
    assert "left" not in progress.line()


def test_a_step_that_was_done_before_tells_no_time(tmp_path: Path) -> None:
    times = StepTimes(tmp_path / "times.json")
    progress = Progress({"sub-01": 4}, "", KNOWN, times)
    progress.step(node("step0"), "end")
    progress.step(node("step1"), "start")
    progress.step(node("step1"), "exception")
    times.save()
    assert not (tmp_path / "times.json").exists()
    assert progress.done == {"sub-01": 2}


def test_of_unknown_kinds_the_stated_times_are_scaled() -> None:
    times = StepTimes()
    known, unknown = Expected("a", MILLION, 10.0), Expected("b", MILLION, 5.0)
    times.add(known, 20.0)
    left = {"one": (known, 0.0), "two": (unknown, 0.0)}
    assert times.seconds_left(left, 1) == pytest.approx(30)
    # too little is known of what is left
    left |= {"three": (unknown, 0.0), "four": (unknown, 0.0)}
    assert times.seconds_left(left, 1) is None


def test_steps_that_wait_for_each_other_take_their_time_however_many_can_run() -> None:
    times = StepTimes()
    times.add(Expected("a", MILLION, 1.0), 10.0)
    names = ("one", "two", "three")
    chain = {name: (Expected("a", MILLION, 1.0, names[max(i - 1, 0) : i]), 0.0)
             for i, name in enumerate(names)}  # fmt: skip
    assert times.seconds_left(chain, 8) == pytest.approx(30)
    free = {name: (Expected("a", MILLION, 1.0), 0.0) for name in names}
    assert times.seconds_left(free, 3) == pytest.approx(10)


def watched(seconds: float, *, then: int = 0) -> list[float]:
    """The estimates of each minute while a step of one runs so long, and others wait for it."""
    times, clock = StepTimes(), Clock()
    names = [f"wmhflow_wf.sub_01_wf.visit_wf.step{i}" for i in range(then + 1)]
    expected = {name: Expected("a", MILLION, 1.0, tuple(names[max(i - 1, 0) : i]))
                for i, name in enumerate(names)}  # fmt: skip
    times.add(expected[names[0]], 60.0)
    progress = Progress({"sub-01": len(names)}, "", expected, times, 2, clock=clock)
    progress.step(node("step0"), "start")
    left = []
    while clock.now - 100 < seconds:
        clock.now += 60
        left.append(progress.seconds_left() or 0.0)
    return left


def test_the_longer_a_step_is_over_its_time_the_longer_it_still_takes() -> None:
    left = watched(600)
    # in time, it is nearly over
    assert left[0] < 10
    assert left == sorted(left)
    # two minutes of one, and the last minute is not yet there
    assert all(seconds > 60 for seconds in left[1:])
    assert left[-1] > 500


def test_what_waits_on_a_busy_machine_takes_longer_too() -> None:
    """Five steps of a minute wait; after four minutes for the first, no five are left."""
    first, *_, last = watched(240, then=5)
    assert first == pytest.approx(306)
    assert last > 2 * 300


def test_the_pace_of_steps_that_ended_counts_and_one_in_time_changes_nothing() -> None:
    for taken, n_before in ((60.0, 1), (180.0, 1), (180.0, 20)):
        times, clock = StepTimes(), Clock()
        for _ in range(n_before):
            times.add(Expected("work", MILLION, 1.0), 60.0)
        progress = Progress({"sub-01": 4}, "", KNOWN, times, 1, clock=clock)
        progress.step(node("step0"), "start")
        clock.now += taken
        progress.step(node("step0"), "end")
        # three more of them, at the pace seen now
        assert progress.seconds_left() == pytest.approx(3 * taken, rel=0.1)


def test_what_is_expected_knows_every_step_of_a_plan_and_what_it_waits_for(tmp_path: Path) -> None:
    settings = parse_settings(phantom_words(tmp_path / "out", tmp_path / "work"))
    plan = next(iter(make_plans(settings)))
    expected = expected_steps([plan], settings)
    names = {name.rpartition(".")[2]: name for name in expected}
    assert {"inputs", "partition", "volumes", "report"} <= set(names)
    assert names["partition"] in expected[names["volumes"]].after
    places = {name: place for place, name in enumerate(expected)}
    assert all(places[one] < places[name] for name, step in expected.items() for one in step.after)
    assert {step.voxels for step in expected.values()} == set(map(reference_voxels, plan.visits))


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "1", '{"work": 3}', '{"work": [-1, 2]}', '{"work": [1e9, 2]}',
        '{"work": [1, 0]}', '{"work": [1, 1e9]}', '{"work": [NaN, 2]}', '{"work": ["1", 2]}',
        '{"work": [true, 2]}', '{"work": null}', "[" * 100_000, "\udcff", "x" * (MOST_BYTES + 1),
    ],
)  # fmt: skip
def test_what_was_kept_is_not_trusted(tmp_path: Path, content: str) -> None:
    path = tmp_path / "times.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    assert StepTimes(path).expect(Expected("work", MILLION, 1.0)) is None


def test_a_place_that_cannot_be_used_costs_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "file" / "times.json"):
        times = StepTimes(path)
        times.add(Expected("work", MILLION, 1.0), 5.0)
        if path.name != "pipe":
            times.save()
        assert times.expect(Expected("work", MILLION, 1.0)) == pytest.approx(5)


# ---- a terminal ----------------------------------------------------------------------------------


class Screen:
    """A small emulator of a terminal, with or without breaking lines anew when it is resized.

    A row notes whether it goes on in the next one, as emulators do.
    """

    def __init__(self, columns: int, height: int, *, reflows: bool) -> None:
        self.columns, self.height, self.reflows = columns, height, reflows
        self.rows, self.goes_on = [""], [False]
        self.row = self.column = 0
        self.wraps = True

    def feed(self, text: str) -> None:
        for part in re.findall(r"\x1b\[\??[0-9;]*[A-Za-z]|[^\x1b]", text):
            if part.startswith("\x1b"):
                self._control(part[2:-1], part[-1])
            elif part == "\r":
                self.column = 0
            elif part == "\n":
                self._down(goes_on=False)
            else:
                self._put(part)

    def _control(self, number: str, letter: str) -> None:
        if letter == "A":
            self.row = max(self._top(), self.row - int(number or 1))
        elif letter == "J":
            del self.rows[self.row + 1 :], self.goes_on[self.row + 1 :]
            self.rows[self.row] = self.rows[self.row][: self.column]
            self.goes_on[self.row] = False
        elif number == "?7":
            self.wraps = letter == "h"
        else:
            raise AssertionError(f"{number}{letter} is not known here")

    def _top(self) -> int:
        return max(0, len(self.rows) - self.height)

    def _down(self, *, goes_on: bool) -> None:
        self.goes_on[self.row] = goes_on
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")
            self.goes_on.append(False)

    def _put(self, letter: str) -> None:
        if self.column >= self.columns:
            if self.wraps:
                self._down(goes_on=True)
                self.column = 0
            else:
                self.column = self.columns - 1
        line = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = line[: self.column] + letter + line[self.column + 1 :]
        self.column += 1

    def resize(self, columns: int) -> None:
        if self.reflows:
            lines, place = self._joined()
            self.rows, self.goes_on = [], []
            for number, line in enumerate(lines):
                parts = [line[i : i + columns] for i in range(0, len(line), columns)] or [""]
                if number == place[0]:
                    self.row = len(self.rows) + min(place[1] // columns, len(parts) - 1)
                    self.column = place[1] % columns
                self.rows += parts
                self.goes_on += [True] * (len(parts) - 1) + [False]
        else:
            self.rows = [row[:columns] for row in self.rows]
            self.goes_on = [False] * len(self.rows)
            self.column = min(self.column, columns - 1)
        self.columns = columns

    def _joined(self) -> tuple[list[str], tuple[int, int]]:
        """Join the rows that go on, and say in which line, and where in it, the cursor is."""
        lines, place, begun = [], (0, 0), ""
        for number, row in enumerate(self.rows):
            if number == self.row:
                place = (len(lines), len(begun) + self.column)
            begun += row
            if not self.goes_on[number]:
                lines.append(begun)
                begun = ""
        return lines, place

    @property
    def text(self) -> list[str]:
        """All that is shown and was scrolled away, without empty lines."""
        return [row.rstrip() for row in self.rows if row.strip()]


class Terminal:
    """A pseudoterminal, and the emulator that reads what is written to it."""

    def __init__(self, columns: int, height: int = 24, *, reflows: bool = True) -> None:
        self.master, slave = os.openpty()
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")
        self.screen = Screen(columns, height, reflows=reflows)
        self._tell(columns, height)

    def _tell(self, columns: int, height: int) -> None:
        size = struct.pack("HHHH", height, columns, 0, 0)
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, size)

    def resize(self, columns: int) -> None:
        self.read()
        self._tell(columns, self.screen.height)
        self.screen.resize(columns)

    def read(self) -> list[str]:
        """Read all that was written, up to a mark that a thread of its own writes last."""
        writer = threading.Thread(target=lambda: (self.stream.write("\0"), self.stream.flush()))
        writer.start()
        data = b""
        while not data.endswith(b"\0"):
            data += os.read(self.master, 4096)
        writer.join()
        self.screen.feed(data[:-1].decode())
        return self.screen.text


@contextmanager
def terminal(columns: int, **how: Any) -> Iterator[Terminal]:
    made = Terminal(columns, **how)
    try:
        yield made
    finally:
        made.stream.close()
        os.close(made.master)


def busy(stream: TextIO, clock: Clock, n_persons: int = 3) -> Progress:
    """Show persons of whom each did 12 of 140 steps, with the time left known."""
    times = StepTimes()
    times.add(Expected("work", MILLION, 1.0), 60.0)
    names = [f"{number:02d}" for number in range(1, n_persons + 1)]
    expected = {node(f"step{i}", name).fullname: Expected("work", MILLION, 1.0)
                for name in names for i in range(140)}  # fmt: skip
    progress = Progress(
        {f"sub-{name}": 140 for name in names}, "", expected, times, 2, stream=stream, clock=clock
    )
    # nobody reads the terminal meanwhile
    progress._block = Block(io.StringIO())
    for name in names:
        for i in range(12):
            progress.step(node(f"step{i}", name), "end")
        progress.step(node("a_step_with_a_rather_long_name", name), "start")
    progress._block = Block(stream)
    return progress


@pytest.mark.parametrize(
    ("columns", "first"),
    [
        (120, "[0:01] 0 of 3 persons, 36 of 420 steps, about 3 h 12 min left"),
        (80, "[0:01] 0 of 3 persons, 36 of 420 steps, about 3 h 12 min left"),
        (40, "0/3, 36/420, 3 h 12 min left"),
        (20, "36/420"),
    ],
)
def test_counts_are_whole_at_every_width(columns: int, first: str) -> None:
    clock = Clock()
    with terminal(columns) as shown:
        progress = busy(shown.stream, clock)
        progress.tick()
        clock.now += 1
        progress.tick()
        text = shown.read()
    assert text[0] == first
    assert text[1].startswith("now: sub-01 a_step")
    assert [line.split()[0] for line in text[2:]] == ["sub-01", "sub-02", "sub-03"]
    assert all(line.endswith("12/140") for line in text[2:])
    assert max(map(len, text)) < columns


@pytest.mark.parametrize("reflows", [True, False])
@pytest.mark.parametrize("widths", [(80, 40, 20), (20, 80, 40), (120, 33, 119, 21, 80)])
def test_a_resized_terminal_shows_the_display_once(widths: tuple[int, ...], reflows: bool) -> None:
    """Whether it breaks lines anew or cuts them: nothing of what was drawn before is left."""
    clock = Clock()
    with terminal(widths[0], reflows=reflows) as shown:
        shown.stream.write("$ wmhflow raw out\n")
        progress = busy(shown.stream, clock)
        for width in widths:
            shown.resize(width)
            for _ in range(3):
                clock.now += 1
                progress.tick()
            text = shown.read()
            wanted = [line.rstrip() for line in progress.lines(width - 1)]
            assert text[-3:] == wanted[2:]
            assert len([line for line in text if "12/140" in line]) == 3
            assert len([line for line in text if line.startswith("now: ")]) == 1
        progress._finish()
        assert shown.read()[-3:] == wanted[2:]
        shown.stream.write("done\n")
        assert shown.read()[-1] == "done"


def test_many_persons_fit_a_low_terminal() -> None:
    with terminal(80, height=6) as shown:
        progress = busy(shown.stream, Clock(), n_persons=30)
        for _ in range(5):
            progress.tick()
        text = shown.read()
    assert len(text) == 4
    assert "360 of 4200 steps" in text[0]


def test_thousands_of_steps_that_end_at_once_are_not_all_drawn() -> None:
    drawn = io.StringIO()
    progress = Progress({"sub-01": 5000}, stream=drawn, clock=Clock())
    progress._block = Block(drawn)
    for number in range(5000):
        progress.step(node(f"step{number}"), "end")
    assert drawn.getvalue().count("now: ") == 1
    progress._finish()
    assert "5000 of 5000 steps" in drawn.getvalue()


def test_a_message_beside_the_display_stays_and_leaves_nothing_of_it() -> None:
    """A worker writes to the same terminal; its messages erase the display before."""
    with terminal(60) as shown:
        progress = busy(shown.stream, Clock())
        progress.tick()
        message = "sub-01: a map cannot be used, " + "and this is a long message " * 3
        shown.stream.write(f"\r\x1b[J{message}\n")
        progress.tick()
        text = shown.read()
    assert "".join(text[:2]).startswith("sub-01: a map cannot be used")
    assert len([line for line in text if "12/140" in line]) == 3


def test_in_the_image_times_lie_with_the_caches_in_the_work_folder(tmp_path: Path) -> None:
    (tmp_path / "caches").mkdir()
    times = StepTimes.of_this_machine(tmp_path)
    times.add(Expected("a step", 1_000_000, 1.0), 3.0)
    times.save()
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "caches"]
    again = StepTimes.of_this_machine(tmp_path)
    assert again.expect(Expected("a step", 2_000_000, 1.0)) == pytest.approx(6.0)
