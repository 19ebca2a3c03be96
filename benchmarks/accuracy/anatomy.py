"""Ventricles, tissues and the template's warp on heads simulated from label images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.chain import DATA, SEED, Chain, dice, on_all_cores
from benchmarks.accuracy.simulate import CORTEX, LATERAL_VENTRICLES, WHITE, WMH_CODE, simulated
from wmhflow.ants.images import ants_image, single_threaded_ants
from wmhflow.ants.transforms import jacobian_determinant, resample_through
from wmhflow.core.space.grids import Grid3D, robust_range
from wmhflow.core.tissue import template as templates
from wmhflow.labels.digits import CORTEX as CORTEX_LABEL
from wmhflow.labels.digits import WHITE_MATTER as WHITE_LABEL
from wmhflow.labels.digits import class_of

LABELS = DATA / "labels"
VENTRICLE_MEAN, VENTRICLE_WORST, WHITE_MEAN, CORTEX_MEAN = 0.90, 0.85, 0.88, 0.80
SHARE_OF_CORTEX = 0.5


# Lays an image over the template.
Warped = Callable[[Grid3D], NDArray[np.floating]]


@dataclass(frozen=True)
class Person:
    """What one simulated head gave."""

    name: str
    ventricle_ml: float
    dice: dict[str, float]
    warp: dict[str, dict[str, float]]
    false_wmh_ml: float


def main() -> list[str]:
    """Segment every head and print the tables; return what was missed."""
    heads = sorted(LABELS.glob("training_seg_*.nii.gz"))
    if not heads:
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["anatomy: no label images"]
    people = on_all_cores(measured, heads)
    print("# Ventricles and tissues of simulated heads (Dice)\n")
    print("| head | ventricles (ml) | ventricles | white matter | cortex | "
          "WMH found, none planted (ml) |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for person in people:
        print(f"| {person.name} | {person.ventricle_ml:.0f} | {person.dice['ventricles']:.3f} | "
              f"{person.dice['white']:.3f} | {person.dice['cortex']:.3f} | "
              f"{person.false_wmh_ml:.2f} |")  # fmt: skip
    print("\n| head | warp | ventricles | cortex | least Jacobian in the brain |")
    print("| --- | --- | ---: | ---: | ---: |")
    for person in people:
        for warp, found in person.warp.items():
            print(f"| {person.name} | {warp} | {found['ventricles']:.3f} | "
                  f"{found['cortex']:.3f} | {found['jacobian']:.2f} |")  # fmt: skip
    return _judged(people)


def measured(path: Path) -> Person:
    """Simulate a head, take it through the program's steps, and compare with its labels."""
    image = nib.load(path)
    codes = np.asanyarray(image.dataobj).astype(np.int16)
    spacing = np.array(image.header.get_zooms()[:3], float)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chain = Chain(folder, *simulated_pair(path, folder))
        chain.to_template()
        wmh = chain.to_wmh()
        chain.to_template_again()
        labels, ventricles = chain.to_tissues()
        tissue = class_of(labels.data)
        voxel_ml = float(np.prod(spacing)) / 1000
        return Person(
            name=path.name.split(".")[0],
            ventricle_ml=float(np.isin(codes, LATERAL_VENTRICLES).sum() * voxel_ml),
            dice={
                "ventricles": dice(ventricles.data, np.isin(codes, LATERAL_VENTRICLES)),
                "white": dice(tissue == WHITE_LABEL, np.isin(codes, WHITE)),
                "cortex": dice(tissue == CORTEX_LABEL, np.isin(codes, CORTEX)),
            },
            warp={
                "wmhflow": _overlap(chain, codes, *_own_warp(chain)),
                "antsRegistrationSyNQuick[s]": _overlap(chain, codes, *_syn_quick(chain, folder)),
            },
            false_wmh_ml=float(wmh.sum() * voxel_ml),
        )


