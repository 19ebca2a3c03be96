"""A head with lesions: whose anatomy it is, what was planted, and where brain and lesions are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.chain import DATA

LABELS, MASKS = DATA / "labels", DATA / "lesion_masks"
WHITE, CORTEX, VENTRICLES = (2, 41), (3, 42), (4, 5, 43, 44)
INFRATENTORIAL = (7, 8, 16, 46, 47)
DEEP = (10, 11, 12, 13, 26, 49, 50, 51, 52, 58)
CSF, OUTSIDE_FROM = 24, 500
# Codes of what is planted: lesions, faint lesions, cavities, and rims of cavities.
LESION, FAINT, CAVITY, RIM = 401, 402, 403, 404
MARGIN, NEAR = 12, 6

Codes = NDArray[np.int16]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Head:
    """Codes of every voxel of 1 mm, and the affine to RAS mm."""

    name: str
    codes: Codes
    affine: NDArray[np.float64]

    @property
    def lesions(self) -> Mask:
        """Lesions, without the rims of infarcts, which raters count as infarcts."""
        return np.isin(self.codes, (LESION, FAINT))

    @property
    def brain(self) -> Mask:
        """The brain with the fluid in it."""
        return (self.codes > 0) & (self.codes < OUTSIDE_FROM)

    @property
    def ventricles(self) -> Mask:
        """The lateral ventricles."""
        return np.isin(self.codes, VENTRICLES)

    @property
    def middle_mm(self) -> NDArray[np.float64]:
        """The centre of the brain, RAS mm."""
        centre = np.argwhere(self.brain).mean(axis=0)
        return np.asarray(nib.affines.apply_affine(self.affine, centre))


@lru_cache(maxsize=2)
def plain_head(name: str) -> Head:
    """Load a label image, cropped to the head."""
    image = nib.as_closest_canonical(nib.load(LABELS / f"{name}.nii.gz"))
    whole = Head(name, np.asanyarray(image.dataobj).astype(np.int16), image.affine)
    return _around(whole, whole.codes > 0, MARGIN)


@lru_cache(maxsize=2)
def plain_brain(name: str) -> Head:
    """Load a label image, cropped to the brain and what lies next to it."""
    head = plain_head(name)
    return _around(head, head.brain, NEAR)


def _around(head: Head, mask: Mask, margin: int) -> Head:
    """Crop a head to a mask's box and a margin."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    box = tuple(slice(max(part.start - margin, 0), part.stop + margin) for part in box)
    affine = head.affine.copy()
    affine[:3, 3] = nib.affines.apply_affine(affine, [part.start for part in box])
    return Head(head.name, np.ascontiguousarray(head.codes[box]), affine)


def names() -> list[str]:
    """List the heads."""
    return sorted(path.name.split(".")[0] for path in LABELS.glob("training_seg_*.nii.gz"))


def planted(name: str, load_ml: float, seed: int, ventricles_mm: float = 0.0) -> Head:
    """Plant small-vessel disease of a given load in a head, its ventricles enlarged first.

    Parameters
    ----------
    name
        Name of the label image.
    load_ml
        Volume of the lesions; it is met to a few voxels.
    seed
        Seed of shapes and places.
    ventricles_mm
        By how much the ventricles grow into the white matter.

    Returns
    -------
    Head
        The head with lesions.
    """
    return planted_in(plain_head(name), load_ml, seed, ventricles_mm)


def planted_in(head: Head, load_ml: float, seed: int, ventricles_mm: float = 0.0) -> Head:
    """Plant small-vessel disease in a head that is loaded, or a part of one; see `planted`."""
    rng = np.random.default_rng([seed, int(load_ml * 10)])
    codes = enlarged(head.codes, ventricles_mm)
    white = np.isin(codes, WHITE)
    field = _likelihood(codes, white, head.affine, rng, load_ml)
    wanted = round(1000 * load_ml)
    lesions = np.zeros(codes.shape, bool)
    if wanted:
        lesions.flat[np.argpartition(-field.ravel(), wanted)[:wanted]] = True
        lesions &= np.isfinite(field)
    faint = lesions & (cloud(rng, codes.shape, 9.0) > rng.uniform(0.4, 1.5))
    codes[lesions], codes[faint] = LESION, FAINT
    for _ in range(int(rng.integers(0, 4)) if load_ml > 1 else 0):
        hollow(codes, rng, radius_mm=rng.uniform(1.5, 5.0), inside=(*WHITE, *DEEP))
    if load_ml > 20 and rng.random() < 0.3:
        hollow(codes, rng, radius_mm=rng.uniform(8.0, 16.0), inside=(*WHITE, *CORTEX))
    return Head(head.name, codes, head.affine)


def enlarged(codes: Codes, by_mm: float) -> Codes:
    """Let the lateral ventricles grow into white matter."""
    codes = codes.copy()
    if by_mm > 0:
        near, where = ndimage.distance_transform_edt(
            ~np.isin(codes, VENTRICLES), return_indices=True
        )
        grown = (near > 0) & (near <= by_mm) & np.isin(codes, WHITE)
        codes[grown] = codes[tuple(where)][grown]
    return codes


