"""No command needs a home, a known user, a folder for temporary files of its own, or a locale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import PHANTOM, ROOT
from wmhflow.cli import resources
from wmhflow.errors import UsageError
from wmhflow.files import caches

UNKNOWN = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
COMMANDS = {
    "version": (["--version"], 0),
    "help": (["--help"], 0),
    "atlas help": (["atlas", "--help"], 0),
    "atlas list": (["atlas", "list"], 0),
    "atlas check": (["atlas", "check", "no-such-atlas"], 2),
    "boilerplate": ([str(PHANTOM), "{out}", "participant", "--boilerplate-only"], 0),
    "plan": ([str(PHANTOM), "{out}", "participant", "--dry-run"], 0),
    "group": ([str(PHANTOM), "{out}", "group"], 70),
}


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Path]:
    """A folder that can be written to, and one to stand in that cannot."""
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd").chmod(0o555)
    yield tmp_path
    (tmp_path / "cwd").chmod(0o755)


def can_be_unknown() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*UNKNOWN, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(("words", "code"), COMMANDS.values(), ids=COMMANDS)
def test_every_command_without_home_user_temporary_folder_and_locale(
    bare: Path, words: list[str], code: int
) -> None:
    who = UNKNOWN if can_be_unknown() else []
    environment = {
        "PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict", "TMPDIR": str(bare / "none"),
        "NUMBA_CACHE_DIR": os.environ["NUMBA_CACHE_DIR"],
    }  # fmt: skip
    if not who:
        # a user who is known has a home unless it is said to be elsewhere
        environment["HOME"] = str(bare / "none" / "home")
    filled = [word.format(out=bare / "out") for word in words]
    done = subprocess.run(
        [*who, sys.executable, "-m", "wmhflow", *filled],
        cwd=bare / "cwd", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert list((bare / "cwd").iterdir()) == []
    assert not (bare / "none").exists()


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Put everything back that is chosen."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in (*caches.TEMPORARY_VARIABLES, "HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR",
                 "MPLCONFIGDIR", "NIPYPE_CONFIG_DIR", "MPLBACKEND", "NIPYPE_NO_ET"):  # fmt: skip
        monkeypatch.setenv(name, "")
    return monkeypatch


def test_temporary_files_never_lie_where_the_user_stands(
    tmp_path: Path, clean: pytest.MonkeyPatch
) -> None:
    """Python would take the folder in which the user stands, such as the dataset."""
    clean.chdir(tmp_path)
    clean.setattr(caches, "is_writable", lambda folder: folder == tmp_path)
    with pytest.raises(UsageError, match="set TMPDIR"):
        caches.set_temporary_folder()
    clean.setenv("TMPDIR", str(tmp_path / "none"))
    clean.setattr(caches, "is_writable", lambda folder: str(folder) == caches.IN_MEMORY)
    assert str(caches.set_temporary_folder()) == caches.IN_MEMORY == tempfile.gettempdir()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("home", ["~", "nobody"])
def test_a_user_without_a_home_gets_one_for_libraries(
    tmp_path: Path, clean: pytest.MonkeyPatch, home: str
) -> None:
    clean.setenv("TMPDIR", str(tmp_path))
    clean.chdir(tmp_path)
    clean.setattr(os.path, "expanduser", lambda path: path.replace("~", home))
    resources.prepare_folders()
    for name in ("HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "NIPYPE_CONFIG_DIR"):
        assert Path(os.environ[name]).is_relative_to(tmp_path / f"wmhflow-cache-{os.getuid()}")
    assert [path.name for path in tmp_path.iterdir()] == [f"wmhflow-cache-{os.getuid()}"]


def test_a_home_that_cannot_be_written_to_is_left_alone(
    tmp_path: Path, clean: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("no folder")
    clean.setenv("HOME", str(tmp_path / "home"))
    clean.setenv("TMPDIR", str(tmp_path))
    resources.prepare_folders()
    assert os.environ["HOME"] == str(tmp_path / "home")
    assert Path(os.environ["NUMBA_CACHE_DIR"]).is_dir()