def simulated_pair(
    labels: Path, folder: Path, lesions: NDArray[np.bool_] | None = None
) -> tuple[Path, Path]:
    """Write a T1w and a FLAIR simulated from a label image, with lesions if there are any."""
    image = nib.load(labels)
    codes = np.asanyarray(image.dataobj).astype(np.int16)
    if lesions is not None:
        codes[lesions] = WMH_CODE
    spacing = np.array(image.header.get_zooms()[:3], float)
    number = int(labels.name.split(".")[0].split("_")[-1])
    files = folder / "T1w.nii.gz", folder / "FLAIR.nii.gz"
    for contrast, path in zip(("T1w", "FLAIR"), files, strict=True):
        made = simulated(codes, spacing, contrast, number)
        nib.save(nib.Nifti1Image(made, image.affine), path)
    return files


def _own_warp(chain: Chain) -> tuple[Warped, NDArray[np.floating]]:
    """Return how an image is laid over the template by our own warp, and its Jacobian."""
    template, path = chain.template.grid("t1w"), str(chain.warp.forward)
    return (
        lambda moving: resample_through(moving, template, [path], "nearest"),
        jacobian_determinant(template, path, SEED),
    )


def _syn_quick(chain: Chain, folder: Path) -> tuple[Warped, NDArray[np.floating]]:
    """Register the same brain to the same template with antspyx's default quick SyN."""
    ants = single_threaded_ants(SEED)
    person, brain = chain.reference, chain.brain.data
    moving = Grid3D(robust_range(np.where(brain, person.data, 0)), person.affine)
    fixed = ants_image(chain.template.grid("t1w"), SEED)
    found = ants.registration(
        fixed, ants_image(moving, SEED), "antsRegistrationSyNQuick[s]",
        outprefix=str(folder / "quick"), random_seed=SEED,
    )  # fmt: skip
    (field,) = [path for path in found["fwdtransforms"] if not path.endswith(".mat")]

    def warped(image: Grid3D) -> NDArray[np.floating]:
        laid = ants.apply_transforms(
            fixed, ants_image(image, SEED), found["fwdtransforms"], interpolator="nearestNeighbor"
        )
        return np.asarray(laid.numpy())

    return warped, ants.create_jacobian_determinant_image(fixed, field).numpy()


def _overlap(
    chain: Chain, codes: NDArray[np.integer], warped: Warped, jacobian: NDArray[np.floating]
) -> dict[str, float]:
    """Warp a person's labels to the template and compare with the template's own."""
    template, affine = chain.template.grid("t1w"), chain.reference.affine
    csf = chain.template.grid("csf").data
    own = {
        "ventricles": templates.draw_ventricle_core(csf, template.affine),
        "cortex": chain.template.grid("cortex").data > SHARE_OF_CORTEX,
    }
    members = {"ventricles": LATERAL_VENTRICLES, "cortex": CORTEX}
    found = {}
    for name, mask in own.items():
        moving = Grid3D(np.isin(codes, members[name]).astype(np.float32), affine)
        found[name] = dice(warped(moving) > 0, mask)
    found["jacobian"] = float(jacobian[chain.template.mask("brain_mask")].min())
    return found


def _judged(people: list[Person]) -> list[str]:
    missed = []
    scores = {name: [p.dice[name] for p in people] for name in people[0].dice}
    for words, value, least in (
        ("ventricles, mean", np.mean(scores["ventricles"]), VENTRICLE_MEAN),
        ("ventricles, worst", min(scores["ventricles"]), VENTRICLE_WORST),
        ("white matter, mean", np.mean(scores["white"]), WHITE_MEAN),
        ("cortex, mean", np.mean(scores["cortex"]), CORTEX_MEAN),
    ):
        print(f"\nDice of {words}: {value:.3f} (asked {least}).")
        if value < least:
            missed.append(f"Dice of {words} {value:.3f} of {least}")
    ours, quick = people[0].warp.keys()
    for name in ("ventricles", "cortex"):
        means = {
            warp: float(np.mean([p.warp[warp][name] for p in people])) for warp in (ours, quick)
        }
        print(f"\nOverlap of {name} after warping: {means[ours]:.3f}, {quick} {means[quick]:.3f}.")
        if means[ours] <= means[quick]:
            missed.append(f"overlap of {name} {means[ours]:.3f}, {quick} {means[quick]:.3f}")
    least = min(p.warp[ours]["jacobian"] for p in people)
    print(f"\nLeast Jacobian in the brain: {least:.2f} (asked above 0).")
    if least <= 0:
        missed.append(f"folding: Jacobian {least:.2f}")
    return missed
