"""What the headers of images say, so that bad input is found before an hour is spent on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.errors import InputError
from wmhflow.files.images import read_header_and_begin

# A head's image, or a brain's, covers at least the one and at most the other along every axis.
LEAST_EXTENT_MM = 75.0
LARGEST_EXTENT_MM = 600.0
COARSEST_VOXEL_MM = 10.0
UNIT_SCALES = {"µm": 1e-3, "m": 1e3, "cm": 10.0}
# No image of a person, nor the smallest part of one, is smaller or larger: its affine is in another
# unit.
LEAST_IMAGE_MM, LARGEST_IMAGE_MM = 2.0, 5000.0
# What has so much in common meets, however numbers are rounded.
SURELY_MM = 1e-3
# What lies in an image, but in this share of it at either end of an axis, surely does.
OUTER = 0.1


@dataclass(frozen=True)
class ImageFacts:
    """What an image's header tells.

    ``affine`` maps voxels to world RAS mm (sform if its code is > 0, else qform); ``unit`` is the
    header's word for its unit of length. Of a series, all is told of each of ``n_volumes``.
    ``begin`` are the file's first bytes, decompressed, where the header was read from them.
    """

    path: Path
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    unit: str = "unknown"
    n_volumes: int = 1
    begin: bytes = field(default=b"", repr=False, compare=False)

    @cached_property
    def voxel_size_mm(self) -> NDArray[np.float64]:
        """Edges of a voxel, mm."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def extent_mm(self) -> NDArray[np.float64]:
        """How much the image covers along each of its axes, mm."""
        return np.asarray(self.voxel_size_mm * self.shape)


def inspect_image(path: Path) -> ImageFacts:
    """Read an image's header and keep what the plan needs to know of it.

    Parameters
    ----------
    path
        A NIfTI file.

    Raises
    ------
    InputError
        As :func:`wmhflow.files.images.read_header`.
    """
    shape, affine, unit, begin = read_header_and_begin(path)
    return ImageFacts(path, (shape[0], shape[1], shape[2]), affine, unit, begin=begin)


def inspect_series(path: Path) -> ImageFacts:
    """Read the header of an image of several volumes.

    Parameters
    ----------
    path
        A NIfTI file.

    Raises
    ------
    InputError
        As :func:`wmhflow.files.images.read_series_header`.
    """
    shape, affine, unit, begin = read_header_and_begin(path, is_series=True)
    return ImageFacts(path, (shape[0], shape[1], shape[2]), affine, unit, shape[3], begin)


def check_anatomical(facts: ImageFacts) -> None:
    """Refuse an image that cannot be a T1w or FLAIR of a head, by its header.

    Parameters
    ----------
    facts
        Facts of the image.

    Raises
    ------
    InputError
        If it covers less or more than any head along an axis, as it does where its affine is not
        in mm.
    """
    extent, size = facts.extent_mm, facts.voxel_size_mm
    if _is_heads(extent) and size.max() <= COARSEST_VOXEL_MM:
        return
    wide = "×".join(f"{length:.3g}" for length in extent)
    for unit, scale in UNIT_SCALES.items():
        if _is_heads(extent * scale):
            raise InputError(
                f"{facts.path} spans {wide} mm by its affine, which seems to be in {unit} (its "
                f"header's unit is {facts.unit}); write the affine in mm."
            )
    if _is_heads(extent):
        coarse = "×".join(f"{length:.3g}" for length in size)
        raise InputError(
            f"{facts.path} has voxels of {coarse} mm, too coarse to see white matter lesions "
            f"(the limit is {COARSEST_VOXEL_MM:g} mm). If it was resampled, give the image as it "
            "was acquired; if its slices were acquired so far apart, leave it out."
        )
    shape = "×".join(map(str, facts.shape))
    raise InputError(
        f"{facts.path} spans {wide} mm ({shape} voxels) where the image of a head spans "
        f"{LEAST_EXTENT_MM:g} to {LARGEST_EXTENT_MM:g} mm along every axis; "
        "give an image of the whole brain, with the header that its scanner gave it."
    )


def check_millimetres(facts: ImageFacts) -> None:
    """Refuse an image of whatever part of a person whose affine is in metres or micrometres.

    Parameters
    ----------
    facts
        Facts of the image.

    Raises
    ------
    InputError
        If it is as small as a voxel, or as large as a house. It would meet the head's image at the
        origin, and nothing would be read from it but zeros.
    """
    # plain numbers, of every image that is planned
    rows = facts.affine[:3].tolist()
    largest = max(
        math.hypot(rows[0][axis], rows[1][axis], rows[2][axis]) * facts.shape[axis]
        for axis in range(3)
    )
    if LEAST_IMAGE_MM <= largest <= LARGEST_IMAGE_MM:
        return
    wide = "×".join(f"{length:.3g}" for length in facts.extent_mm)
    unit = "m" if largest < LEAST_IMAGE_MM else "µm"
    raise InputError(
        f"{facts.path} spans {wide} mm by its affine, which seems to be in {unit} (its header's "
        f"unit is {facts.unit}); write the affine in mm."
    )


