"""A full disk is said with the folder that is full, by every writer, and nobody counts as finished.

Most rows let the system's call fail; one fills a real disk of 100 kB, where one may be mounted.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import ROOT
from tests.products.kinds import settings
from tests.workflows.sums import add
from wmhflow.bids import writer
from wmhflow.cli import main as program
from wmhflow.cli import resources
from wmhflow.cli.batches import Batches
from wmhflow.errors import NoSpaceError
from wmhflow.files import space
from wmhflow.files.images import make_image
from wmhflow.files.space import full_folder, is_full, no_space
from wmhflow.settings import Resources
from wmhflow.steps import adapter, outputs
from wmhflow.steps.adapter import interface_of
from wmhflow.workflows.plugin import KILLED

FULL = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


WRITERS: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: writer.write_text(path, "a"),
    "JSON": lambda path: writer.write_json(path, {"a": 1}),
    "bytes": lambda path: writer.write_bytes(path, b"a"),
    "table": lambda path: writer.write_text(path, writer.table_text(["a"], [])),
    "image": lambda path: outputs.write_bytes(
        path, outputs.image_bytes(make_image(np.zeros((2, 2, 2), np.uint8), np.eye(4)))
    ),
}


@pytest.mark.parametrize("number", FULL)
@pytest.mark.parametrize("call", ["fsync", "replace", "mkstemp", "mkdir"])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_writer_names_its_folder_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, call: str, number: int
) -> None:
    path = tmp_path / "sub-01" / "a"
    if call != "mkdir":
        path.parent.mkdir()
    where = {"mkstemp": writer.tempfile, "mkdir": writer.Path}.get(call, writer.os)
    monkeypatch.setattr(where, call, failing(number))
    with pytest.raises(NoSpaceError, match=f"^No space left on {path.parent}; free some"):
        write(path)
    monkeypatch.undo()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_disk_that_knows_no_permissions_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer.os, "chmod", failing(errno.EPERM))
    assert writer.write_text(tmp_path / "a", "b")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["b"]


def test_another_error_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer.os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output") as caught:
        writer.write_text(tmp_path / "a", "b")
    assert not isinstance(caught.value, NoSpaceError)
    assert not is_full(caught.value)
    assert not is_full(ValueError("No space left on device"))


@pytest.mark.parametrize("number", FULL)
def test_a_step_names_the_work_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(adapter, "_saved", failing(number))
    interface = interface_of(add)
    interface.inputs.trait_set(more=1)
    with pytest.raises(NoSpaceError, match=f"No space left on {tmp_path}"):
        interface.run(cwd=str(tmp_path))


@pytest.mark.parametrize("error", [RuntimeError("ITK failed"), ValueError("cut"), MemoryError()])
def test_a_library_that_does_not_say_so_is_asked_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    interface = interface_of(add)
    interface.inputs.trait_set(more=1)
    monkeypatch.setattr(adapter, "_saved", fail)
    with pytest.raises(type(error)):
        interface.run(cwd=str(tmp_path))
    monkeypatch.setattr(space.os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(NoSpaceError, match=f"No space left on {tmp_path}"):
        interface.run(cwd=str(tmp_path))


REASONS = [
    ("OSError: [Errno 28] No space left on device", True),
    ("OSError: [Errno 122] Disk quota exceeded: '/x/result.pklz'", True),
    ("RuntimeError: itk: No space left on device", True),
    (KILLED, True),
    ("FileNotFoundError: FileNotFoundError(PosixPath('/w/result_zones.pklz'))", True),
    ("EOFError: Ran out of input", True),
    ("sub-01_T1w.nii.gz is noise.", False),
]


@pytest.mark.parametrize(("reason", "may_be"), REASONS)
@pytest.mark.parametrize("full", ["out", "work", "tmp"])
def test_a_reason_names_the_folder_of_the_run_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, may_be: bool, full: str
) -> None:
    batches = batches_in(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr("wmhflow.cli.batches.full_folder", lambda folders: next(
        (folder for folder in map(Path, folders) if folder.name == full), None))  # fmt: skip
    named = {"out": "OUTPUT_DIR", "work": "--work-dir", "tmp": "TMPDIR"}[full]
    said = batches._told(reason)
    if may_be:
        assert said.startswith(f"No space left on {tmp_path / full}; ")
        assert named in said
    else:
        assert said == reason


def batches_in(folder: Path) -> Batches:
    chosen = settings()
    chosen = replace(
        chosen, output_dir=folder / "out",
        execution=replace(chosen.execution, work_dir=folder / "work"),
    )  # fmt: skip
    return Batches(chosen, Resources(1, 1, 4.0))


@pytest.mark.parametrize(
    ("inside", "named"), [("out/sub-01/anat", "OUTPUT_DIR"), ("work/wf/zones", "--work-dir")]
)
def test_a_folder_that_a_step_named_is_told_by_its_option(
    tmp_path: Path, inside: str, named: str
) -> None:
    said = batches_in(tmp_path)._told(str(no_space(tmp_path / inside)))
    assert said.startswith(f"No space left on {tmp_path / inside}; ")
    assert said.endswith(f"(in {named})")


def test_a_full_disk_ends_any_command_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (OSError(errno.ENOSPC, "full", "/a/b.tsv"), no_space("/a")):

        def fail(*_: object, error: OSError = error) -> int:
            raise error

        monkeypatch.setattr(program, "_run", fail)
        assert program.main([]) == 1
        assert capsys.readouterr().err.startswith("wmhflow: No space left on /a; free some")


def test_the_record_of_resources_stops_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resources, "_record_into", failing(errno.ENOSPC))
    resources._record(tmp_path / "r.tsv", threading.Event())
    assert "is not written any more: No space left" in caplog.text


ON_DISK = """
import sys
from pathlib import Path
from wmhflow.bids.writer import write_bytes
from wmhflow.errors import NoSpaceError
from wmhflow.files.space import full_folder
import os
for size in (200_000, 60_000, 60_000):
    try:
        write_bytes(Path("/mnt/sub-01") / f"{size}.bin", os.urandom(size))
    except NoSpaceError as error:
        print(error)
print(sorted(path.name for path in Path("/mnt").rglob("*")), full_folder(["/none", "/mnt"]))
"""
MOUNT = "mount -t tmpfs -o size=100k none /mnt && exec "


@pytest.mark.skipif(not shutil.which("unshare"), reason="no disk can be mounted here")
def test_a_real_full_disk() -> None:
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*own, f"{MOUNT} true"], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    command = [*own, f'{MOUNT}"$0" "$@"', sys.executable, "-c", ON_DISK]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ,
        "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("No space left on /mnt/sub-01; free some")
    assert last == "['60000.bin', 'sub-01'] /mnt"


def test_a_folder_with_space_is_not_full(tmp_path: Path) -> None:
    assert full_folder([tmp_path, tmp_path / "none"]) is None
