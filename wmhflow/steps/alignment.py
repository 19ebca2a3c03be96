"""Steps that judge alignments that were given: by a transform, or by the headers alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.transforms import carry_points, jacobian_determinant, resample_through
from wmhflow.core.align.mirrored import MOST_MIRRORED, mirrored_fit
from wmhflow.core.align.quality import alignment_quality, poor_numbers, poor_text
from wmhflow.core.space.geometry import world_coordinates
from wmhflow.core.space.grids import Grid3D, resample_isotropic, resample_mask, robust_range
from wmhflow.errors import InputError
from wmhflow.files.forms import QFORM, SFORM, read_forms
from wmhflow.files.template import Template
from wmhflow.files.transforms import read_transform
from wmhflow.steps.kinds import Facts, MaskImage, step

FAIL = "fail"
# So many points of the brain go to the template and back.
N_POINTS = 5000
# A pair of transforms that leads back further away belongs to two registrations. It is the bound
# of a misalignment.
FURTHEST_BACK_MM = 2.5
JUDGED_MM = 2.0
log = logging.getLogger("wmhflow")


class Judged(NamedTuple):
    """The numbers that judge an alignment."""

    metrics: Facts


@step(mem_gb=1.5, seconds=3)
def judge_alignment(
    fixed: Grid3D,
    moving: Grid3D,
    quality: str,
    moving_name: str,
    fixed_name: str,
    seed: int,
    transform: Path | None = None,
    given_name: str | None = None,
    trust: str | None = None,
) -> Judged:
    """Judge an alignment that was not made here by the numbers that a registration gets.

    Parameters
    ----------
    fixed, moving
        The reference, and the image that is aligned to it.
    quality
        What a bad alignment leads to: ``flag`` or ``fail``.
    moving_name, fixed_name
        The images' files.
    seed
        Seed of the points and displacements.
    transform
        From the image to the reference, ITK; None where the headers say how they lie.
    given_name
        The transform's file as it was given.
    trust
        The form of headers that is believed, ``sform`` or ``qform``.

    Raises
    ------
    InputError
        If the alignment is bad, and ``quality`` is ``fail``.
    """
    pair = [Grid3D(robust_range(grid.data), grid.affine) for grid in (fixed, moving)]
    if any(np.ptp(grid.data) == 0 for grid in pair):
        return Judged({})
    matrix = np.eye(4) if transform is None else read_transform(transform).matrix
    if matrix is None:
        found = _quality_through(pair[0], pair[1], str(transform), seed)
    else:
        found = alignment_quality(pair[0], pair[1], matrix, seed)
        found |= mirrored_facts(pair[0], pair[1], matrix, seed)
    poor = poor_numbers(found)
    say_mirrored(found, (moving_name, fixed_name), quality)
    if poor:
        how = f"{given_name} does not bring {moving_name} to {fixed_name}"
        if transform is None:
            how = f"{moving_name} does not lie on {fixed_name} as their headers say"
        better = next(_better(pair, matrix, (fixed_name, moving_name), seed, trust), "")
        complain(f"{how}: {poor_text(poor)}.{better}", quality)
    return Judged(dict(found))


def _quality_through(fixed: Grid3D, moving: Grid3D, transform: str, seed: int) -> dict[str, float]:
    """Judge a transform that is not linear: what it makes of the image lies on the reference."""
    placed = Grid3D(resample_through(moving, fixed, [transform]), fixed.affine)
    found = alignment_quality(fixed, placed, np.eye(4), seed)
    found |= mirrored_facts(fixed, placed, np.eye(4), seed)
    everywhere = Grid3D(np.ones(moving.data.shape, np.float32), moving.affine)
    seen = resample_through(everywhere, fixed, [transform], "nearest")
    # brighter than a tenth of the brightest is head
    head = fixed.data > 0.1
    return found | {"field_of_view_overlap": float(seen[head].mean()) if head.any() else 0.0}


def mirrored_facts(
    fixed: Grid3D, moving: Grid3D, matrix: NDArray[np.float64], seed: int
) -> dict[str, float]:
    """Tell whether an image fits better with left and right exchanged; nothing if nobody can tell.

    Parameters
    ----------
    fixed, moving, matrix, seed
        As for :func:`wmhflow.core.align.mirrored.mirrored_fit`.
    """
    found = mirrored_fit(fixed, moving, matrix, seed)
    return {} if found is None else {"mirrored_fit": found}


def say_mirrored(found: Mapping[str, float], names: tuple[str, str], quality: str) -> None:
    """Say that an image fits better with left and right exchanged, if it does.

    Parameters
    ----------
    found
        What :func:`mirrored_facts` told.
    names
        The moving and the fixed image's files.
    quality
        What it leads to: ``flag`` or ``fail``.

    Raises
    ------
    InputError
        If it does, and ``quality`` is ``fail``.
    """
    times = found.get("mirrored_fit", 0.0)
    # of images that do not lie on each other anyway, the sides tell nothing
    if times > MOST_MIRRORED and not poor_numbers(dict(found)):
        complain(
            f"{names[0]} or {names[1]} has left and right exchanged: their mutual information is "
            f"{times:.2f} times as large with one of them turned round, so that one of them was "
            "turned without its header.",
            quality,
        )


def _better(
    pair: list[Grid3D],
    matrix: NDArray[np.float64] | None,
    names: tuple[str, str],
    seed: int,
    trust: str | None,
) -> Iterator[str]:
    """Say which other reading of the same files makes the images fit."""
    if matrix is None:
        return
    readings: list[tuple[Grid3D, Grid3D, NDArray[np.float64], str, str]] = []
    if not np.array_equal(matrix, np.eye(4)):
        one, two = pair
        inverse = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        readings.append((one, two, inverse, "Its inverse fits", "give that"))
        readings.append((one, two, np.eye(4), "Without it the images fit", "leave it out"))
    used, other = (QFORM, SFORM) if trust == QFORM else (SFORM, QFORM)
    for place, name in enumerate(names):
        affine = _other_form(Path(name), other)
        if affine is not None:
            changed = [*pair]
            changed[place] = Grid3D(pair[place].data, affine)
            one, two = changed
            what = f"By the {other} of {name} they fit, and not by its {used}"
            readings.append((one, two, matrix, what, f"say --trust {other}"))
    for fixed, moving, other_matrix, what, advice in readings:
        found = alignment_quality(fixed, moving, other_matrix, seed)
        if not poor_numbers(found):
            yield f" {what} (misalignment {found['misalignment_mm']:.2g} mm): {advice}."


def say_which_form_fits(
    fixed: Grid3D, moving: Grid3D, names: tuple[str, str], seed: int, trust: str | None
) -> None:
    """Say under which form of their headers two images fit, if one of them has two that differ.

    Parameters
    ----------
    fixed, moving
        The images as they are used.
    names
        The fixed and the moving image's files.
    seed
        Seed of the points and displacements.
    trust
        The form of headers that is believed, ``sform`` or ``qform``.
    """
    used, other = (QFORM, SFORM) if trust == QFORM else (SFORM, QFORM)
    if all(_other_form(Path(name), other) is None for name in names):
        return
    pair = [Grid3D(robust_range(grid.data), grid.affine) for grid in (fixed, moving)]
    here = alignment_quality(pair[0], pair[1], np.eye(4), seed)
    better = next(_better(pair, np.eye(4), names, seed, trust), "") if poor_numbers(here) else ""
    fits = better or f" By the {used} they fit (misalignment {here['misalignment_mm']:.2g} mm)."
    if better or not poor_numbers(here):
        log.warning("%s and %s, whose sform and qform differ:%s", names[1], names[0], fits)


def _other_form(path: Path, name: str) -> NDArray[np.float64] | None:
    """Return where an image lies by the form that is not used, if that is elsewhere."""
    forms = read_forms(path) if path.is_file() else None
    if forms is None or not forms.places_differ:
        return None
    affine = forms.qform if name == QFORM else forms.sform
    is_good = affine is not None and np.isfinite(affine).all() and np.linalg.det(affine) != 0
    return affine if is_good else None


def complain(sentence: str, quality: str) -> None:
    """Fail, or say that the QC table marks it.

    Parameters
    ----------
    sentence
        What is wrong with how images or masks lie.
    quality
        ``flag`` or ``fail``.

    Raises
    ------
    InputError
        If ``quality`` is ``fail``.
    """
    if quality == FAIL:
        raise InputError(f"{sentence} Look at the images, or go on with --registration-qc flag.")
    log.warning("%s It is marked 'check' in the QC table.", sentence)


@step(mem_gb=3.0, seconds=10)
def judge_warp(
    reference: Grid3D,
    brain_mask: MaskImage,
    template: Template,
    forward: Path,
    inverse: Path,
    quality: str,
    source: str,
    seed: int,
) -> Judged:
    """Judge given transforms between the reference and the template by a registration's numbers.

    Parameters
    ----------
    reference, brain_mask
        T1w or FLAIR, and the brain on its grid.
    template
        The template.
    forward, inverse
        From the reference to the template and back, as they were given.
    quality
        What a bad alignment leads to: ``flag`` or ``fail``.
    source
        How messages name the reference.
    seed
        Seed of the points and displacements.

    Raises
    ------
    InputError
        If it is bad, and ``quality`` is ``fail``.
    """
    # the numbers are taken on a coarser grid than this
    goal = resample_isotropic(template.grid("t1w"), JUDGED_MM)
    brain = resample_mask(template.mask("brain_mask"), template.grid("t1w").affine, JUDGED_MM)
    image = Grid3D(np.where(brain_mask.data, reference.data, 0), reference.affine)
    fixed = Grid3D(robust_range(np.where(brain, goal.data, 0)), goal.affine)

    def judged(path: Path) -> dict[str, float]:
        placed = resample_through(image, goal, [str(path)])
        if np.ptp(placed) == 0:
            return {"field_of_view_overlap": 0.0, "foreground_dice": 0.0}
        moved = Grid3D(robust_range(placed), goal.affine)
        return alignment_quality(fixed, moved, np.eye(4), seed)

    found = judged(forward)
    matrix = read_transform(forward).matrix
    jacobian = np.array([0.0 if matrix is None else np.linalg.det(matrix[:3, :3])])
    if matrix is None:
        jacobian = jacobian_determinant(goal, str(forward), seed)[brain]
    back = _furthest_back_mm(goal, brain, forward, inverse, seed)
    poor = poor_numbers(found)
    said = [poor_text(poor)] if poor else []
    if back > FURTHEST_BACK_MM:
        said.append(f"{inverse} leads points back {back:.3g} mm away (at most {FURTHEST_BACK_MM})")
    if said:
        exchanged = poor and not poor_numbers(judged(inverse))
        better = " The file of the other direction fits: exchange their names." if exchanged else ""
        how = f"{forward} does not bring {source} to the template"
        complain(
            f"{how if poor else f'{forward} and {inverse}'}: {'; '.join(said)}.{better}", quality
        )
    more = {"jacobian_min": float(jacobian.min()), "jacobian_max": float(jacobian.max())}
    return Judged({**found, **more, "round_trip_mm": back})


def _furthest_back_mm(
    goal: Grid3D, brain: NDArray[np.bool_], forward: Path, inverse: Path, seed: int
) -> float:
    """Tell how far points of the template's brain come back from where they were, on average."""
    voxels = np.argwhere(brain).astype(np.float64)
    points = world_coordinates(voxels[:: max(1, len(voxels) // N_POINTS)], goal.affine)
    there = carry_points(points, str(forward), seed)
    back = carry_points(there, str(inverse), seed)
    return float(np.linalg.norm(back - points, axis=1).mean())
