"""A segmenter of the user's own: run without a shell, and what it writes is checked."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from wmhflow.errors import InputError
from wmhflow.steps.programs import ProgramMask, fill_command, run_program

THRESHOLD = """
import sys, nibabel, numpy
image = nibabel.load(sys.argv[1])
mask = (image.get_fdata() > 5).astype(sys.argv[3])
nibabel.save(nibabel.Nifti1Image(mask, image.affine), sys.argv[2])
"""


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """A T1w, and a FLAIR of another grid, in a folder whose name a shell would trip over."""
    folder = tmp_path / "a b; $(touch c)"
    folder.mkdir()
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5) % 9
    found = {}
    for name, affine in (("t1w", np.eye(4)), ("flair", np.diag([1, 1, 5, 1]))):
        found[name] = folder / f"{name}.nii"
        nib.save(nib.Nifti1Image(values, affine), found[name])
    return found


def command(code: str, *words: str) -> str:
    return shlex.join([sys.executable, "-c", code, *words])


def run(
    folder: Path, images: dict[str, Path], line: str, other_transform: Path | None = None
) -> ProgramMask:
    folder.mkdir()
    return run_program(line, "T1w", folder, **images, other_transform=other_transform)


def test_a_path_stays_one_word() -> None:
    words = fill_command("tool '{flair}' -o {out}", flair="/x/a b'c.nii", out="/y/$(z).nii")
    assert words == ["tool", "/x/a b'c.nii", "-o", "/y/$(z).nii"]


def test_a_mask_on_the_reference_needs_no_transform(
    tmp_path: Path, images: dict[str, Path]
) -> None:
    transform = tmp_path / "other.txt"
    found = run(tmp_path / "node", images, command(THRESHOLD, "{t1w}", "{out}", "uint8"), transform)
    assert found.transforms == []
    mask = np.asanyarray(nib.load(found.mask).dataobj)
    assert np.array_equal(mask > 0, np.asanyarray(nib.load(images["t1w"]).dataobj) > 5)
    assert not list(tmp_path.rglob("c"))


def test_a_mask_on_the_other_image_is_moved_like_it(
    tmp_path: Path, images: dict[str, Path]
) -> None:
    transform = tmp_path / "other.txt"
    line = command(THRESHOLD, "{flair}", "{out}", "uint8")
    assert run(tmp_path / "node", images, line, transform).transforms == [transform]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; print('no licence'); sys.exit(3)", "exit code 3: no licence"),
        ("print('nothing to do')", "did not write {out} .*nothing to do"),
        (THRESHOLD.replace("> 5)", "/ 20)"), "no mask; have the program write a mask of 0 and 1"),
        (THRESHOLD.replace("image.affine)", "numpy.diag([2, 2, 2, 1.0]))"), "grid of none"),
    ],
)
def test_what_goes_wrong_is_said(
    tmp_path: Path, images: dict[str, Path], code: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(tmp_path / "node", images, command(code, "{t1w}", "{out}", "float32"))
