"""What is planted in the phantom: maps, lesions, warps, head positions and grids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 20240229

# FreeSurfer codes; the volume of codes holds the left one, the side is added when it is sampled.
WHITE, VENTRICLE, INFERIOR_HORN, CHOROID, CSF = 2, 4, 5, 31, 24
THIRD_VENTRICLE, FOURTH_VENTRICLE, BRAIN_STEM = 14, 15, 16
CEREBELLUM_WHITE, CEREBELLUM_CORTEX, HYPOINTENSITY = 7, 8, 77
THALAMUS, CAUDATE, PUTAMEN, PALLIDUM = 10, 11, 12, 13
LEFT_TO_RIGHT = {2: 41, 4: 43, 5: 44, 31: 63, 10: 49, 11: 50, 12: 51, 13: 52, 7: 46, 8: 47}
CORTEX_NAMES = {
    1011: "lateraloccipital",
    1023: "posteriorcingulate",
    1026: "rostralanteriorcingulate",
    1028: "superiorfrontal",
    1029: "superiorparietal",
    1030: "superiortemporal",
    1035: "insula",
}
PAIRED_NAMES = {
    2: "Cerebral-White-Matter",
    4: "Lateral-Ventricle",
    5: "Inf-Lat-Vent",
    7: "Cerebellum-White-Matter",
    8: "Cerebellum-Cortex",
    10: "Thalamus",
    11: "Caudate",
    12: "Putamen",
    13: "Pallidum",
    31: "choroid-plexus",
}
SINGLE_NAMES = {
    0: "Unknown",
    14: "3rd-Ventricle",
    15: "4th-Ventricle",
    16: "Brain-Stem",
    24: "CSF",
    77: "WM-hypointensities",
}
LATERAL_VENTRICLES = (4, 5, 31, 43, 44, 63)
INFRATENTORIAL_WHITE = (7, 46, 16)
INFRATENTORIAL = (7, 8, 46, 47, 15, 16)
DEEP_GREY = (10, 11, 12, 13, 49, 50, 51, 52)

# Image intensities per tissue: (csf, grey, deep grey, white, WMH).
CONTRASTS = {
    "T1w": (220.0, 600.0, 680.0, 900.0, 700.0),
    "FLAIR": (70.0, 480.0, 450.0, 400.0, 720.0),
}
IMAGE_NOISE_SD = {"T1w": 18.0, "FLAIR": 16.0}
BIAS_AMPLITUDE = 0.08


@dataclass(frozen=True)
class MapRecipe:
    """The planted values of one quantitative map; the profile is linear between its knots."""

    name: str
    kind: str
    stem: str
    units: str
    knots_mm: tuple[float, ...]
    knots_value: tuple[float, ...]
    core: float
    grey: float
    deep_grey: float
    csf: float
    noise_sd: float
    quantum: float
    outside: float
    description: str

    def white_matter(self, distance_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the value at a distance from the nearest lesion's edge."""
        return np.interp(distance_mm, self.knots_mm, self.knots_value)


