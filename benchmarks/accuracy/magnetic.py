"""A simulated head with known susceptibility, its field, and the phase of echoes in it.

The anatomy is a person's labels (`training_seg_*.nii.gz`: FreeSurfer codes, codes over 500 outside
of the brain). Susceptibilities are those of the literature, with a texture; air lies around the
head and in its sinuses. Lesions are planted with the U that a study of 299 people saw: lowest in
the shell next to the lesion.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.arrays.masks import deeper, within
from wmhflow.core.susceptibility import field_of
from wmhflow.core.susceptibility.quantify import GYROMAGNETIC_HZ_PER_T

# ppm, relative to the fluid in the ventricles
CHI = {
    2: -0.030, 41: -0.030, 7: -0.025, 46: -0.025, 16: -0.010, 85: -0.030,
    3: 0.020, 42: 0.020, 8: 0.015, 47: 0.015, 17: 0.015, 53: 0.015, 18: 0.015, 54: 0.015,
    10: 0.020, 49: 0.020, 11: 0.045, 50: 0.045, 12: 0.050, 51: 0.050, 13: 0.130, 52: 0.130,
    26: 0.040, 58: 0.040, 28: 0.050, 60: 0.050, 30: 0.150, 62: 0.150,
}  # fmt: skip
AIR, BONE, SOFT = 9.2, -2.0, 0.0
BONE_CODES = (515,)
SULCI_MM = 3.0
WHITE, FLUID = (2, 41), (4, 5, 14, 15, 43, 44, 72)
DEEP_GREY = (10, 11, 12, 13, 49, 50, 51, 52)
TEXTURE_PPM = 0.010
# of a lesion and of the tissue around it, relative to white matter beyond (ppm), by distance in mm
U_PPM = (-0.0075, -0.0096, -0.0093, -0.0068)
U_EDGES_MM = (0.0, 2.0, 4.0, 6.0)
LESION_RADIUS_MM, N_LESIONS = 4.0, 40
FIELD_T = 3.0
# brightness relative to white matter and its decay in 1/s, by labels
SIGNAL = {
    (2, 41, 7, 46, 16, 28, 60): (1.0, 21.0), (3, 42, 8, 47, 17, 18, 53, 54): (1.1, 17.0),
    (10, 11, 12, 26, 49, 50, 51, 58): (1.05, 24.0), (13, 52): (0.95, 38.0), FLUID: (1.3, 4.0),
}  # fmt: skip


class Head(NamedTuple):
    """What is known of a simulated head."""

    labels: NDArray[np.int32]
    affine: NDArray[np.float64]
    chi_ppm: NDArray[np.float32]
    brain: NDArray[np.bool_]
    lesion_distance_mm: NDArray[np.float32]
    """0 in lesions."""
    whole_ppm: NDArray[np.float32]
    """The field of all sources."""
    local_ppm: NDArray[np.float32]
    """The field of the brain's own sources."""

    @property
    def sizes_mm(self) -> NDArray[np.float64]:
        """Sizes of the voxels."""
        sizes: NDArray[np.float64] = np.linalg.norm(self.affine[:3, :3], axis=0)
        return sizes


def simulate_head(codes: NDArray[np.int32], affine: NDArray[np.float64], seed: int = 0) -> Head:
    """Give a person's labels susceptibilities, and work out their field."""
    rng = np.random.default_rng(seed)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    brain = deeper(within(np.isin(codes, [*CHI, *FLUID]), SULCI_MM, sizes), SULCI_MM, sizes)
    chi = np.full(codes.shape, SOFT, np.float32)
    for code, value in CHI.items():
        chi[codes == code] = value
    texture = ndimage.gaussian_filter(rng.standard_normal(codes.shape), 1.0)
    chi += np.where(brain, TEXTURE_PPM * texture / texture.std(), 0)
    chi[~brain & (codes == 0)] = AIR
    chi[~brain & np.isin(codes, BONE_CODES)] = BONE
    white = np.isin(codes, WHITE)
    distance = _from_lesions(white, sizes, rng)
    shell = np.searchsorted(U_EDGES_MM, distance, side="left")
    for number, value in enumerate(U_PPM):
        chi[white & (shell == number)] += value
    whole = field_of(chi, affine)
    head = Head(codes, affine, chi, brain, distance, whole, whole)
    head = _cut(head)
    own = field_of(np.where(head.brain, head.chi_ppm, 0), head.affine)
    return head._replace(local_ppm=own)


def _cut(head: Head) -> Head:
    """Cut out the brain, with an even number of voxels along each axis."""
    places = np.argwhere(head.brain)
    low = places.min(axis=0) - 4
    high = low + (places.max(axis=0) + 5 - low) // 2 * 2
    box = tuple(slice(max(a, 0), b) for a, b in zip(low, high, strict=True))
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.maximum(low, 0)
    return Head(*(affine if part is head.affine else part[box] for part in head))


def coarser(head: Head) -> Head:
    """Make the voxels twice as large: fields are averages over a voxel, as a scanner's are."""

    def averaged(volume: NDArray[np.generic]) -> NDArray[np.float32]:
        shape = [length for n in volume.shape for length in (n // 2, 2)]
        return volume.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)

    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.full(3, 0.5)
    affine[:3, :3] *= 2
    return Head(
        head.labels[1::2, 1::2, 1::2],
        affine,
        averaged(head.chi_ppm),
        averaged(head.brain) > 0.99,
        averaged(head.lesion_distance_mm),
        averaged(head.whole_ppm),
        averaged(head.local_ppm),
    )


def _from_lesions(
    white: NDArray[np.bool_], sizes: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Plant balls in white matter; return the distance from them."""
    deep = np.argwhere(distance_to(~white, sizes) > LESION_RADIUS_MM + 2)
    seeds = np.zeros(white.shape, bool)
    seeds[tuple(deep[rng.choice(len(deep), N_LESIONS, replace=False)].T)] = True
    return distance_to((distance_to(seeds, sizes) <= LESION_RADIUS_MM) & white, sizes)


def simulate_echoes(
    head: Head, echo_times_s: NDArray[np.float64], snr: float, seed: int = 0
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Return wrapped phases and magnitudes, with an offset of the coils and noise."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in head.labels.shape), indexing="ij")
    offset = 0.7 + 1.1 * grid[0] - 0.8 * grid[1] * grid[2] + 0.5 * grid[2] ** 2
    bright, rate = (np.zeros(head.labels.shape) for _ in range(2))
    for codes, (signal, decay) in SIGNAL.items():
        here = np.isin(head.labels, codes) & head.brain
        bright[here], rate[here] = signal, decay
    rest = head.brain & (bright == 0)
    bright[rest], rate[rest] = 1.2, 8.0
    phases, magnitudes = [], []
    for time in echo_times_s:
        turns = 2 * np.pi * GYROMAGNETIC_HZ_PER_T * 1e-6 * FIELD_T * head.whole_ppm * time
        noise = rng.standard_normal((2, *head.labels.shape)) / snr
        signal = bright * np.exp(-rate * time + 1j * (turns + offset)) + noise[0] + 1j * noise[1]
        phases.append(np.angle(signal).astype(np.float32))
        magnitudes.append(np.abs(signal).astype(np.float32))
    return phases, magnitudes
