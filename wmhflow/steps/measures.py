"""Steps that fill the rows of the tables: volumes, load, samples of maps, profiles, quality."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.threads import over_items
from wmhflow.core.measure.coverage import (
    Coverage,
    CoverageWeights,
    merge_regions,
    union_entries,
)
from wmhflow.core.measure.load import load_curve
from wmhflow.core.measure.mirror import asymmetry_index
from wmhflow.core.measure.profiles import profile
from wmhflow.core.measure.regional import (
    covered_share,
    covered_voxels,
    distinct_rows,
    membership_of,
    region_volumes,
    statistics_of,
)
from wmhflow.core.measure.surroundings import Strata, surroundings_on
from wmhflow.core.measure.zeros import AUTO, DATA, NoData, find_no_data, holds_data
from wmhflow.core.regions.lesions import lesion_centres
from wmhflow.core.regions.partition import ALL, IN_NAWM, IN_WMH, TISSUES, Partition, Row
from wmhflow.core.space.geometry import voxel_mm3
from wmhflow.core.space.grids import Grid3D
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_volume, read_header
from wmhflow.files.itk import read_itk_affine
from wmhflow.labels.digits import (
    ALL_LESIONS,
    BOTH,
    DEEP_LESIONS,
    LEFT,
    PERIVENTRICULAR_LESIONS,
    REST,
    RIGHT,
    VENTRICLES,
    WHITE_MATTER,
    WHITE_OR_WMH,
    WMH,
    class_of,
    shell_class,
    shell_label,
    shell_leaves,
    shell_ordinal,
    shell_side,
    side_of,
)
from wmhflow.labels.edges import interval_mm
from wmhflow.labels.rows import TableRegion
from wmhflow.registries.quality import find_measure
from wmhflow.steps.eigenvalues import EIGENVALUES, FA, eigenvalue_facts
from wmhflow.steps.ends import end_facts
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, Rows, Table, step
from wmhflow.steps.partition import as_partition, as_regions
from wmhflow.steps.purity import NO_GUARD, Purity, impure_share, keep_rows, wet_voxels
from wmhflow.steps.relations import Applied, contradictions, tissue_facts
from wmhflow.steps.surroundings import AroundLesions, Found
from wmhflow.steps.units import fluid_facts, free_water_facts, unit_facts

DEPTH_BINS, MM_PER_BIN, MM_BINS = 20, 1.0, 40
CLASSES = {"all": ALL_LESIONS, "PV": PERIVENTRICULAR_LESIONS, "deep": DEEP_LESIONS}
OUTER_TISSUE, INNER_TISSUE = "NAWM", "WMH"
# rows of seg-tissue, both sides together, that tell how much of the tissues of interest a map sees
WHITE = {
    "white_matter": ("tissue", WHITE_MATTER, ALL),
    "WMH": ("tissue", WMH, IN_WMH),
    "NAWM": ("tissue", WHITE_MATTER, IN_NAWM),
}
FLUID = ("tissue", VENTRICLES, ALL)
# From this volume of WMH on their asymmetry is judged; below, where so many lesions are all on one
# side, as chance leaves them in 8 of 1000 persons (2 × 0.5^8).
LEAST_ASYMMETRIC_MM3 = 5000.0
LEAST_ON_ONE_SIDE = 8
# From this volume of WMH in cerebellum and brain stem on their share is judged: so much is found
# and not drawn, or drawn and not found, even in people with few lesions.
LEAST_INFRATENTORIAL_MM3 = 500.0
# Below this volume of computed WMH it is not judged where they lie and how bright they are: so
# little is as much as nothing, and a few voxels lie anywhere. A given mask may be shifted, however
# small.
LEAST_COMPUTED_MM3 = 500.0
OF_PLACE = {
    "wmh_outside_white_matter",
    "wmh_in_ventricles",
    "wmh_flair_contrast",
    "wmh_cavity_rim_share",
}
# Measured where WMH are computed.
OF_COMPUTED = "wmh_expected_dice"
# Counted where a parcellation was given.
OF_PARCELLATION = "parcellation_unknown_voxels"
# A map's range reaches further below 0 than this share of what it reaches above where both signs
# mean something; where it reaches less far, what lies below 0 is noise.
NOISE_SHARE = 0.5
# Voxels at the brain's edge are often outside a map's mask. From this share of NAWM on it is said.
SAID_SHARE = 0.01
WHY_NO_DATA = {
    "planes": "in planes of nothing else",
    "outside": "outside the map's mask",
    "failures": "where other maps of the fit tell that it failed",
    "holes": "in holes of the map",
    "all": "all zeros (--zeros missing)",
}
log = logging.getLogger("wmhflow")


class Volumes(NamedTuple):
    """Rows of the table of volumes, and measures for the QC table."""

    rows: Rows
    facts: Facts


@step(mem_gb=1.0)
def measure_volumes(
    labels: LabelImage, columns: Table, regions: Rows, lesions: LabelImage, intracranial: MaskImage
) -> Volumes:
    """Measure every region and the lesions in it.

    Parameters
    ----------
    labels, columns, regions
        The finest partition, and the tables' regions.
    lesions
        seg-lesions.
    intracranial
        What lies within the skull.
    """
    found, affine = as_partition(labels, columns), labels.affine
    described = as_regions(regions)
    rows = [Row(region.terms) for region in described]
    centres = lesion_centres(lesions.data, affine)
    measured = region_volumes(found, rows, lesions.data, centres, voxel_mm3(affine))
    whole = float(intracranial.data.sum() * voxel_mm3(affine))
    table = [
        region.described | values | _normalised(values, whole)
        for region, values in zip(described, measured, strict=True)
    ]
    return Volumes(table, {"intracranial_volume_mm3": whole})


def _normalised(values: dict[str, float], whole_mm3: float) -> dict[str, float]:
    """Divide the volumes by the intracranial volume."""
    return {
        name.replace("mm3", "icv"): values[name] / whole_mm3 if whole_mm3 else math.nan
        for name in ("volume_mm3", "wmh_volume_mm3")
    }


class Load(NamedTuple):
    """Rows of the table of load."""

    table: Rows


@step(mem_gb=2.0)
def measure_load(
    tissue: LabelImage,
    wmh: MaskImage,
    depth: Grid3D,
    ventricle_distance: Grid3D,
    cortex_distance: Grid3D,
) -> Load:
    """Measure which share of white matter is hyperintense, by depth and by distance in mm.

    Parameters
    ----------
    tissue, wmh
        seg-tissue, and lesions.
    depth, ventricle_distance, cortex_distance
        0 to 1, and in mm.
    """
    white = np.isin(class_of(tissue.data), WHITE_OR_WMH)
    # only white matter is looked at, nine times: as volumes of one voxel along two axes
    sides, lesion = (_lined_up(image, white) for image in (side_of(tissue.data), wmh.data))
    depth_edges = np.arange(DEPTH_BINS + 1) / DEPTH_BINS
    mm_edges = [*(np.arange(MM_BINS + 1) * MM_PER_BIN).tolist(), np.inf]
    rows: list[dict[str, Any]] = []
    for axis, position, edges in (
        ("depth", depth.data, depth_edges.tolist()),
        ("ventricle_mm", ventricle_distance.data, mm_edges),
        ("cortex_mm", cortex_distance.data, mm_edges),
    ):
        place = _lined_up(position, white)
        for hemisphere, wanted in (("B", (LEFT, RIGHT)), ("L", (LEFT,)), ("R", (RIGHT,))):
            here = np.isin(sides, wanted)
            curve = load_curve(place, here, lesion & here, edges, voxel_mm3(tissue.affine))
            rows += _curve_rows(axis, hemisphere, edges, curve)
    return Load(rows)


def _lined_up(image: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    return image[mask][:, None, None]


def _curve_rows(
    axis: str, hemisphere: str, edges: Sequence[float], curve: Mapping[str, Any]
) -> list[dict[str, Any]]:
    return [
        {
            "axis": axis,
            "lo": low,
            "hi": high if np.isfinite(high) else None,
            "hemisphere": hemisphere,
            **{name: float(values[i]) for name, values in curve.items()},
        }
        for i, (low, high) in enumerate(pairwise(edges))
    ]


@dataclasses.dataclass(frozen=True)
class MapOptions:
    """What the program knows of a map: its name, its unit, and the range of its values.

    ``can_be_zero`` says that methods give exactly 0 in tissue. Maps of one ``fit`` were made
    together, and tell of each other where there are no data; an empty one is no fit. The file's
    values times ``factor`` are in ``unit``, in which white matter is typically ``plausible``.
    ``arbitrary_zero`` says that only differences mean something. ``in_fluid`` says whether it is
    lower or higher in fluid than in white matter, and ``free_water`` its value in free water.
    ``writes_nan`` says that the map was computed here, by a step that writes NaN where nothing is
    known: then 0 is always a measurement.
    """

    name: str
    unit: str
    low: float
    high: float
    can_be_zero: bool = False
    fit: str = ""
    factor: float = 1.0
    plausible: tuple[float, float] | None = None
    arbitrary_zero: bool = False
    in_fluid: str | None = None
    free_water: float | None = None
    writes_nan: bool = False


class LoadedMaps(NamedTuple):
    """Maps on one grid: values and mask of what is valid, by name, and where zeros are no data.

    ``affine`` leads from the maps' voxels to the reference's world.
    """

    maps: dict[str, Any]
    affine: Any
    no_data: dict[str, NoData]


def load_maps(
    files: Sequence[Path],
    options: Sequence[MapOptions],
    transform: Path | None,
    zeros: str = AUTO,
    trust: str | None = None,
    without: Sequence[str] = (),
) -> LoadedMaps:
    """Load maps on one grid and what is valid of each, and their affine.

    Parameters
    ----------
    files, options
        The maps.
    transform
        From the maps to the reference, ITK; None where the headers agree. One of NaN leads nowhere,
        and none of the maps has values then.
    zeros
        What zeros are: ``auto``, ``data`` or ``missing``.
    trust
        The form of their headers that is believed, ``sform`` or ``qform``.
    without
        Names of maps that cannot be used: they are NaN everywhere.
    """
    to_maps = np.eye(4) if transform is None else read_itk_affine(transform)
    # nothing showed where they lie
    nowhere = not np.isfinite(to_maps[:3]).all()
    unusable = {one.name for one in options if nowhere or one.name in without}
    n_voxels = math.prod(read_header(files[0])[0])
    read = over_items(
        lambda pair: _read_map(*pair, trust, is_usable=pair[1].name not in unusable),
        zip(files, options, strict=True),
        n_voxels,
    )
    values = {one.name: data for one, (data, _) in zip(options, read, strict=True)}
    affine = read[-1][1]
    told_by = sorted({name for one in options for name in _sisters(one, options)} - set(without))
    held = over_items(lambda name: holds_data(values[name]), told_by, n_voxels)
    holding = dict(zip(told_by, held, strict=True))

    def judged(one: MapOptions) -> tuple[NoData, Any]:
        told = [holding[name] for name in _sisters(one, options) if name in holding]
        which = DATA if one.writes_nan and zeros == AUTO else zeros
        found = find_no_data(values[one.name], told, can_be_zero=one.can_be_zero, zeros=which)
        if one.factor != 1:
            values[one.name] *= one.factor
        return found, _is_valid(values[one.name], one) & ~found.missing

    each = dict(zip(values, over_items(judged, options, n_voxels), strict=True))
    maps = {name: (values[name], valid) for name, (_, valid) in each.items()}
    if transform is not None and not nowhere:
        affine = np.linalg.inv(to_maps) @ affine
    return LoadedMaps(maps, affine, {name: found for name, (found, _) in each.items()})


def _read_map(
    path: Path, one: MapOptions, trust: str | None, *, is_usable: bool
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """Read a map's values and affine; one that cannot be used is NaN everywhere."""
    if is_usable:
        data, affine = load_volume(path)
        # single precision stays where it is the file's own: half as much to go through
        exact = data.dtype == np.float32 and one.factor == 1
        values = data if exact else np.asarray(data, dtype=np.float64)
    else:
        shape, affine, _ = read_header(path)
        values = np.full(shape, np.nan)
    return values, trusted_affine(path, affine, trust)


