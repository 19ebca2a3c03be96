"""The commands of the Makefile that the README names."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders import ROOT
from wmhflow.cli.parser import parse_settings


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
def test_one_person_of_the_example_can_be_tried_as_the_readme_says(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"^\$ (make demo DEMO_ARGS=.*)$", text, re.MULTILINE)
    # -n: printed and not run; another environment than the one that may be here
    words = [*shlex.split(said), "-n", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.replace("\\\n", " ").splitlines()
    runs = [
        shlex.split(line)[1:]
        for line in lines
        if line.split()[:1] == [f"{tmp_path}/venv/bin/wmhflow"]
    ]
    chosen = [parse_settings(run) for run in runs]
    assert [one.level for one in chosen] == ["participant", "group"]
    assert [one.inputs.participant_label for one in chosen] == [("01",), ("01",)]
    assert (ROOT / chosen[0].bids_dir / "sub-01").is_dir()
