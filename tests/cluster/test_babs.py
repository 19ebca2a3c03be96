"""The configuration of BABS in the documentation: the call that BABS makes of it runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.builders import ROOT, describe, save_image
from wmhflow.cli.main import main


def test_the_call_that_babs_makes_is_understood(
    raw: Path, derivatives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    config = yaml.safe_load(block)
    # BABS clones the datasets into a folder of the job, and stands there
    job = tmp_path / "job"
    for name, source in (("BIDS", raw), ("masks", derivatives)):
        place = job / config["input_datasets"][name]["path_in_babs"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source)
    (pattern,) = config["input_datasets"]["BIDS"]["required_files"]
    assert list((raw / "sub-01").glob(pattern))
    save_image(derivatives / "sub-01/anat/sub-01_space-T1w_label-WMH_mask.nii.gz")
    (output,) = config["zip_foldernames"]
    words = [f'"{job}/inputs/data/BIDS"', f'"{job}/outputs/{output}"', "participant"]
    for flag, value in config["bids_app_args"].items():
        if flag == "$SUBJECT_SELECTION_FLAG":
            words += [value, '"sub-01"']
        else:
            words += [flag, value]
    line = " ".join(words).replace("${PWD}", str(job)).replace("$BABS_TMPDIR", str(job / "tmp"))
    monkeypatch.chdir(describe(tmp_path / "elsewhere"))
    assert main([*shlex.split(line), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "sub-01_space-T1w_label-WMH_mask.nii.gz" in said