def _is_valid(values: Any, one: MapOptions) -> Any:
    # limits in double precision, whatever the values': else they would be rounded to theirs
    low, high = np.float64(one.low), np.float64(one.high)
    return np.isfinite(values) & (values >= low) & (values <= high)


def _sisters(one: MapOptions, options: Sequence[MapOptions]) -> list[str]:
    """Name the other maps of a map's fit that are not 0 in tissue."""
    return [
        other.name
        for other in options
        if one.fit and other.fit == one.fit and other.name != one.name and not other.can_be_zero
    ]


class Around(NamedTuple):
    """What lies around lesions, what it covers of maps, and the seed of draws for intervals."""

    strata: Strata
    weights: CoverageWeights
    seed: int


class Samples(NamedTuple):
    """Rows of the table of maps, of penumbrae and of curves, and counts for the QC table."""

    rows: Rows
    penumbra: Rows
    curves: Rows
    facts: Facts


def region_samples(
    files: Sequence[Path],
    options: Sequence[MapOptions],
    loaded: LoadedMaps,
    found: Partition,
    regions: Sequence[TableRegion],
    weights: CoverageWeights,
    around: Around,
    purity: Purity = NO_GUARD,
) -> Samples:
    """Sample maps that share a grid in every region.

    Parameters
    ----------
    files, options, loaded
        Maps on one grid, what is known of each, and what they hold.
    found, regions
        The finest partition, and the tables' regions.
    weights
        What each number of the partition covers of the maps' grid.
    around
        What lies around lesions, what it covers, and the seed of the draws for intervals.
    purity
        Which map voxels count for a region.
    """
    described = [region.described | {"tissue": tissue} for region in regions for tissue in TISSUES]
    rows = [Row(region.terms, tissue) for region in regions for tissue in TISSUES]
    places = {(row["seg"], row["index"], row["tissue"]): i for i, row in enumerate(described)}
    whole, kept, wet, at = _covered(found, weights, rows, described, purity)
    del weights
    sampled = statistics_of(loaded.maps, kept)
    surroundings = surroundings_on(
        around.strata, around.weights, loaded.affine, least_purity=purity.least, excluded=wet
    )
    near = AroundLesions(surroundings, kept, loaded.affine)
    penumbra, curves = [], []

    def look_at(name: str) -> Found:
        values, valid = loaded.maps[name]
        return near.look_at(name, values, valid, sampled[name]["n_effective"], around.seed)

    shown_of = over_items(look_at, loaded.maps, math.prod(whole.map_shape))
    for name, shown in zip(loaded.maps, shown_of, strict=True):
        penumbra += shown.penumbra
        curves += shown.curves
        sampled[name]["n_effective"] = shown.samples
        sampled[name] = {key: column[at] for key, column in sampled[name].items()}
    cells_of = {name: _as_rows(columns) for name, columns in sampled.items()}
    table = [
        cells | {"map": one.name, "unit": one.unit} | measured
        for one in options
        for cells, measured in zip(described, cells_of[one.name], strict=True)
    ]
    nawm, wmh = (int(at[places[WHITE[name]]]) for name in ("NAWM", "WMH"))
    impure = impure_share(whole, kept, nawm)
    field = _field_of_view(whole, [int(at[places[row]]) for row in WHITE.values()])
    facts = _coverage_facts(loaded.maps, sampled, places, field, impure)
    for path, one in zip(files, options, strict=True):
        median = float(sampled[one.name]["median"][places[WHITE["NAWM"]]])
        facts |= _unit_facts(one, median)
        facts |= _zero_facts(path, one, loaded, whole, (nawm, wmh))
        facts |= _end_facts(path, one, loaded, whole, (nawm, wmh))
        facts |= _fluid_facts(path, one, sampled[one.name], places)
        facts |= tissue_facts(one.name, sampled[one.name], places)
    fitted = fitted_with_fa(options)
    paths = {one.name: path for path, one in zip(files, options, strict=True) if one in fitted}
    facts |= eigenvalue_facts(paths, loaded.maps, *covered_voxels(whole, nawm))
    return Samples(table, penumbra, curves, facts)


