"""The image's entry, with a program in the place of its Python that says what it was given."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.builders import ROOT

STANDS_FOR_PYTHON = '#!/bin/sh\nfor word in "$@"; do echo "word: $word"; done\nexec /usr/bin/env\n'


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """The entry, with its folder elsewhere."""
    home = tmp_path / "image"
    (home / "bin").mkdir(parents=True)
    (home / "cache").mkdir()
    (home / "cache/cpu").write_text("x86-64-v3\n")
    (home / "bin/python").write_text(STANDS_FOR_PYTHON)
    (home / "bin/python").chmod(0o755)
    text = (ROOT / "tools/entry.sh").read_text(encoding="utf-8")
    assert text.count("/opt/wmhflow") == 1
    made = home / "bin/wmhflow"
    made.write_text(text.replace("/opt/wmhflow", str(home)), encoding="utf-8")
    made.chmod(0o755)
    return made


def started(entry: Path, *words: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    """Return the words and the variables that Python gets."""
    done = subprocess.run(
        [entry, *words], env=variables, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    given = [line.removeprefix("word: ") for line in lines if line.startswith("word: ")]
    return given, dict(line.split("=", 1) for line in lines[len(given) :])


def test_words_arrive_as_they_were_given(entry: Path) -> None:
    words = [
        "/data",
        "/out",
        "participant",
        "-d",
        "a b=/x y",
        "",
        "*",
        "--wmh-command",
        "a '{t1w}'",
    ]
    assert started(entry, *words)[0] == ["-I", "-B", "-m", "wmhflow", *words]


@pytest.mark.parametrize(
    "name",
    ["PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "NUMBA_DISABLE_JIT", "NUMBA_NUM_THREADS",
     "MPLCONFIGDIR", "MATPLOTLIBRC", "NIPYPE_CONFIG_DIR", "LD_PRELOAD_32", "LD_LIBRARY_PATH"],
)  # fmt: skip
def test_a_variable_of_the_host_is_dropped_or_left_alone(entry: Path, name: str) -> None:
    found = started(entry, "--version", **{name: ""})[1]
    assert (name in found) == (name == "LD_PRELOAD_32")


def test_variables_of_the_image_hold_whatever_the_host_says(entry: Path) -> None:
    home = str(entry.parents[1])
    expected = {
        "NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "", "LC_ALL": "C.UTF-8",
        "NUMBA_CACHE_DIR": f"{home}/cache/numba", "WMHFLOW_CACHE_DIR": f"{home}/cache",
        "WMHFLOW_IN_IMAGE": "1", "NO_ET": "1",
    }  # fmt: skip
    host = dict.fromkeys(expected, "/of/the/host")
    for given in ({}, host):
        assert expected.items() <= started(entry, **given)[1].items()


def test_what_a_user_may_set_stays(entry: Path) -> None:
    kept = {"HOME": "/home/me", "TMPDIR": "/scratch", "WMHFLOW_ATLAS_DIR": "/atlases",
            "SLURM_CPUS_PER_TASK": "4", "FOO": "several\nPYTHONPATH=lines"}  # fmt: skip
    found = started(entry, **kept, PATH="/tools")[1]
    assert {name: found[name] for name in kept if name != "FOO"} == {
        name: value for name, value in kept.items() if name != "FOO"
    }
    # one's own programs come first
    assert found["PATH"].startswith(f"/tools:{entry.parent}:")


def test_without_a_path_programs_are_found(entry: Path) -> None:
    words = ["/bin/sh", "-c", f"unset PATH; exec {entry} x"]
    done = subprocess.run(words, env={}, capture_output=True, text=True, check=True)
    (path,) = [line for line in done.stdout.splitlines() if line.startswith("PATH=")]
    assert path.endswith(f"{entry.parent}:/usr/local/bin:/usr/bin:/bin")


def test_a_missing_cache_is_said_and_python_still_starts(entry: Path) -> None:
    (entry.parents[1] / "cache/cpu").unlink()
    done = subprocess.run(
        [entry], env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert "cpu" in done.stderr
    assert "word: wmhflow" in done.stdout
