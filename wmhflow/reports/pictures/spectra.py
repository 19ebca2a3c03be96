"""Pictures of single voxels of spectroscopy: where each lies on the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wmhflow.reports.drawing.boxes import box_mask, middle_of, with_masks
from wmhflow.reports.drawing.overlays import Outline
from wmhflow.reports.drawing.planes import NORMAL_AXIS
from wmhflow.reports.drawing.slices import Underlay, slice_png
from wmhflow.reports.pictures.picture import ORIENTATION, Picture
from wmhflow.reports.pictures.views import contours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wmhflow.reports.context import PlacedVoxel, VisitContext
    from wmhflow.reports.drawing.layout import Row

# A picture shows as many voxels as it has colours.
COLOURS = ("#00ffd5", "#ff9f1c", "#9dff57", "#ff6f61", "#ffffff", "#b388ff")


def spectra(context: VisitContext) -> Iterator[Picture]:
    """Draw the box of every voxel on the reference, in three slices through its middle."""
    placed = list(context.voxels())
    for number, start in enumerate(range(0, len(placed), len(COLOURS)), 1):
        yield _picture(context, placed[start : start + len(COLOURS)], number)


def _picture(context: VisitContext, voxels: Sequence[PlacedVoxel], number: int) -> Picture:
    scene = context.scene
    masks = [box_mask(one.box, scene.reference) for one in voxels]
    seen = [n for n, mask in enumerate(masks) if mask.any()]
    rows: list[Row] = []
    for row, n in enumerate(seen):
        middle = middle_of(voxels[n].box, scene.reference).clip(
            0, [size - 1 for size in scene.reference.data.shape]
        )
        planes = ("axial", "coronal", "sagittal")
        rows.append((row, tuple((plane, int(middle[NORMAL_AXIS[plane]])) for plane in planes)))
    outlines = [Outline(masks[n], COLOURS[n], f"voxel {voxels[n].name}", 2.0) for n in seen]
    name = context.visit.reference
    if not seen:
        # what lies outside is said below
        rows = [(0, (("axial", (scene.box[2].start + scene.box[2].stop) // 2),))]
    png = slice_png(
        scene.reference,
        with_masks(scene.box, masks),
        rows,
        [Underlay(scene.reference, voxels[n].name) for n in seen] or [Underlay(scene.reference)],
        contours(scene) + outlines,
    )
    lost = [one.name for n, one in enumerate(voxels) if n not in seen]
    outside = f" Outside of the image, and not drawn: {', '.join(lost)}." if lost else ""
    return Picture(
        "spectra" if number == 1 else f"spectra{number}",
        name,
        png,
        f"Voxels of spectroscopy on the {name}",
        f"Voxels of spectroscopy on the {name}, a row for each: slices through its middle, with "
        "all voxels that they meet, WMH (yellow) and lateral ventricles (blue). They are drawn as "
        "they were planned: metabolites come from a place some millimetres away."
        f"{outside} {ORIENTATION}",
    )