def fitted_with_fa(options: Sequence[MapOptions]) -> list[MapOptions]:
    """Choose the maps that one fit gave together with FA, FA among them; nothing without it.

    Parameters
    ----------
    options
        Of maps on one grid.
    """
    fits = {one.fit for one in options if one.name == FA and one.fit}
    found = [one for one in options if one.fit in fits]
    units = {one.unit for one in found if one.name in EIGENVALUES}
    return found if len(units) == 1 else []


def _unit_facts(one: MapOptions, nawm_median: float) -> Facts:
    """Tell a map's unit, and whether NAWM is as white matter is in it."""
    return unit_facts(
        one.name,
        one.factor,
        one.plausible,
        nawm_median,
        can_be_negative=one.low < 0,
        has_either_sign=-one.low >= NOISE_SHARE * one.high,
    )


def _fluid_facts(
    path: Path, one: MapOptions, sampled: Mapping[str, Any], places: Mapping[Any, int]
) -> Facts:
    fluid, nawm = places[FLUID], places[WHITE["NAWM"]]
    medians = float(sampled["median"][fluid]), float(sampled["median"][nawm])
    seen_mm3 = float(sampled["volume_mm3"][fluid] * sampled["coverage"][fluid])
    called = one.name, one.unit
    of_free = free_water_facts(path, called, one.free_water, medians[0], seen_mm3)
    return fluid_facts(path, called, one.in_fluid, medians, seen_mm3) | of_free


