"""Exit codes, and one clear sentence for whatever is wrong before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import describe, save_image
from wmhflow.cli.main import main


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(words)
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    return code, said


def test_no_such_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refusal(capsys, str(tmp_path / "none"), str(tmp_path / "out"), "participant")
    assert (code, "is not a folder" in said) == (2, True)
    assert not (tmp_path / "out").exists()


def test_no_dataset_description(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refusal(capsys, str(tmp_path), str(tmp_path / "out"), "participant")
    assert (code, "no dataset_description.json" in said) == (2, True)


def test_a_broken_dataset_description(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dataset_description.json").write_text("{")
    code, _ = refusal(capsys, str(tmp_path), str(tmp_path / "out"), "participant")
    assert code == 2
    (tmp_path / "dataset_description.json").write_text(json.dumps({"Name": "x"}))
    code, said = refusal(capsys, str(tmp_path), str(tmp_path / "out"), "participant")
    assert (code, "BIDSVersion" in said) == (2, True)


def test_a_label_that_does_not_exist(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(raw), str(raw.parent / "out"), "participant", "--participant-label", "7"]
    code, said = refusal(capsys, *words)
    assert (code, "no sub-7" in said) == (2, True)


def test_a_derivative_that_is_none(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(raw), str(raw.parent / "out"), "participant", "-d", f"x={raw.parent}/none"]
    code, said = refusal(capsys, *words)
    assert (code, "--derivatives x" in said) == (2, True)


def test_inputs_are_never_written_to(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refusal(capsys, str(raw), str(raw), "participant")
    assert (code, "never written to" in said) == (2, True)


def test_nobody_to_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = describe(tmp_path / "raw")
    assert refusal(capsys, str(root), str(tmp_path / "out"), "participant")[0] == 70
    save_image(root / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    assert refusal(capsys, str(root), str(tmp_path / "out"), "group")[0] == 70


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "a", "b", "nothing")[0] == 2
    assert refusal(capsys)[0] == 2


def test_a_dry_run_writes_nothing(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = raw.parent / "out"
    assert main([str(raw), str(out), "participant", "--dry-run"]) == 0
    assert "sub-01" in capsys.readouterr().out
    assert not out.exists()


def test_a_person_that_cannot_be_processed_is_named(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz").write_bytes(b"broken")
    out = raw.parent / "out"
    words = [str(raw), str(out), "participant", "-w", str(raw.parent / "work")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "sub-01 FAILED" in said
    assert "cannot be read" in said
    assert said.strip().endswith("1 of 1 persons failed.")
    assert not list(out.rglob("sub-01*"))
