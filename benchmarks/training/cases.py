"""Simulated FLAIRs to learn from, each with priors as a warp would bring them, a little off.

``python -m benchmarks.training.cases FOLDER [NUMBER]`` makes them, one file each. They are made of
the heads that never measure the result.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.chain import on_all_cores
from benchmarks.accuracy.gauntlet import anatomy
from benchmarks.accuracy.gauntlet.acquire import acquired, grid_of, motion_of, sampled
from benchmarks.accuracy.gauntlet.anatomy import Head, cloud
from benchmarks.accuracy.gauntlet.people import LOADS, TRAINING_HEADS
from benchmarks.accuracy.gauntlet.protocols import PROTOCOLS, Protocol, Scan
from wmhflow.core.arrays.blocks import block_factors, block_means
from wmhflow.core.arrays.slices import thick_axis
from wmhflow.core.space.grids import box_of
from wmhflow.core.wmh.evidence import READ_MM, as_read
from wmhflow.core.wmh.segmentation import TissuePriors, lesion_evidence

NUMBER, SEED = 72, 7000
# Lesions of a person differ in brightness by up to so much, see `acquire.uneven`.
MOST_SPREAD = 0.45
# Half of the people have small lesions anywhere in the white matter, under the cortex, too.
SPOTTED, SPOTS, SPOT_MM, FAINT_SPOT = 0.5, (3, 25), (1.0, 3.5), 0.3
# As many have lacunes, and half of these an old infarct, whatever their load.
HOLLOWED, MOST_LACUNES, INFARCT = 0.5, 4, 0.5
# A warp is so far off, SD of its error.
PRIORS_OFF_MM = (0.8, 3.0)
TISSUES = {
    "white": (2, 41, 7, 46, 28, 60, 16),
    "cortex": (3, 42, 8, 47, 17, 18, 53, 54),
    "deep_grey": anatomy.DEEP,
    "csf": (4, 5, 14, 15, 24, 43, 44),
}
Field = NDArray[np.float32]


def main() -> None:
    """Make all cases that are not there."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    number = int(sys.argv[2]) if len(sys.argv) > 2 else NUMBER
    on_all_cores(partial(make, folder), range(number))


@dataclass(frozen=True)
class Drawn:
    """A simulated FLAIR, priors as a warp would bring them, and what voxels hold of lesions.

    ``rim`` is the share of rims of cavities, which are none. All are cropped to the brain's box.
    """

    flair: Field
    priors: TissuePriors
    brain: NDArray[np.bool_]
    voxel_sizes_mm: tuple[float, ...]
    lesion: Field
    rim: Field
    scan: Scan


