"""Pictures of how images are aligned: one set of contours on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.bids.naming import TEMPLATE
from wmhflow.files.transforms import linear_matrix
from wmhflow.reports.drawing.choice import spread_slices
from wmhflow.reports.drawing.overlays import Outline
from wmhflow.reports.drawing.slices import Underlay, slice_png
from wmhflow.reports.drawing.volumes import Volume
from wmhflow.reports.pictures.picture import ORIENTATION, Picture
from wmhflow.reports.pictures.views import VENTRICLE_COLOUR
from wmhflow.reports.scene import load_ras

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wmhflow.reports.context import AlignedMap, VisitContext
    from wmhflow.reports.drawing.layout import Row
    from wmhflow.reports.drawing.volumes import Box
    from wmhflow.reports.scene import Scene

WHITE_COLOUR, BRAIN_COLOUR = "#ff8c3a", "#7be07b"
WARP_SPACING_MM = 2.0


def anatomical(context: VisitContext) -> Picture | None:
    """Draw the contours of the reference's tissues on the other anatomical image, if any."""
    scene, reference = context.scene, context.visit.reference
    if scene.other is None:
        return None
    name = context.visit.other_name
    return Picture(
        "alignment",
        name,
        _compare(scene, Underlay(scene.other, f"{name}, aligned"), reference),
        f"The {name} aligned to the {reference}",
        f"Above the {reference}, below the {name} brought to it, with the same contours of brain, "
        "white matter and ventricles. In both rows the lines should follow the same edges. "
        f"{ORIENTATION}",
    )


def template(context: VisitContext) -> Picture:
    """Draw the contours of the person's tissues on the template brought to the person."""
    from wmhflow.files.template import template_path

    scene, reference = context.scene, context.visit.reference
    warped = warp_coarsely(
        template_path("t1"),
        context.template_transform,
        scene.reference,
        scene.box,
        context.settings.execution.random_seed,
    )
    return Picture(
        "alignmentTemplate",
        reference,
        _compare(scene, Underlay(warped, "template, warped"), reference),
        f"The template warped to the {reference}",
        f"Above the {reference}, below the template {TEMPLATE} warped to it (coarsely, for "
        "this picture only), with the person’s own contours on both. The template’s ventricles "
        f"and outer border should fill the lines. {ORIENTATION}",
    )


def maps(context: VisitContext) -> Iterator[Picture]:
    """Draw the contours of the person's tissues on every map brought to the reference."""
    for aligned in context.aligned_maps():
        yield _map_picture(context, aligned)


def _map_picture(context: VisitContext, aligned: AlignedMap) -> Picture:
    scene, reference, entry = context.scene, context.visit.reference, aligned.plan
    measured = "resampled for this picture only: it is measured in its own grid"
    if aligned.bends:
        measured = "resampled onto the reference, and measured so, since its transform bends it"
    png = slice_png(
        scene.reference,
        scene.box,
        _alignment_rows(scene, 1),
        [_map_underlay(context, aligned)],
        _alignment_outlines(scene),
    )
    return Picture(
        f"alignment{entry.name}",
        reference,
        png,
        f"{entry.name} aligned to the {reference}",
        f"{entry.name} ({aligned.path.name}), {aligned.how}, with the reference’s contours. The "
        f"map is {measured}. Dark grey lies "
        f"outside its field of view. {ORIENTATION}",
    )


def _map_underlay(context: VisitContext, aligned: AlignedMap) -> Underlay:
    path, trust = aligned.path, context.settings.inputs.trust
    if aligned.bends and aligned.transform is not None:
        scene, seed = context.scene, context.settings.execution.random_seed
        bent = warp_coarsely(path, aligned.transform, scene.reference, scene.box, seed)
        return Underlay(bent, aligned.plan.name)
    image = load_ras(path, trust)
    if aligned.transform is None:
        return Underlay(image, aligned.plan.name)
    matrix = linear_matrix(
        aligned.transform,
        path,
        context.visit.reference_file.path,
        trust,
    )
    return Underlay(image, aligned.plan.name, matrix)


def _compare(scene: Scene, other: Underlay, reference: str) -> bytes:
    return slice_png(
        scene.reference,
        scene.box,
        _alignment_rows(scene, 2),
        [Underlay(scene.reference, f"reference ({reference})"), other],
        _alignment_outlines(scene),
    )


def _alignment_rows(scene: Scene, underlays: int) -> list[Row]:
    """Show the same slices of every underlay, one row each."""
    counts = {"axial": 2, "coronal": 2, "sagittal": 1}
    if scene.thick_reference is not None:
        # one other plane shows whether images lie alike across the slices
        other = "axial" if scene.thick_reference == "sagittal" else "sagittal"
        counts = {scene.thick_reference: 4, other: 1}
    items = tuple(
        (plane, index)
        for plane, count in counts.items()
        for index in _calm_slices(scene, plane, count)
    )
    return [(number, items) for number in range(underlays)]


def _calm_slices(scene: Scene, plane: str, count: int) -> list[int]:
    """Choose slices that show the ventricles; those spread over the brain where there are none."""
    inside = scene.ventricles if scene.ventricles.any() else scene.brain
    return spread_slices(inside, plane, count)


def _alignment_outlines(scene: Scene) -> list[Outline]:
    return [
        Outline(scene.brain, BRAIN_COLOUR, "brain", 0.9),
        Outline(scene.white_matter, WHITE_COLOUR, "white matter", 0.7),
        Outline(scene.ventricles, VENTRICLE_COLOUR, "lateral ventricles", 1.1),
    ]


def warp_coarsely(image_path: Path, transform: Path, grid: Volume, box: Box, seed: int) -> Volume:
    """Bring an image through a warp onto a coarse grid that covers a box; for pictures only.

    Parameters
    ----------
    image_path
        The image to warp.
    transform
        ITK file that takes it to the world of ``grid``.
    grid, box
        What is covered; voxels of at least 2 mm make it quick.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    Volume
        In the world of ``grid``.
    """
    from wmhflow.ants.transforms import resample_through
    from wmhflow.core.space.grids import Grid3D
    from wmhflow.files.images import load_grid

    step = np.maximum(WARP_SPACING_MM / grid.spacing, 1.0)
    sizes = [
        int(np.ceil((edge.stop - edge.start) / by)) for edge, by in zip(box, step, strict=True)
    ]
    coarse = grid.affine @ np.diag([*step, 1.0])
    first = np.array([edge.start for edge in box]) + (step - 1) / 2
    coarse[:3, 3] = grid.affine[:3, :3] @ first + grid.affine[:3, 3]
    target = Grid3D(np.zeros(sizes, dtype=np.float32), coarse)
    moving = load_grid(image_path)
    clean = Grid3D(np.nan_to_num(moving.data, nan=0.0, posinf=0.0, neginf=0.0), moving.affine)
    return Volume(resample_through(clean, target, [str(transform)], seed=seed), coarse)
