"""What maps show around lesions: independent samples, the penumbra, and the curve of distance."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.coverage import Coverage
from wmhflow.core.measure.curves import smooth_curve
from wmhflow.core.measure.independence import gather_cells, independent_samples, pair_shares
from wmhflow.core.measure.penumbra import FEWEST_SHELLS, Penumbra, fit_shells
from wmhflow.core.measure.surroundings import (
    FEWEST_BLOCKS,
    MapSums,
    ShellMeans,
    Strata,
    Surroundings,
    bin_means,
    shell_means,
    strata_of,
    sum_map,
)
from wmhflow.core.regions.partition import IN_NAWM, Partition
from wmhflow.core.space.grids import Grid3D
from wmhflow.labels.digits import (
    DEEP_LESIONS,
    LESION_CLASSES,
    PERIVENTRICULAR_LESIONS,
    REST,
    shell_class,
    shell_ordinal,
)

CLASSES = {
    "all": (PERIVENTRICULAR_LESIONS, DEEP_LESIONS),
    "PV": (PERIVENTRICULAR_LESIONS,),
    "deep": (DEEP_LESIONS,),
}
IN_SHELLS = "shells"


class Found(NamedTuple):
    """What one map shows around lesions: rows of two tables, and samples of every region."""

    penumbra: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    samples: NDArray[np.float64]


class AroundLesions:
    """What lies around lesions on the grid of some maps, and pairs of voxels of every region.

    Parameters
    ----------
    around
        What lies around lesions.
    weights
        What every region of the table covers on the maps' grid.
    map_affine
        Map voxel to the partition's world mm.
    """

    def __init__(
        self, around: Surroundings, weights: Coverage, map_affine: NDArray[np.float64]
    ) -> None:
        self.around = around
        self.shares = pair_shares(weights, gather_cells(weights, map_affine))
        # found now, and not by each of the threads that look at maps
        _ = around.entries, around.pairs

    def look_at(
        self, name: str, values: Any, valid: Any, n_valid: NDArray[np.float64], seed: int
    ) -> Found:
        """Look at one map.

        Parameters
        ----------
        name
            Of the map.
        values, valid
            The map, and where it counts.
        n_valid
            Kish's effective number of voxels of every region of the table.
        seed
            Of the draws for intervals.
        """
        sums = sum_map(values, valid, self.around)
        shells = {key: shell_means(sums, self.around, part) for key, part in CLASSES.items()}
        alike = sums.correlation * shells["all"].excess
        penumbra, curves = [], []
        for key, means in shells.items():
            head = {"map": name, "lesion_class": key}
            fitted = _fitted(self.around, means, seed)
            penumbra.append(head | dataclasses.asdict(fitted))
            curves += [head | row for row in _curve(sums, self.around, key, means)]
        with np.errstate(divide="ignore"):
            every = 1 / self.shares[:, 0]
        return Found(penumbra, curves, independent_samples(self.shares, alike, every, n_valid))


def strata_around(found: Partition, distance: Grid3D, n_shells: int) -> Strata:
    """Divide what lies around lesions by shell and by fine distance.

    Parameters
    ----------
    found
        The finest partition; its shells are looked at.
    distance
        From the lesion edge in mm, negative inside, on the partition's grid.
    n_shells
        Of the outer shells.
    """
    shell, lesion_class = _numbered(found, n_shells)
    return strata_of(
        shell[found.labels],
        lesion_class[found.labels],
        distance.data,
        (n_shells + 1, len(LESION_CLASSES)),
    )


def _numbered(found: Partition, n_shells: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return shell and lesion class by the partition's number; without lesions NAWM is far off."""
    labels = found.columns[IN_SHELLS]
    ordinal = shell_ordinal(labels)
    shell = np.select(
        [ordinal == 0, ordinal < REST, ordinal == REST], [0, ordinal, n_shells + 1], -1
    )
    shell = np.where((ordinal == 0) & (found.columns[IN_NAWM] == 1), n_shells + 1, shell)
    nowhere = np.zeros(1, dtype=np.int16)
    return (
        np.concatenate([nowhere, shell.astype(np.int16)]),
        np.concatenate([nowhere, shell_class(labels).astype(np.int16)]),
    )


def _fitted(around: Surroundings, means: ShellMeans, seed: int) -> Penumbra:
    """Fit the width, unless shells hold too few independent samples to say how sure it is."""
    with_data = np.isfinite(means.mean)
    enough_shells = with_data[-1] and np.count_nonzero(with_data[:-1]) >= FEWEST_SHELLS
    if enough_shells and means.n_blocks < FEWEST_BLOCKS:
        reason = (
            f"too few independent samples: the shells lie in {means.n_blocks} blocks of 16 mm, "
            f"{FEWEST_BLOCKS} are needed"
        )
        return Penumbra(plateau=float(means.mean[-1]), reason=reason)
    composition = np.nan_to_num(means.composition)
    return fit_shells(around.distance_mm, means.mean, means.covariance, composition, seed=seed)


def _curve(
    sums: MapSums, around: Surroundings, key: str, means: ShellMeans
) -> list[dict[str, Any]]:
    """Make the rows of one curve: smoothed outside lesions, where bins follow each other."""
    bins = bin_means(sums, around, CLASSES[key], means)
    outside = np.flatnonzero(around.bin_edges[:-1] >= 0)
    curve = smooth_curve(bins.mean[outside], bins.covariance[np.ix_(outside, outside)])
    columns = {name: np.full(around.n_bins, np.nan) for name in ("curve", "curve_lo", "curve_hi")}
    for column, part in zip(columns.values(), curve, strict=True):
        column[outside] = part
    columns = {"distance_mean": bins.distance_mm, "mean": bins.mean} | columns
    return [
        {"distance_lo": float(low), "distance_hi": float(high)}
        | {name: float(column[i]) for name, column in columns.items()}
        for i, (low, high) in enumerate(pairwise(around.bin_edges))
    ]
