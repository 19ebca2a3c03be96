"""Brain masks of whole heads, turned by up to 25 degrees, in T1w and FLAIR of many kinds.

Heads are simulated as for the gauntlet, one image each, skull and neck and all. Five of the ten
heads were looked at while the extraction was built; the other five are told apart. Seconds are a
processor's, all threads together. ``BRAIN_BESIDE`` names deepbet's program (`deepbet-cli`; made for
T1w), whose masks of the same T1w images are then measured beside.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.chain import SEED, dice, on_all_cores
from benchmarks.accuracy.gauntlet.acquire import Acquired, acquired
from benchmarks.accuracy.gauntlet.anatomy import LABELS, Head, names, plain_head
from benchmarks.accuracy.gauntlet.protocols import AXIAL, MPRAGE, SPIN_ECHO, VOLUME, Protocol, Scan
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.template import Template
from wmhflow.steps.images import find_template
from wmhflow.steps.tissue import find_brain

N_HEADS = int(os.environ.get("BRAIN_HEADS", "200"))
BESIDE = os.environ.get("BRAIN_BESIDE", "")
LARGEST_TURN_DEG, LARGEST_SHIFT_MM = 25.0, 30.0
MEAN_ASKED, WORST_ASKED, SECONDS_ASKED = 0.93, 0.88, 10.0
# Heads that were looked at while the extraction was built.
LOOKED_AT = tuple(f"training_seg_{number}" for number in ("01", "04", "09", "13", "15"))
# What is no brain: codes of the label images.
ELSEWHERE = {"eyes": (506, 508, 530), "bone": (515, 516), "cord": (512,)}
# Further below the brain's lowest point is the neck.
NECK_MM = 10.0
KINDS: dict[str, tuple[Scan, str]] = {
    "T1w, 1 mm": (MPRAGE, "whole"),
    "FLAIR, 1 mm": (VOLUME, "whole"),
    "T1w, no neck": (replace(MPRAGE, slices=180, reach="bottom"), "whole"),
    "FLAIR, 5 mm": (AXIAL, "whole"),
    "T1w after contrast": (replace(MPRAGE, kind="contrast"), "whole"),
    "FLAIR, 3 mm": (replace(AXIAL, slice_mm=3.0), "whole"),
    "T1w, MP2RAGE": (replace(MPRAGE, kind="MP2RAGE"), "whole"),
    "FLAIR, 6.5 mm and gaps": (replace(AXIAL, slice_mm=6.5, gap_mm=1.5), "whole"),
    "T1w, spin echo, 5 mm": (SPIN_ECHO, "whole"),
    "FLAIR, 8 mm": (replace(AXIAL, slice_mm=8.0), "whole"),
    "T1w, noisy": (replace(MPRAGE, snr=9), "whole"),
    "FLAIR, noisy, 5 mm": (replace(AXIAL, snr=8), "whole"),
    "T1w, uneven": (replace(MPRAGE, bias=0.8), "whole"),
    "FLAIR, uneven": (replace(VOLUME, bias=0.8), "whole"),
    "T1w, defaced": (MPRAGE, "defaced"),
    "FLAIR, defaced": (VOLUME, "defaced"),
    "T1w, padded": (replace(MPRAGE, matrix=288), "whole"),
    "FLAIR, padded, 5 mm": (replace(AXIAL, in_plane_mm=0.6, matrix=512), "whole"),
    "T1w, ghosts": (replace(MPRAGE, ghost=0.08), "whole"),
    "FLAIR, sagittal, 5 mm": (replace(AXIAL, plane="sagittal", gap_mm=1.0), "whole"),
    "FLAIR, coronal, 5 mm": (replace(AXIAL, plane="coronal"), "whole"),
}


@dataclass(frozen=True)
class Case:
    """One image: of whom, of which kind, and how far the head is turned."""

    number: int
    head: str
    kind: str
    turned_deg: float
    moved_mm: float

    @property
    def contrast(self) -> str:
        """T1w or FLAIR."""
        return self.kind.split(",", maxsplit=1)[0].split(" ")[0]


@dataclass(frozen=True)
class Found:
    """What was found in one image: overlap, brain elsewhere, seconds, and words if refused.

    ``beside`` is the overlap of the other program's mask, None where it was not asked.
    """

    case: Case
    dice: float
    elsewhere_ml: dict[str, float]
    seconds: float
    refused: str | None = None
    beside: float | None = None


def cases(number: int = N_HEADS, seed: int = 1) -> list[Case]:
    """Draw images: kinds one after the other, heads in turn, turns at random.

    Parameters
    ----------
    number
        How many.
    seed
        Seed of the turns and shifts.

    Returns
    -------
    list of Case
        In the order of their numbers.
    """
    heads, kinds = names(), list(KINDS)
    rng = np.random.default_rng(seed)
    drawn = rng.uniform([0, 0], [LARGEST_TURN_DEG, LARGEST_SHIFT_MM], (number, 2))
    return [
        # every kind meets every head once in 210 images
        Case(k, heads[(k + k // (len(heads) * len(kinds))) % len(heads)], kinds[k % len(kinds)],
             float(turn), float(shift))
        for k, (turn, shift) in enumerate(drawn)
    ]  # fmt: skip


def made(case: Case) -> tuple[Head, Acquired]:
    """Acquire a case's image."""
    scan, shown = KINDS[case.kind]
    head = plain_head(case.head)
    protocol = Protocol(
        "brain", scan, shown=shown, turned_deg=case.turned_deg, moved_mm=case.moved_mm
    )
    return head, acquired(head, protocol, scan, 5000 + case.number)


