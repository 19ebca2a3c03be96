"""Rigid alignment of two images of one person, judged, and tried anew where it is poor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.affines import apply_affine

from wmhflow.ants.linear import LinearFit, register_linear
from wmhflow.core.align.quality import alignment_quality, edges, poor_numbers, poor_text
from wmhflow.core.align.search import every_turn
from wmhflow.core.space.geometry import same_field_of_view
from wmhflow.core.space.grids import Grid3D, robust_range
from wmhflow.core.tissue.brain import what_is_shown
from wmhflow.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


# Two brains in one field of view, without their skulls, were registered by whoever made them, and
# stay as they lie if a search would move them by less on average; in thick slices it errs by more.
REGISTERED_WITHIN_MM, REGISTERED_WITHIN_VOXELS = 2.0, 0.5


@dataclass(frozen=True)
class RigidFit:
    """A rigid alignment, the numbers that judge it, and how often it was tried anew.

    `search_displacement_mm` is how far the best place that was found lies from the headers'; the
    fit is the headers' own where the images were registered already.
    """

    fit: LinearFit
    quality: dict[str, float]
    n_retries: int
    search_displacement_mm: float = 0.0

    @property
    def poor(self) -> dict[str, float]:
        """The numbers that say that the alignment is bad; empty if it is good."""
        return poor_numbers(self.quality)


def register_rigid(
    fixed: Grid3D,
    moving: Grid3D,
    seed: int,
    retry: bool = True,
) -> RigidFit:
    """Align two images of one person; where the result is poor, look in all directions.

    Parameters
    ----------
    fixed, moving
        Images in any unit and voxel size.
    seed
        Seed of the points that are compared and of the displacements that judge.
    retry
        Whether a poor alignment is tried anew: with turns in all directions, then with the edges
        of the images in the place of their intensities.

    Returns
    -------
    RigidFit
        The best of what was tried, by its mutual information ratio; what the headers say, if the
        images were registered before (see :func:`registered_before`) and lie nearly as well.
    """
    scaled = [Grid3D(robust_range(grid.data), grid.affine) for grid in (fixed, moving)]

    def attempt(pair: Sequence[Grid3D], turns: Sequence[Sequence[float]] | None) -> RigidFit:
        fit = register_linear(pair[0], pair[1], ("Rigid",), seed, angles_deg=turns, is_scaled=True)
        quality = alignment_quality(scaled[0], scaled[1], fit.matrix, seed)
        return RigidFit(fit, quality, 0)

    best = attempt(scaled, None)
    others = (scaled, [edges(grid) for grid in scaled]) if retry and best.poor else ()
    for n_retries, pair in enumerate(others, start=1):
        tried = attempt(pair, every_turn())
        better = max(best, tried, key=lambda one: one.quality["mutual_information_ratio"])
        best = replace(better, n_retries=n_retries)
        if not best.poor:
            break
    apart = best.quality["displacement_mm"]
    best = replace(best, search_displacement_mm=apart)
    largest = max(*fixed.voxel_sizes_mm, *moving.voxel_sizes_mm)
    allowed = max(REGISTERED_WITHIN_MM, REGISTERED_WITHIN_VOXELS * largest)
    if apart > allowed or best.poor or not registered_before(fixed, moving):
        return best
    before = best.fit.mutual_information_identity
    given = LinearFit(np.eye(4), "header", before, before)
    kept = replace(
        best, fit=given, quality=alignment_quality(scaled[0], scaled[1], given.matrix, seed)
    )
    # how far the headers may lie from the best place was judged above, by the slices' thickness
    return best if kept.poor.keys() - {"misalignment_mm"} else kept


def registered_before(fixed: Grid3D, moving: Grid3D) -> bool:
    """Tell whether two images come from an earlier registration: one field of view, no skulls.

    Parameters
    ----------
    fixed, moving
        Images of one person.

    Returns
    -------
    bool
        False for whole heads, as a scanner makes them, even where it makes them on one grid.
    """
    grids = fixed.data.shape, fixed.affine, moving.data.shape, moving.affine
    if not same_field_of_view(*grids):
        return False
    return all(what_is_shown(grid.data, grid.voxel_mm3).without_skull for grid in (fixed, moving))


def rigid_metrics(
    found: RigidFit, centre: NDArray[np.float64], judged: bool = True
) -> dict[str, Any]:
    """Describe a rigid alignment in numbers.

    Parameters
    ----------
    found
        The alignment.
    centre
        Point (RAS mm) whose displacement is the translation.
    judged
        Whether the numbers that judge the alignment are wanted.

    Returns
    -------
    dict
        ``mutual_information``, ``mutual_information_identity`` (nats), ``rotation_deg``,
        ``translation_mm``, ``start``, ``search_displacement_mm``, and, if judged, ``retries`` and
        what :func:`wmhflow.core.align.quality.alignment_quality` gives.
    """
    matrix = found.fit.matrix
    cosine = (np.trace(matrix[:3, :3]) - 1) / 2
    moved = apply_affine(matrix, centre) - centre
    metrics = {
        "mutual_information": found.fit.mutual_information,
        "mutual_information_identity": found.fit.mutual_information_identity,
        "rotation_deg": float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        "translation_mm": float(np.linalg.norm(moved)),
        "start": found.fit.start,
        "search_displacement_mm": found.search_displacement_mm,
    }
    return metrics | ({"retries": found.n_retries} | found.quality if judged else {})


def refuse_poor(found: RigidFit, moving: str, fixed: str) -> None:
    """Fail where an alignment is bad.

    Parameters
    ----------
    found
        The alignment.
    moving, fixed
        The files, for the message.

    Raises
    ------
    InputError
        If one of the numbers that judge it lies outside its bounds.
    """
    if not found.poor:
        return
    raise InputError(
        f"{moving} could not be aligned to {fixed}: {poor_text(found.poor)}; look at the two "
        "images, give a transform, or go on with --registration-qc flag."
    )
