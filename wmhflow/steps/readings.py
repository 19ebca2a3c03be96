"""Ways of reading a given mask: as its name and header say, and as it may have been meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.transforms import resample_through
from wmhflow.core.checks.place import better_reading, needs_other_readings
from wmhflow.core.space.geometry import ras_axes
from wmhflow.core.space.grids import Grid3D
from wmhflow.files.forms import QFORM, SFORM, read_forms, trusted_affine
from wmhflow.files.images import read_header
from wmhflow.files.values import LesionMask
from wmhflow.steps.kinds import Facts

# Affines that differ by less put every voxel of a head at the same place.
SAME_PLACE_MM = 0.01
FLIPS = ("mirrored", "front_to_back", "upside_down")
WORDS = {
    "in_T1w_space": "in the space of the T1w",
    "in_FLAIR_space": "in the space of the FLAIR",
    "on_T1w_grid": "voxel by voxel on the grid of the T1w",
    "on_FLAIR_grid": "voxel by voxel on the grid of the FLAIR",
    "by_qform": "by its qform, and not by its sform",
    "by_sform": "by its sform, and not by its qform",
    "in_template_space": "in the space of the template (MNI)",
    "mirrored": "with left and right exchanged",
    "front_to_back": "with front and back exchanged",
    "upside_down": "upside down",
}


class Reading(NamedTuple):
    """A way of reading a mask: voxels, their place, and the way from there to the reference."""

    share: NDArray[np.float32]
    affine: NDArray[np.float64]
    transforms: Sequence[Path]


class Meant(NamedTuple):
    """Where a mask lies by its name, and what else may be meant.

    ``natives`` are the paths of the raw T1w and FLAIR by name, ``reference_name`` is which of them
    is the reference, and ``space`` in which of their spaces the mask lies. ``inverse`` leads from
    the template to the reference, and ``other_transform`` from the image that is not the reference.
    ``trust`` is the form of headers that is believed, ``sform`` or ``qform``.
    """

    natives: Mapping[str, str]
    reference_name: str
    space: str
    inverse: Path
    other_transform: Path | None
    trust: str | None

    @property
    def chains(self) -> dict[str, list[Path]]:
        """Transforms from each image's space to the reference."""
        moved = [self.other_transform] if self.other_transform else []
        return {name: [] if name == self.reference_name else moved for name in self.natives}


class Fitted(NamedTuple):
    """Where a mask lies on the reference, how well it fits there, and how well if read otherwise.

    ``better`` is the way of reading it, of those ``tried``, in which it fits clearly better.
    """

    where: NDArray[np.bool_]
    fit: float
    better: str | None
    tried: Mapping[str, float]

    def advised(self, where: str) -> str:
        """Add to a sentence about the mask's place what to do."""
        if self.better is None:
            return f"{where}; is it of this person and visit, and in this space?"
        return (
            f"{where}, and with {self.tried[self.better]:.2f} if it is read {WORDS[self.better]}; "
            "mend its name or its header."
        )

    def facts(self, what: str, measure: str) -> Facts:
        """Return how well the mask fits, and better if it is read otherwise, for the QC table."""
        found: Facts = {f"{what}_{measure}": None if np.isnan(self.fit) else self.fit}
        if self.better is not None:
            found[f"{what}_fits_better_{self.better}"] = self.tried[self.better]
        return found

    @property
    def chance(self) -> str:
        """How well it fits, in words."""
        return "n/a" if np.isnan(self.fit) else f"{self.fit:.2f}"


def fitted(
    path: Path,
    mask: LesionMask,
    grid: Grid3D,
    meant: Meant,
    fit: Callable[[NDArray[np.bool_]], float],
) -> Fitted:
    """Bring a mask to the reference as its name says, and in other ways if one could fit better.

    Parameters
    ----------
    path, mask
        The mask.
    grid
        An image on the reference's grid.
    meant
        Where it lies by its name, and what else may be meant.
    fit
        Measures how well a mask on this grid fits: a probability, NaN where it cannot be told.
    """
    how = "linear" if mask.reading.is_graded else "nearest"
    where = placed(Reading(mask.share, mask.affine, meant.chains[meant.space]), grid, how)
    own = fit(where)
    tried: dict[str, float] = {}
    if needs_other_readings(own) and mask.share.any():
        readings = other_readings(path, mask, meant)
        tried = {name: fit(placed(reading, grid, how)) for name, reading in readings}
    return Fitted(where, own, better_reading(own, tried), tried)


def placed(reading: Reading, image: Grid3D, how: str) -> NDArray[np.bool_]:
    """Bring a mask to the image's grid.

    Parameters
    ----------
    reading
        How it is read.
    image
        The image.
    how
        ``nearest`` or ``linear``.
    """
    chain = [str(path) for path in reading.transforms]
    laid = resample_through(Grid3D(reading.share, reading.affine), image, chain, how)
    return np.asarray(laid > 0.5)


def other_readings(
    path: Path,
    mask: LesionMask,
    meant: Meant,
) -> Iterator[tuple[str, Reading]]:
    """Go through other ways of reading a mask; of several that fit, the first is the likeliest.

    Parameters
    ----------
    path, mask
        The mask.
    meant
        Where it lies by its name, and what else may be meant.

    Yields
    ------
    str and Reading
        The name of a way, and the mask read so.
    """
    natives, chains, space = meant.natives, meant.chains, meant.space
    names = sorted(natives, key=lambda name: name != space)
    for name in names[1:]:
        yield f"in_{name}_space", Reading(mask.share, mask.affine, chains[name])
    forms = read_forms(path)
    for form in (SFORM, QFORM):
        affine = None if forms is None else getattr(forms, form)
        if affine is not None and not _same_place(affine, mask.affine, mask.share.shape):
            yield f"by_{form}", Reading(mask.share, affine, chains[space])
    for name in names:
        shape, affine, _ = read_header(Path(natives[name]))
        affine = trusted_affine(Path(natives[name]), affine, meant.trust)
        if shape == mask.share.shape and not _same_place(affine, mask.affine, shape):
            yield f"on_{name}_grid", Reading(mask.share, affine, chains[name])
    yield "in_template_space", Reading(mask.share, mask.affine, [meant.inverse])
    for number, name in enumerate(FLIPS):
        flipped = np.flip(mask.share, ras_axes(mask.affine).axes[number])
        yield name, Reading(np.ascontiguousarray(flipped), mask.affine, chains[space])


def _same_place(one: NDArray[np.float64], other: NDArray[np.float64], shape: Sequence[int]) -> bool:
    """Whether two affines put an image's corners at the same places."""
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(shape) - 1)
    gaps = corners @ (one - other)[:3, :3].T + (one - other)[:3, 3]
    return bool(np.abs(gaps).max() <= SAME_PLACE_MM)
