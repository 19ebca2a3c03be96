"""Plain cerebellum that is taken for lesion, and lesions planted there, on training heads alone.

``python -m benchmarks.accuracy.gauntlet.below FOLDER`` simulates thick slices of whole heads with
lesions in pons and cerebellum, finds brain and warp on the same scan without these, and segments
with the template's priors as the warp brings them, and moved by 5 to 6 mm; masks before and after
plain tissue is left out are compared. Scans, brains and warps are kept in the folder.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.chain import Chain
from benchmarks.accuracy.gauntlet import anatomy
from benchmarks.accuracy.gauntlet.acquire import acquired
from benchmarks.accuracy.gauntlet.anatomy import LESION, Head, Mask
from benchmarks.accuracy.gauntlet.protocols import PROTOCOLS
from wmhflow.ants.priors import wmh_priors
from wmhflow.core.space.grids import Grid3D, box_of, cropped
from wmhflow.core.wmh import segmentation
from wmhflow.core.wmh.segmentation import TissuePriors
from wmhflow.files.images import load_grid
from wmhflow.files.network import wmh_network
from wmhflow.steps.images import find_template

# Where lesions are planted, by FreeSurfer's codes, and how large.
PLACES, RADII_MM = {"pons": (16,), "cerebellum": (7, 46)}, (2.0, 3.0, 4.5)
# How far the priors are moved, mm to the right, the front and upwards.
MOVED_MM = ((0.0, 0.0, 0.0), (0.0, 0.0, -6.0), (0.0, 5.0, 0.0))
# What the planted lesions change of a voxel, as a share of the brain's brightness.
CHANGED = 0.1


@dataclass(frozen=True)
class Case:
    """A protocol, a training head, the load of its cerebrum, and a seed."""

    protocol: str
    head: str
    load_ml: float
    seed: int


CASES = (
    Case("ax5", "training_seg_01", 0.0, 102),
    Case("ax6", "training_seg_13", 0.9, 101),
    Case("ax6", "training_seg_15", 6.0, 105),
    Case("ax8", "training_seg_09", 0.0, 104),
)


def planted_below(head: Head, seed: int) -> Head:
    """Plant balls of three sizes in the pons and in the cerebellum's white matter."""
    codes, rng = head.codes.copy(), np.random.default_rng([seed, 99])
    for members in PLACES.values():
        region = np.isin(head.codes, members)
        deep = ndimage.distance_transform_edt(region)
        for radius in RADII_MM:
            places = np.argwhere(deep >= min(radius, 0.7 * deep.max()))
            centre = places[int(rng.integers(len(places)))]
            away = np.ogrid[
                tuple(slice(-c, n - c) for c, n in zip(centre, codes.shape, strict=True))
            ]
            codes[(sum(part**2 for part in away) <= radius**2) & region] = LESION
    return Head(head.name, codes, head.affine)


def scans_of(folder: Path, case: Case) -> tuple[Path, Path]:
    """Simulate a person without and with lesions below, in one position."""
    protocol = next(one for one in PROTOCOLS if one.name == case.protocol)
    head = anatomy.planted(case.head, case.load_ml, case.seed)
    paths = folder / "plain.nii.gz", folder / "planted.nii.gz"
    if not all(path.exists() for path in paths):
        for path, one in zip(paths, (head, planted_below(head, case.seed)), strict=True):
            nib.save(acquired(one, protocol, protocol.flair, case.seed).image, path)
    return paths


def brain_and_warp(folder: Path, flair: Path) -> tuple[Grid3D, str]:
    """Find the brain, and the warp from the template; both are kept."""
    kept = folder / "warp.json"
    if not kept.exists():
        chain = Chain(folder / "chain", None, flair)
        chain.to_template()
        brain = nib.Nifti1Image(chain.brain.data.astype(np.uint8), chain.reference.affine)
        nib.save(brain, folder / "brain.nii.gz")
        kept.write_text(json.dumps(str(chain.warp.inverse)), encoding="utf-8")
    return load_grid(folder / "brain.nii.gz"), json.loads(kept.read_text(encoding="utf-8"))


def moved(priors: TissuePriors, mm: tuple[float, ...], sizes_mm: tuple[float, ...]) -> TissuePriors:
    """Move priors, as a warp does that is so far off; axes of the grid are those of the world."""
    by = [away / size for away, size in zip(mm, sizes_mm, strict=True)]

    def shifted(values: NDArray[np.generic]) -> NDArray[np.generic]:
        there = ndimage.shift(values.astype(np.float32), by, order=1, mode="nearest")
        return there > 0.5 if values.dtype == bool else there

    names = set(TissuePriors.__annotations__) - {"midline_mm"}
    return replace(priors, **{name: shifted(getattr(priors, name)) for name in names})


def masks_of(flair: Grid3D, priors: TissuePriors, brain: Mask) -> tuple[Mask, Mask]:
    """Segment, and give the masks before and after plain tissue is left out."""
    before: list[Mask] = []
    test = segmentation.plain_below

    def noted(mask: Mask, *others: Any) -> Mask:
        before.append(mask)
        return test(mask, *others)

    with patch.object(segmentation, "plain_below", noted):
        found = segmentation.segment_wmh(
            flair.data, None, priors, brain, flair.voxel_sizes_mm, network=wmh_network()
        )
    return before[0], found.mask


def found_below(mask: Mask, below: Mask, added: Mask, voxel_ml: float) -> tuple[float, int]:
    """Give the volume that is false in cerebellum and brain stem, and how many planted are met."""
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    true = set(np.unique(labels[added]).tolist())
    false = np.isin(labels, [n for n in range(1, count + 1) if n not in true])
    planted, _ = ndimage.label(added, np.ones((3, 3, 3)))
    met = set(np.unique(planted[mask]).tolist()) - {0}
    return voxel_ml * float((false & below).sum()), len(met)


def rows_of(folder: Path, case: Case) -> list[str]:
    """Measure one person: a row of the table for every move of the priors."""
    folder = folder / f"{case.protocol}_{case.head}_{case.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    plain, planted = scans_of(folder, case)
    brain, inverse = brain_and_warp(folder, plain)
    inside = brain.data > 0.5
    box = box_of(inside)
    with_lesions, without = (cropped(load_grid(path), box) for path in (planted, plain))
    inside, voxel_ml = inside[box], with_lesions.voxel_mm3 / 1000
    level = CHANGED * float(np.median(without.data[inside]))
    added = with_lesions.data - without.data > level
    n_planted = ndimage.label(added, np.ones((3, 3, 3)))[1]
    template = find_template().template
    laid = wmh_priors(with_lesions, template, [inverse], [False])
    rows = []
    for mm in MOVED_MM:
        there = moved(laid, mm, with_lesions.voxel_sizes_mm)
        before, now = (
            found_below(mask, there.infratentorial, added, voxel_ml)
            for mask in masks_of(with_lesions, there, inside)
        )
        how = "as warped" if not any(mm) else f"{mm[0]:g}, {mm[1]:g}, {mm[2]:g} mm"
        cells = [f"{before[0]:.2f}", f"{now[0]:.2f}"]
        cells += [f"{one[1]} of {n_planted}" for one in (before, now)]
        rows.append(f"| {case.protocol} | {case.head[-6:]} | {how} | {' | '.join(cells)} |")
    return rows


def main() -> None:
    """Print the table."""
    print("| protocol | head | priors moved (right, front, up) | false there before (ml) | now "
          "| planted found before | now |")  # fmt: skip
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for case in CASES:
        for row in rows_of(Path(sys.argv[1]), case):
            print(row, flush=True)


if __name__ == "__main__":
    main()
