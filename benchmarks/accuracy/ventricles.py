"""Wide lateral ventricles, as in old age and normal-pressure hydrocephalus, of training heads.

``python -m benchmarks.accuracy.ventricles`` measures chosen cases only (``--help`` says how).
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.accuracy.chain import Chain, dice
from benchmarks.accuracy.gauntlet.acquire import Acquired, acquired
from benchmarks.accuracy.gauntlet.anatomy import LABELS, plain_brain, planted_in
from benchmarks.accuracy.gauntlet.protocols import MPRAGE, PROTOCOLS, Protocol, Scan
from benchmarks.accuracy.gauntlet.wide import widened
from wmhflow.core.checks.sanity import contrast_facts
from wmhflow.core.space.geometry import spacing_of
from wmhflow.registries.quality import find_measure
from wmhflow.steps.tissue import warp_priors

# Heads 16 to 20 measure other things and are not looked at here.
HEADS, VOLUMES_ML = ("04",), (14.0, 30.0, 60.0, 90.0, 120.0, 150.0, 200.0)
LOAD_ML, SEED = 12.0, 4100
PUSHED, LOST = "pushed", "lost"
LEAST_DICE = 0.8
BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}


@dataclass(frozen=True)
class Case:
    """A head, the volume of its ventricles (mL), what became of the tissue, and how it is seen.

    `images` is ``pair`` (T1w and FLAIR of the voxel size, stripped, in one place) or ``thick``
    (FLAIR alone in slices of 5 mm, stripped).
    """

    head: str
    volume_ml: float
    kind: str
    images: str
    voxel_mm: float

    @property
    def protocol(self) -> Protocol:
        """How it is acquired."""
        if self.images == "thick":
            return BY_NAME["ax5stripped"]
        size = {"in_plane_mm": self.voxel_mm, "slice_mm": self.voxel_mm}
        stripped = BY_NAME["pairstripped"]
        pair = {"flair": Scan(**size), "t1w": replace(MPRAGE, **size)}
        return replace(stripped, between_deg=0.0, between_mm=0.0, **pair)

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.head}_{self.volume_ml:g}_{self.kind}_{self.images}_{self.voxel_mm:g}mm"


@dataclass(frozen=True)
class Found:
    """What was found in one case: volumes in mL, overlaps as Dice, and what says `check`."""

    volume_ml: float
    warped: float
    ventricles: float
    ventricles_ml: float
    planted_ml: float
    wmh: float
    wmh_ml: float
    verdicts: tuple[str, ...]


def main() -> list[str]:
    """Measure all cases and print the table; return what was missed."""
    kinds = [(kind, images) for images in ("pair", "thick") for kind in (PUSHED, LOST)]
    cases = [
        Case(head, volume, kind, images, 1.0)
        for head in HEADS
        for kind, images in kinds
        for volume in VOLUMES_ML
    ]
    if not LABELS.is_dir():
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["ventricles: no label images"]
    with tempfile.TemporaryDirectory() as temporary:
        return report(cases, Path(temporary))


def report(cases: list[Case], folder: Path) -> list[str]:
    """Print a row for each case as it is measured; return what was missed."""
    print("| head | tissue | images | ventricles (ml) | found (ml) | Dice | their Dice after the "
          "warp alone | WMH planted (ml) | found (ml) | Dice | verdicts |")  # fmt: skip
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    missed = []
    for case in cases:
        found = measured(case, folder / case.name)
        images = "FLAIR, 5 mm" if case.images == "thick" else f"T1w and FLAIR, {case.voxel_mm:g} mm"
        cells = [
            case.head, case.kind, images, f"{found.volume_ml:.0f}", f"{found.ventricles_ml:.0f}",
            f"{found.ventricles:.2f}", f"{found.warped:.2f}", f"{found.planted_ml:.1f}",
            f"{found.wmh_ml:.1f}", f"{found.wmh:.2f}", ", ".join(found.verdicts),
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)
        if found.ventricles < LEAST_DICE:
            missed.append(f"{case.name}: ventricles {found.ventricles:.2f}, asked {LEAST_DICE:g}")
    return missed


def measured(case: Case, folder: Path) -> Found:
    """Take a case through the program's steps; what was registered there before is used again."""
    truth = acquired_in(case, folder)
    kept = folder / "registered.pickle"
    if kept.is_file():
        chain: Chain = pickle.loads(kept.read_bytes())
    else:
        t1w = folder / "T1w.nii.gz"
        chain = Chain(
            folder, t1w if t1w.is_file() else None, folder / "FLAIR.nii.gz", together=True
        )
        chain.to_template()
        kept.write_bytes(pickle.dumps(chain))
    chain.to_wmh()
    chain.to_template_again()
    tissue, ventricles = chain.to_tissues()
    priors = warp_priors(chain.brain, chain.template, chain.warp.inverse)
    spacing = spacing_of(chain.brain.affine)
    voxel_ml = float(np.prod(spacing)) / 1000
    contrast = "T1w" if chain.t1w else "FLAIR"
    facts = contrast_facts(chain.reference.data, tissue.data, spacing)
    return Found(
        volume_ml=float(truth.ventricles.sum()) * voxel_ml,
        warped=dice(priors.ventricles.data & (priors.csf.data > 0.5), truth.ventricles),
        ventricles=dice(ventricles.data, truth.ventricles),
        ventricles_ml=float(ventricles.data.sum()) * voxel_ml,
        planted_ml=float(truth.lesions.sum()) * voxel_ml,
        wmh=dice(chain.wmh.data, truth.lesions),
        wmh_ml=float(chain.wmh.data.sum()) * voxel_ml,
        verdicts=verdicts({f"{contrast}_{key}": value for key, value in facts.items()}),
    )


