"""The step that samples maps: in regions, around lesions, in opposite places, in each lesion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.coverage import coverage_of_each
from wmhflow.core.measure.zeros import AUTO
from wmhflow.core.space.grids import Grid3D
from wmhflow.steps.kinds import Facts, LabelImage, Rows, Table, step
from wmhflow.steps.lesion_maps import lesion_rows
from wmhflow.steps.map_borders import map_border_facts
from wmhflow.steps.measures import Around, MapOptions, load_maps, region_samples
from wmhflow.steps.mirror import opposite_rows
from wmhflow.steps.partition import as_partition, as_regions
from wmhflow.steps.purity import NO_GUARD, Purity
from wmhflow.steps.surroundings import strata_around


class SampledMaps(NamedTuple):
    """Rows of the tables of maps, of penumbrae, of curves, of opposites and of lesions.

    And counts for the QC table.
    """

    rows: Rows
    penumbra: Rows
    curves: Rows
    opposites: Rows
    lesions: Rows
    facts: Facts


@step(mem_gb=1.5, seconds=10.0)
def sample_maps(
    maps: list[Path],
    options: list[MapOptions],
    labels: LabelImage,
    columns: Table,
    regions: Rows,
    distance: Grid3D,
    own: LabelImage,
    opposite: LabelImage,
    lesions: LabelImage,
    lesion_opposites: LabelImage,
    tissue: LabelImage,
    n_shells: int,
    seed: int,
    transform: Path | None = None,
    zeros: str = AUTO,
    trust: str | None = None,
    purity: Purity = NO_GUARD,
    without: Sequence[str] = (),
) -> SampledMaps:
    """Sample maps that share a grid wherever they are sampled, in their own grid.

    Maps are read once, and their voxels cut once by the borders of all label images together.

    Parameters
    ----------
    maps, options
        Maps on one grid, and what is known of each.
    labels, columns, regions
        The finest partition, and the tables' regions.
    distance
        From the lesion edge in mm, negative inside.
    own, opposite
        The partition without the lesions of either side, and its mirror image without them.
    lesions, lesion_opposites
        seg-lesions, and what lies opposite to each.
    tissue
        seg-tissue.
    n_shells
        Of the outer shells.
    seed
        Of the draws for intervals.
    transform
        From the maps to the reference, ITK; None where the headers agree.
    zeros
        What zeros are: ``auto``, ``data`` or ``missing``.
    trust
        The form of their headers that is believed, ``sform`` or ``qform``.
    purity
        Which map voxels count for a region.
    without
        Names of maps that cannot be used: their samples are n/a.
    """
    found, every = as_partition(labels, columns), as_regions(regions)
    sides = [as_partition(part, columns) for part in (own, opposite)]
    strata = strata_around(found, distance, n_shells)
    loaded = load_maps(maps, options, transform, zeros, trust, without)
    shape = next(iter(loaded.maps.values()))[0].shape
    images: list[NDArray[np.integer]] = [found.labels, strata.labels]
    images += [*(side.labels for side in sides), lesions.data, lesion_opposites.data]
    covered = coverage_of_each(images, labels.affine, shape, loaded.affine)
    count = int(lesions.data.max(initial=0))
    opposites = opposite_rows(options, loaded, sides, covered[2:4], every, purity)
    in_lesions = lesion_rows(options, loaded, count, covered[4:], tissue, purity)
    placed = map_border_facts(maps, options, loaded, tissue)
    # regions need most memory: what the others needed is let go before, and coverage is handed over
    del images, sides, covered[2:]
    around = Around(strata, covered.pop(), seed)
    sampled = region_samples(maps, options, loaded, found, every, covered.pop(), around, purity)
    facts = sampled.facts | placed
    return SampledMaps(sampled.rows, sampled.penumbra, sampled.curves, opposites, in_lesions, facts)