def codes_in(head: Head, taken: Acquired) -> NDArray[np.int16]:
    """Bring a head's codes to an image's grid."""
    matrix = np.linalg.inv(taken.motion @ head.affine) @ taken.image.affine
    codes: NDArray[np.int16] = ndimage.affine_transform(
        head.codes, matrix[:3, :3], matrix[:3, 3], taken.image.shape, order=0
    )
    return codes


def measured(case: Case) -> Found:
    """Find the brain in a case's image, and compare."""
    head, taken = made(case)
    template: Template = find_template().template
    image = Grid3D(taken.image.get_fdata(dtype=np.float32), taken.image.affine)
    start = time.process_time()
    refused, mask = None, np.zeros(image.data.shape, bool)
    try:
        mask = find_brain(image, template, SEED, case.kind).brain_mask.data
    except InputError as error:
        refused = str(error)
    seconds = time.process_time() - start
    other = (
        dice(mask_beside(taken.image), taken.brain) if BESIDE and case.contrast == "T1w" else None
    )
    found = Found(
        case, dice(mask, taken.brain), elsewhere(head, taken, mask), seconds, refused, other
    )
    if os.environ.get("BRAIN_VERBOSE"):
        print(row_of(found), flush=True)
    return found


def mask_beside(image: nib.Nifti1Image) -> NDArray[np.bool_]:
    """Let the other program find the brain."""
    with tempfile.TemporaryDirectory() as temporary:
        names_of = ("whole", "brain", "mask")
        whole, brain, mask = (Path(temporary) / f"{name}.nii.gz" for name in names_of)
        nib.save(image, whole)
        # it ends with an error where no brain image is asked for
        words = [BESIDE, "-i", str(whole), "-o", str(brain), "-m", str(mask), "--no_gpu"]
        subprocess.run(words, check=True, capture_output=True)
        return np.asanyarray(nib.load(mask).dataobj) > 0


def elsewhere(head: Head, taken: Acquired, mask: NDArray[np.bool_]) -> dict[str, float]:
    """Count what a mask holds of eyes, bone, cord and neck, in ml."""
    codes = codes_in(head, taken)
    affine = taken.image.affine
    voxel_ml = float(abs(np.linalg.det(affine[:3, :3]))) / 1000
    wrong = mask & ~taken.brain
    found = {
        name: voxel_ml * float(np.isin(codes[wrong], members).sum())
        for name, members in ELSEWHERE.items()
    }
    # up and down as the head lies
    up = np.linalg.inv(taken.motion)[2]
    height = nib.affines.apply_affine(affine, np.argwhere(wrong)) @ up[:3] + up[3]
    in_brain = nib.affines.apply_affine(affine, np.argwhere(taken.brain)) @ up[:3] + up[3]
    found["neck"] = voxel_ml * float((height < in_brain.min() - NECK_MM).sum())
    return found


