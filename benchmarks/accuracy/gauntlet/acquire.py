"""Images of a head: brightness by tissue, then everything that a scanner does to it."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.gauntlet.anatomy import (
    CAVITY,
    FAINT,
    LESION,
    OUTSIDE_FROM,
    RIM,
    Head,
    Mask,
    cloud,
)
from benchmarks.accuracy.gauntlet.mimics import with_mimics
from benchmarks.accuracy.gauntlet.protocols import Protocol, Scan
from wmhflow.core.align.search import rigid_matrix

# Groups of FreeSurfer codes, and the least and the most of their brightness beside white matter's 1
# on a FLAIR and on a T1w; one number is drawn for each group and person.
FLUID, VESSELS, BONE, MARROW, SKIN, FAT, DURA = (
    "fluid",
    "vessels",
    "bone",
    "marrow",
    "skin",
    "fat",
    "dura",
)
TISSUES: dict[str, tuple[tuple[int, ...], tuple[float, float], tuple[float, float]]] = {
    "white": ((2, 41), (1.0, 1.0), (1.0, 1.0)),
    "cortex": ((3, 42), (1.08, 1.38), (0.58, 0.76)),
    "cerebellar white": ((7, 46), (0.98, 1.12), (0.94, 1.03)),
    "cerebellar cortex": ((8, 47), (1.05, 1.32), (0.58, 0.74)),
    "thalamus": ((10, 49), (1.02, 1.22), (0.78, 0.9)),
    "caudate": ((11, 50), (1.08, 1.32), (0.64, 0.78)),
    "putamen": ((12, 51), (1.02, 1.28), (0.72, 0.84)),
    "pallidum": ((13, 52), (0.82, 1.05), (0.86, 0.97)),
    "hippocampus and amygdala": ((17, 18, 53, 54), (1.15, 1.45), (0.6, 0.76)),
    "accumbens": ((26, 58), (1.08, 1.32), (0.64, 0.78)),
    "ventral diencephalon": ((28, 60), (0.98, 1.15), (0.82, 0.95)),
    "brain stem": ((16,), (0.98, 1.15), (0.88, 1.0)),
    FLUID: ((4, 5, 43, 44, 14, 15, 24, CAVITY), (0.1, 0.4), (0.12, 0.32)),
    VESSELS: ((30, 62, 72, 85), (0.3, 0.8), (0.4, 0.7)),
    BONE: ((515,), (0.03, 0.15), (0.03, 0.15)),
    MARROW: ((516,), (0.4, 1.1), (0.7, 1.5)),
    SKIN: ((511,), (0.8, 1.5), (0.9, 1.7)),
    FAT: ((507,), (0.5, 1.2), (0.6, 1.4)),
    DURA: ((514,), (0.4, 1.2), (0.3, 0.7)),
}
OTHER_OUTSIDE = (0.2, 0.9)
WHITE_BRIGHTNESS = 300.0
TEXTURE, TEXTURE_MM, BLUR_MM = 0.025, 2.5, 0.45
SAMPLE_MM = 1.0
# White matter and cortex of cerebrum and cerebellum.
ABOVE_CORD = (2, 3, 41, 42, 7, 8, 46, 47)
STRIPPED_LOOSE_MM, STRIPPED_TIGHT_MM = 5.0, 2.0
# Of how much brighter than white matter lesions are, each has so much if they differ; and the depth
# within a lesion from which on it has all of that.
LEAST_BRIGHT, MOST_BRIGHT = 0.4, 1.6
SOFT_EDGE_MM = (0.5, 2.5)
STRUCTURE = np.ones((3, 3, 3))


@dataclass(frozen=True)
class Acquired:
    """One image, and on its grid the brain, the lesions and the lateral ventricles.

    `motion` says where points of the head lie in the scanner, RAS mm.
    """

    image: nib.Nifti1Image
    brain: Mask
    lesions: Mask
    ventricles: Mask
    motion: NDArray[np.float64]


def brightness(
    codes: NDArray[np.int16], scan: Scan, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the brightness of every code, white matter having 1."""
    is_flair = scan.kind == "FLAIR"
    found = np.ones(int(max(codes.max(), RIM)) + 1, np.float32)
    found[0] = 0
    found[OUTSIDE_FROM:] = rng.uniform(*OTHER_OUTSIDE, found[OUTSIDE_FROM:].size)
    drawn = {}
    for name, (members, flair, t1w) in TISSUES.items():
        value = rng.uniform(*(flair if is_flair else t1w))
        if not is_flair and scan.kind == "SE" and name not in (BONE, MARROW, SKIN, FAT):
            value = 0.45 * value + 0.55 if name != FLUID else value + 0.15
        if scan.kind == "contrast" and name in (VESSELS, DURA):
            value = rng.uniform(1.4, 2.2)
        drawn[name] = value
        found[[code for code in members if code < found.size]] = value
    if is_flair:
        # above the cortex, as raters see lesions; faint ones hardly
        lesion = drawn["cortex"] + rng.uniform(0.22, 0.75)
        found[LESION], found[RIM] = lesion, lesion * rng.uniform(0.95, 1.1)
        found[FAINT] = drawn["cortex"] + rng.uniform(0.08, 0.2)
    else:
        lesion = rng.uniform(0.62, 0.86)
        found[LESION], found[RIM], found[FAINT] = lesion, lesion, (1 + lesion) / 2
    return found


