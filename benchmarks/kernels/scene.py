"""A head with lesions planted by a fixed rule, real where the scans are at hand, else made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

REAL = Path(__file__).parents[3] / "shared" / "data" / "labels" / "training_seg_18.nii.gz"
LEFT_WHITE, RIGHT_WHITE, LEFT_CORTEX, RIGHT_CORTEX = 2, 41, 3, 42
VENTRICLES = (4, 5, 31, 43, 44, 63)
OUTSIDE_CODES = 500
SKULL_CSF = 24
CAP_MM, BAND_SHARE, DEEP_MM, N_BALLS, BALL_MM = 6.0, 0.3, 12.0, 150, (1.0, 4.0)
SEED = 18


@dataclass(frozen=True)
class Scene:
    """Masks and labels of one head, all on one grid, axes as in the file they came from."""

    name: str
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    ventricles: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    white: NDArray[np.bool_]
    cortex: NDArray[np.bool_]
    right: NDArray[np.bool_]
    lobes: NDArray[np.uint8]
    lesions: NDArray[np.int32]

    @property
    def nawm(self) -> NDArray[np.bool_]:
        """White matter without lesions."""
        return self.white & (self.lesions == 0)

    def cropped(self, mask: NDArray[np.bool_], margin: int) -> Scene:
        """Return the part around a mask, in arrays of its own."""
        box = tuple(
            slice(max(side.start - margin, 0), side.stop + margin)
            for side in ndimage.find_objects(mask.astype(np.uint8))[0]
        )
        parts = {
            field: np.array(getattr(self, field)[box], order="C")
            for field in ("ventricles", "brain", "white", "cortex", "right", "lobes", "lesions")
        }
        return Scene(self.name, self.spacing, self.affine, **parts)


def real_scene() -> Scene:
    """Return the head of 62 ml of ventricles, or a made one of its size where it is absent."""
    if not REAL.is_file():
        return made_scene(256)
    image = nib.load(REAL)
    codes = np.ascontiguousarray(np.asanyarray(image.dataobj).astype(np.int16))
    return _scene(f"{REAL.parent.name}/{REAL.name}", codes, image.affine)


def made_scene(size: int) -> Scene:
    """Return a head of nested ellipsoids with two ventricles, `size` voxels wide."""
    axes = np.meshgrid(*[np.linspace(-128, 128, size)] * 3, indexing="ij", sparse=True)
    affine = np.diag([256 / size, 256 / size, 256 / size, 1.0])
    x, y, z = axes

    def ellipsoid(a: float, b: float, c: float, x0: float = 0.0) -> NDArray[np.bool_]:
        return ((x - x0) / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 <= 1

    # Folds of the cortex: the outer surface swings by a few millimetres.
    folds = 1 + 0.04 * np.sin(x / 5) * np.sin(y / 5) * np.sin(z / 5)
    radius = np.sqrt((x / 66) ** 2 + (y / 84) ** 2 + (z / 62) ** 2)
    codes = np.zeros((size,) * 3, np.int16)
    for outer, code in ((1.0 * folds, LEFT_CORTEX), (0.93 * folds, LEFT_WHITE)):
        codes[radius <= outer] = code
    codes[ellipsoid(9, 34, 16, -14) | ellipsoid(9, 34, 16, 14)] = VENTRICLES[0]
    right = np.broadcast_to(x >= 0, codes.shape)
    for left_code, right_code in ((LEFT_WHITE, RIGHT_WHITE), (LEFT_CORTEX, RIGHT_CORTEX)):
        codes[(codes == left_code) & right] = right_code
    codes[(codes == VENTRICLES[0]) & right] = 43
    return _scene(f"a made head of {size} cubed", codes, affine)


def zoomed_scene(scene_codes: NDArray[np.int16], affine: NDArray, size: int) -> Scene:
    """Return a head resampled to `size` voxels a side, nearest neighbour."""
    old = np.array(scene_codes.shape)
    places = [np.minimum((np.arange(size) + 0.5) * n / size, n - 1).astype(int) for n in old]
    codes = scene_codes[np.ix_(*places)]
    return _scene(f"{size} cubed", codes, affine @ np.diag([*(old / size), 1.0]))


def real_codes() -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return the label codes behind `real_scene`, or those of a made head."""
    if REAL.is_file():
        image = nib.load(REAL)
        return np.asanyarray(image.dataobj).astype(np.int16), image.affine
    scene = made_scene(256)
    codes = np.select(
        [scene.ventricles, scene.cortex & scene.right, scene.cortex, scene.white & scene.right,
         scene.white],
        [VENTRICLES[0], RIGHT_CORTEX, LEFT_CORTEX, RIGHT_WHITE, LEFT_WHITE],
    )  # fmt: skip
    return codes.astype(np.int16), scene.affine


