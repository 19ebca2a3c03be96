"""Numbers that Python alone reads: 0_5 was 5, and digits of other scripts were digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.files.test_transforms import lta_of
from wmhflow.errors import InputError
from wmhflow.files.gradients import load_bvals
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.metabolites import read_metabolites
from wmhflow.files.transforms import read_transform

ODD = ["0_5", "1_000", "\u0663", "\uff11"]
NAMES = ("left first", "left first")


def written(folder: Path, kind: str, number: str) -> Path:
    """Write a file of a kind that holds a number in the place of 7."""
    path = folder / kind
    if kind == "x.txt":
        matrix = np.eye(4)
        # what ITK stores along its own axes
        matrix[0, 3] = -7
        write_itk_affine(matrix, path)
        text = path.read_text().replace("7.0", number)
    else:
        text = {
            "x.lta": lta_of(1, np.diag([1.0, 1, 1, 1]), *NAMES).replace(
                "cras = ", f"cras = 1 2 {number} # "
            ),
            "x.mat": f"1 0 0 {number}\n0 1 0 0\n0 0 1 0\n0 0 0 1\n",
            "x.bval": f"0 {number} 1000\n",
            "x.tsv": f"metabolite\tvalue\tunit\nNAA\t{number}\tmM\n",
        }[kind]
    path.write_text(text, encoding="utf-8")
    assert number in text
    return path


READERS = {"x.txt": read_transform, "x.lta": read_transform, "x.mat": read_transform,
           "x.bval": load_bvals, "x.tsv": read_metabolites}  # fmt: skip


@pytest.mark.parametrize("number", ODD)
@pytest.mark.parametrize("kind", READERS)
def test_what_no_program_writes_is_no_number(tmp_path: Path, kind: str, number: str) -> None:
    with pytest.raises(InputError, match=kind):
        READERS[kind](written(tmp_path, kind, number))


@pytest.mark.parametrize("number", ["7", "7.0", "+7", "7e0", "0.7E+1"])
@pytest.mark.parametrize("kind", READERS)
def test_what_programs_write_is_one(tmp_path: Path, kind: str, number: str) -> None:
    assert READERS[kind](written(tmp_path, kind, number)) is not None
