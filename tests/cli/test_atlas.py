"""``wmhflow atlas``: exit codes, tables, and the publisher's own numbers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import DATA
from wmhflow.cli.main import main

AFFINE = np.array([[1.0, 0, 0, -4.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    data = np.zeros((10, 4, 4), np.int16)
    data[:4], data[6:] = 1, 2
    nib.save(nib.Nifti1Image(data, AFFINE), tmp_path / "made.nii.gz")
    (tmp_path / "made.txt").write_text("1|AL|artery left\n2|AR|artery right\n")
    return tmp_path / "made.nii.gz"


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_the_list_names_every_atlas_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atlas", "list"]) == 0
    said = capsys.readouterr().out
    for words in (
        "arterial ",
        "dkt31",
        "tatu",
        "xtract",
        "jhuicbm",
        "CC BY-SA 4.0",
        "your own copy",
    ):
        assert words in said


def test_a_check_counts_sides(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atlas", "check", f"mine={made}"]) == 0
    assert "mine: 2 regions (1 L, 1 R, 0 B)" in capsys.readouterr().out


def test_an_overlap_has_a_row_per_mask(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = []
    for name, last in (("a", 2), ("b", 8)):
        mask = np.zeros((10, 4, 4), np.uint8)
        mask[:last] = 255
        nib.save(nib.Nifti1Image(mask, AFFINE), tmp_path / f"{name}.nii.gz")
        masks.append(str(tmp_path / f"{name}.nii.gz"))
    assert main(["atlas", "overlap", *masks, "--atlas", str(made)]) == 0
    first, second = rows_of(capsys.readouterr().out)
    assert (first["mask"], first["1_AL"], first["2_AR"]) == (masks[0], "0.5", "0.0")
    assert (second["1_AL"], second["2_AR"], second["2_AR_mm3"]) == ("1.0", "0.5", "32.0")
    assert (second["volume_mm3"], second["outside_mm3"]) == ("128.0", "32.0")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["atlas"], 2),
        (["atlas", "fetch", "nonesuch"], 2),
        (["atlas", "overlap", "m.nii.gz", "--atlas", "nonesuch"], 2),
        (["atlas", "check", "mine=/nonesuch.nii.gz"], 2),
        (["atlas", "overlpa", "x"], 2),
        (["atlas", "overlap", "m", "--atlas", "tatu", "--threshold", "0"], 2),
        (["atlas", "overlap", "m", "--atlas", "tatu", "--threshold", "nan"], 2),
        (["atlas", "overlap", "a\tb", "--atlas", "tatu"], 2),
    ],
)
def test_wrong_use_is_said_in_one_sentence(
    words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    assert capsys.readouterr().err.startswith("wmhflow: ")


def test_a_mask_from_another_space_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = AFFINE.copy()
    far[:3, 3] = 500
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), far), tmp_path / "far.nii.gz")
    assert main(["atlas", "overlap", str(tmp_path / "far.nii.gz"), "--atlas", str(made)]) == 1
    assert "lies in no region" in capsys.readouterr().err


def test_one_bad_mask_costs_no_other_its_row(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, out = (tmp_path / name for name in ("good.nii.gz", "bad.nii.gz", "out.tsv"))
    nib.save(nib.Nifti1Image(np.ones((10, 4, 4), np.uint8), AFFINE), good)
    nib.save(nib.Nifti1Image(np.linspace(0, 1, 160).reshape(10, 4, 4), AFFINE), bad)
    words = ["atlas", "overlap", str(bad), str(good), "--atlas", str(made), "--out", str(out)]
    assert main(words) == 1
    assert "bad.nii.gz holds shares and no mask" in capsys.readouterr().err
    (row,) = rows_of(out.read_text())
    assert row["1_AL"] == row["2_AR"] == "1.0"


def test_a_threshold_for_labels_is_refused(made: Path, tmp_path: Path) -> None:
    words = ["atlas", "overlap", str(made), "--atlas", str(made), "--threshold", "0.3"]
    assert main(words) == 2


STROKES = DATA / "stroke_lesions"


@pytest.mark.skipif(not STROKES.is_dir(), reason="the stroke masks are not on this machine")
@pytest.mark.parametrize("by_name", [True, False])
def test_the_publisher_s_own_table_comes_back_to_the_last_digit(
    by_name: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    atlas = DATA / "atlases" / "arterial_jhu" / "ArterialAtlas136.nii.gz"
    masks = sorted(map(str, STROKES.glob("*_lesion.nii.gz")))
    chosen = f"arterial={atlas}" if by_name else str(atlas)
    assert main(["atlas", "overlap", *masks, "--atlas", chosen]) == 0
    with (STROKES / "artery.tsv").open() as stream:
        published = {row["participant_id"]: row for row in csv.DictReader(stream, delimiter="\t")}
    compared = 0
    for row in rows_of(capsys.readouterr().out):
        theirs = published["sub-" + Path(row["mask"]).name.split("sub-")[1].split("_")[0]]
        assert float(row["volume_mm3"]) == float(theirs["lesion_volume"])
        ours = {k.split("_")[0]: v for k, v in row.items() if not k.endswith("mm3")}
        for name, value in theirs.items():
            if name[0].isdigit():
                assert ours[name.split("_")[0]] == value, (row["mask"], name)
                compared += 1
    assert compared == 31 * len(masks)
