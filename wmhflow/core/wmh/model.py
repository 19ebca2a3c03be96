"""What the search for WMH takes for granted: the few numbers that were chosen, in one place.

They were chosen on the three people of `docs/benchmarks.md`, "Computed WMH", for the Dice and
volumes that stand there; `edge` also on the phantom, whose slices of 5 mm came out 31 % too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Between the slices of isotropic and of two-dimensional FLAIRs; not measured.
THICK_MM = 2.5
# Above this, a voxel of a probability image that was given is a lesion.
GIVEN_THRESHOLD = 0.5


@dataclass(frozen=True)
class LesionModel:
    """What the model takes for granted; brightness is in SD of normal white matter (z).

    Parameters
    ----------
    prior
        Probability of lesion in white matter without a lesion nearby.
    neighbours
        How much of the lesion probability around a voxel adds to its prior.
    neighbours_mm
        SD of the Gaussian that gathers it.
    above_cortex_z, least_z
        Lesions are this much brighter than the person's cortex, and at least this bright.
    spread_z
        SD of the brightness of lesions below that; all that is brighter is as likely.
    cortex_spread
        Factor on the spread of the cortex.
    stray, stray_z, stray_spread_z
        Share of normal white matter that is brighter than its Gaussian says, and the Gaussian that
        it has instead.
    deep_grey, least_deep_grey_spread
        Brightness of deep grey matter as a share of the cortex's, and its least spread.
    in_deep_grey, least_possible
        How likely a lesion is in deep grey matter compared with white, and anywhere.
    csf_likelihood
        Likelihood of any brightness up to the cortex's where the template has CSF.
    cortex_mm
        Scale over which the cortex's brightness changes: frontal and insular cortex is brighter.
    edge, above_cortex, highest_edge, thick_highest_edge
        A lesion ends at this share of its own height: where half of a voxel is lesion, it stands
        out half as much as in its core. But raters draw nothing that is hardly brighter than
        cortex: it ends where the logarithm of its ratio to the cortex falls to this, if that is
        further in, up to the highest share of its height, which is less in slices above
        ``THICK_MM``, where the edge is the slice's.
    threshold
        Probability from which a voxel is a lesion.
    peak
        Probability that each lesion must reach somewhere.
    """

    prior: float = 0.01
    neighbours: float = 0.8
    neighbours_mm: float = 1.5
    above_cortex_z: float = 1.0
    least_z: float = 3.5
    spread_z: float = 2.0
    cortex_spread: float = 0.7
    stray: float = 0.002
    stray_z: float = 1.5
    stray_spread_z: float = 2.0
    deep_grey: float = 0.6
    least_deep_grey_spread: float = 1.2
    in_deep_grey: float = 0.3
    least_possible: float = 0.02
    csf_likelihood: float = 0.2
    cortex_mm: float = 12.0
    edge: float = 0.5
    above_cortex: float = 0.07
    highest_edge: float = 0.75
    thick_highest_edge: float = 0.6
    threshold: float = 0.4
    peak: float = 0.8

    def lesion_brightness(self, cortex_z: float | NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the brightness expected of a lesion.

        Parameters
        ----------
        cortex_z
            Brightness of the person's cortex, of all or nearby.

        Returns
        -------
        ndarray
            In SD of normal white matter.
        """
        return np.maximum(cortex_z + self.above_cortex_z, self.least_z)

    def lesion_edge(
        self, core: NDArray[np.floating], cortex_contrast: float, voxel_sizes_mm: Sequence[float]
    ) -> NDArray[np.float32]:
        """Give the share of their height at which lesions end.

        Parameters
        ----------
        core
            How much their cores stand out from normal white matter, as a fraction of it; above 0.
        cortex_contrast
            Logarithm of the ratio of the person's cortex to normal white matter.
        voxel_sizes_mm
            Voxel size along each axis.

        Returns
        -------
        ndarray
            Between `edge` and the highest edge.

        Examples
        --------
        >>> heights = np.array([0.2, 0.4, 1.0])
        >>> LesionModel().lesion_edge(heights, 0.18, (1, 1, 1)).round(2)
        array([0.75, 0.71, 0.5 ], dtype=float32)
        >>> LesionModel().lesion_edge(heights, 0.18, (1, 1, 5)).round(2)
        array([0.6, 0.6, 0.5], dtype=float32)
        """
        least = np.expm1(cortex_contrast + self.above_cortex)
        thick = max(voxel_sizes_mm) > THICK_MM
        highest = self.thick_highest_edge if thick else self.highest_edge
        return np.clip(least / core, self.edge, highest).astype(np.float32)