def drawn(number: int, seed: int = SEED) -> Drawn:
    """Draw one person of a head that never measures, and the person's scan.

    Parameters
    ----------
    number
        Loads and heads go round by it.
    seed
        Seed of everything that is drawn; people of another one are others.

    Returns
    -------
    Drawn
        Scan, priors and truth.
    """
    rng = np.random.default_rng([77 + seed - SEED, number])
    low, high = LOADS[number % len(LOADS)]
    load = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if high else 0.0
    grown = float(rng.uniform(0, 5)) if load > 5 else 0.0
    name = TRAINING_HEADS[(number // 2) % len(TRAINING_HEADS)]
    plain = anatomy.plain_brain(name)
    head = anatomy.planted_in(plain, load, seed + number, grown)
    if load and rng.random() < SPOTTED:
        head = with_spots(head, rng)
    if rng.random() < HOLLOWED:
        head = with_cavities(head, rng)
    scan = drawn_scan(rng)
    shown = str(rng.choice(["whole", "whole", "stripped", "tight", "loose", "neck"]))
    protocol = Protocol("training", scan, shown=shown, turned_deg=6)
    spread = float(rng.uniform(0, MOST_SPREAD))
    return acquired_with_priors(head, protocol, scan, seed + number, spread, (plain, grown, rng))


def drawn_of_protocol(number: int, seed: int) -> Drawn:
    """Draw one person of a head that never measures, acquired as the gauntlet's people are.

    Lesions are as bright as each other and have sharp edges, and brains are not padded.

    Parameters
    ----------
    number, seed
        As for `drawn`; protocols go round by the number, too.

    Returns
    -------
    Drawn
        Scan, priors and truth.
    """
    rng = np.random.default_rng([seed, number])
    protocol = PROTOCOLS[number * 7 % len(PROTOCOLS)]
    low, high = LOADS[(number * 5 + number // 6) % len(LOADS)]
    load = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if high else 0.0
    grown = float(rng.uniform(0, 5)) if load > 5 else 0.0
    plain = anatomy.plain_brain(TRAINING_HEADS[number % len(TRAINING_HEADS)])
    head = anatomy.planted_in(plain, load, seed + number, grown)
    scan = replace(protocol.flair, matrix=0)
    return acquired_with_priors(head, protocol, scan, seed + number, 0.0, (plain, grown, rng))


def acquired_with_priors(
    head: Head,
    protocol: Protocol,
    scan: Scan,
    seed: int,
    spread: float,
    off: tuple[Head, float, np.random.Generator],
) -> Drawn:
    """Acquire a head, and draw priors of the plain one, whose ventricles grew, that are off."""
    plain, grown, rng = off
    flair = acquired(head, protocol, scan, seed, spread).image
    motion = motion_of(head, protocol, True, seed)
    laid = Laid(head, scan, motion, grid_of(head, scan, motion))
    data = flair.get_fdata(dtype=np.float32)
    priors, brain = blurred_priors(plain, laid, grown, rng)
    brain &= (data > 0) | (protocol.shown == "whole")
    box = box_of(brain)
    return Drawn(
        flair=data[box],
        priors=priors.cropped(box),
        brain=brain[box],
        voxel_sizes_mm=tuple(float(size) for size in flair.header.get_zooms()[:3]),
        lesion=laid.truth(head.lesions)[box],
        rim=laid.truth(head.codes == anatomy.RIM)[box],
        scan=scan,
    )


def make(folder: Path, number: int) -> None:
    """Make one case: what the network reads, the share of lesion in each block, what counts.

    The rims of cavities are no lesions, and are learnt as such.
    """
    file = folder / f"{number:04d}.npz"
    if not file.exists():
        save(file, drawn(number))


def save(file: Path, case: Drawn) -> None:
    """Write what the network reads of a person, and what it is to find."""
    sizes, everything = case.voxel_sizes_mm, np.ones_like(case.brain)
    found = lesion_evidence(case.flair, case.priors, case.brain, sizes)
    factors = block_factors(sizes, READ_MM)
    thick = thick_axis([n * size for n, size in zip(factors, sizes, strict=True)])
    np.savez(
        file,
        read=as_read(found, case.brain, factors).astype(np.float16),
        lesion=block_means(case.lesion, everything, factors)[0].astype(np.float16),
        counted=block_means(case.brain.astype(np.float32), everything, factors)[0] > 0,
        axis=-1 if thick is None else thick,
    )


def with_cavities(head: Head, rng: np.random.Generator) -> Head:
    """Put lacunes and perhaps an old infarct into a head, each with its bright rim."""
    codes = head.codes.copy()
    for _ in range(int(rng.integers(0, MOST_LACUNES))):
        anatomy.hollow(codes, rng, rng.uniform(1.5, 5.0), (*anatomy.WHITE, *anatomy.DEEP))
    if rng.random() < INFARCT:
        anatomy.hollow(codes, rng, rng.uniform(6.0, 16.0), (*anatomy.WHITE, *anatomy.CORTEX))
    return Head(head.name, codes, head.affine)


def with_spots(head: Head, rng: np.random.Generator) -> Head:
    """Plant small lesions anywhere in the white matter."""
    codes = head.codes.copy()
    places = np.argwhere(np.isin(codes, anatomy.WHITE))
    for centre in places[rng.integers(0, len(places), int(rng.integers(*SPOTS)))]:
        radii = rng.uniform(*SPOT_MM) * rng.uniform(0.7, 1.4, 3)
        kind = anatomy.FAINT if rng.random() < FAINT_SPOT else anatomy.LESION
        reach = np.ceil(radii).astype(int)
        box = tuple(
            slice(max(c - r, 0), c + r + 1) for c, r in zip(centre.tolist(), reach, strict=True)
        )
        part = codes[box]
        away = [
            ((np.arange(side.start, side.start + n) - c) / r) ** 2
            for side, n, c, r in zip(box, part.shape, centre, radii, strict=True)
        ]
        near = sum(np.meshgrid(*away, indexing="ij", sparse=True)) <= 1
        part[near & np.isin(part, anatomy.WHITE)] = kind
    return Head(head.name, codes, head.affine)


def drawn_scan(rng: np.random.Generator) -> Scan:
    """Draw a protocol; nearly half have voxels that are nearly cubes."""
    thick = float(rng.choice([1, 1, 1, 1.1, 1.2, 3, 4, 5, 5, 6, 8, 8]))
    return Scan(
        in_plane_mm=float(rng.uniform(0.9, 1.2) if thick < 2 else rng.uniform(0.5, 1.0)),
        slice_mm=thick,
        gap_mm=float(rng.choice([0, 0, 0.1, 0.25])) * thick if thick > 2 else 0.0,
        plane=str(rng.choice(["axial"] * 8 + ["sagittal", "coronal"])),
        tilt_deg=float(rng.uniform(-20, 20)),
        snr=float(np.exp(rng.uniform(np.log(8), np.log(40)))),
        bias=float(rng.uniform(0.15, 0.7)),
        ghost=float(rng.choice([0, 0, 0, 0.05])),
        stored="float32",
    )


class Laid:
    """A head laid on a scan's grid."""

    def __init__(
        self,
        head: Head,
        scan: Scan,
        motion: NDArray[np.float64],
        grid: tuple[NDArray[np.float64], tuple[int, int, int], int],
    ) -> None:
        self.head, self.scan, self.motion = head, scan, motion
        self.affine, self.shape, self.n_samples = grid

    def truth(self, values: NDArray[np.generic], n_samples: int | None = None) -> Field:
        """Average values of the head over voxels; at their centres alone with one sample."""
        return sampled(
            values.astype(np.float32), self.head.affine, self.motion, self.affine, self.shape,
            n_samples or self.n_samples, self.scan,
        )  # fmt: skip


def blurred_priors(
    plain: Head, laid: Laid, grown_mm: float, rng: np.random.Generator
) -> tuple[TissuePriors, NDArray[np.bool_]]:
    """Draw priors as a warp brings them: blurred, and a millimetre or two off; and a brain mask."""
    shape = plain.codes.shape
    away, reach = rng.uniform(*PRIORS_OFF_MM), rng.uniform(9, 16)
    places = np.indices(shape, dtype=np.float32)
    for axis in range(3):
        places[axis] += away * cloud(rng, shape, reach) + rng.normal(0, 0.7)
    # a warp follows large ventricles in part
    codes = anatomy.enlarged(plain.codes, grown_mm * rng.uniform(0.4, 1.0))
    blur = rng.uniform(1.2, 2.3)

    def moved(values: NDArray[np.generic], sd: float) -> Field:
        soft = ndimage.gaussian_filter(values.astype(np.float32), sd)
        there = ndimage.map_coordinates(soft, places, order=1, mode="nearest", output=np.float32)
        return laid.truth(there, 1)

    drawn = {name: moved(np.isin(codes, members), blur) for name, members in TISSUES.items()}
    ventricles = ndimage.binary_dilation(np.isin(codes, anatomy.VENTRICLES), iterations=4)
    across = np.arange(shape[0], dtype=np.float32) - np.argwhere(plain.brain)[:, 0].mean()
    beside = np.broadcast_to(np.abs(across)[:, None, None], shape)
    soft = ndimage.gaussian_filter(plain.brain.astype(np.float32), 1.5)
    level = 0.5 + 0.18 * cloud(rng, shape, 10.0) + rng.uniform(-0.1, 0.15)
    brain = laid.truth(soft > np.clip(level, 0.15, 0.85)) > 0.5
    priors = TissuePriors(
        **drawn,
        ventricles=moved(ventricles, 0.5) > 0.5,
        midline_mm=moved(beside, 0.0),
        infratentorial=moved(np.isin(codes, anatomy.INFRATENTORIAL), blur) > 0.5,
    )
    return priors, brain


if __name__ == "__main__":
    main()
