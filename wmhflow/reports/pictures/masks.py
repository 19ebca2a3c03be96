"""Pictures of masks and labels: WMH and ventricles, zones, shells, tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.codes import count_codes
from wmhflow.labels.digits import REST
from wmhflow.labels.edges import interval_mm
from wmhflow.reports.drawing.overlays import Fill, Outline
from wmhflow.reports.drawing.slices import Underlay, slice_png
from wmhflow.reports.pictures.picture import ORIENTATION, Picture
from wmhflow.reports.pictures.views import (
    contours,
    first_plane,
    lesion_rows,
    planes_text,
    registry_entries,
    scale_of,
    with_bare,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.reports.context import VisitContext
    from wmhflow.reports.scene import Scene

REST_COLOUR = "#8d99ae"


def masks(context: VisitContext) -> Picture:
    """Draw the borders of WMH and ventricles on the FLAIR (else on the reference)."""
    scene = context.scene
    own, others = first_plane(scene, lesion_rows(scene, 4, 4, apart=True))
    png = slice_png(
        scene.reference,
        scene.box,
        with_bare(own) + others,
        [Underlay(scene.background), Underlay(scene.background, is_bare=True)],
        contours(scene),
        scale=scale_of(scene),
    )
    name = scene.background_name
    infarct = "" if scene.infarct is None else " Pink: the given infarct, which is no WMH."
    return Picture(
        "masks",
        name,
        png,
        f"Borders of WMH and lateral ventricles on the {name}",
        f"Borders of WMH (yellow) and lateral ventricles (blue) on the {name}: "
        f"{planes_text(scene)} {_slices_text(scene)}, lines along the edges of the voxels; the "
        f"first are shown without lines, too.{infarct} The yellow lines should hold every bright "
        "lesion and nothing else; the blue line should follow the ventricles’ wall. "
        f"{ORIENTATION}",
    )


def zones(context: VisitContext) -> Picture:
    """Draw the zones as translucent colours, with the borders of WMH and ventricles."""
    scene = context.scene
    png = slice_png(
        scene.reference,
        scene.box,
        lesion_rows(scene, 4, 2, apart=False),
        [Underlay(scene.background)],
        contours(scene),
        Fill(scene.zones, registry_entries("zones", scene.zones)),
    )
    name = scene.background_name
    return Picture(
        "zones",
        name,
        png,
        f"Zones of the white matter on the {name}",
        f"White matter by its distance from ventricle and cortex, on the {name}; "
        f"{planes_text(scene)} slices. Zones should "
        "surround the ventricles like onion skins and leave grey matter free. "
        f"{ORIENTATION}",
    )


def shells(context: VisitContext) -> Picture:
    """Draw the shells around and inside the lesions, a colour per step of distance."""
    scene = context.scene
    options = context.settings.regions
    sizes = options.shell_width, options.shell_max
    png = slice_png(
        scene.reference,
        scene.box,
        lesion_rows(scene, 4, 2, apart=False),
        [Underlay(scene.background)],
        [Outline(scene.wmh, "#ffffff", "WMH", 1.0)],
        Fill(scene.shells, shell_entries(scene.shells, *sizes), 0.85),
        scale=scale_of(scene),
    )
    return Picture(
        "shells",
        scene.background_name,
        png,
        "Shells around and inside the lesions",
        "Shells of equal distance from the lesion edge: outside in normal-appearing white matter "
        "only (gaps are grey matter, fluid and the guard before them), inside in the lesions. "
        f"{ORIENTATION}",
    )


def tissue(context: VisitContext) -> Picture:
    """Draw the tissue classes as translucent colours on the reference image."""
    scene = context.scene
    png = slice_png(
        scene.reference,
        scene.box,
        lesion_rows(scene, 4, 2, apart=False, on_reference=True),
        [Underlay(scene.reference)],
        fill=Fill(scene.tissue, registry_entries("tissue", scene.tissue), 0.5),
    )
    return Picture(
        "tissue",
        "dseg",
        png,
        "Tissue classes on the reference image",
        "Tissue classes on the reference image. White matter should end where the image’s grey "
        f"matter begins. {ORIENTATION}",
    )


def _slices_text(scene: Scene) -> str:
    return "slices through the lesions" if scene.lesions.any() else "slices spread over the brain"


def shell_entries(
    labels: NDArray[np.integer], width_mm: float, max_mm: float
) -> tuple[tuple[int, str, str], ...]:
    """List label, colour and name of the shells that an image holds, from the inside out.

    Parameters
    ----------
    labels
        Ordinals of shells, without side and lesion class.
    width_mm, max_mm
        Thickness of a shell, and outer edge of the last outer one.

    Examples
    --------
    >>> [name for _, _, name in shell_entries(np.array([51, 1, 50]), 2.0, 14.0)]
    ['inside, 0–2 mm', '0–2 mm', 'beyond the shells']
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    present = [int(label) for label in count_codes(labels)[0] if label > 0]

    def extent(ordinal: int) -> str:
        near, far = sorted(abs(edge) for edge in interval_mm(ordinal, width_mm, max_mm))
        return f"{near:g}–{far:g} mm" if np.isfinite(far) else f"beyond {near:g} mm"

    inner = [label for label in present if label > REST][::-1]
    outer = [label for label in present if label < REST]
    entries = []
    for label in inner:
        step = label - REST
        shade = 0.25 + 0.55 * (step - 1) / max(len(inner) - 1, 1)
        colour = to_hex(colormaps["Reds"](0.95 - 0.5 * shade))
        entries.append((label, colour, f"inside, {extent(label)}"))
    for label in outer:
        shade = 1 - 0.9 * (label - 1) / max(outer[-1] - 1, 1)
        colour = to_hex(colormaps["viridis"](shade))
        entries.append((label, colour, extent(label)))
    if REST in present:
        entries.append((REST, REST_COLOUR, "beyond the shells"))
    return tuple(entries)
