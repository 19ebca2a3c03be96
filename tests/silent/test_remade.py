"""A damaged or missing output is noticed by the next run, which makes it anew and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath

import pytest

from tests.silent.units import finish, make_unit
from tests.workflows.sums import add
from wmhflow.products.product import Place, Recipe, Work, page_path
from wmhflow.products.record import is_finished, is_page_whole, note_page
from wmhflow.products.unit import Unit
from wmhflow.workflows.graph import build_graph


def flip(path: Path) -> None:
    """Turn one bit, as disks do; size and time stay."""
    about, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


DAMAGES = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "missing": Path.unlink,
    "folder": to_folder,
    "dangling": dangling,
    "loop": loop,
}
DAMAGED = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@DAMAGED
@pytest.mark.parametrize("number", range(6), ids=["image", "sidecar", "names", "table",
                                                  "dictionary", "transform"])  # fmt: skip
def test_a_damaged_output_is_noticed_and_named(
    tmp_path: Path, number: int, damage, caplog: pytest.LogCaptureFixture
) -> None:
    unit, out = make_unit(tmp_path), tmp_path / "out"
    paths = finish(unit, out)
    assert len(paths) == 6
    assert is_finished(unit, out)
    damage(paths[number])
    assert not is_finished(unit, out)
    assert paths[number].name in caplog.text
    assert "made anew" in caplog.text


def test_an_output_that_was_only_touched_is_the_same(tmp_path: Path) -> None:
    unit, out = make_unit(tmp_path), tmp_path / "out"
    for path in finish(unit, out):
        os.utime(path, (0, 0))
    assert is_finished(unit, out)


@DAMAGED
@pytest.mark.parametrize("number", [0, 1], ids=["page", "picture"])
def test_a_damaged_page_or_picture_is_noticed(tmp_path: Path, number: int, damage) -> None:
    page = page_path("01")
    names = [page, page.with_suffix("") / "figures" / "sub-01_desc-a_bold.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"shown here")
    note_page("01", tmp_path, names)
    assert is_page_whole("01", tmp_path, page)
    damage(tmp_path / names[number])
    assert not is_page_whole("01", tmp_path, page)


def sums(folder: Path) -> None:
    """Run two steps, of which the second takes what the first made."""
    from nipype import Workflow

    steps = (
        Recipe("first", add, {"total": Work("first")}, options={"more": 3}),
        Recipe("second", add, {"total": Work("second")}, takes={"one": "first"}),
        Recipe("apart", add, {"total": Work("apart")}, options={"more": 5}),
    )
    workflow = Workflow("sums", base_dir=str(folder))
    # as runs of the program have it
    workflow.config["execution"]["remove_unnecessary_outputs"] = "false"
    build_graph(workflow, [Unit("sub-01", ("sub_01_wf",), Place("01"), steps)])
    workflow.run("Linear")


def total(folder: Path, name: str) -> Path:
    return folder / "sums" / "sub_01_wf" / name / "total.json"


@pytest.mark.parametrize("what", ["total.json", "made.json", "result_first.pklz"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "missing"])
def test_a_damaged_file_of_the_work_folder_is_made_anew_before_it_is_read(
    tmp_path: Path, what: str, damage: str
) -> None:
    sums(tmp_path)
    others = {name: total(tmp_path, name).stat().st_mtime_ns for name in ("second", "apart")}
    DAMAGES[damage](total(tmp_path, "first").with_name(what))
    sums(tmp_path)
    assert [json.loads(total(tmp_path, name).read_text()) for name in ("first", "second")] == [
        {"is": 3}, {"is": 3},
    ]  # fmt: skip
    after = {name: total(tmp_path, name).stat().st_mtime_ns for name in others}
    assert after == others


def test_a_picture_that_the_page_shows_no_more_is_removed(tmp_path: Path) -> None:
    page = PurePosixPath("sub-01.html")
    kept, gone, other = (
        PurePosixPath(f"sub-0{who}/figures/sub-0{who}_desc-{what}_profile.png")
        for who, what in ((1, "profileFA"), (1, "profileMD"), (2, "profileMD"))
    )
    for name in (page, kept, gone, other):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("something", encoding="utf-8")
    note_page("01", tmp_path, [page, kept, gone])
    note_page("01", tmp_path, [page, kept])
    left = {path.name for path in tmp_path.rglob("*.png")}
    assert left == {kept.name, other.name}
    assert is_page_whole("01", tmp_path, page)
    # what an edited record names besides is not this page's to remove
    note_page("01", tmp_path, [page, kept, other])
    note_page("01", tmp_path, [page, kept])
    assert (tmp_path / other).is_file()
