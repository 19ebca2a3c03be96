"""Which slices the pictures show, and the lines and colours that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.codes import count_codes
from wmhflow.labels.regions import load_regions
from wmhflow.reports.drawing.choice import lesion_slices
from wmhflow.reports.drawing.overlays import Fill, Outline
from wmhflow.reports.drawing.planes import NORMAL_AXIS, PLANES, plane_axes
from wmhflow.reports.drawing.slices import PIXELS_PER_MM, Underlay, slice_png

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wmhflow.reports.drawing.layout import Items, Row
    from wmhflow.reports.scene import Scene

WMH_COLOUR, VENTRICLE_COLOUR = "#ffe600", "#3fa9ff"
INFARCT_COLOUR = "#ff5ad1"
PER_ROW = 4
# Thick slices are shown in their own plane alone: so many, and up to so much larger that each of
# their voxels has a pixel.
THICK_SLICES, LARGEST_SCALE = 8, 1.25


def lesion_rows(
    scene: Scene,
    first: int,
    others: int,
    *,
    apart: bool,
    lesions: NDArray[np.bool_] | None = None,
    on_reference: bool = False,
) -> list[Row]:
    """Choose slices through the lesions: those of the first plane, then of the two others.

    Thick slices are shown in their own plane, and in no other: there, steps of some millimetres
    hide what lies in them.

    Parameters
    ----------
    scene
        The visit's images.
    first, others
        How many slices of the first plane, and how many of each other one.
    apart
        Whether slices of the two others stand in rows of their own.
    lesions
        Which lesions, and only slices through them; WMH and infarcts if not said, and slices
        spread over the brain where these are few.
    on_reference
        Whether the reference is shown, and not the FLAIR, which may have thicker slices.
    """
    is_thick = (scene.thick_reference if on_reference else scene.thick) is not None

    def chosen(plane: str, count: int) -> tuple[tuple[str, int], ...]:
        if lesions is None:
            found = scene.lesion_slices(plane, count)
        else:
            n_slices = len(np.unique(np.nonzero(lesions)[NORMAL_AXIS[plane]]))
            found = lesion_slices(lesions, scene.without_fluid, plane, min(count, n_slices))
        return tuple((plane, index) for index in found)

    rows = in_rows(chosen(scene.plane, THICK_SLICES if is_thick else first), PER_ROW)
    if not is_thick:
        below = [chosen(plane, others) for plane in PLANES[::-1] if plane != scene.plane]
        rows += below if apart else [below[0] + below[1]]
    return [(0, row) for row in rows if row]


def in_rows(items: Items, per_row: int) -> list[Items]:
    """Divide slices of one plane into rows, the uppermost (foremost, rightmost) slice first.

    Examples
    --------
    >>> in_rows((("axial", 2), ("axial", 5), ("axial", 8)), 2)
    [(('axial', 8), ('axial', 5)), (('axial', 2),)]
    """
    # cranial slices come first, as one reads a light box
    ordered = items[::-1]
    return [ordered[start : start + per_row] for start in range(0, len(ordered), per_row)]


def with_bare(rows: Sequence[Row]) -> list[Row]:
    """Show every row twice: without lines (underlay 1), and below with them (underlay 0).

    Lines hide what they surround.
    """
    return [row for _, items in rows for row in ((1, items), (0, items))]


def first_plane(scene: Scene, rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Divide rows into those of the plane that is shown first, and the others."""
    own = [row for row in rows if row[1][0][0] == scene.plane]
    return own, rows[len(own) :]


def planes_text(scene: Scene, *, on_reference: bool = False) -> str:
    """Name the planes of :func:`lesion_rows`, in the order in which they are shown."""
    if (scene.thick_reference if on_reference else scene.thick) is not None:
        return scene.plane
    first, second = (plane for plane in PLANES[::-1] if plane != scene.plane)
    return f"{scene.plane}, {first} and {second}"


def scale_of(scene: Scene) -> float:
    """How much larger than others pictures of thick slices are, whose voxels are small."""
    if scene.thick is None:
        return 1.0
    columns, upward = plane_axes(scene.plane)
    finest = float(min(scene.reference.spacing[[columns, upward]]))
    return min(max(1 / (PIXELS_PER_MM * finest), 1.0), LARGEST_SCALE)


def contours(scene: Scene) -> list[Outline]:
    """Outline WMH, lateral ventricles and a given infarct, where they are."""
    outlines = [Outline(scene.ventricles, VENTRICLE_COLOUR, "lateral ventricles")]
    if scene.wmh.any():
        outlines.insert(0, Outline(scene.wmh, WMH_COLOUR, "WMH"))
    if scene.infarct is not None and scene.infarct.any():
        outlines.append(Outline(scene.infarct, INFARCT_COLOUR, "infarct (given)"))
    return outlines


def fill_png(scene: Scene, fill: Fill) -> bytes:
    """Draw labels on the reference with the contours of lesions and ventricles, in three planes."""
    return slice_png(
        scene.reference,
        scene.box,
        lesion_rows(scene, 4, 2, apart=False, on_reference=True),
        [Underlay(scene.reference)],
        contours(scene),
        fill,
    )


def registry_entries(seg: str, labels: NDArray[np.integer]) -> tuple[tuple[int, str, str], ...]:
    """List label, colour and name of the regions that an image without sides holds.

    Parameters
    ----------
    seg
        ``tissue``, ``zones``, ``lobes`` or ``bullseye`` (its rings).
    labels
        Numbers of both sides together.
    """
    present = set(count_codes(labels)[0].tolist())
    return tuple(
        (index, region.colour, region.name)
        for index, region in load_regions(seg).items()
        if region.hemisphere == "B" and index in present
    )
