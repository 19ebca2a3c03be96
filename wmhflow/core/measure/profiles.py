"""Profiles: how a map changes with the distance from the lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SUMMARIES = ("mean", "sd", "median")


def profile(
    statistics: Mapping[str, ArrayLike],
    shells: Sequence[int],
    rest: int,
    distance_mean: ArrayLike | None = None,
) -> dict[str, NDArray[Any]]:
    """Arrange a map's statistics over shells, against the tissue beyond the last of them.

    Parameters
    ----------
    statistics : mapping of names to (R,) arrays
        As `wmhflow.core.measure.statistics.region_statistics` gives them: ``index``,
        ``n_effective``, ``mean``, ``sd`` and ``median`` are used.
    shells : sequence of n ints
        Labels of the shells, in the order wanted.
    rest : int
        Label of the reference: the tissue beyond the last shell.
    distance_mean : (n,) array, optional
        Mean distance of each shell's voxels from the lesion in mm.

    Returns
    -------
    dict of (n,) arrays
        ``shell`` (the label), ``distance_mean``, ``n_effective``, ``mean``, ``sd``, ``median``,
        ``reference_mean`` (the same in every row) and ``difference``, mean minus reference. A
        shell that `statistics` does not have is empty: NaN. Without a reference the last two are
        NaN.

    Raises
    ------
    ValueError
        If `statistics` names a region twice, or `distance_mean` has another length than `shells`.
    KeyError
        If `statistics` lacks one of the arrays.

    Examples
    --------
    >>> statistics = {
    ...     "index": [1101, 1102, 1150],
    ...     "n_effective": [9, 8, 99],
    ...     "mean": [3.0, 2.0, 1.0],
    ...     "sd": [1, 1, 1],
    ...     "median": [3, 2, 1],
    ... }
    >>> profile(statistics, [1101, 1102, 1103], 1150)["difference"]
    array([ 2.,  1., nan])
    """
    index = np.asarray(statistics["index"], dtype=np.int64)
    rows = {int(label): row for row, label in enumerate(index)}
    if len(rows) != index.size:
        raise ValueError("statistics names a region twice")

    def column(name: str, labels: Sequence[int]) -> NDArray[np.float64]:
        values = np.append(np.asarray(statistics[name], dtype=np.float64), np.nan)
        return values[[rows.get(int(label), -1) for label in labels]]

    distances = np.full(len(shells), np.nan) if distance_mean is None else np.array(distance_mean)
    if distances.shape != (len(shells),):
        raise ValueError(f"distance_mean has shape {distances.shape} for {len(shells)} shells")
    summaries = {name: column(name, shells) for name in SUMMARIES}
    reference = np.full(len(shells), column("mean", [rest])[0])
    return {
        "shell": np.array(shells, dtype=np.int64),
        "distance_mean": distances.astype(np.float64),
        "n_effective": column("n_effective", shells),
        **summaries,
        "reference_mean": reference,
        "difference": summaries["mean"] - reference,
    }
