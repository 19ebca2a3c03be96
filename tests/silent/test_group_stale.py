"""Inputs that were edited after their visit was made: the group level gathered the old rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.group.studies import finished, give, group_settings
from wmhflow.cli.main import main
from wmhflow.files.checksums import checksum
from wmhflow.group.study import Visit

NOW = 1_900_000_000
DAY = 86_400


@pytest.fixture
def study(tmp_path: Path) -> tuple[list[str], list[Visit]]:
    """Two finished visits, each with an image, and a mask that another dataset holds."""
    out, raw, masks = tmp_path / "out", tmp_path / "raw", tmp_path / "masks"
    visits = [finished(out, "01"), finished(out, "02")]
    group_settings(raw, visits)
    links = {"DatasetLinks": {"raw": "../elsewhere", "masks": "../masks"}}
    made_by = {"GeneratedBy": [{"Name": "wmhflow"}], "Name": "x", "BIDSVersion": "1.10.0"}
    (out / "dataset_description.json").write_text(json.dumps(made_by | links))
    for number, visit in enumerate(visits):
        give(visit, "volumes", [{"seg": "tissue", "index": 1, "volume_mm3": number + 5}])
        record = json.loads(visit.record.read_text())
        record["inputs"] = {}
        for name, root in (("raw", raw), ("masks", masks)):
            path = root / visit.participant_id / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{name} {number}".encode())
            os.utime(path, (NOW, NOW))
            record["inputs"][f"bids:{name}:{path.relative_to(root)}"] = checksum(path)
        visit.record.write_text(json.dumps(record))
        os.utime(visit.record, (NOW + DAY, NOW + DAY))
    return [str(raw), str(out), "group"], visits


def written(path: Path, content: bytes, days: int = 2) -> None:
    path.unlink()
    path.write_bytes(content)
    os.utime(path, (NOW + days * DAY, NOW + days * DAY))


def other_mask(folder: Path) -> None:
    written(folder / "masks" / "sub-02" / "masks.nii.gz", b"another")


def other_image(folder: Path) -> None:
    written(folder / "raw" / "sub-02" / "raw.nii.gz", b"another")


EDITS: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "nothing": (lambda folder: None, None),
    "a mask": (other_mask, "masks.nii.gz of sub-02 n/a"),
    "an image": (other_image, "raw.nii.gz of sub-02 n/a"),
    "one that is written again": (
        lambda folder: written(folder / "masks" / "sub-02" / "masks.nii.gz", b"masks 1"), None),
    "one that is gone": (
        lambda folder: (folder / "masks" / "sub-02" / "masks.nii.gz").unlink(), None),
    "a folder in its place": (
        lambda folder: ((folder / "masks" / "sub-02" / "masks.nii.gz").unlink(),
                        (folder / "masks" / "sub-02" / "masks.nii.gz").mkdir()), None),
    "a pipe in its place": (
        lambda folder: ((folder / "masks" / "sub-02" / "masks.nii.gz").unlink(),
                        os.mkfifo(folder / "masks" / "sub-02" / "masks.nii.gz")), None),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "said"), EDITS.values(), ids=EDITS)
def test_an_input_that_was_edited_since_is_said(
    study: tuple[list[str], list[Visit]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    edit: Callable[[Path], object],
    said: str | None,
) -> None:
    edit(tmp_path)
    assert main(study[0]) == 0
    err = capsys.readouterr().err
    assert ("edited after the tables were made" in err) == (said is not None)
    assert (said or "") in err
    assert "sub-01" not in err


def test_another_folder_that_is_given_is_looked_at(
    study: tuple[list[str], list[Visit]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved" / "sub-01"
    moved.mkdir(parents=True)
    (moved / "masks.nii.gz").write_bytes(b"another")
    os.utime(moved / "masks.nii.gz", (NOW + 2 * DAY, NOW + 2 * DAY))
    (tmp_path / "moved" / "dataset_description.json").write_text(
        json.dumps({"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "derivative"})
    )
    assert main([*study[0], "-d", f"masks={moved.parent}"]) == 0
    assert "masks.nii.gz of sub-01 n/a" in capsys.readouterr().err


@pytest.mark.parametrize(
    "uri",
    [
        "bids:raw:../secret",
        "bids:raw:/etc/passwd",
        "bids:none:x",
        "raw",
        "",
        "bids:raw:",
        "a:b:c:d",
    ],
)
def test_a_record_leads_to_no_file_elsewhere(
    study: tuple[list[str], list[Visit]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    uri: str,
) -> None:
    (tmp_path / "secret").write_text("x")
    os.utime(tmp_path / "secret", (NOW + 9 * DAY, NOW + 9 * DAY))
    record = study[1][0].record
    content = json.loads(record.read_text())
    content["inputs"] = {uri: "0" * 64, "bids:raw:sub-01/raw.nii.gz": 5}
    record.write_text(json.dumps(content))
    os.utime(record, (1, 1))
    assert main(study[0]) == 0
    assert "edited after" not in capsys.readouterr().err
