"""Pictures for what was not found: slices through the whole brain, and bright spots outside WMH."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.reports.drawing.choice import through
from wmhflow.reports.drawing.overlays import Mark, Outline
from wmhflow.reports.drawing.planes import NORMAL_AXIS, plane_axes
from wmhflow.reports.drawing.slices import Underlay, slice_png
from wmhflow.reports.pictures.picture import ORIENTATION, Picture
from wmhflow.reports.pictures.views import contours, in_rows, with_bare
from wmhflow.reports.unmarked import SHOWN_SPOTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wmhflow.core.wmh.unmarked import BrightSpot
    from wmhflow.reports.context import VisitContext
    from wmhflow.reports.scene import Scene

SPOT_COLOUR = "#35ff7a"
# Slices through the whole brain: so many at most, smaller than in other pictures.
MOST_SLICES, PER_ROW, SCALE = 20, 5, 0.75


def survey(context: VisitContext) -> Picture:
    """Draw slices at equal steps through the whole brain, each without lines and with them."""
    scene = context.scene
    items = surveyed(scene)
    name, plane = scene.background_name, scene.plane
    axis = NORMAL_AXIS[plane]
    step = (items[1][1] - items[0][1]) * scene.reference.spacing[axis] if items[1:] else None
    every = f", one every {step:.3g} mm" if step is not None else ""
    return Picture(
        "survey",
        name,
        _drawn(scene, items, contours(scene)),
        f"The whole brain on the {name}, with borders of WMH and lateral ventricles",
        f"The whole brain on the {name}: {plane} slices at equal steps{every}, each without lines "
        "and below it with the borders of WMH (yellow) and lateral ventricles (blue). They do not "
        f"depend on what was found: look for bright tissue without a yellow line. {ORIENTATION}",
    )


def unmarked(context: VisitContext) -> Picture | None:
    """Draw the largest bright spots that WMH do not hold; None where there is not one."""
    spots = context.unmarked
    if not spots:
        return None
    scene = context.scene
    outlines = [*contours(scene), Outline(spots_mask(scene, spots), SPOT_COLOUR, "bright, no WMH")]
    marks = [
        Mark(str(number), beside(spot, scene.plane), scene.plane)
        for number, spot in enumerate(spots[:SHOWN_SPOTS], 1)
    ]
    name = scene.background_name
    return Picture(
        "unmarked",
        name,
        _drawn(scene, slices_through(scene, spots), outlines, marks),
        f"The brightest white matter on the {name} that the WMH mask does not hold",
        f"The brightest white matter on the {name} that the WMH mask does not hold (green), in "
        "slices through the largest spots, which have the numbers of the table, without lines and "
        "below with them. A spot may be a lesion that was missed. It may as well be none: blood "
        "that flows, the edge of cortex, noise, or the rim of a lesion that was drawn too small. "
        f"{ORIENTATION}",
    )


def surveyed(scene: Scene) -> tuple[tuple[str, int], ...]:
    """Choose slices of the first plane at equal steps through the whole brain."""
    found = through(scene.without_fluid, scene.plane, MOST_SLICES)
    return tuple((scene.plane, index) for index in found)


def slices_through(scene: Scene, spots: Sequence[BrightSpot]) -> tuple[tuple[str, int], ...]:
    """Choose a slice of the first plane through each of the largest spots."""
    axis = NORMAL_AXIS[scene.plane]
    chosen = {spot.middle[axis] for spot in spots[:SHOWN_SPOTS]}
    return tuple((scene.plane, index) for index in sorted(chosen))


def beside(spot: BrightSpot, plane: str) -> tuple[int, int, int]:
    """Return the place of a spot's number: at its right edge, in the slice through its middle."""
    across, axis = plane_axes(plane)[0], NORMAL_AXIS[plane]
    shown = spot.voxels[spot.voxels[:, axis] == spot.middle[axis]]
    place = list(spot.middle)
    place[across] = int(shown[:, across].max())
    return place[0], place[1], place[2]


def spots_mask(scene: Scene, spots: Sequence[BrightSpot]) -> NDArray[np.bool_]:
    """Return the voxels of all spots on the reference grid."""
    mask = np.zeros(scene.wmh.shape, dtype=bool)
    for spot in spots:
        mask[tuple(spot.voxels.T)] = True
    return mask


def _drawn(
    scene: Scene,
    items: tuple[tuple[str, int], ...],
    outlines: Sequence[Outline],
    marks: Sequence[Mark] = (),
) -> bytes:
    return slice_png(
        scene.reference,
        scene.box,
        with_bare([(0, part) for part in in_rows(items, PER_ROW)]),
        [Underlay(scene.background), Underlay(scene.background, is_bare=True)],
        outlines,
        marks=marks,
        scale=SCALE,
    )