def uneven(
    values: NDArray[np.float32], lesions: Mask, spread: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Let each lesion be as bright as chance makes it, change within it, and fade at its edge.

    Parameters
    ----------
    values
        Brightness, normal white matter having 1.
    lesions
        Lesions.
    spread
        SD of the logarithm of how much brighter than white matter lesions are.
    rng
        What is drawn by chance.

    Returns
    -------
    ndarray
        The brightness with lesions that differ.
    """
    labels, number = ndimage.label(lesions, STRUCTURE)
    factors = rng.normal(0, spread, number + 1)[labels[lesions]]
    factors += spread / 2 * cloud(rng, lesions.shape, 4.0)[lesions]
    share = np.clip(np.exp(factors), LEAST_BRIGHT, MOST_BRIGHT)
    depth = ndimage.distance_transform_edt(lesions)[lesions]
    share *= np.minimum(depth / rng.uniform(*SOFT_EDGE_MM), 1)
    values = values.copy()
    values[lesions] = 1 + (values[lesions] - 1) * share.astype(np.float32)
    return values


def acquired(
    head: Head, protocol: Protocol, scan: Scan, seed: int, spread: float = 0.0
) -> Acquired:
    """Acquire one image of a head.

    Parameters
    ----------
    head
        Anatomy with lesions.
    protocol
        What is shown of the head and how it lies in the scanner.
    scan
        How the image is acquired.
    seed
        Seed of contrast, texture, bias field, noise and motion.
    spread
        How far lesions differ in brightness, see `uneven`; 0 if they do not.

    Returns
    -------
    Acquired
        The image and the truth on its grid.
    """
    is_flair = scan.kind == "FLAIR"
    rng = np.random.default_rng([seed, is_flair])
    values = brightness(head.codes, scan, rng)[head.codes]
    if spread:
        values = uneven(values, head.lesions, spread, np.random.default_rng([seed, 13]))
    if is_flair:
        values = with_mimics(values, head, np.random.default_rng([seed, 11]))
    values *= 1 + TEXTURE * cloud(rng, head.codes.shape, TEXTURE_MM)
    values *= _bias(head, scan.bias, rng)
    values = ndimage.gaussian_filter(values, BLUR_MM)
    motion = motion_of(head, protocol, is_flair, seed)
    grid, shape, n_samples = grid_of(head, scan, motion)
    parts = [values, head.brain, head.lesions, head.ventricles]
    image, brain, lesions, ventricles = (
        sampled(part.astype(np.float32), head.affine, motion, grid, shape, n_samples, scan)
        for part in parts
    )
    data = _scanned(image, brain, scan, rng)
    data = _shown(data, brain > 0.5, grid, protocol.shown, rng)
    if scan.matrix:
        data, brain, lesions, ventricles, grid = _padded(
            [data, brain, lesions, ventricles], grid, scan.matrix
        )
    return Acquired(
        _stored(data * WHITE_BRIGHTNESS, grid, scan.stored),
        brain > 0.5, lesions > 0.5, ventricles > 0.5, motion,
    )  # fmt: skip


def _bias(head: Head, share: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a smooth field whose 5th and 95th percentiles in the brain differ by a share."""
    field = cloud(rng, head.codes.shape, 55.0)
    low, high = np.percentile(field[head.brain], [5, 95])
    return np.exp(np.log1p(share) * (field - (low + high) / 2) / (high - low)).astype(np.float32)


def motion_of(head: Head, protocol: Protocol, is_flair: bool, seed: int) -> NDArray[np.float64]:
    """Say where points of the head lie in the scanner, RAS mm."""
    rng = np.random.default_rng([seed, 7])
    where = _drawn(rng, protocol.turned_deg, protocol.moved_mm)
    matrix = rigid_matrix(where, head.middle_mm)
    if is_flair and protocol.t1w is not None:
        between = _drawn(rng, protocol.between_deg, protocol.between_mm)
        matrix = rigid_matrix(between, head.middle_mm) @ matrix
    return matrix


def _drawn(rng: np.random.Generator, degrees: float, mm: float) -> NDArray[np.float64]:
    """Draw an axis and a direction; how far is given."""
    turn, shift = rng.normal(size=(2, 3))
    return np.r_[degrees * turn / np.linalg.norm(turn), mm * shift / np.linalg.norm(shift)]


def grid_of(
    head: Head, scan: Scan, motion: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[int, int, int], int]:
    """Lay the slices: affine of the image, its shape, and samples through a slice."""
    axes = {"axial": (0, 1, 2), "sagittal": (1, 2, 0), "coronal": (0, 2, 1)}[scan.plane]
    turn = rigid_matrix([scan.tilt_deg, scan.tilt_deg / 2, scan.tilt_deg / 2, 0, 0, 0], np.zeros(3))
    directions = turn[:3, :3] @ np.eye(3)[:, list(axes)]
    corners = np.argwhere(head.codes > 0)[::500]
    points = nib.affines.apply_affine(motion @ head.affine, corners) @ directions
    brain = np.argwhere(head.brain)[::200]
    inner = nib.affines.apply_affine(motion @ head.affine, brain) @ directions
    step = scan.slice_mm + scan.gap_mm
    sizes = np.array([scan.in_plane_mm, scan.in_plane_mm, step])
    low, high = points.min(axis=0) - 8, points.max(axis=0) + 8
    if scan.plane != "sagittal" and scan.slice_mm > 2:
        # slices are laid over the brain, not over the neck
        low[2], high[2] = inner[:, 2].min() - 3, inner[:, 2].max() + 6
    if scan.slices:
        # the cord reaches far below what a radiographer lays slices over
        above = np.argwhere(np.isin(head.codes, ABOVE_CORD))[::200]
        inner = nib.affines.apply_affine(motion @ head.affine, above) @ directions
        length = scan.slices * step
        middle = (inner[:, 2].min() + inner[:, 2].max()) / 2
        low[2] = {
            "all": middle - length / 2,
            "top": inner[:, 2].max() + 4 - length,
            "bottom": inner[:, 2].min() - 4,
        }[scan.reach]
        high[2] = low[2] + length
    shape = tuple(int(n) for n in np.maximum(np.ceil((high - low) / sizes), 1))
    affine = np.eye(4)
    affine[:3, :3] = directions * sizes
    affine[:3, 3] = directions @ (low + sizes / 2)
    return affine, shape, max(round(scan.slice_mm / SAMPLE_MM), 1)


def sampled(
    values: NDArray[np.float32],
    affine: NDArray[np.float64],
    motion: NDArray[np.float64],
    grid: NDArray[np.float64],
    shape: tuple[int, int, int],
    n_samples: int,
    scan: Scan,
) -> NDArray[np.float32]:
    """Average a head's values over each voxel: through the slice, and a little within it."""
    total = np.zeros(shape, np.float32)
    step = scan.slice_mm + scan.gap_mm
    for number in range(n_samples):
        shift = np.eye(4)
        shift[2, 3] = ((number + 0.5) / n_samples - 0.5) * scan.slice_mm / step
        matrix = np.linalg.inv(motion @ affine) @ grid @ shift
        total += ndimage.affine_transform(values, matrix[:3, :3], matrix[:3, 3], shape, order=1)
    return total / n_samples


def _scanned(
    image: NDArray[np.float32], brain: NDArray[np.float32], scan: Scan, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Add a ghost and noise; noise of small voxels hangs together, as scanners interpolate."""
    if scan.ghost:
        image = image + scan.ghost * np.roll(image, image.shape[1] // 2 + 3, axis=1)
        image = image + scan.ghost / 2 * np.roll(image, image.shape[1] // 4, axis=1)
    sd = 1 / scan.snr
    blur = [0.4 / scan.in_plane_mm] * 2 + [0.0]
    noise = []
    for _ in range(2):
        part = rng.normal(size=image.shape).astype(np.float32)
        part = ndimage.gaussian_filter(part, blur)
        noise.append(sd * part / part.std())
    found = np.hypot(image + noise[0], noise[1]).astype(np.float32)
    if scan.kind == "MP2RAGE":
        air = ndimage.gaussian_filter(image, 1.0) < 0.02
        found = np.where(air, rng.random(image.shape, np.float32) * 1.2, found)
    return found


def _shown(
    data: NDArray[np.float32],
    brain: Mask,
    grid: NDArray[np.float64],
    shown: str,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Leave out what others took away."""
    if shown == "whole":
        return data
    sizes = np.linalg.norm(grid[:3, :3], axis=0)
    if shown == "defaced":
        places = np.moveaxis(np.indices(data.shape), 0, -1) @ grid[:3, :3].T + grid[:3, 3]
        inside = places[brain]
        front = places[..., 1] > np.percentile(inside[:, 1], 70)
        low = places[..., 2] < np.percentile(inside[:, 2], 30)
        near = ndimage.distance_transform_edt(~brain, sampling=sizes) < 6
        return np.where(front & low & ~near, 0, data)
    outside = ndimage.distance_transform_edt(~brain, sampling=sizes)
    kept = outside <= 1.0
    if shown == "tight":
        kept = ndimage.distance_transform_edt(brain, sampling=sizes) > STRIPPED_TIGHT_MM
    elif shown == "loose":
        kept = outside <= STRIPPED_LOOSE_MM
    elif shown == "neck":
        places = np.moveaxis(np.indices(data.shape), 0, -1) @ grid[:3, :3].T + grid[:3, 3]
        inside = places[brain]
        centre = inside[inside[:, 2] < np.percentile(inside[:, 2], 3)].mean(axis=0)
        aside = np.linalg.norm((places - centre)[..., :2], axis=-1)
        kept |= (aside < 25) & (places[..., 2] < centre[2] + 5)
    elif shown == "holes":
        kept &= cloud(rng, data.shape, 6.0) < 2.2
    return np.where(kept, data, 0).astype(np.float32)


def _padded(
    parts: list[NDArray[np.float32]], grid: NDArray[np.float64], matrix: int
) -> tuple[NDArray[np.float32], ...]:
    """Pad slices with zeros to a square matrix."""
    missing = [max(matrix - n, 0) for n in parts[0].shape[:2]]
    before = [n // 2 for n in missing]
    pads = [(b, n - b) for b, n in zip(before, missing, strict=True)] + [(0, 0)]
    moved = grid.copy()
    moved[:3, 3] -= grid[:3, :2] @ np.array(before, float)
    return (*[np.pad(part, pads) for part in parts], moved)


def _stored(data: NDArray[np.float32], affine: NDArray[np.float64], how: str) -> nib.Nifti1Image:
    """Write values as scanners and converters do."""
    if how == "float32":
        image = nib.Nifti1Image(data, affine)
    else:
        # how brightness becomes what is written, and the slope and intercept that the header tells
        factor, offset, slope, kind = {
            "int16": (1.0, 0.0, 1.0, np.int16),
            "int16 with offset": (1.0, 1024.0, 1.0, np.int16),
            "uint8": (255 / max(float(data.max()), 1.0), 0.0, 1.0, np.uint8),
            "scaled": (1.0, 0.0, 3.7e-5, np.int16),
        }[how]
        image = nib.Nifti1Image(np.rint(data * factor + offset).astype(kind), affine)
        image.header.set_slope_inter(slope, -offset * slope)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    return image
