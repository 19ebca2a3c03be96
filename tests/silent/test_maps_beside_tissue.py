"""A map that lies a voxel beside the tissues in which it is sampled."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.silent.test_parcellation_place import AFFINE, SHAPE, folded
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.measure.zeros import NoData
from wmhflow.labels.digits import CORTEX, WHITE_MATTER
from wmhflow.registries.quality import find_measure
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.map_borders import map_border_facts
from wmhflow.steps.measures import LoadedMaps, MapOptions
from wmhflow.steps.shifts import MOST_BORDER_MM

# white matter, cortex, and what is beyond it; noise
QUANTITIES = {
    "FA": (0.45, 0.15, 0.05, 0.06),
    "MD": (7.5e-4, 8.5e-4, 3e-3, 6e-5),
    "T1map": (0.85, 1.35, 4.0, 0.08),
    "MTR": (0.42, 0.32, 0.05, 0.03),
}
# voxels of the map, mm, and how it is turned, degrees
GRIDS = {
    "its own grid": ((1, 1, 1), (0, 0, 0)),
    "2 mm": ((2, 2, 2), (0, 0, 0)),
    "slices, turned": ((1.5, 1.5, 2.5), (6, -4, 9)),
}
# how the map is moved in the world, mm
MOVES = {
    "right": ((0, 0, 0), ""),
    "half a millimetre": ((0, 0.55, 0), ""),
    "to the right": ((1.5, 0, 0), "1.5 mm left"),
    "back": ((0, -2, 0), "2.0 mm forward"),
    "up": ((0, 0, 2), "2.0 mm down"),
}


@cache
def tissue() -> LabelImage:
    codes = folded()
    white = np.isin(codes, (2, 41))
    classes = np.select([white, codes > 0], [WHITE_MATTER, CORTEX], 0)
    return LabelImage(classes.astype(np.uint8), AFFINE)


def mapped(name: str, grid: str, moved_mm: Any) -> tuple[Any, Any]:
    """Measure a quantity on a grid of its own, whose header is moved; return it and its affine."""
    white, cortex, beyond, noise = QUANTITIES[name]
    classes = tissue().data
    plain = np.select([classes == WHITE_MATTER, classes == CORTEX], [white, cortex], beyond)
    sizes, turned = GRIDS[grid]
    soft = ndimage.gaussian_filter(plain, [0.4 * size for size in np.abs(sizes)])
    shape = np.ceil(np.array(SHAPE) / sizes).astype(int) + 4
    affine = AFFINE @ rigid_matrix((*turned, 0, 0, 0), (np.array(SHAPE) - 1) / 2)
    affine = affine @ np.diag([*sizes, 1])
    # the middle of the grid is that of the head
    middle = (AFFINE @ [*(np.array(SHAPE) - 1) / 2, 1])[:3]
    affine[:3, 3] = middle - affine[:3, :3] @ ((shape - 1) / 2)
    to_head = np.linalg.inv(AFFINE) @ affine
    values = ndimage.affine_transform(
        soft, to_head[:3, :3], to_head[:3, 3], tuple(shape), order=1, cval=beyond
    )
    values += np.random.default_rng(3).normal(0, noise, values.shape)
    affine[:3, 3] += moved_mm
    return values, affine


def told(name: str, values: Any, valid: Any, affine: Any) -> float | None:
    nothing = np.zeros(values.shape, dtype=bool)
    loaded = LoadedMaps({name: (values, valid)}, affine, {name: NoData(nothing, nothing, {})})
    options = [MapOptions(name, "1", -np.inf, np.inf)]
    facts = map_border_facts([Path(f"{name}.nii.gz")], options, loaded, tissue())
    found: float | None = facts[f"map_{name}_border_apart_mm"]
    return found


# each quantity on each grid where it is, and moved in one of the ways
CASES = [
    (name, grid, move)
    for number, (name, grid) in enumerate(product(QUANTITIES, GRIDS))
    for move in ("right", list(MOVES)[1 + number % (len(MOVES) - 1)])
]


@pytest.mark.parametrize(("name", "grid", "move"), CASES)
def test_how_far_it_lies_beside_is_told_and_said(
    name: str, grid: str, move: str, caplog: Any
) -> None:
    """Below 2.5 mm nothing had told it, and shells are 2 mm wide."""
    moved_mm, way = MOVES[move]
    values, affine = mapped(name, grid, moved_mm)
    found = told(name, values, np.isfinite(values), affine)
    by_mm = float(np.linalg.norm(moved_mm))
    # less than a quarter of a voxel is none: half a millimetre across slices of 2.5 mm
    by_mm = by_mm if by_mm >= max(GRIDS[grid][0]) / 4 else 0
    assert found == pytest.approx(by_mm, abs=0.1)
    assert (f"{name}.nii.gz lies" in caplog.text) == bool(way)
    # to a tenth or two
    numbers = way.split(" ", 1)[1:]
    assert all(words in caplog.text for words in numbers)
    measure = find_measure(f"map_{name}_border_apart_mm")
    assert measure is not None
    assert measure.high == MOST_BORDER_MM


def test_a_map_of_half_of_the_brain_is_judged_by_that_half() -> None:
    values, affine = mapped("FA", "2 mm", (0, 0, 2))
    valid = np.ones(values.shape, dtype=bool)
    valid[: values.shape[0] // 2] = False
    assert told("FA", values, valid, affine) == pytest.approx(2, abs=0.1)


def test_a_smooth_map_still_tells() -> None:
    values, affine = mapped("FA", "2 mm", (0, 0, 2))
    values = ndimage.gaussian_filter(values, 1.5)
    assert told("FA", values, np.isfinite(values), affine) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("factor", [1e-12, 1e160])
def test_the_unit_does_not_matter(factor: float) -> None:
    values, affine = mapped("FA", "2 mm", (0, 0, 2))
    values = factor * values
    assert told("FA", values, np.isfinite(values), affine) == pytest.approx(2, abs=0.1)


def across(values: Any, axis: int) -> Any:
    """Run from -1 to 1 along an axis."""
    shape = [-1 if one == axis else 1 for one in range(3)]
    return np.linspace(-1, 1, values.shape[axis]).reshape(shape)


NO_FAULT_OF_PLACE: dict[str, Any] = {
    "a coil nearer to one side": lambda values: values * (1 + 0.3 * across(values, 0)),
    "a coil above": lambda values: values * (1 + 0.3 * across(values, 2)),
    "one half a fifth lower": lambda values: values * np.where(across(values, 0) < 0, 0.8, 1),
    "single values far off": lambda values: np.where(
        np.random.default_rng(5).random(values.shape) < 0.005, 50 * values, values
    ),
}


@pytest.mark.parametrize("name", ["FA", "T1map"])
@pytest.mark.parametrize("kind", NO_FAULT_OF_PLACE)
def test_what_is_no_fault_of_place_is_not_taken_for_one(name: str, kind: str, caplog: Any) -> None:
    values, affine = mapped(name, "2 mm", (0, 0, 0))
    values = NO_FAULT_OF_PLACE[kind](values)
    found = told(name, values, np.isfinite(values), affine)
    assert found is not None
    assert found <= MOST_BORDER_MM
    assert caplog.text == ""


NOTHING: dict[str, Any] = {
    "no value anywhere": lambda values: np.full_like(values, np.nan),
    "the same everywhere": np.ones_like,
    "zeros": np.zeros_like,
    "noise": lambda values: np.random.default_rng(1).normal(0, 1, values.shape),
    "values in a corner": lambda values: np.where(
        np.indices(values.shape).max(axis=0) < 9, values, np.nan
    ),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_nothing_is_told_where_the_border_does_not_show(kind: str, caplog: Any) -> None:
    values, affine = mapped("FA", "2 mm", (0, 0, 0))
    values = NOTHING[kind](values)
    assert told("FA", values, np.isfinite(values), affine) is None
    assert caplog.text == ""


@pytest.mark.parametrize("far_mm", [40, 400])
def test_a_map_that_lies_elsewhere_altogether_is_no_error(far_mm: float) -> None:
    values, affine = mapped("FA", "2 mm", (far_mm, 0, 0))
    found = told("FA", values, np.isfinite(values), affine)
    assert found is None or found > MOST_BORDER_MM
