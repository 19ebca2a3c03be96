"""No command needs a home, a known user, a folder for temporary files of its own, or a locale."""

from __future__ import annotations

import json
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


DAMAGES = {
    "whole": lambda content: content,
    "empty": lambda _: b"",
    "cut": lambda content: content[:-20],
    "filled with zeros": lambda content: content[:-20] + bytes(20),
}
KERNEL = """
import numba

@numba.njit(cache=True)
def twice(x):
    return 2 * x

print(twice(2), sum(twice.stats.cache_hits.values()))
"""


@pytest.mark.parametrize(
    ("damage", "ending"), [*((damage, "nbi") for damage in DAMAGES), ("cut", "nbc")]
)
def test_a_damaged_cache_of_kernels_is_made_again(
    compiled: Path, tmp_path: Path, damage: str, ending: str
) -> None:
    """Numba ends with the first file that it cannot read, until somebody finds and removes it."""
    shutil.copytree(compiled, tmp_path / "c")
    (path,) = (tmp_path / "c").glob(f"**/*.{ending}")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    removed = caches.remove_damaged_kernels(tmp_path / "c")
    assert removed == ([] if damage == "whole" else [path])
    assert path.exists() == (damage == "whole")
    # what is left of the cache is no reason for numba to end
    assert run_kernel(compiled.parent / "kernel.py", tmp_path / "c") == f"4 {int(not removed)}"


def turned(content: bytes) -> bytes:
    """Turn a bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 8]) + content[middle + 1 :]


@pytest.mark.parametrize(("ending", "anew"), [("nbi", False), ("nbc", False), ("nbc", True)])
def test_a_kernel_that_changed_in_its_middle_is_never_run(
    compiled: Path, tmp_path: Path, ending: str, anew: bool
) -> None:
    """Of a bit that turned in machine code nobody knows what it would compute."""
    cache = tmp_path / "c"
    shutil.copytree(compiled, cache)
    assert caches.remove_damaged_kernels(cache) == []
    (path,) = cache.glob(f"**/*.{ending}")
    content = turned(path.read_bytes())
    if anew:
        path.unlink()
    path.write_bytes(content)
    removed = caches.remove_damaged_kernels(cache)
    assert removed == [path]
    if anew:
        return
    assert run_kernel(compiled.parent / "kernel.py", cache) == "4 0"
    assert caches.remove_damaged_kernels(cache) == []
    assert all(name in (cache / caches.SEEN_KERNELS).read_text() for name in ("nbi", "nbc"))


def test_a_run_looks_at_its_kernels_once(
    compiled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copytree(compiled, tmp_path / "c")
    (path,) = (tmp_path / "c").glob("**/*.nbi")
    path.write_bytes(DAMAGES["cut"](path.read_bytes()))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "c"))
    resources.check_kernels()
    assert not path.exists()
    assert caplog.messages == [f"{path} was damaged: it is compiled again."]
    # not before every batch of persons: all kernels are read for it
    monkeypatch.setattr(resources, "remove_damaged_kernels", None)
    resources.check_kernels()


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": [1]}', '{"a": ["x", "y"]}'])
def test_a_damaged_note_of_kernels_is_written_anew(
    compiled: Path, tmp_path: Path, content: str
) -> None:
    cache = tmp_path / "c"
    shutil.copytree(compiled, cache)
    (cache / caches.SEEN_KERNELS).write_text(content)
    assert caches.remove_damaged_kernels(cache) == []
    assert len(json.loads((cache / caches.SEEN_KERNELS).read_text())) == 2


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of one kernel."""
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "kernel.py").write_text(KERNEL)
    assert run_kernel(folder / "kernel.py", folder / "cache") == "4 0"
    return folder / "cache"


def run_kernel(path: Path, cache: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()
