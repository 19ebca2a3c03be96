"""Who runs the gauntlet: a protocol, a head and a load of lesions each, and their files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.accuracy.chain import on_all_cores
from benchmarks.accuracy.gauntlet.acquire import Acquired, acquired
from benchmarks.accuracy.gauntlet.anatomy import names, planted
from benchmarks.accuracy.gauntlet.protocols import PROTOCOLS, Protocol

# Classes of lesion load, ml.
LOADS = ((0.0, 0.0), (0.2, 1.0), (1.0, 5.0), (5.0, 20.0), (20.0, 60.0), (60.0, 150.0))
# Heads from which the network learns, and on which numbers are chosen; the others measure.
TRAINING_HEADS = tuple(f"training_seg_{number}" for number in ("01", "04", "09", "13", "15"))
TRUTHS = ("brain", "lesions", "ventricles")


@dataclass(frozen=True)
class Person:
    """One person: who, how loaded, and how acquired."""

    protocol: Protocol
    head: str
    load_ml: float
    ventricles_mm: float
    seed: int

    @property
    def label(self) -> str:
        """The BIDS label."""
        return self.protocol.name


def everybody(seed: int = 1, heads: list[str] | None = None) -> list[Person]:
    """List one person for each protocol; loads go through all classes, heads through all given.

    Parameters
    ----------
    seed
        Seed of everything that is drawn.
    heads
        Label images; all that nothing was learnt from if None.

    Returns
    -------
    list of Person
        In the order of the protocols.
    """
    heads = heads or [name for name in names() if name not in TRAINING_HEADS]
    people = []
    for number, protocol in enumerate(PROTOCOLS):
        rng = np.random.default_rng([seed, number])
        # the loads in an order of their own, so that neighbouring protocols differ in load
        low, high = LOADS[(number * 5 + number // 6 + seed) % len(LOADS)]
        load = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if high else 0.0
        grown = float(rng.uniform(0, 5)) if load > 5 else 0.0
        head = heads[(number + seed) % len(heads)]
        people.append(Person(protocol, head, load, grown, 1000 * seed + number))
    return people


def load_class(load_ml: float) -> str:
    """Name the class of a load."""
    for low, high in LOADS[1:]:
        if 0 < load_ml <= high:
            return f"{low:g}-{high:g}" if low > 0.2 else f"0-{high:g}"
    return "0"


def make_dataset(folder: Path, people: list[Person]) -> None:
    """Write a raw dataset of all people, and beside it the truth on the reference's grid."""
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    about = {"Name": "gauntlet", "BIDSVersion": "1.10.0"}
    (folder / "raw" / "dataset_description.json").write_text(json.dumps(about), encoding="utf-8")
    on_all_cores(partial(make_person, folder), people)


def make_person(folder: Path, person: Person) -> None:
    """Write a person's images and truth."""
    head = planted(person.head, person.load_ml, person.seed, person.ventricles_mm)
    scans = {"FLAIR": person.protocol.flair}
    if person.protocol.t1w is not None:
        scans["T1w"] = person.protocol.t1w
    anat = folder / "raw" / f"sub-{person.label}" / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    for suffix, scan in scans.items():
        made = acquired(head, person.protocol, scan, person.seed)
        nib.save(made.image, anat / f"sub-{person.label}_{suffix}.nii.gz")
        if suffix == ("T1w" if "T1w" in scans else "FLAIR"):
            _save_truth(folder / "truth", person, made)


def _save_truth(folder: Path, person: Person, made: Acquired) -> None:
    folder.mkdir(exist_ok=True)
    for name in TRUTHS:
        mask = getattr(made, name).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, made.image.affine), truth_file(folder, person, name))


def truth_file(folder: Path, person: Person, name: str) -> Path:
    """Return where a mask of the truth lies."""
    return folder / f"sub-{person.label}_{name}.nii.gz"
