"""Whether images that are divided or fitted voxel by voxel lie on each other, and what is said."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from wmhflow.core.align.meeting import furthest_apart
from wmhflow.core.space.grids import Grid3D

# Images of one scan lie within some tenths of a mm of each other, in whatever contrast; an edge
# that is off by half a voxel changes a ratio by a tenth beside it. A bound of the QC table as well.
MOST_APART_MM = 1.5
log = logging.getLogger("wmhflow")


def apart_fact(what: str, images: Sequence[Grid3D], names: Sequence[str]) -> float | None:
    """Measure how far the head moved between images of one scan, and say it if it is too far.

    Parameters
    ----------
    what
        What is made of them, for the message.
    images, names
        Two or more, and what each is.

    Returns
    -------
    float or None
        mm; None where none of them shows a head.
    """
    found, place = furthest_apart(images)
    if found is not None and found > MOST_APART_MM:
        log.warning(
            "%s: the head lies %.1f mm elsewhere in %s than in %s, where the two have to lie on "
            "each other; edges of tissue are wrong. Align the images with each other first. It is "
            "marked 'check'.", what, found, names[place], names[0],
        )  # fmt: skip
    return found
