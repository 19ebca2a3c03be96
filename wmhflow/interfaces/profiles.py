"""The interface that summarises how each map changes with the distance from the lesions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.core.measure.penumbra import fit_penumbra
from wmhflow.core.measure.profiles import profile
from wmhflow.interfaces._files import load_json, save_json
from wmhflow.labels.regions import leaves_of, load_regions
from wmhflow.products.rows import REST

CLASSES = {"all": 0, "PV": 100, "deep": 200}
OUTER_TISSUE, INNER_TISSUE = "NAWM", "WMH"


class _ProfilesInput(BaseInterfaceInputSpec):
    rows = InputMultiObject(File(exists=True), mandatory=True, desc="rows of every group of maps")
    names = traits.List(traits.Str, mandatory=True, desc="all maps, in registry order")
    distances = File(exists=True, mandatory=True, desc="voxels and sum of distances per shell")
    width_mm = traits.Float(mandatory=True)
    n_shells = traits.Int(mandatory=True)


class _ProfilesOutput(TraitedSpec):
    maps = File(exists=True, desc="rows of all maps, in registry order")
    profiles = File(exists=True, desc="rows of the profiles")
    penumbra = File(exists=True, desc="rows of the penumbra table")


class Profiles(SimpleInterface):
    """Arrange every map over the shells of every lesion class."""

    input_spec = _ProfilesInput
    output_spec = _ProfilesOutput

    def _run_interface(self, runtime: Any) -> Any:
        gathered = [row for path in self.inputs.rows for row in load_json(path)]
        table = [row for name in self.inputs.names for row in gathered if row["map"] == name]
        sums = {int(label): pair for label, pair in load_json(self.inputs.distances).items()}
        profiles, penumbra = [], []
        for name in self.inputs.names:
            for lesion_class in CLASSES:
                rows = self._rows(table, name, lesion_class, sums)
                profiles += rows
                penumbra.append({"map": name, "lesion_class": lesion_class} | fitted_penumbra(rows))
        self._results["maps"] = save_json(runtime.cwd, "maps", table)
        self._results["profiles"] = save_json(runtime.cwd, "profiles", profiles)
        self._results["penumbra"] = save_json(runtime.cwd, "penumbra", penumbra)
        return runtime

    def _rows(
        self,
        table: list[dict[str, Any]],
        name: str,
        lesion_class: str,
        sums: dict[int, list[float]],
    ) -> list[dict[str, Any]]:
        base = CLASSES[lesion_class]
        statistics = _statistics(table, name, base)
        deepest = max((i - base for i in statistics["index"]), default=0)
        ordinals = [
            *range(deepest, REST, -1),
            *range(1, self.inputs.n_shells + 1),
            REST,
        ]
        labels = [base + ordinal for ordinal in ordinals]
        leaves = leaves_of(load_regions("shells"))
        distances = [mean_distance(sums, leaves[label]) for label in labels]
        found = profile(statistics, labels, base + REST, distances)
        return [
            {"map": name, "lesion_class": lesion_class}
            | shell_edges(ordinal, self.inputs.width_mm, self.inputs.n_shells)
            | {key: float(values[i]) for key, values in found.items() if key != "shell"}
            for i, ordinal in enumerate(ordinals)
        ]


def _statistics(table: list[dict[str, Any]], name: str, base: int) -> dict[str, Any]:
    """Pick the rows of one class's shells, both sides together, in the shells' own tissue."""
    rows = [
        row
        for row in table
        if (row["map"], row["seg"]) == (name, "shells")
        and 0 < row["index"] - base < 100
        and row["tissue"] == (OUTER_TISSUE if row["index"] % 100 <= REST else INNER_TISSUE)
    ]
    keys = ("index", "n_effective", "mean", "sd", "median")
    return {key: np.array([row[key] for row in rows]) for key in keys}


def fitted_penumbra(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fit the width of the penumbra to the rows of one profile; inner shells take no part."""
    outer = [row for row in rows if row["shell"] != "rest" and row["distance_lo"] >= 0]
    rest = next(row for row in rows if row["shell"] == "rest")
    with_data = [row for row in outer if np.isfinite(row["mean"])]
    columns = ("distance_mean", "mean", "n_effective", "sd")
    found = fit_penumbra(
        *(np.array([row[name] for row in with_data], dtype=np.float64) for name in columns),
        plateau_mean=rest["mean"],
        plateau_n_effective=rest["n_effective"],
        plateau_sd=rest["sd"],
    )
    return dataclasses.asdict(found)


def shell_edges(ordinal: int, width_mm: float, n_shells: int) -> dict[str, Any]:
    """Name a shell and give its edges in mm: inner shells have negative distances.

    Examples
    --------
    >>> shell_edges(1, 2.0, 7)
    {'shell': '1', 'distance_lo': 0.0, 'distance_hi': 2.0}
    >>> shell_edges(51, 2.0, 7)
    {'shell': '-1', 'distance_lo': -2.0, 'distance_hi': 0.0}
    """
    if ordinal == REST:
        edges: tuple[str, float, float | None] = ("rest", n_shells * width_mm, None)
    elif ordinal < REST:
        edges = (str(ordinal), (ordinal - 1) * width_mm, ordinal * width_mm)
    else:
        inner = ordinal - REST
        edges = (str(-inner), -inner * width_mm, (1 - inner) * width_mm)
    return dict(zip(("shell", "distance_lo", "distance_hi"), edges, strict=True))


def mean_distance(sums: dict[int, list[float]], leaves: tuple[int, ...]) -> float:
    """Return the mean distance of a union of shells from each one's count and sum."""
    present = [sums[leaf] for leaf in leaves if leaf in sums]
    count = sum(pair[0] for pair in present)
    return sum(pair[1] for pair in present) / count if count else float("nan")