def main() -> list[str]:
    """Find the brain in all images and print the tables; return what was missed."""
    if not LABELS.is_dir():
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["brain: no label images"]
    measured(
        cases(1)[0]
    )  # template's cache and compiled functions are made before others need them
    return report(on_all_cores(measured, cases()))


def report(found: Sequence[Found]) -> list[str]:
    """Print the tables; return what was missed."""
    print(
        f"# Brain masks of {len(found)} whole heads, turned by up to {LARGEST_TURN_DEG:g} degrees\n"
    )
    print("| images | number | found | Dice | worst | eyes (ml) | bone | cord | neck | seconds | "
          "most |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    new: Callable[[Found], bool] = lambda one: one.case.head not in LOOKED_AT  # noqa: E731
    groups = {"all": list(found), "heads not looked at": [one for one in found if new(one)]}
    groups["heads looked at"] = [one for one in found if not new(one)]
    for contrast in ("T1w", "FLAIR"):
        groups[contrast] = [one for one in found if one.case.contrast == contrast]
    for kind in KINDS:
        groups[kind] = [one for one in found if one.case.kind == kind]
    for name, members in groups.items():
        if members:
            print(row(name, members))
    both = [(one.dice, one.beside) for one in found if one.beside is not None]
    if both:
        (mean, theirs), (worst, their_worst) = np.mean(both, axis=0), np.min(both, axis=0)
        print(f"\n{len(both)} T1w images, here and by {Path(BESIDE).name}: Dice {mean:.3f} and "
              f"{theirs:.3f}, worst {worst:.3f} and {their_worst:.3f}.")  # fmt: skip
    print("\nThe worst:\n")
    for one in sorted(found, key=lambda one: one.dice)[:5]:
        print(f"- {row_of(one)}")
    return judged(found)


def row(name: str, members: Sequence[Found]) -> str:
    """Give a group's row; volumes are means."""
    overlap = [one.dice for one in members]
    share = np.mean([value >= WORST_ASKED for value in overlap])
    volumes = [
        f"{np.mean([one.elsewhere_ml[part] for one in members]):.1f}"
        for part in (*ELSEWHERE, "neck")
    ]
    seconds = [one.seconds for one in members]
    cells = [name, str(len(members)), f"{share:.0%}", f"{np.mean(overlap):.3f}"]
    cells += [f"{min(overlap):.3f}", *volumes, f"{np.mean(seconds):.1f}", f"{max(seconds):.1f}"]
    return "| " + " | ".join(cells) + " |"


def row_of(one: Found) -> str:
    """Say one image's numbers."""
    case = one.case
    parts = ", ".join(f"{name} {value:.1f}" for name, value in one.elsewhere_ml.items())
    said = f"; refused: {one.refused}" if one.refused else ""
    said += "" if one.beside is None else f"; {Path(BESIDE).name}: {one.beside:.3f}"
    return (
        f"{case.number}, {case.head}, {case.kind}, turned by {case.turned_deg:.0f}: Dice "
        f"{one.dice:.3f}, {parts} ml, {one.seconds:.1f} s{said}"
    )


def judged(found: Sequence[Found]) -> list[str]:
    """Hold the figures against what is asked."""
    asked: Iterable[tuple[str, float, float, bool]] = (
        ("Dice of the brain, mean", np.mean([one.dice for one in found]), MEAN_ASKED, True),
        ("Dice of the brain, worst", min(one.dice for one in found), WORST_ASKED, True),
        ("Seconds, most", max(one.seconds for one in found), SECONDS_ASKED, False),
    )
    missed = []
    for words, value, limit, at_least in asked:
        print(f"\n{words}: {value:.3f} (asked {limit:g}).")
        if value < limit if at_least else value > limit:
            missed.append(f"{words} {value:.3f}, asked {limit:g}")
    return missed