def _scene(name: str, codes: NDArray[np.int16], affine: NDArray[np.float64]) -> Scene:
    spacing = tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    ventricles = np.isin(codes, VENTRICLES)
    white = np.isin(codes, (LEFT_WHITE, RIGHT_WHITE))
    cortex = np.isin(codes, (LEFT_CORTEX, RIGHT_CORTEX))
    right = np.isin(codes, (RIGHT_WHITE, RIGHT_CORTEX, 43, 44))
    lesion = planted(ventricles, white, spacing)
    lesions, _ = ndimage.label(lesion, structure=np.ones((3, 3, 3)), output=np.int32)
    return Scene(
        name=name,
        spacing=(spacing[0], spacing[1], spacing[2]),
        affine=affine,
        ventricles=ventricles,
        brain=(codes > 0) & (codes < OUTSIDE_CODES) & (codes != SKULL_CSF),
        white=white,
        cortex=cortex,
        right=right,
        lobes=four_lobes(cortex),
        lesions=lesions,
    )


def planted(
    ventricles: NDArray[np.bool_], white: NDArray[np.bool_], spacing: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Plant caps and bands within 6 mm of the ventricles, and 150 deep balls of 1 to 4 mm."""
    rng = np.random.default_rng(SEED)
    distance = ndimage.distance_transform_edt(~ventricles, sampling=spacing)
    near = white & (distance <= CAP_MM)
    cloud = ndimage.gaussian_filter(
        rng.random(white.shape, dtype=np.float32), [4 / size for size in spacing]
    )
    lesion = near & (cloud > np.quantile(cloud[near], 1 - BAND_SHARE))
    deep = np.argwhere(white & (distance > DEEP_MM))
    for centre in deep[rng.choice(len(deep), N_BALLS, replace=False)]:
        radius = rng.uniform(*BALL_MM)
        reach = [int(np.ceil(radius / size)) for size in spacing]
        box = tuple(slice(max(c - r, 0), c + r + 1) for c, r in zip(centre, reach, strict=True))
        steps = np.meshgrid(
            *[
                (np.arange(side.start, min(side.stop, n)) - c) * size
                for side, n, c, size in zip(box, white.shape, centre, spacing, strict=True)
            ],
            indexing="ij",
            sparse=True,
        )
        lesion[box] |= (sum(step**2 for step in steps) <= radius**2) & white[box]
    return lesion


def four_lobes(cortex: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Divide the cortex in four by planes: this is a load for the kernel, no anatomy."""
    lobes = np.zeros(cortex.shape, np.uint8)
    second, third = (np.median(places) for places in np.nonzero(cortex)[1:])
    axis1, axis2 = np.arange(cortex.shape[1])[:, None], np.arange(cortex.shape[2])
    quarter = 1 + (axis1 > second).astype(np.uint8) + 2 * (axis2 > third).astype(np.uint8)
    lobes[cortex] = np.broadcast_to(quarter, cortex.shape)[cortex]
    return lobes