def odd_size(facts: ImageFacts) -> str | None:
    """Say why the volumes of a series cannot be of a head, by their header; None if they can.

    A slab is enough, so that only what no unit but mm explains is told.

    Parameters
    ----------
    facts
        Facts of the series.
    """
    extent, size = facts.extent_mm, facts.voxel_size_mm
    if extent.max() < LEAST_EXTENT_MM or extent.max() > LARGEST_EXTENT_MM:
        wide = "×".join(f"{length:.3g}" for length in extent)
        return f"it spans {wide} mm by its affine, which no head does; write the affine in mm"
    if size.max() > COARSEST_VOXEL_MM:
        coarse = "×".join(f"{length:.3g}" for length in size)
        return f"it has voxels of {coarse} mm by its affine; write the affine in mm"
    return None


def _is_heads(extent_mm: NDArray[np.float64]) -> bool:
    return bool(extent_mm.min() >= LEAST_EXTENT_MM and extent_mm.max() <= LARGEST_EXTENT_MM)


def same_lattice(one: ImageFacts, other: ImageFacts, tolerance_mm: float = 1e-2) -> bool:
    """Whether two images have the same voxel centres, in whatever order they are stored.

    Parameters
    ----------
    one, other
        Facts of both images.
    tolerance_mm
        Largest difference of a corner voxel's centre.
    """
    if one.shape == other.shape and np.array_equal(one.affine, other.affine):
        return True
    if sorted(one.shape) != sorted(other.shape):
        return False
    gaps = np.linalg.norm(_corners(one)[:, None] - _corners(other)[None], axis=2)
    return bool(max(gaps.min(axis=0).max(), gaps.min(axis=1).max()) <= tolerance_mm)


def boxes_meet(one: ImageFacts, other: ImageFacts) -> bool:
    """Whether the fields of view of two images have anything in common.

    Parameters
    ----------
    one, other
        Facts of both images.
    """
    ours, theirs = _edges(one), _edges(other)
    if all(min(a[1], b[1]) - max(a[0], b[0]) > SURELY_MM
           for a, b in zip(ours, theirs, strict=True)):  # fmt: skip
        return True
    (low_a, high_a), (low_b, high_b) = (
        (corners.min(axis=0), corners.max(axis=0)) for corners in map(_corners, (one, other))
    )
    return bool(np.all(low_a < high_b) and np.all(low_b < high_a))


def holds_middle(one: ImageFacts, matrix: NDArray[np.float64], other: ImageFacts) -> bool:
    """Whether the middle of an image's field of view surely lies in another one's.

    Plain numbers: nearly every transform brings it there, and then nothing else has to be asked.

    Parameters
    ----------
    one
        Facts of the image that may hold it.
    matrix
        Points of the other image to points of this one, RAS mm, (4, 4).
    other
        Facts of the image of which the middle is meant.
    """
    half = [(length - 1) / 2 for length in other.shape]
    middle = _moved(other.affine.tolist(), half)
    there = _moved(matrix.tolist(), middle)
    rows = one.affine[:3].tolist()
    away = [there[row] - rows[row][3] for row in range(3)]
    for axis in range(3):
        step = [rows[row][axis] for row in range(3)]
        place = sum(a * b for a, b in zip(step, away, strict=True))
        far = sum(a * a for a in step) * (one.shape[axis] - 1)
        # axes may be askew by a thousandth
        if not OUTER * far < place < (1 - OUTER) * far:
            return False
    return True


def _moved(rows: list[list[float]], point: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, (*point, 1.0), strict=True)) for row in rows[:3]]


def _edges(facts: ImageFacts) -> list[tuple[float, float]]:
    """Return where a field of view begins and ends along each axis of the world, mm.

    Plain numbers, which are as exact as numpy's and ten times as quick; the last digit may differ.
    """
    last = [length - 1 for length in facts.shape]
    edges = []
    for *row, move in facts.affine[:3].tolist():
        steps = [step * far for step, far in zip(row, last, strict=True)]
        edges.append((move + sum(step for step in steps if step < 0),
                      move + sum(step for step in steps if step > 0)))  # fmt: skip
    return edges


def _corners(facts: ImageFacts) -> NDArray[np.float64]:
    last = np.array(facts.shape) - 1
    index = np.array(np.meshgrid(*[[0, 1]] * 3, indexing="ij")).reshape(3, 8) * last[:, None]
    return (facts.affine[:3, :3] @ index + facts.affine[:3, 3:]).T