def _covered(
    found: Partition,
    weights: CoverageWeights,
    rows: Sequence[Row],
    described: Sequence[Mapping[str, Any]],
    purity: Purity,
) -> tuple[Coverage, Coverage, NDArray[np.bool_] | None, NDArray[np.int64]]:
    """Return what regions cover of the maps' grid, what of it counts, and voxels with much CSF.

    Last comes the place of each row's region among these: equal ones are looked at once.
    """
    if not purity.acts:
        distinct, at = distinct_rows(found, rows)
        entries = union_entries(weights, membership_of(found, distinct))
        return entries, entries, None, at
    whole = merge_regions(weights, membership_of(found, rows))
    wet = wet_voxels(whole, described, purity)
    return whole, keep_rows(whole, described, purity), wet, np.arange(len(rows))


def _zero_facts(
    path: Path, one: MapOptions, loaded: LoadedMaps, weights: Coverage, rows: tuple[int, int]
) -> dict[str, Any]:
    """Tell how many zeros of a map are no data and how many count, and say it of much of NAWM.

    ``rows`` are the places of NAWM and WMH.
    """
    name, nawm = one.name, rows[0]
    found, valid = loaded.no_data[name], loaded.maps[name][1]
    which = "zeros_at_bound" if one.can_be_zero else "zeros_counted"
    lost = covered_share(weights, nawm, found.missing)
    counted, in_wmh = (covered_share(weights, row, found.zero & valid) for row in rows)
    if lost > SAID_SHARE:
        why = ", ".join(f"{WHY_NO_DATA[reason]} {n}" for reason, n in found.counts.items() if n)
        log.warning(
            "%s: %.1f %% of NAWM lies where the map holds 0 for no data, which does not count "
            "(voxels: %s; --zeros data counts them).",
            path, 100 * lost, why,
        )  # fmt: skip
    return {
        f"map_{name}_zero_voxels": int(np.count_nonzero(found.zero)),
        f"map_{name}_no_data_voxels": int(np.count_nonzero(found.missing)),
        f"map_{name}_nawm_no_data": lost,
        f"map_{name}_nawm_{which}": counted,
        f"map_{name}_wmh_{which}": in_wmh,
    }


