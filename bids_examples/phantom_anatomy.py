"""The phantom's anatomy on the 1 mm grid of the ICBM152 2009a symmetric template."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from phantom_plan import (
    BRAIN_STEM,
    CAUDATE,
    CEREBELLUM_CORTEX,
    CEREBELLUM_WHITE,
    CHOROID,
    CORTEX_NAMES,
    CSF,
    FOURTH_VENTRICLE,
    INFERIOR_HORN,
    LEFT_TO_RIGHT,
    NEW_AT_SECOND_VISIT,
    PALLIDUM,
    PUTAMEN,
    THALAMUS,
    THIRD_VENTRICLE,
    VENTRICLE,
    WHITE,
    Visit,
)
from scipy import ndimage as ndi

CONNECTED_26 = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class Volume:
    """An array with its RAS affine."""

    data: NDArray[Any]
    affine: NDArray[np.float64]

    def index(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the continuous voxel indices of world points, shape (3, n)."""
        inverse = np.linalg.inv(self.affine)
        return inverse[:3, :3] @ points_mm + inverse[:3, 3:]

    def nearest(self, points_mm: NDArray[np.float64]) -> NDArray[Any]:
        """Return the value of the nearest voxel; 0 outside the grid."""
        index = np.rint(self.index(points_mm)).astype(np.int64)
        shape = np.array(self.data.shape)[:, None]
        inside = np.all((index >= 0) & (index < shape), axis=0)
        i, j, k = np.where(inside, index, 0)
        return np.where(inside, self.data[i, j, k], np.zeros((), self.data.dtype))

    def linear(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return linearly interpolated values; the edge's value outside the grid."""
        return ndi.map_coordinates(self.data, self.index(points_mm), order=1, mode="nearest")

    def world(self) -> NDArray[np.float64]:
        """Return the world points of all voxel centres, shape (3, n), C order."""
        grid = np.indices(self.data.shape).reshape(3, -1)
        return self.affine[:3, :3] @ grid + self.affine[:3, 3:]


def load_template() -> dict[str, Volume]:
    """Read T1, grey and white matter of the template from nilearn's package files."""
    spec = find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "nilearn is not installed: its package holds the template; pip install nilearn"
        )
    folder = Path(spec.origin).parent / "datasets" / "data"
    volumes = {}
    for name in ("t1", "gm", "wm"):
        image = nib.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
        volumes[name] = Volume(np.asarray(image.dataobj, dtype=np.float32), image.affine)
    return volumes


def _ellipsoid(
    grid: tuple[NDArray[Any], ...], centre: tuple[float, ...], radii: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Return where the template coordinates lie inside an ellipsoid."""
    x, y, z = (((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True))
    return np.asarray(x + y + z <= 1)


def _lateral_ventricles(csf: NDArray[np.bool_], x: Any, y: Any, z: Any) -> NDArray[np.bool_]:
    """Return the lateral ventricles without inferior horns: deep CSF that holds the seeds."""
    box = (x < 36) & (y > -68) & (y < 40) & (z > -8) & (z < 34)
    cistern_or_third = (x < 13) & (y < -6) & (z < 16) | (x < 3) & (z < 4) & (y < 12)
    pieces, _ = ndi.label(csf & box & ~cistern_or_third)
    seeds = [(14, 24, 8), (7, 6, 14), (12, -10, 24), (24, -42, 12)]
    wanted = {pieces[98 + sign * sx, 134 + sy, 72 + sz] for sx, sy, sz in seeds for sign in (-1, 1)}
    return np.isin(pieces, sorted(wanted - {0}))


def _inferior_horns(x: Any, y: Any, z: Any) -> NDArray[np.bool_]:
    """Return a tube of 2.2 mm radius where the template's horn is (it is blurred there)."""
    path = np.array(
        [(32, -42, 1), (35, -37, -5), (36, -30, -10), (36, -22, -13), (36, -15, -15), (34, -9, -19)]
    )
    steps = np.concatenate([np.linspace(a, b, 6) for a, b in pairwise(path)])
    tube = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), dtype=bool)
    for centre in steps:
        tube |= _ellipsoid((x, y, z), tuple(centre), (2.2, 2.2, 2.2))
    return tube


