"""What the report says of bright spots that the WMH mask does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.wmh.unmarked import LEAST_MM3, LEAST_Z, MARGIN_MM, bright_spots
from wmhflow.labels.digits import CORTEX
from wmhflow.reports.tables import fixed, millilitres

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from wmhflow.core.wmh.unmarked import BrightSpot
    from wmhflow.reports.scene import Scene
    from wmhflow.reports.tables import TableRow

SHOWN_SPOTS = 8


def spots_of(scene: Scene) -> list[BrightSpot] | None:
    """Find bright spots of white matter outside WMH and infarcts on a visit's FLAIR.

    Parameters
    ----------
    scene
        The visit's images.

    Returns
    -------
    list of BrightSpot or None
        The largest first; None without a FLAIR, or where its white matter says nothing.
    """
    if scene.background_name != "FLAIR":
        return None
    return bright_spots(
        scene.background.data,
        scene.white_matter,
        scene.lesions,
        scene.tissue == CORTEX,
        scene.reference.spacing.tolist(),
        scene.scanned_mm,
    )


def unmarked_values(spots: Sequence[BrightSpot] | None, scene: Scene) -> Mapping[str, Any]:
    """Give what the section of masks says of bright spots outside WMH.

    Parameters
    ----------
    spots
        The largest first; None if they could not be looked for.
    scene
        The visit's images.
    """
    found = spots or []
    return {
        "were_sought": spots is not None,
        "has_flair": scene.background_name == "FLAIR",
        "n_spots": len(found),
        "spots_ml": millilitres(sum(spot.volume_mm3 for spot in found)),
        "least_mm3": f"{LEAST_MM3:g}",
        "least_sd": f"{LEAST_Z:g}",
        "margin_mm": f"{MARGIN_MM:g}",
        "spots": [_row(number, spot, scene) for number, spot in enumerate(found[:SHOWN_SPOTS], 1)],
    }


def _row(number: int, spot: BrightSpot, scene: Scene) -> TableRow:
    x, y, z = scene.reference.affine[:3, :3] @ np.array(spot.middle) + scene.reference.affine[:3, 3]
    places = {key: fixed(str(value)) for key, value in (("x", x), ("y", y), ("z", z))}
    return {
        "number": str(number),
        "volume_ml": millilitres(spot.volume_mm3),
        "percent_brighter": f"{100 * (spot.brightness - 1):.0f}",
    } | places