def _end_facts(
    path: Path, one: MapOptions, loaded: LoadedMaps, weights: Coverage, rows: tuple[int, int]
) -> Facts:
    """Tell how much of NAWM and WMH holds a map's lowest or highest value.

    ``rows`` are their places. Where methods give exactly 0 in tissue, fits end at bounds, and
    nothing is told.
    """
    if one.can_be_zero:
        return {}
    values, valid = loaded.maps[one.name]
    counted = values, valid & ~loaded.no_data[one.name].zero
    tissues = dict(zip(("NAWM", "WMH"), rows, strict=True))
    return end_facts(path, one.name, counted, (one.low, one.high), weights, tissues)


def _field_of_view(weights: Coverage, white: Sequence[int]) -> dict[str, float]:
    """Return the share of white matter, lesions and NAWM that lies in the maps' field of view."""
    everywhere = np.ones(weights.map_shape, dtype=bool)
    shares = [covered_share(weights, place, everywhere) for place in white]
    return dict(zip(WHITE, shares, strict=True))


def _coverage_facts(
    maps: dict[str, Any],
    sampled: dict[str, Any],
    places: Mapping[Any, int],
    field: Mapping[str, float],
    impure: float,
) -> dict[str, Any]:
    """Tell how much of white matter, lesions and NAWM each map covers, and why not more."""
    facts: dict[str, Any] = {}
    for name, (values, valid) in maps.items():
        facts[f"map_{name}_invalid_voxels"] = int(np.count_nonzero(~valid))
        facts[f"map_{name}_nonfinite_voxels"] = int(np.count_nonzero(~np.isfinite(values)))
        for part, row in WHITE.items():
            facts[f"map_{name}_coverage_{part}"] = float(sampled[name]["coverage"][places[row]])
        facts[f"map_{name}_nawm_outside_field_of_view"] = float(1 - field["NAWM"])
        covered = float(sampled[name]["coverage"][places[WHITE["NAWM"]]])
        lost = round(float(field["NAWM"]) - covered - impure, 9)
        facts[f"map_{name}_nawm_invalid"] = max(0.0, lost)
        facts[f"map_{name}_nawm_impure"] = impure
    return facts