def _infratentorial(
    brain: NDArray[np.bool_], csf: NDArray[np.float32], grid: tuple[Any, ...]
) -> NDArray[np.int16]:
    """Return 1 cerebrum, 2 cerebellum, 3 brain stem by a watershed over the CSF between them."""
    x, y, z = grid
    stem = _ellipsoid(grid, (0, -28, -34), (19, 16, 17)) & (y > -40)
    stem |= _ellipsoid(grid, (0, -26, -14), (17, 13, 12)) & (z < -7)
    stem |= (x < 12) & (y > -54) & (y < -30) & (z < -46)
    markers = np.zeros(brain.shape, dtype=np.int16)
    markers[(z > 5) & brain] = 1
    markers[(y > -8) & brain] = 1
    markers[(x > 30) & (y > -34) & brain] = 1
    markers[(y < -72) & (z > -8 - 0.25 * (-72 - y)) & brain] = 1
    markers[_ellipsoid(grid, (28, -66, -40), (17, 18, 14)) & brain] = 2
    markers[_ellipsoid(grid, (0, -62, -28), (16, 16, 18)) & brain] = 2
    markers[stem & brain & (csf < 128)] = 3
    markers[~brain] = -1
    part = ndi.watershed_ift(np.clip(csf, 0, 255).astype(np.uint8), markers)
    return np.where((part == 3) & ((x > 21) | (y < -54)), 2, part)


def _deep_grey(grid: tuple[Any, ...]) -> dict[int, NDArray[np.bool_]]:
    """Return the deep grey nuclei as ellipsoids (x is the distance from the midline)."""
    caudate_body = np.zeros(np.broadcast_shapes(*(g.shape for g in grid)), dtype=bool)
    for step in np.linspace(0, 1, 12):
        centre = (13 + 6 * step, 8 - 26 * step, 14 + 8 * step)
        caudate_body |= _ellipsoid(grid, centre, (3.5, 4.0, 4.0))
    return {
        THALAMUS: _ellipsoid(grid, (11, -18, 7), (11, 14, 10)),
        PALLIDUM: _ellipsoid(grid, (19, -3, -1), (5, 9, 7)),
        PUTAMEN: _ellipsoid(grid, (26, 2, 1), (6, 17, 11)),
        CAUDATE: _ellipsoid(grid, (13, 14, 6), (6, 10, 11)) | caudate_body,
    }


def _cortex_parcels(x: Any, y: Any, z: Any) -> NDArray[np.int16]:
    """Return the cortical code of every place by simple geometry (x from the midline)."""
    frontal = y > -32 + 0.4 * x
    parcels = np.where(frontal, 1028, 1029)
    sylvian = -5 - 0.45 * np.maximum(y, -45)
    temporal = (z < sylvian) & (x > 14) & ((y < 3) | (z < -27 + 1.1 * (x - 20)))
    parcels = np.where(temporal, 1030, parcels)
    parcels = np.where(y < -64 - 0.25 * np.maximum(z, 0), 1011, parcels)
    cingulate = (x < 14) & (((y + 5) / 50) ** 2 + ((z - 8) / 36) ** 2 < 1) & (z > -12)
    parcels = np.where(cingulate, np.where(y > -5, 1026, 1023), parcels)
    insula = _ellipsoid((x, y, z), (36, 2, 2), (8, 24, 17))
    return np.where(insula, 1035, parcels).astype(np.int16)


