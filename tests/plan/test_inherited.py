"""Of files that are inherited from folders above the nearest count, each alone or mixed."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from wmhflow.bids.query import FoundFile
from wmhflow.bids.sidecars import inherited_files, read_sidecar
from wmhflow.errors import InputError
from wmhflow.files.gradients import load_bvals, same_bvals
from wmhflow.plan.nearest import FoundSeries, what_stands_nearer
from wmhflow.registries.series import load_series_definitions

IMAGE = "sub-01/ses-1/dwi/sub-01_ses-1_dir-AP_dwi.nii.gz"
# where a file of the image's metadata may stand, the farthest first
LEVELS = (
    "dwi",
    "dir-AP_dwi",
    "sub-01/sub-01_dwi",
    "sub-01/sub-01_dir-AP_dwi",
    "sub-01/ses-1/sub-01_ses-1_dwi",
    "sub-01/ses-1/sub-01_ses-1_dir-AP_dwi",
    "sub-01/ses-1/dwi/sub-01_ses-1_dwi",
    "sub-01/ses-1/dwi/sub-01_ses-1_dir-AP_dwi",
)
FAR, MIDDLE, NEAR = LEVELS[0], LEVELS[2], LEVELS[-1]
TABLE = "1 0 0 0\n1 0 0 1000\n"
BVALS, OTHER_BVALS = "5 995", "0 3000"


def image(root: Path) -> FoundFile:
    return FoundFile(root / IMAGE, {}, "raw", root)


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("ending", [".bval", ".bvec", ".b"])
@pytest.mark.parametrize(("far", "near"), list(pairwise(LEVELS)))
def test_of_one_kind_the_nearest_counts(tmp_path: Path, far: str, near: str, ending: str) -> None:
    above = write(tmp_path, far + ending, "0")
    assert [one.path for one in inherited_files(image(tmp_path), ending)] == [above]
    own = write(tmp_path, near + ending, "1")
    assert [one.path for one in inherited_files(image(tmp_path), ending)] == [own]


@pytest.mark.parametrize(("far", "near"), list(pairwise(LEVELS)))
def test_a_nearer_json_file_counts_field_by_field(tmp_path: Path, far: str, near: str) -> None:
    write(tmp_path, f"{far}.json", json.dumps({"EchoTime": 1, "Units": "s"}))
    write(tmp_path, f"{near}.json", json.dumps({"EchoTime": 2}))
    assert read_sidecar(image(tmp_path)) == {"EchoTime": 2, "Units": "s"}


def series(root: Path, *names: str) -> FoundSeries | str:
    """Find the gradients that count, of files that are written as they are called."""
    texts = {".b": TABLE, ".bval": BVALS, ".bvec": "0 1\n0 0\n0 0\n"}
    for name in names:
        write(root, name, texts[Path(name).suffix])
    found: dict[str, FoundFile] = {"image": image(root)}
    for parameter, ending in (("bval", ".bval"), ("bvec", ".bvec"), ("table", ".b")):
        for one in inherited_files(image(root), ending):
            found[parameter] = one
    return what_stands_nearer(load_series_definitions()["diffusion"], found)


# the files that there are, and which of them counts for b-values and for directions
MIXED = {
    "a pair": ((f"{NEAR}.bval", f"{NEAR}.bvec"), f"{NEAR}.bval", f"{NEAR}.bvec"),
    "a pair of two levels": ((f"{FAR}.bval", f"{NEAR}.bvec"), f"{FAR}.bval", f"{NEAR}.bvec"),
    "a table alone": ((f"{MIDDLE}.b",), f"{MIDDLE}.b", f"{MIDDLE}.b"),
    "a table far above a pair": (
        (f"{FAR}.b", f"{NEAR}.bval", f"{NEAR}.bvec"), f"{NEAR}.bval", f"{NEAR}.bvec"),
    "a table above directions alone": (
        (f"{MIDDLE}.b", f"{FAR}.bval", f"{NEAR}.bvec"), f"{FAR}.bval", f"{NEAR}.bvec"),
    "a table below a pair": (
        (f"{NEAR}.b", f"{FAR}.bval", f"{FAR}.bvec"), f"{NEAR}.b", f"{NEAR}.b"),
    "a table below b-values": ((f"{NEAR}.b", f"{FAR}.bval"), f"{NEAR}.b", f"{NEAR}.b"),
    "a table beside a pair": (
        (f"{NEAR}.b", f"{NEAR}.bval", f"{NEAR}.bvec"), f"{NEAR}.b", f"{NEAR}.b"),
    "a table between": (
        (f"{MIDDLE}.b", f"{NEAR}.bval", f"{FAR}.bvec"), f"{NEAR}.bval", f"{MIDDLE}.b"),
    "of one folder, the name that says more": (
        (f"{LEVELS[-2]}.b", f"{NEAR}.bval", f"{NEAR}.bvec"), f"{NEAR}.bval", f"{NEAR}.bvec"),
    "directions without b-values": ((f"{NEAR}.bvec",), None, f"{NEAR}.bvec"),
    "directions without b-values below a table": (
        (f"{FAR}.b", f"{NEAR}.bvec"), None, f"{NEAR}.bvec"),
    "b-values without directions": ((f"{NEAR}.bval",), f"{NEAR}.bval", None),
}  # fmt: skip


@pytest.mark.parametrize(("names", "bvals", "directions"), MIXED.values(), ids=MIXED)
def test_of_tables_and_pairs_the_nearest_directions_count(
    tmp_path: Path, names: tuple[str, ...], bvals: str | None, directions: str | None
) -> None:
    found = series(tmp_path, *names)
    assert not isinstance(found, str)
    # a table is preferred by who reads them, so that it may be there only if it counts
    counted = [found.get("bval"), found.get("table") or found.get("bvec")]
    wanted = [None if name is None else tmp_path / name for name in (bvals, directions)]
    assert [one and one.path for one in counted] == wanted  # type: ignore[union-attr]
    if bvals:
        assert load_bvals(tmp_path / bvals).round(-2).tolist() == [0, 1000]


def test_nearer_b_values_that_contradict_the_only_directions_are_refused(tmp_path: Path) -> None:
    write(tmp_path, f"{NEAR}.bval", OTHER_BVALS)
    found = series(tmp_path, f"{FAR}.b")
    assert isinstance(found, str)
    assert f"{tmp_path / NEAR}.bval says other b-values than {tmp_path / FAR}.b" in found
    write(tmp_path, f"{NEAR}.bval", "no numbers")
    assert "is no table of numbers" in str(series(tmp_path))


@pytest.mark.parametrize(
    ("text", "same"),
    [("0 1000", True), ("5 995", True), ("0 900", False), ("0 1000 1000", False), ("0", False)],
)
def test_b_values_are_the_same_but_for_rounding(tmp_path: Path, text: str, same: bool) -> None:
    table, bvals = write(tmp_path, "a.b", TABLE), write(tmp_path, "a.bval", text)
    assert same_bvals(table, bvals) == same


def test_a_table_has_four_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no four columns x y z b"):
        load_bvals(write(tmp_path, "a.b", "1 0 0\n"))
