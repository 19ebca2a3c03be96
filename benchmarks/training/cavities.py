"""Cavities of old infarcts that open into a ventricle: how much of them is called ventricle.

``python -m benchmarks.training.cavities [SEED [NUMBER]]`` plants cavities at the wall of the
ventricles of training heads, many of which are wide, lays fluid and priors that are a little off on
voxels of 1 mm and on slices of 5 mm, and finds the ventricles with and without pockets left out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.chain import dice, on_all_cores
from benchmarks.accuracy.gauntlet import anatomy
from benchmarks.accuracy.gauntlet.acquire import grid_of
from benchmarks.accuracy.gauntlet.anatomy import Head, Mask, cloud
from benchmarks.accuracy.gauntlet.people import TRAINING_HEADS
from benchmarks.accuracy.gauntlet.protocols import Scan
from benchmarks.accuracy.gauntlet.wide import widened
from benchmarks.training.cases import Laid, blurred_priors
from wmhflow.core.space.grids import box_of
from wmhflow.core.tissue import ventricles as searched

SEED, NUMBER = 500, 25
SCANS = {
    "1 mm": Scan(in_plane_mm=1.0, slice_mm=1.0),
    "5 mm slices": Scan(in_plane_mm=0.9, slice_mm=5.0),
}
FLUID = (4, 5, 14, 15, 24, 43, 44, anatomy.CAVITY)
# Seven in ten have wide ventricles, and half of the warps follow these in part.
WIDE, FOLLOWED, VENTRICLES_ML, GROWN = 0.7, 0.5, (20.0, 110.0), 1.2
# Cavities of a person, in turn; radius, and how far from the wall, as a share of it.
CAVITIES, RADIUS_MM, GAP = (0, 1, 1, 2), (5.0, 16.0), 0.4


@dataclass(frozen=True)
class Found:
    """Volumes in ml, and Dice and the share of the cavities called ventricle, before and now."""

    scan: str
    ventricle_ml: float
    cavity_ml: float
    dice: tuple[float, float]
    taken: tuple[float, float]


def main() -> None:
    """Print a row for each kind of voxel, without and with cavities."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else SEED
    number = int(sys.argv[2]) if len(sys.argv) > 2 else NUMBER
    print("| voxels | cavities | people | Dice before: mean, worst | now | worst change | "
          "cavity taken before | now |")  # fmt: skip
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    all_found = [one for two in on_all_cores(partial(person, seed), range(number)) for one in two]
    for scan in SCANS:
        for has in (False, True):
            those = [one for one in all_found if one.scan == scan and (one.cavity_ml > 0) == has]
            if those:
                print(row(scan, has, those))


def row(scan: str, has: bool, those: list[Found]) -> str:
    """Give the row of some people."""
    overlaps = np.array([one.dice for one in those])
    taken = np.array([one.taken for one in those]).mean(axis=0)
    mean, worst = overlaps.mean(axis=0), overlaps.min(axis=0)
    change = float((overlaps[:, 1] - overlaps[:, 0]).min())
    cells = [scan, "yes" if has else "no", str(len(those))]
    cells += [f"{a:.3f}, {b:.3f}" for a, b in zip(mean, worst, strict=True)]
    cells += [f"{change:+.3f}", *(f"{share:.2f}" if has else "" for share in taken)]
    return "| " + " | ".join(cells) + " |"


def person(seed: int, number: int) -> list[Found]:
    """Draw one person, and find the ventricles in each kind of voxel."""
    rng = np.random.default_rng([seed, number])
    plain = anatomy.plain_brain(TRAINING_HEADS[number % len(TRAINING_HEADS)])
    least = 0.001 * float(plain.ventricles.sum())
    grows = rng.random() < WIDE
    drawn_ml = float(np.exp(rng.uniform(*np.log(VENTRICLES_ML))))
    volume = max(drawn_ml, GROWN * least) if grows else least
    pushed = bool(rng.integers(2))
    wide = followed = widened(plain, volume, pushed)
    if rng.random() >= FOLLOWED:
        followed = widened(plain, least + rng.uniform(0, 1) * (volume - least), pushed)
    n_cavities = CAVITIES[number // len(TRAINING_HEADS) % len(CAVITIES)]
    cavities = planted(wide, n_cavities, rng)
    codes = np.where(cavities, anatomy.CAVITY, wide.codes)
    head = Head(wide.name, codes, wide.affine)
    return [laid(name, head, cavities, (wide, followed), rng) for name in SCANS]


def planted(head: Head, n_cavities: int, rng: np.random.Generator) -> Mask:
    """Put cavities at the ventricles' wall: into them, at them, and just beside them."""
    found = np.zeros(head.codes.shape, bool)
    away = ndimage.distance_transform_edt(~head.ventricles)
    for _ in range(n_cavities):
        radius = rng.uniform(*RADIUS_MM)
        wanted = radius * (1 + rng.uniform(-GAP, GAP))
        tissue = np.isin(head.codes, (*anatomy.WHITE, *anatomy.DEEP))
        places = np.argwhere(tissue & (np.abs(away - wanted) < 1.5))
        if not len(places):
            continue
        centre, radii = places[rng.integers(len(places))], radius * rng.uniform(0.7, 1.3, 3)
        sides = [
            (np.arange(n, dtype=np.float32) - c) / r
            for n, c, r in zip(found.shape, centre, radii, strict=True)
        ]
        far = np.sqrt(sum(part**2 for part in np.meshgrid(*sides, indexing="ij", sparse=True)))
        far *= 1 + 0.15 * cloud(rng, found.shape, 5.0)
        lost = (*anatomy.WHITE, *anatomy.CORTEX, *anatomy.DEEP)
        found |= np.isin(head.codes, lost) & (far <= 1)
    return found


def laid(
    name: str, head: Head, cavities: Mask, grown: tuple[Head, Head], rng: np.random.Generator
) -> Found:
    """Lay everything on a scan's grid, and find the ventricles."""
    wide, followed = grown
    scan, motion = SCANS[name], np.eye(4)
    grid = Laid(head, scan, motion, grid_of(head, scan, motion))
    priors, brain = blurred_priors(followed, grid, 0.0, rng)
    box = box_of(brain)

    def most(mask: NDArray[np.bool_]) -> Mask:
        return np.asarray(grid.truth(mask)[box] > 0.5)

    fluid, ventricles, cavity = map(most, (np.isin(head.codes, FLUID), wide.ventricles, cavities))
    own = priors.cropped(box)
    fluid &= brain[box] & ~own.infratentorial
    sizes = np.sqrt((grid.affine[:3, :3] ** 2).sum(axis=0)).tolist()
    given = (fluid, own.ventricles, own.cortex, own.white + own.deep_grey, sizes)
    with patch.object(searched, "side_pockets", lambda mask, *_: np.zeros_like(mask)):
        before = searched.lateral_ventricles(*given)
    now = searched.lateral_ventricles(*given)
    ml, whole = float(np.prod(sizes)) / 1000, max(int(cavity.sum()), 1)
    return Found(
        scan=name,
        ventricle_ml=ml * float(ventricles.sum()),
        cavity_ml=ml * float(cavity.sum()),
        dice=(dice(before, ventricles), dice(now, ventricles)),
        taken=(float((before & cavity).sum()) / whole, float((now & cavity).sum()) / whole),
    )


if __name__ == "__main__":
    main()
