"""Run everybody through the command line, and compare what was written with the truth."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.chain import dice
from benchmarks.accuracy.gauntlet.people import Person, load_class, truth_file
from wmhflow.bids.writer import read_table

FAILED = re.compile(r"^(sub-\S+) FAILED: (.*)$", re.MULTILINE)
STRUCTURE = np.ones((3, 3, 3))
# Fewer voxels are no lesion, neither planted nor found.
LEAST_LESION_MM3 = 5.0


@dataclass(frozen=True)
class Score:
    """What the program said of one person; numbers are None where it refused the person."""

    person: Person
    refused: str | None
    truth_ml: float
    found_ml: float | None = None
    dice: float | None = None
    sensitivity: float | None = None
    false_lesions: int | None = None
    brain: float | None = None
    ventricles: float | None = None
    verdicts: tuple[str, ...] = ()

    @property
    def load(self) -> str:
        """The class of the load."""
        return load_class(self.truth_ml if self.person.load_ml else 0.0)


def run(folder: Path, people: list[Person], n_processes: int = 2) -> float:
    """Process everybody who is not finished; return the seconds that it took."""
    words = [str(folder / "raw"), str(folder / "out"), "participant", "-w", str(folder / "work")]
    words += ["--participant-label", *[person.label for person in people]]
    words += ["--nprocs", str(n_processes), "--clean-workdir", "on-success"]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "wmhflow", *words], capture_output=True, text=True, check=False
    )
    with (folder / "said.txt").open("a", encoding="utf-8") as file:
        file.write(done.stdout + done.stderr)
    return time.monotonic() - started


def scores(folder: Path, people: list[Person]) -> list[Score]:
    """Compare the outputs with the truth."""
    said = dict(FAILED.findall((folder / "said.txt").read_text(encoding="utf-8")))
    return [score(folder, person, said.get(f"sub-{person.label}")) for person in people]


def score(folder: Path, person: Person, refused: str | None) -> Score:
    """Compare one person's outputs with the truth."""
    truth = {
        name: nib.load(truth_file(folder / "truth", person, name))
        for name in ("brain", "lesions", "ventricles")
    }
    planted = np.asanyarray(truth["lesions"].dataobj) > 0
    voxel_mm3 = float(abs(np.linalg.det(truth["lesions"].affine[:3, :3])))
    truth_ml = float(planted.sum()) * voxel_mm3 / 1000
    anat = folder / "out" / f"sub-{person.label}" / "anat"
    found = {name: _mask(anat, name) for name in ("WMH", "brain", "ventricles")}
    if found["WMH"] is None:
        return Score(person, refused or "no mask and no word", truth_ml)
    wmh = found["WMH"]
    share, false = _lesion_wise(planted, wmh, voxel_mm3)
    tables = list(anat.glob("*_qc.tsv"))
    rows = read_table(tables[0]) if tables else []
    return Score(
        person=person,
        refused=refused,
        truth_ml=truth_ml,
        found_ml=float(wmh.sum()) * voxel_mm3 / 1000,
        dice=dice(wmh, planted),
        sensitivity=share,
        false_lesions=false,
        brain=_overlap(found["brain"], truth["brain"]),
        ventricles=_overlap(found["ventricles"], truth["ventricles"]),
        verdicts=tuple(row["metric"] for row in rows if row["verdict"] == "check"),
    )


def _mask(anat: Path, label: str) -> NDArray[np.bool_] | None:
    found = sorted(anat.glob(f"*_label-{label}_mask.nii.gz"))
    return np.asanyarray(nib.load(found[0]).dataobj) > 0 if found else None


def _overlap(found: NDArray[np.bool_] | None, truth: nib.Nifti1Image) -> float | None:
    return None if found is None else dice(found, np.asanyarray(truth.dataobj) > 0)


def _lesion_wise(
    truth: NDArray[np.bool_], found: NDArray[np.bool_], voxel_mm3: float
) -> tuple[float | None, int]:
    """Return the share of lesions that are found, and the number of false ones."""
    planted, n_planted = _large(truth, voxel_mm3)
    hit = len(set(np.unique(planted[found])) - {0})
    ours, _ = _large(found, voxel_mm3)
    own = set(np.unique(ours)) - {0}
    return (hit / n_planted if n_planted else None), len(own - set(np.unique(ours[truth])))


def _large(mask: NDArray[np.bool_], voxel_mm3: float) -> tuple[NDArray[np.int32], int]:
    """Give numbers to the lesions that are large enough to count."""
    labels, _ = ndimage.label(mask, STRUCTURE)
    sizes = np.bincount(labels.ravel())
    small = sizes * voxel_mm3 < LEAST_LESION_MM3
    labels[small[labels]] = 0
    return labels, int(np.count_nonzero(~small[1:]))
