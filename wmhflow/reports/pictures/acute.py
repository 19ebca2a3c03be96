"""The picture of acute lesions: where they lie, with a haemorrhage and WMH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wmhflow.plan.others import ACUTE, BLEED, OEDEMA
from wmhflow.reports.drawing.overlays import Outline
from wmhflow.reports.drawing.slices import Underlay, slice_png
from wmhflow.reports.pictures.picture import ORIENTATION, Picture
from wmhflow.reports.pictures.views import (
    contours,
    first_plane,
    lesion_rows,
    planes_text,
    with_bare,
)

if TYPE_CHECKING:
    from wmhflow.reports.context import VisitContext

# By kind of lesion: its colour, and how the legend calls it.
DRAWN = {
    ACUTE: ("#ff3b30", "acute lesions"),
    BLEED: ("#b388ff", "haemorrhage"),
    OEDEMA: ("#35d07f", "oedema"),
}


def acute(context: VisitContext) -> Picture | None:
    """Draw the borders of acute lesions on the reference; None if there is not one."""
    scene = context.scene
    masks = {
        kind: context.mask(f"mask_{kind}") for kind in DRAWN if context.has_image(f"mask_{kind}")
    }
    lesions = masks[ACUTE]
    if not lesions.any():
        return None
    rows = lesion_rows(scene, 8, 4, apart=True, lesions=lesions, on_reference=True)
    own, others = first_plane(scene, rows)
    png = slice_png(
        scene.reference,
        scene.box,
        with_bare(own) + others,
        [Underlay(scene.reference), Underlay(scene.reference, is_bare=True)],
        contours(scene) + [Outline(mask, *DRAWN[kind]) for kind, mask in masks.items()],
    )
    name = context.visit.reference
    return Picture(
        "acute",
        name,
        png,
        f"Borders of acute lesions on the {name}",
        f"Borders of acute lesions (red) on the {name}, in slices through them: "
        f"{planes_text(scene, on_reference=True)}; the first with and without lines. "
        f"{ORIENTATION}",
    )