def acquired_in(case: Case, folder: Path) -> Acquired:
    """Make a case's images in a folder, and give the truth on the grid of the reference."""
    folder.mkdir(parents=True, exist_ok=True)
    number = SEED + int(case.head)
    plain = plain_brain(f"training_seg_{case.head}")
    head = planted_in(widened(plain, case.volume_ml, case.kind == PUSHED), LOAD_ML, number)
    scans = {"FLAIR": case.protocol.flair}
    if case.images == "pair" and case.protocol.t1w is not None:
        scans["T1w"] = case.protocol.t1w
    made = {suffix: acquired(head, case.protocol, scan, number) for suffix, scan in scans.items()}
    for suffix, one in made.items():
        nib.save(one.image, folder / f"{suffix}.nii.gz")
    return made.get("T1w", made["FLAIR"])


def verdicts(facts: dict[str, float | None]) -> tuple[str, ...]:
    """Name the facts that the QC table would say `check` of."""
    found = []
    for name, value in facts.items():
        measure = find_measure(name)
        if value is None or measure is None:
            continue
        low = -np.inf if measure.low is None else measure.low
        high = np.inf if measure.high is None else measure.high
        if not low <= value <= high:
            found.append(f"`{name}` {value:.2f}")
    return tuple(found)


def chosen() -> argparse.Namespace:
    """Read the words of ``python -m benchmarks.accuracy.ventricles``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.ventricles",
                                     description=__doc__)  # fmt: skip
    parser.add_argument("folder", type=Path, help="where images and registrations are kept")
    parser.add_argument("--heads", nargs="+", default=HEADS)
    parser.add_argument("--volumes", nargs="+", type=float, default=VOLUMES_ML)
    parser.add_argument("--kinds", nargs="+", choices=(PUSHED, LOST), default=(PUSHED, LOST))
    parser.add_argument("--images", nargs="+", choices=("pair", "thick"), default=("pair",))
    parser.add_argument("--voxel", type=float, default=1.0, help="of the pair, in mm")
    return parser.parse_args()


if __name__ == "__main__":
    told = chosen()
    those = [
        Case(head, volume, kind, images, told.voxel)
        for head in told.heads
        for images in told.images
        for kind in told.kinds
        for volume in told.volumes
    ]
    report(those, told.folder)