def _as_rows(columns: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Turn the statistics of all regions into a row for each, of whole and other numbers."""
    kept = {key: values.tolist() for key, values in columns.items() if key != "index"}
    return [dict(zip(kept, row, strict=True)) for row in zip(*kept.values(), strict=True)]


class Profiles(NamedTuple):
    """Rows of all maps in registry order, of their profiles, penumbrae, and curves."""

    maps: Rows
    profiles: Rows
    penumbra: Rows
    curves: Rows


@step(mem_gb=0.5)
def arrange_profiles(
    rows: list[Rows],
    penumbra: list[Rows],
    curves: list[Rows],
    names: list[str],
    distances: Table,
    width_mm: float,
    n_shells: int,
) -> Profiles:
    """Arrange every map over the shells of every lesion class.

    Parameters
    ----------
    rows, penumbra, curves
        Rows of every group of maps.
    names
        All maps, in registry order.
    distances
        Voxels and sum of distances per shell.
    width_mm, n_shells
        Of the outer shells.
    """
    table = _in_order(rows, names)
    sums = {int(label): pair for label, pair in distances.items()}
    profiles = [
        row
        for name in names
        for lesion_class in CLASSES
        for row in _profile_rows(table, name, lesion_class, sums, width_mm, n_shells)
    ]
    units = {row["map"]: row["unit"] for row in table}
    kinds = (profiles, _in_order(penumbra, names), _in_order(curves, names))
    profiles, widths, bins = ([one | {"unit": units[one["map"]]} for one in kind] for kind in kinds)
    return Profiles(table, profiles, widths, bins)


def _in_order(groups: list[Rows], names: list[str]) -> Rows:
    """Join the rows of groups of maps, map by map."""
    gathered = [row for group in groups for row in group]
    return [row for name in names for row in gathered if row["map"] == name]


def _profile_rows(
    table: list[dict[str, Any]],
    name: str,
    lesion_class: str,
    sums: dict[int, list[float]],
    width_mm: float,
    n_shells: int,
) -> list[dict[str, Any]]:
    of_class = CLASSES[lesion_class]
    statistics = _statistics(table, name, of_class)
    deepest = max((shell_ordinal(int(i)) for i in statistics["index"]), default=0)
    ordinals = [*range(deepest, REST, -1), *range(1, n_shells + 1), REST]
    labels = [shell_label(BOTH, of_class, ordinal) for ordinal in ordinals]
    distances = [mean_distance(sums, shell_leaves(label)) for label in labels]
    found = profile(statistics, labels, shell_label(BOTH, of_class, REST), distances)
    return [
        {"map": name, "lesion_class": lesion_class}
        | shell_edges(ordinal, width_mm, n_shells)
        | {key: float(values[i]) for key, values in found.items() if key != "shell"}
        for i, ordinal in enumerate(ordinals)
    ]


def _statistics(table: list[dict[str, Any]], name: str, of_class: int) -> dict[str, Any]:
    """Pick the rows of one class's shells, both sides together, in the shells' own tissue."""
    rows = [
        row
        for row in table
        if (row["map"], row["seg"]) == (name, "shells")
        and (shell_side(row["index"]), shell_class(row["index"])) == (BOTH, of_class)
        and row["tissue"] == (OUTER_TISSUE if shell_ordinal(row["index"]) <= REST else INNER_TISSUE)
    ]
    keys = ("index", "n_effective", "mean", "sd", "median")
    return {key: np.array([row[key] for row in rows]) for key in keys}


def shell_edges(ordinal: int, width_mm: float, n_shells: int) -> dict[str, Any]:
    """Name a shell and give its edges in mm: inner shells have negative distances.

    Examples
    --------
    >>> shell_edges(1, 2.0, 7)
    {'shell': '1', 'distance_lo': 0.0, 'distance_hi': 2.0}
    >>> shell_edges(51, 2.0, 7)
    {'shell': '-1', 'distance_lo': -2.0, 'distance_hi': 0.0}
    """
    low, high = interval_mm(ordinal, width_mm, n_shells * width_mm)
    name = "rest" if ordinal == REST else str(ordinal if ordinal < REST else REST - ordinal)
    return {
        "shell": name,
        "distance_lo": low if np.isfinite(low) else None,
        "distance_hi": high if np.isfinite(high) else None,
    }


def mean_distance(sums: dict[int, list[float]], leaves: tuple[int, ...]) -> float:
    """Return the mean distance of a union of shells from each one's count and sum."""
    present = [sums[leaf] for leaf in leaves if leaf in sums]
    count = sum(pair[0] for pair in present)
    return sum(pair[1] for pair in present) / count if count else float("nan")


class Quality(NamedTuple):
    """Rows of the table of quality."""

    rows: Rows


@step(mem_gb=0.5)
def gather_quality(
    facts: list[dict[str, Any]],
    prefixes: list[str],
    volumes: Rows,
    relations: Sequence[Applied] = (),
) -> Quality:
    """Gather what the steps counted into the table of quality.

    Parameters
    ----------
    facts, prefixes
        What the steps measured, and what is put before the names of each.
    volumes
        Rows of the table of volumes.
    relations
        What has to hold between the visit's maps.
    """
    gathered = _volume_facts(volumes)
    for prefix, group in zip(prefixes, facts, strict=True):
        gathered |= {f"{prefix}{name}": value for name, value in group.items()}
    gathered["brain_intracranial_ratio"] = _ratio(
        gathered.get("brain_volume_mm3"), gathered.get("intracranial_volume_mm3")
    )
    gathered |= contradictions(gathered, relations)
    unjudged = {"wmh_asymmetry"} if _may_be_on_one_side(gathered) else set()
    if OF_COMPUTED in gathered and (gathered["wmh_volume_mm3"] or 0) < LEAST_COMPUTED_MM3:
        unjudged |= OF_PLACE
    if (gathered.get("wmh_infratentorial_mm3") or 0) < LEAST_INFRATENTORIAL_MM3:
        unjudged.add("wmh_infratentorial_fraction")
    # a brain that is computed holds some bone, and is judged by its likeness to the template
    if OF_PARCELLATION not in gathered:
        unjudged.add("brain_intracranial_ratio")
    rows = [
        quality_row(metric, value, metric not in unjudged)
        for metric, value in gathered.items()
        if value is None or isinstance(value, int | float)
    ]
    return Quality(rows)


def _may_be_on_one_side(gathered: Mapping[str, Any]) -> bool:
    """Tell whether WMH are so little that they lie more on one side by chance."""
    is_little = (gathered["wmh_volume_mm3"] or 0) < LEAST_ASYMMETRIC_MM3
    sides = abs(gathered["wmh_asymmetry"] or 0)
    return is_little and (sides < 1 or (gathered.get("n_lesions") or 0) < LEAST_ON_ONE_SIDE)


def _ratio(part: float | None, whole: float | None) -> float | None:
    """Divide two volumes; None where one is not known, or nothing is to divide by."""
    return None if part is None or not whole else part / whole


def quality_row(metric: str, value: float | None, is_judged: bool = True) -> dict[str, Any]:
    """Judge one measured value by its bounds."""
    known = find_measure(metric) if is_judged else None
    low, high = (known.low, known.high) if known else (None, None)
    verdict = "info"
    if (low is not None or high is not None) and value is not None and not math.isnan(value):
        inside = (low is None or value >= low) and (high is None or value <= high)
        verdict = "ok" if inside else "check"
    return {"metric": metric, "value": value, "low": low, "high": high, "verdict": verdict}


def _volume_facts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    volume = {
        (row["name"], row["hemisphere"]): row["volume_mm3"]
        for row in rows
        if row["seg"] == "tissue"
    }
    name = "white matter hyperintensity"
    left, right = volume[f"left {name}", "L"], volume[f"right {name}", "R"]
    return {
        "ventricle_volume_mm3": volume["lateral ventricle", "B"],
        "wmh_volume_mm3": volume[name, "B"],
        "wmh_asymmetry": asymmetry_index(left, right),
    }
