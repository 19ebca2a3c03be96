"""Which slices the pictures show, and the lines and colours that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.codes import count_codes
from wmhflow.labels.regions import load_regions
from wmhflow.reports.drawing.choice import lesion_slices
from wmhflow.reports.drawing.overlays import Fill, Outline
from wmhflow.reports.drawing.planes import NORMAL_AXIS
from wmhflow.reports.drawing.slices import Underlay, slice_png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.reports.drawing.layout import Row
    from wmhflow.reports.scene import Scene

WMH_COLOUR, VENTRICLE_COLOUR = "#ffe600", "#3fa9ff"
INFARCT_COLOUR = "#ff5ad1"


def lesion_rows(
    scene: Scene,
    axial: int,
    others: int,
    *,
    apart: bool,
    lesions: NDArray[np.bool_] | None = None,
) -> list[Row]:
    """Choose slices through the lesions: axial ones first, then the two other planes.

    Parameters
    ----------
    scene
        The visit's images.
    axial, others
        How many axial slices, and how many of each other plane.
    apart
        Whether coronal and sagittal slices stand in rows of their own.
    lesions
        Which lesions, and only slices through them; WMH and infarcts if not said, and slices
        spread over the brain where these are few.
    """

    def chosen(plane: str, count: int) -> tuple[tuple[str, int], ...]:
        if lesions is None:
            found = scene.lesion_slices(plane, count)
        else:
            n_slices = len(np.unique(np.nonzero(lesions)[NORMAL_AXIS[plane]]))
            found = lesion_slices(lesions, scene.without_fluid, plane, min(count, n_slices))
        return tuple((plane, index) for index in found)

    on_top = chosen("axial", axial)
    coronal, sagittal = chosen("coronal", others), chosen("sagittal", others)
    upper = [on_top[start : start + 4] for start in range(0, len(on_top), 4)]
    # cranial slices come first, as one reads a light box
    rows = [part[::-1] for part in upper[::-1]]
    rows += [coronal, sagittal] if apart else [coronal + sagittal]
    return [(0, row) for row in rows if row]


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
        lesion_rows(scene, 4, 2, apart=False),
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
