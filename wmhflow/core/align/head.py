"""Where a brain may lie in a head: rough places, the likeliest first, to be judged and refined.

The centre of a head that reaches down to the shoulders lies in the mouth, and so may the centre of
its image; from there the brain is not found. So a further start lies under the top of the head,
and where none of these leads to a brain, all of the image is looked through.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.align.search import apart, climb, rigid_matrix
from wmhflow.core.align.similarity import Comparison, compare
from wmhflow.core.space.grids import (
    Grid3D,
    apply_affine,
    centroid_mm,
    resample_isotropic,
    resample_mask,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

SPACING_MM = 8.0
# Of what is shown, this much from its top downwards holds the brain; a head's length from vertex to
# skull base, roughly.
TOP_MM = 150.0
# Share of the brightest values above which a voxel shows something and not air.
FOREGROUND_SHARE = 0.1
# The turns and the numbers of climbs were chosen on 20 simulated heads, all of which are found.
TURNS_DEG = (-40.0, -20.0, 0.0, 20.0, 40.0)
# Where all of the image is looked through: steps between places, turns at each, and how far from
# the image's border the centre of a brain may lie at least.
STEP_MM, FEW_TURNS_DEG, BORDER_MM = 20.0, (-25.0, 0.0, 25.0), 40.0
EACH, CLIMBED, KEPT = 4, 60, 3
# Places that differ by less, in degrees and mm, are one.
SAME_PLACE = 6.0


@dataclass(frozen=True)
class Places:
    """A template's brain and a head, both coarse, made ready to be laid over each other."""

    pair: Comparison
    head: Grid3D
    pivot: NDArray[np.float64]

    def near_the_top(self) -> list[Matrix]:
        """Look from the headers' own position and from three centres, in turns to 40 degrees.

        Returns
        -------
        list of ndarray
            Points of the template to points of the head, RAS mm, best first.
        """
        middle = apply_affine(self.head.affine, (np.array(self.head.data.shape) - 1) / 2)
        centres = [self.pivot, middle, centroid_mm(self.head), centre_under_top(self.head)]
        turns = itertools.product(TURNS_DEG, repeat=3)
        return self._climbed(centres, list(turns), EACH, len(centres) * (EACH + 1))

    def everywhere(self) -> list[Matrix]:
        """Look from every place of the image, in turns to 25 degrees.

        Returns
        -------
        list of ndarray
            As of :meth:`near_the_top`.
        """
        lengths = np.array(self.head.data.shape) * self.head.finest_mm
        along = [
            np.arange(min(BORDER_MM, length / 2), max(length - BORDER_MM, length / 2) + 1, STEP_MM)
            for length in lengths
        ]
        voxels = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1) / self.head.finest_mm - 0.5
        centres = apply_affine(self.head.affine, voxels.reshape(-1, 3))
        turns = itertools.product(FEW_TURNS_DEG, repeat=3)
        return self._climbed(list(centres), list(turns), 1, CLIMBED)

    def _climbed(
        self,
        centres: Sequence[NDArray[np.float64]],
        turns: Sequence[Sequence[float]],
        each: int,
        most: int,
    ) -> list[Matrix]:
        """Climb from every centre's best turns, and without a turn; at most `most` times."""
        starts = np.array([[[*turn, *(c - self.pivot)] for turn in turns] for c in centres])
        scores = np.array([[self._score(start) for start in of_centre] for of_centre in starts])
        upright = [i for i, turn in enumerate(turns) if not any(turn)]
        best = np.argsort(-scores, axis=1, kind="stable")[:, :each]
        tried = {(c, int(turn)) for c, of_centre in enumerate(best) for turn in of_centre}
        tried |= {(c, turn) for c in range(len(centres)) for turn in upright}
        chosen = sorted(tried, key=lambda one: -scores[one])[:most]
        ends = [climb(self.pair, starts[one], self.pivot, SPACING_MM) for one in chosen]
        kept = apart([score for score, _ in ends], [place for _, place in ends], KEPT, SAME_PLACE)
        return [rigid_matrix(ends[i][1], self.pivot) for i in kept]

    def _score(self, start: NDArray[np.float64]) -> float:
        return self.pair.score(rigid_matrix(start, self.pivot))


def places(template: Grid3D, template_mask: NDArray[np.bool_], head: Grid3D, seed: int) -> Places:
    """Make a template's brain and a head ready to be laid over each other.

    Parameters
    ----------
    template
        Template, scaled to 0..1.
    template_mask
        Its brain: the only part that counts.
    head
        A person's image, scaled to 0..1.
    seed
        Seed of the points that are compared.

    Returns
    -------
    Places
    """
    spacing_mm = max(SPACING_MM, template.finest_mm, head.finest_mm)
    grids = [resample_isotropic(grid, spacing_mm) for grid in (template, head)]
    part = resample_mask(template_mask, template.affine, spacing_mm)
    pair = compare(grids[0], grids[1], part, seed)
    return Places(pair, grids[1], pair.points.mean(axis=0))


def centre_under_top(head: Grid3D) -> NDArray[np.float64]:
    """Find the centre of the upper 15 cm of what an image shows.

    Parameters
    ----------
    head
        Image scaled to 0..1, coarse.

    Returns
    -------
    ndarray, (3,)
        RAS mm.

    Examples
    --------
    >>> tall = Grid3D(np.ones((3, 3, 30), np.float32), np.diag([10.0, 10, 10, 1]))
    >>> centre_under_top(tall).tolist()
    [10.0, 10.0, 220.0]
    """
    shown = head.data > FOREGROUND_SHARE
    points = apply_affine(head.affine, np.argwhere(shown).astype(np.float64))
    if not len(points):
        return centroid_mm(head)
    # the highest few voxels may be noise or a hand
    top = np.percentile(points[:, 2], 99.9)
    upper: NDArray[np.float64] = points[points[:, 2] > top - TOP_MM].mean(axis=0)
    return upper