def _likelihood(
    codes: Codes,
    white: Mask,
    affine: NDArray[np.float64],
    rng: np.random.Generator,
    load_ml: float,
) -> NDArray[np.float32]:
    """Say where white matter falls ill first: the highest values, as many as wanted, are lesions.

    Caps and rims along the ventricles, bands that follow them, and spots in the deep white matter,
    in proportions drawn by chance; in a part of the people the shapes of a patient's own lesions.
    """
    to_ventricle = ndimage.distance_transform_edt(~np.isin(codes, VENTRICLES)).astype(np.float32)
    # the third ventricle and the roof of the fourth have no caps
    depth = ndimage.distance_transform_edt(white | np.isin(codes, VENTRICLES)).astype(np.float32)
    reach_mm = rng.uniform(2.0, 6.0) + 0.18 * load_ml
    field = -to_ventricle / reach_mm + 0.6 * cloud(rng, codes.shape, rng.uniform(4, 9))
    field += rng.uniform(0.2, 0.9) * _horns(codes)
    if load_ml > 0.3:
        spots = _spots(white & (to_ventricle > 5), rng, int(rng.integers(2, 10 + load_ml)))
        field = np.maximum(field, spots + rng.uniform(-1.0, 0.6))
    if rng.random() < 0.4 and load_ml:
        shape = _patient(codes, affine, rng)
        field = np.where(shape, np.maximum(field, 0.2) + 0.3, field)
    # U-fibres under the cortex are spared until late
    field -= rng.uniform(0.5, 2.0) * np.exp(-depth / 1.5)
    return np.where(white, field, -np.inf).astype(np.float32)


def _horns(codes: Codes) -> NDArray[np.float32]:
    """Return 1 in front of and behind the ventricles, where caps are, falling to 0 between."""
    where = np.argwhere(np.isin(codes, (4, 43)))
    if not len(where):
        return np.zeros(codes.shape, np.float32)
    low, high = np.percentile(where[:, 1], [8, 85])
    y = np.arange(codes.shape[1], dtype=np.float32)
    along = np.clip((y - high) / 8, 0, 1) + np.clip((low - y) / 8, 0, 1)
    return np.broadcast_to(along[None, :, None], codes.shape).astype(np.float32)


def _spots(where: Mask, rng: np.random.Generator, number: int) -> NDArray[np.float32]:
    """Return 1 at the centres of spots and less around them, down to 0 at their borders."""
    found = np.zeros(where.shape, np.float32)
    places = np.argwhere(where)
    if not len(places):
        return found
    for centre in places[rng.integers(0, len(places), number)]:
        radii = rng.uniform(1.2, 4.5) * rng.uniform(0.7, 1.4, 3)
        box = tuple(
            slice(max(int(c - 8), 0), min(int(c + 9), n))
            for c, n in zip(centre, where.shape, strict=True)
        )
        offsets = np.meshgrid(
            *[
                (np.arange(part.start, part.stop) - c) / r
                for part, c, r in zip(box, centre, radii, strict=True)
            ],
            indexing="ij",
        )
        ball = 1 - np.sqrt(sum(part**2 for part in offsets))
        found[box] = np.maximum(found[box], np.clip(ball, 0, None))
    return np.where(found > 0, found, -np.inf).astype(np.float32)


def _patient(codes: Codes, affine: NDArray[np.float64], rng: np.random.Generator) -> Mask:
    """Lay a patient's lesions over a head: centres and extents of the brains are matched."""
    files = sorted(MASKS.glob("*_lesion_MNI.nii.gz"))
    if not files:
        return np.zeros(codes.shape, bool)
    image = nib.load(files[int(rng.integers(len(files)))])
    brain = np.argwhere((codes > 0) & (codes < OUTSIDE_FROM))
    brain_mm = nib.affines.apply_affine(affine, brain)
    low, high = brain_mm.min(axis=0), brain_mm.max(axis=0)
    # the extent of the template's brain, RAS mm
    goal_low, goal_high = np.array([-70, -105, -62.0]), np.array([70, 71, 80.0])
    scale = (goal_high - goal_low) / (high - low)
    to_patient = np.diag([*scale, 1.0])
    to_patient[:3, 3] = goal_low - scale * low
    matrix = np.linalg.inv(image.affine) @ to_patient @ affine
    data = (np.asanyarray(image.dataobj) > 0).astype(np.float32)
    return ndimage.affine_transform(data, matrix[:3, :3], matrix[:3, 3], codes.shape, order=1) > 0.5


def hollow(
    codes: Codes, rng: np.random.Generator, radius_mm: float, inside: tuple[int, ...]
) -> None:
    """Put a cavity full of fluid with a bright rim: a lacune, or an old infarct."""
    places = np.argwhere(np.isin(codes, inside))
    centre = places[int(rng.integers(len(places)))]
    radii = radius_mm * rng.uniform(0.7, 1.3, 3)
    offsets = np.meshgrid(
        *[
            (np.arange(n, dtype=np.float32) - c) / r
            for n, c, r in zip(codes.shape, centre, radii, strict=True)
        ],
        indexing="ij",
        sparse=True,
    )
    away = np.sqrt(sum(part**2 for part in offsets))
    tissue = np.isin(codes, (*inside, LESION, FAINT))
    codes[tissue & (away <= 1 + rng.uniform(1.0, 3.0) / radius_mm)] = RIM
    codes[(codes == RIM) & (away <= 1)] = CAVITY


def cloud(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> NDArray[np.float32]:
    """Return smooth random values with mean 0 and SD 1; wide ones are made on a coarse grid."""
    step = max(int(sigma // 3), 1)
    coarse = rng.normal(size=[n // step + 3 for n in shape]).astype(np.float32)
    cloud = ndimage.gaussian_filter(coarse, sigma / step)
    fine = ndimage.zoom(cloud, step, order=1)[tuple(slice(n) for n in shape)]
    return np.asarray((fine - fine.mean()) / fine.std(), np.float32)