MAPS = (
    MapRecipe(
        "FA", "dwi", "dwi/{}_model-tensor_param-fa_dwimap", "arbitrary",
        (0.0, 4.0, 8.0), (0.32, 0.50, 0.42), 0.27, 0.18, 0.25, 0.08, 0.02, 1e-3, np.nan,
        "inverted U: rises to its peak at 4 mm, falls to its plateau at 8 mm",
    ),
    MapRecipe(
        "MD", "dwi", "dwi/{}_model-tensor_param-md_dwimap", "mm^2/s",
        (0.0, 6.0), (1.05e-3, 0.75e-3), 1.15e-3, 0.85e-3, 0.80e-3, 2.8e-3, 3e-5, 1e-6, -1e-3,
        "falls to its plateau at 6 mm",
    ),
    MapRecipe(
        "CBF", "asl", "perf/{}_cbf", "mL/100g/min",
        (0.0, 10.0), (12.0, 24.0), 10.0, 55.0, 48.0, 2.0, 1.5, 0.1, 0.0,
        "rises to its plateau at 10 mm",
    ),
    MapRecipe(
        "Chimap", "megre", "anat/{}_Chimap", "ppm",
        (0.0, 2.0, 6.0), (-0.040, -0.040, -0.010), -0.018, 0.015, 0.05, 0.0, 0.004, 5e-4, 0.0,
        "lowest at 0-2 mm, back at its far value at 6 mm",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Lesion:
    """A planted lesion: a union of ellipsoids in template mm, cut to cerebral white matter."""

    name: str
    kind: str
    centres_mm: tuple[tuple[float, float, float], ...]
    radii_mm: tuple[tuple[float, float, float], ...]
    called: str = "white"
    growth: float = 1.12

    @property
    def side(self) -> str:
        """Return L or R; left has the smaller x."""
        return "L" if self.centres_mm[0][0] < 0 else "R"


def _round(
    name: str, kind: str, centre: tuple[float, float, float], *radii: float, **more: Any
) -> Lesion:
    """Return a lesion of one ellipsoid (one radius: a ball)."""
    sizes = radii if len(radii) == 3 else (radii[0],) * 3
    return Lesion(name, kind, (centre,), ((sizes[0], sizes[1], sizes[2]),), **more)


def _mirrored(lesion: Lesion) -> Lesion:
    """Return the lesion on the other side of the template."""
    centres = tuple((-x, y, z) for x, y, z in lesion.centres_mm)
    return Lesion(lesion.name, lesion.kind, centres, lesion.radii_mm, lesion.called, lesion.growth)


SINGLE_VOXEL_RADIUS_MM = 1.2
FIRST_LESIONS = (
    Lesion(
        "confluent", "confluent",
        ((-20.0, 2.0, 26.0), (-25.0, -4.0, 28.0), (-27.0, -16.0, 29.0), (-24.0, -28.0, 27.0)),
        ((5.0, 11.0, 5.0), (6.0, 9.0, 6.0), (7.0, 11.0, 7.0), (6.0, 9.0, 6.0)),
        called="hypointensity", growth=1.1,
    ),
    _round("cap-frontal-left", "cap", (-15.0, 32.0, 8.0), 6.0, 6.0, 7.0, called="hypointensity"),
    _round("cap-frontal-right", "cap", (15.0, 32.0, 8.0), 6.0, 7.0, 8.0, called="hypointensity"),
    _round("cap-posterior-right", "cap", (29.0, -56.0, 12.0), 6.0, 8.0, 7.0),
    _round("band-right", "cap", (20.0, -10.0, 27.0), 5.0, 12.0, 5.0),
    _round("deep-frontal-left", "deep", (-24.0, 22.0, 29.0), 4.0, 5.0, 4.0),
    _round("deep-parietal-right", "deep", (26.0, -38.0, 36.0), 4.0),
    _round("juxtacortical-left", "juxtacortical", (-40.0, 34.0, 10.0), 3.5, called="cortex"),
    _round("single-voxel-right", "single", (26.0, 16.0, 34.0), SINGLE_VOXEL_RADIUS_MM, growth=1.0),
)  # fmt: skip
NEW_AT_SECOND_VISIT = (
    _round("new-deep-left", "deep", (-26.0, -46.0, 33.0), 3.5),
    _round("new-deep-right", "deep", (28.0, 2.0, 38.0), 3.0),
)
SECOND_LESIONS = (
    _mirrored(FIRST_LESIONS[0]),
    _round("cap-frontal-right", "cap", (15.0, 31.0, 9.0), 5.0, 6.0, 7.0),
    _round("cap-frontal-left", "cap", (-15.0, 32.0, 8.0), 6.0, 7.0, 8.0),
    _round("cap-posterior-left", "cap", (-29.0, -56.0, 12.0), 6.0, 8.0, 7.0),
    _round("band-left", "cap", (-21.0, -12.0, 27.0), 5.0, 11.0, 5.0),
    _round("deep-frontal-right", "deep", (24.0, 22.0, 29.0), 4.0, 5.0, 4.0),
    _round("deep-parietal-left", "deep", (-26.0, -38.0, 36.0), 4.0),
    _round("juxtacortical-right", "juxtacortical", (40.0, 34.0, 10.0), 4.0),
    _round("single-voxel-left", "single", (-26.0, 16.0, 34.0), SINGLE_VOXEL_RADIUS_MM, growth=1.0),
)


@dataclass(frozen=True)
class Warp:
    """A smooth invertible map from template to person: a scaling, then one shear per axis.

    Shear a moves axis a by ``amplitude * sin(2 pi (p_b / length_b + p_c / length_c) + phase)``
    where b and c are the other two axes, so that its inverse is a subtraction.
    """

    scale: tuple[float, float, float]
    amplitude_mm: tuple[float, float, float]
    lengths_mm: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    phase: tuple[float, float, float]

    def _shift(self, points: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        others = [other for other in range(3) if other != axis]
        first, second = self.lengths_mm[axis]
        angle = points[others[0]] / first + points[others[1]] / second
        return self.amplitude_mm[axis] * np.sin(2 * np.pi * angle + self.phase[axis])

    def to_person(self, template_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move template points, shape (3, n), into the person."""
        points = template_mm * np.array(self.scale)[:, None]
        for axis in range(3):
            points[axis] += self._shift(points, axis)
        return points

    def to_template(self, person_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move points of the person, shape (3, n), into the template: the exact inverse."""
        points = person_mm.copy()
        for axis in (2, 1, 0):
            points[axis] -= self._shift(points, axis)
        return points / np.array(self.scale)[:, None]


def rigid(
    rotation_deg: tuple[float, float, float], shift_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return the RAS matrix of rotations about x, then y, then z (degrees), then a shift (mm)."""
    matrix = np.eye(4)
    for axis, degrees in enumerate(rotation_deg):
        cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        b, c = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(4)
        turn[b, b], turn[b, c], turn[c, b], turn[c, c] = cosine, -sine, sine, cosine
        matrix = turn @ matrix
    matrix[:3, 3] = shift_mm
    return matrix


@dataclass(frozen=True)
class Scan:
    """How one image lies: its rigid offset from the T1w and the axes and spacing of its grid."""

    rotation_deg: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    orientation: str
    spacing_mm: tuple[float, float, float]
    oblique_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def axes(self) -> NDArray[np.float64]:
        """Return the unit vectors (columns) along the grid's axes."""
        unit = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
        columns = np.zeros((3, 3))
        for column, letter in enumerate(self.orientation):
            row, sign = unit[letter]
            columns[row, column] = sign
        return rigid(self.oblique_deg, (0.0, 0.0, 0.0))[:3, :3] @ columns


@dataclass(frozen=True)
class Visit:
    """One scanning session of one person."""

    subject: str
    session: str | None
    warp: Warp
    lesions: tuple[Lesion, ...]
    grown: bool
    scans: dict[str, Scan]
    mask_space: str | None

    @property
    def stem(self) -> str:
        """Return the beginning of every file's name."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session else "")

    @property
    def folder(self) -> Path:
        """Return the folder of the visit, relative to its dataset."""
        return Path(*self.stem.split("_"))


FIRST_WARP = Warp(
    (0.98, 1.03, 1.02),
    (3.5, -3.0, 3.0),
    ((150.0, 170.0), (140.0, 190.0), (130.0, 160.0)),
    (0.3, 1.1, 2.0),
)
SECOND_WARP = Warp(
    (1.03, 0.97, 1.0),
    (-3.0, 3.5, -2.5),
    ((160.0, 140.0), (150.0, 170.0), (170.0, 150.0)),
    (1.5, 0.4, 2.6),
)
VISITS = (
    Visit(
        "01", "1", FIRST_WARP, FIRST_LESIONS, False,
        {
            "T1w": Scan((-6.0, 4.0, 9.0), (3.0, 8.0, -5.0), "LAS", (2.0, 2.0, 2.0)),
            "FLAIR": Scan((2.0, -1.5, 2.5), (1.5, -2.0, 3.0), "LAS", (2.0, 2.0, 2.0)),
            "dwi": Scan((-3.0, 2.0, -2.0), (-2.0, 3.0, 4.0), "LAS", (2.5, 2.5, 2.5)),
            "asl": Scan((4.0, 1.0, -3.0), (3.0, -4.0, -2.0), "LAS", (3.5, 3.5, 3.5)),
            "megre": Scan((1.0, -3.0, 2.0), (-1.0, 2.0, -3.0), "RAS", (2.0, 2.0, 2.0)),
        }, "T1w",
    ),
    Visit(
        "01", "2", FIRST_WARP, FIRST_LESIONS + NEW_AT_SECOND_VISIT, True,
        {
            "T1w": Scan((8.0, -5.0, -11.0), (-6.0, 2.0, 7.0), "LAS", (2.0, 2.0, 2.0)),
            "FLAIR": Scan((-2.0, 2.0, 3.0), (-2.0, 1.0, 2.0), "LAS", (2.0, 2.0, 2.0)),
            "dwi": Scan((2.0, 3.0, 4.0), (2.0, -3.0, 1.0), "LAS", (2.5, 2.5, 2.5)),
            "asl": Scan((-3.0, -2.0, 5.0), (-3.0, 2.0, 4.0), "LAS", (3.5, 3.5, 3.5)),
            "megre": Scan((3.0, 1.0, -2.0), (2.0, 2.0, 2.0), "RAS", (2.0, 2.0, 2.0)),
        }, "FLAIR",
    ),
    Visit(
        "02", None, SECOND_WARP, SECOND_LESIONS, False,
        {
            "T1w": Scan(
                (10.0, -4.0, 7.0), (-4.0, -7.0, 10.0), "ASR", (2.0, 2.0, 2.0),
                (9.0, 5.0, 12.0),
            ),
            "FLAIR": Scan(
                (-3.0, 2.0, -2.0), (2.0, 3.0, -2.0), "LPS", (1.75, 1.75, 5.0),
                (14.0, 3.0, -6.0),
            ),
            "dwi": Scan(
                (3.0, -2.0, 3.0), (3.0, 2.0, -4.0), "LAS", (2.5, 2.5, 2.5),
                (-12.0, 2.0, 5.0),
            ),
            "asl": Scan(
                (-2.0, 4.0, 2.0), (-3.0, 3.0, 2.0), "LAS", (3.5, 3.5, 3.5),
                (6.0, -4.0, 8.0),
            ),
            "megre": Scan(
                (2.0, 2.0, -4.0), (1.0, -3.0, 3.0), "RAS", (2.0, 2.0, 2.0),
                (5.0, 7.0, -10.0),
            ),
        }, None,
    ),
)  # fmt: skip
