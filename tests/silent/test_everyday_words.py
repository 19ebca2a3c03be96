"""What shells, daemons and half-removed folders do to a command: said, or without a consequence.

One row per case. Before, an empty variable of a shell meant the folder in which the user stands,
``--work-dir=~/work`` a folder called ``~``, and a closed stream or a long name a traceback.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import ROOT
from wmhflow.cli.main import main
from wmhflow.cli.parser import parse_settings
from wmhflow.errors import UsageError
from wmhflow.files.children import deaf_to_terminals
from wmhflow.settings import read_config_file

UNSET = "the path is empty; give one"
NOT_UTF8 = os.fsdecode(b"caf\xe9")
LONG = "a" * 300


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, beside a home."""
    for name in ("here", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["", "{out}", "participant"], UNSET),
        (["{raw}", "", "participant"], UNSET),
        (["{raw}", "", "group"], UNSET),
        (["status", ""], UNSET),
        (["cancel", ""], UNSET),
        (["submit", "{raw}", "", "--dry-run"], UNSET),
        (["check", "", "{out}"], UNSET),
        (["atlas", "overlap", "", "--atlas", "x"], UNSET),
        (["submit", "{raw}", "{out}", "--image", ""], "the image's name is empty"),
        *(
            (["{raw}", "{out}", "participant", option, ""], UNSET)
            for option in (
                "-w",
                "--bids-database-dir",
                "--config-file",
                "--maps",
                "--bids-filter-file",
                "--use-plugin",
            )
        ),
        (["{raw}", "{out}", "participant", "--segmenter-image", ""], "the image's name is empty"),
        (
            ["{raw}", "{out}", "participant", "--config-file", "a", "--config-file", "b"],
            "--config-file is given twice",
        ),
        (["{raw}", "{raw}" + LONG, "participant"], "File name too long"),
        (["{raw}", "{raw}" + LONG, "group"], "File name too long"),
        (["{raw}", "{out}", "participant", "-w", LONG], "--work-dir .*File name too long"),
        (["{raw}", "{out}", "participant", "--bids-database-dir", LONG], "File name too long"),
        (["{raw}", NOT_UTF8, "participant"], "OUTPUT_DIR .* is no UTF-8"),
        (["{raw}", "{out}", "participant", "-w", NOT_UTF8], "--work-dir .* is no UTF-8"),
    ],
)
def test_wrong_use_is_said_and_nothing_written(
    stand: Path, raw: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    filled = [word.format(raw=raw, out=stand / "out") for word in words]
    assert main(filled) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(said, told), told
    assert list(Path.cwd().iterdir()) == []
    assert not (stand / "out").exists()


@pytest.mark.parametrize("file", [False, True])
def test_a_home_is_meant_where_no_shell_says_so(stand: Path, raw: Path, file: bool) -> None:
    words = [str(raw), "~/out", "participant"]
    if file:
        path = stand / "options.toml"
        path.write_text(
            '[execution]\nwork-dir = "~/w"\n[inputs]\ntransform = "FA=[~/{subject}.txt,1]"'
        )
        words += ["--config-file", str(path)]
    else:
        words += ["--work-dir=~/w", "--transform=FA=[~/{subject}.txt,1]", "--atlas", "mine=~/m.nii"]
    settings = parse_settings(words)
    home = stand / "home"
    assert (settings.output_dir, settings.execution.work_dir) == (home / "out", home / "w")
    assert settings.inputs.transform[0].of_visit("01", None) == home / "01.txt"
    assert file or settings.regions.atlas == (f"mine={home}/m.nii",)
    # a folder of that name can be meant still
    assert parse_settings([str(raw), "./~", "participant"]).output_dir == Path.cwd() / "~"


def test_an_empty_list_is_no_value(tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    path.write_text("[inputs]\nparticipant-label = []")
    with pytest.raises(UsageError, match="participant_label is an empty list"):
        read_config_file(path)


HARMS: list[tuple[str, Callable[[Path], object], str]] = [
    ("logs", Path.touch, "logs is a file, where a folder of the outputs is meant"),
    ("dataset_description.json", Path.mkdir, "dataset_description.json cannot be used .Is a dir"),
    ("descriptions.tsv", Path.mkdir, "descriptions.tsv cannot be used .Is a directory"),
]


@pytest.mark.parametrize(("name", "harm", "said"), HARMS)
def test_what_stands_where_an_output_goes_is_named(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str], name: str,
    harm: Callable[[Path], object], said: str,
) -> None:  # fmt: skip
    (tmp_path / "out").mkdir()
    harm(tmp_path / "out" / name)
    words = [str(raw), str(tmp_path / "out"), "participant", "--boilerplate-only"]
    assert main([*words, "-w", str(tmp_path / "work"), "--skip-bids-validation"]) in {1, 2}
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("wmhflow: ")
    assert re.search(said, told), told


def test_a_person_whose_folder_is_a_file_fails_alone(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(raw), str(tmp_path / "out"), "participant", "-w", str(tmp_path / "work")]
    assert main([*words, "--boilerplate-only"]) == 0
    (tmp_path / "out" / "sub-01").touch()
    assert main(words) == 1
    assert "sub-01 FAILED: " in (told := capsys.readouterr().err)
    assert "sub-01 is a file, where a folder of the outputs is meant; move it away." in told


# ---- processes of their own ----------------------------------------------------------------------


def shell(script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    start = ["bash", "-c", script, "bash", sys.executable, "-m", "wmhflow"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*start, *map(str, words)], capture_output=True, text=True, check=False, env=environment
    )


def test_a_folder_that_is_gone_is_said(tmp_path: Path, raw: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = shell(f'cd {gone}; rmdir {gone}; "$@"', raw, tmp_path / "out", "participant")
    assert done.returncode == 2
    assert done.stderr.startswith("wmhflow: The folder in which you stand is not there any more")
    assert done.stderr.count("\n") == 1


def test_closed_streams_are_no_reason_to_end(tmp_path: Path, raw: Path) -> None:
    words = [raw, tmp_path / "out", "participant", "--dry-run", "-w", tmp_path / "work"]
    for closed in (">&-", "<&- >&- 2>&-"):
        done = shell(f'"$@" {closed}', *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


CLOSED = """
import os, sys
for number in (0, 1, 2): os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
from wmhflow.files.standard_output import fill_standard_streams
fill_standard_streams()
print("lost"); print("lost", file=sys.stderr); sys.stdout.flush()
with open(sys.argv[1], "w") as file:
    file.write("kept")
    os.write(1, b"printed by a library")
    print(file.fileno(), [os.get_inheritable(number) for number in (0, 1, 2)], file=file)
"""


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    path = tmp_path / "file"
    subprocess.run([sys.executable, "-c", CLOSED, path], check=True, cwd=ROOT)
    assert path.read_text() == "kept3 [True, True, True]\n"


INTERRUPTED = """
import runpy, signal, sys, os
class Finder:
    def find_spec(self, name, *_):
        if name == "wmhflow.cli.signals":
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
runpy.run_module("wmhflow", run_name="__main__")
"""


def test_an_interruption_while_modules_are_read_is_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 130
    assert done.stderr == "wmhflow: interrupted; the same command goes on from here.\n"


def test_what_the_system_refuses_is_one_sentence(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(raw), str(tmp_path / "out"), "participant", "-w", str(tmp_path / "work")]
    for error, said in (
        (PermissionError(13, "Forbidden", "/x/y"), "/x/y cannot be used (Forbidden)"),
        (OSError("no shared object 'libx.so'"), "The system refused something: no shared object"),
        (MemoryError(), "There is not enough memory"),
    ):  # fmt: skip

        def fail(*_: object, raised: BaseException = error) -> int:
            raise raised

        monkeypatch.setattr("wmhflow.cli.run.make_plans", fail)
        assert main(words) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"wmhflow: {said}")
        assert told.count("\n") == 1


ASLEEP = "import signal; print(int(signal.getsignal(2)), int(signal.getsignal(1)))"


def test_processes_of_a_run_leave_the_signals_of_a_terminal_to_it() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGHUP)]
    with deaf_to_terminals():
        begun = subprocess.Popen([sys.executable, "-c", ASLEEP], stdout=subprocess.PIPE, text=True)
    assert begun.communicate()[0].split() == [str(int(signal.SIG_IGN))] * 2
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGHUP)] == before
