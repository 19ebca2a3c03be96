"""Which map voxels count for a region, by how much of it and of CSF they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.coverage import Coverage, CoverageWeights
from wmhflow.core.measure.purity import holds_more, keep_pure
from wmhflow.core.regions.partition import ALL, Row
from wmhflow.labels.digits import CSF, VENTRICLES, class_of
from wmhflow.labels.rows import TableRegion

TISSUE = "tissue"
FLUID = (CSF, VENTRICLES)


@dataclass(frozen=True)
class Purity:
    """How much of a map voxel a region must cover, and how much of it may be CSF, 0 to 1."""

    least: float = 0.0
    most_csf: float = 1.0

    @property
    def acts(self) -> bool:
        """Whether it leaves anything out."""
        return self.least > 0 or self.most_csf < 1


NO_GUARD = Purity()


def fluid_rows(regions: Sequence[TableRegion]) -> list[Row]:
    """Return the rows of CSF and ventricles, both sides together, by which CSF is measured.

    Parameters
    ----------
    regions
        The tables' regions.
    """
    wanted = [one for one in regions if one.seg == TISSUE and one.index in FLUID]
    return [Row(one.terms) for one in wanted]


def is_fluid(region: TableRegion) -> bool:
    """Tell whether a region is made of CSF, which the guard against CSF leaves as it is."""
    return any(
        name == TISSUE and all(class_of(label) in FLUID for label in labels)
        for name, labels in region.terms
    )


def keep_rows(
    weights: CoverageWeights, rows: Sequence[Mapping[str, Any]], purity: Purity
) -> CoverageWeights:
    """Apply a guard to the rows of the table of maps.

    Parameters
    ----------
    weights
        A region per row.
    rows
        The rows' ``seg``, ``index`` and ``tissue``.
    purity
        The guard.
    """
    if not purity.acts:
        return weights
    exempt = [i for i in _of_tissue(rows) if class_of(int(rows[i]["index"])) in FLUID]
    return keep_pure(weights, purity.least, wet_voxels(weights, rows, purity), exempt)


def wet_voxels(
    weights: CoverageWeights, rows: Sequence[Mapping[str, Any]], purity: Purity
) -> NDArray[np.bool_] | None:
    """Find map voxels of which more is CSF than may be; None where any share may be.

    Parameters
    ----------
    weights, rows, purity
        As for :func:`keep_rows`.
    """
    if purity.most_csf >= 1:
        return None
    fluid = [i for i in _of_tissue(rows) if rows[i]["index"] in FLUID and rows[i]["tissue"] == ALL]
    return holds_more(weights, fluid, purity.most_csf)


def _of_tissue(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    return [i for i, row in enumerate(rows) if row["seg"] == TISSUE]


def keep_sides(
    weights: CoverageWeights,
    regions: Sequence[TableRegion],
    fluid: CoverageWeights | None,
    purity: Purity,
) -> CoverageWeights:
    """Apply a guard to regions of one side, or to the places opposite to them.

    Parameters
    ----------
    weights
        A place per region.
    regions
        The regions.
    fluid
        What :func:`fluid_rows` cover; None where nothing is left out.
    purity
        The guard.
    """
    if not purity.acts or fluid is None:
        return weights
    too_wet = None
    if purity.most_csf < 1:
        too_wet = holds_more(fluid, range(fluid.index.size), purity.most_csf)
    exempt = [i for i, region in enumerate(regions) if is_fluid(region)]
    return keep_pure(weights, purity.least, too_wet, exempt)


def impure_share(weights: Coverage, kept: Coverage, place: int) -> float:
    """Return the share of a region's volume that a guard left out, whatever the map holds there.

    Parameters
    ----------
    weights, kept
        Before and after the guard.
    place
        The region's, from 0 on.
    """
    volume = float(weights.volume_mm3[place])
    if kept is weights or not volume:
        return 0.0
    lost = _covered_voxels(weights, place) - _covered_voxels(kept, place)
    return round(max(0.0, lost * weights.map_voxel_mm3 / volume), 9)


def _covered_voxels(weights: Coverage, place: int) -> float:
    begins, _, fractions = weights.by_region
    return float(fractions[begins[place] : begins[place + 1]].sum())
