"""Pictures of the regions that a parcellation gives: lobes, and the layers of the bullseye."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wmhflow.reports.drawing.overlays import Fill
from wmhflow.reports.pictures.picture import ORIENTATION, Picture
from wmhflow.reports.pictures.views import fill_png, registry_entries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wmhflow.reports.context import VisitContext
    from wmhflow.reports.scene import Scene


def lobes(context: VisitContext) -> Picture | None:
    """Draw the lobes as translucent colours on the reference; None without a parcellation."""
    labels = context.scene.lobes
    if labels is None:
        return None
    return _regions(
        context.scene,
        "lobes",
        labels,
        "Lobes on the reference image",
        "White matter belongs to the nearest cortex of its own side; the deep nuclei and the "
        "corpus callosum are regions of their own.",
    )


def layers(context: VisitContext) -> Picture | None:
    """Draw the layers of the bullseye on the reference; None without a parcellation."""
    labels = context.scene.layers
    if labels is None:
        return None
    return _regions(
        context.scene,
        "bullseye",
        labels,
        "Layers of the bullseye on the reference image",
        "Layers of equal depth between the lateral ventricles and the cortex: they should "
        "surround the ventricles and follow the cortex.",
    )


def _regions(
    scene: Scene, seg: str, labels: NDArray[np.integer], title: str, what_to_see: str
) -> Picture:
    png = fill_png(scene, Fill(labels, registry_entries(seg, labels), 0.5))
    return Picture(seg, "dseg", png, title, f"{title}. {what_to_see} {ORIENTATION}")