def build_anatomy(template: dict[str, Volume]) -> Volume:
    """Return the crisp anatomy: FreeSurfer codes (left ones) on the template's 1 mm grid."""
    grey, white = template["gm"].data, template["wm"].data
    brain = ndi.binary_fill_holes(template["t1"].data > 0)
    csf = np.where(brain, 255 - grey - white, 0)
    x, y, z = (axis.astype(np.float64) for axis in np.ix_(*(np.arange(n) for n in grey.shape)))
    grid = (np.abs(x - 98), y - 134, z - 72)
    is_csf = brain & (csf > grey) & (csf > white)
    is_grey = brain & ~is_csf & (grey > white)
    codes = np.where(is_csf, CSF, np.where(is_grey, _cortex_parcels(*grid), WHITE))
    codes = np.where(brain, codes, 0).astype(np.int16)
    _paint_deep_grey(codes, is_csf, is_grey, grid)
    ventricles = _lateral_ventricles(brain & (csf > 115), *grid)
    codes[ventricles] = VENTRICLE
    codes[ventricles & (grid[1] < -28) & (grid[1] > -44) & (grid[2] < 10)] = CHOROID
    horns = _inferior_horns(*grid) & ~ventricles
    codes[horns] = INFERIOR_HORN
    third = (
        (codes == CSF)
        & (grid[0] < 5)
        & (grid[1] > -30)
        & (grid[1] < 4)
        & (grid[2] > -16)
        & (grid[2] < 12)
    )
    codes[third & (grid[2] < 10 - 0.1 * grid[1])] = THIRD_VENTRICLE
    part = _infratentorial(brain, csf, grid)
    below = (part > 1) & ~horns & ~ventricles
    codes[below & (is_grey | (codes > 1000))] = CEREBELLUM_CORTEX
    codes[below & ~is_grey & ~is_csf] = CEREBELLUM_WHITE
    codes[(part == 3) & ~is_csf & ~horns] = BRAIN_STEM
    codes[below & is_csf] = CSF
    fourth = is_csf & _ellipsoid(grid, (0, -44, -32), (14, 10, 16))
    codes[fourth & (part > 1)] = FOURTH_VENTRICLE
    return Volume(codes, template["gm"].affine)


# The voxels of the template's grid that hold the deep grey nuclei.
CENTRAL_BOX = ((66, 131), (99, 155), (60, 95))


def _paint_deep_grey(
    codes: NDArray[np.int16], is_csf: Any, is_grey: Any, grid: tuple[Any, ...]
) -> None:
    """Write the nuclei into the codes; other grey of the centre goes to the nearest nucleus."""
    nuclei = np.zeros_like(codes)
    for code, inside in _deep_grey(grid).items():
        nuclei[inside & ~is_csf] = code
    central = (grid[0] < 31) & (grid[1] > -34) & (grid[1] < 20) & (grid[2] > -11) & (grid[2] < 22)
    central &= (grid[0] > 13) | (grid[2] < 18)
    box = tuple(slice(low - 2, high + 2) for low, high in CENTRAL_BOX)
    nearest = ndi.distance_transform_edt(
        nuclei[box] == 0, return_distances=False, return_indices=True
    )
    left_over = (is_grey & central & (nuclei == 0))[box]
    codes[box][left_over] = nuclei[box][tuple(nearest)][left_over]
    codes[nuclei > 0] = nuclei[nuclei > 0]


def with_side(codes: NDArray[np.int16], template_x: NDArray[np.float64]) -> NDArray[np.int16]:
    """Give the codes of the right hemisphere to voxels with template x > 0."""
    table = np.arange(3000, dtype=np.int16)
    for left, right in LEFT_TO_RIGHT.items():
        table[left] = right
    for left in CORTEX_NAMES:
        table[left] = left + 1000
    return np.where(template_x > 0, table[codes], codes)


def plant_lesions(anatomy: Volume, visit: Visit) -> Volume:
    """Return lesion numbers (1, 2, ... in the visit's order) on the template's grid."""
    numbers = np.zeros(anatomy.data.shape, dtype=np.uint8)
    for number, lesion in enumerate(visit.lesions, start=1):
        grows = visit.grown and lesion not in NEW_AT_SECOND_VISIT
        centres = np.array(lesion.centres_mm)
        radii = np.array(lesion.radii_mm) * (lesion.growth if grows else 1.0)
        low = np.floor((centres - radii).min(axis=0) - anatomy.affine[:3, 3]).astype(int)
        high = np.ceil((centres + radii).max(axis=0) - anatomy.affine[:3, 3]).astype(int) + 1
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        corner = anatomy.affine[:3, 3]
        axes = np.ix_(*(np.arange(a, b) + c for a, b, c in zip(low, high, corner, strict=True)))
        inside = np.zeros(tuple(high - low), dtype=bool)
        for centre, radius in zip(centres, radii, strict=True):
            inside |= _ellipsoid(axes, tuple(centre), tuple(radius))
        pieces, _ = ndi.label(inside & (anatomy.data[box] == WHITE), CONNECTED_26)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        numbers[box][pieces == sizes.argmax()] = number
    return Volume(numbers, anatomy.affine)
