"""Steps that set lesions against other lesions: acute ones, a bleed, perivascular spaces."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.beside import nearness, nearness_by_chance
from wmhflow.core.regions.lesions import label_lesions, lesion_measures
from wmhflow.core.regions.zones import lesion_label, lesion_majority
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.core.space.grids import Grid3D
from wmhflow.labels.digits import (
    CSF,
    LEFT,
    LETTERS,
    RIGHT,
    VENTRICLES,
    WHITE_OR_WMH,
    class_of,
    side_of,
)
from wmhflow.labels.regions import load_regions
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, Rows, step

# mm: within the first a lesion is adjacent to a perivascular space.
NEAR_MM = (2.0, 5.0)
N_DRAWS = 200
# Of a mask of lesions of the brain; a bound of the QC table as well.
MOST_OUTSIDE = 0.25
# Shares of lesions that touch perivascular spaces: 7 T and Barnes 2022 to Huang 2021
# (doi:10.3389/fneur.2022.889884, doi:10.1177/0271678X211002279).
PUBLISHED = (0.77, 0.89)
CLASSES = ("all", "PV", "deep")
# Of the fluid of both sides; a bound of the QC table as well. The cavity of an infarct that opens
# into a ventricle may be called one, on its own side; blood may fill ventricles.
MOST_OF_FLUID = 0.5
MAY_FILL_VENTRICLES = ("haemorrhage",)
log = logging.getLogger("wmhflow")


class AcuteLesions(NamedTuple):
    """A row per acute lesion."""

    table: Rows
    facts: Facts


class Adjacency(NamedTuple):
    """A row per lesion beside perivascular spaces, and what they come to."""

    table: Rows
    summary: Rows


class MasksInBrain(NamedTuple):
    """How much of other lesions lies outside the brain, and whether they are its fluid."""

    facts: Facts


@step(mem_gb=1.0)
def judge_other_lesions(
    masks: list[MaskImage],
    brain: MaskImage,
    tissue: LabelImage,
    hemispheres: LabelImage,
    names: list[str],
    sources: list[str],
) -> MasksInBrain:
    """Measure how much of given masks of other lesions is outside the brain or fluid, and say it.

    Parameters
    ----------
    masks, brain, tissue, hemispheres
        On the reference; the last is the side of every voxel.
    names, sources
        What each is a mask of, and its file as it was given.
    """
    facts: Facts = {}
    for mask, name, source in zip(masks, names, sources, strict=True):
        n = int(np.count_nonzero(mask.data))
        outside = int(np.count_nonzero(mask.data & ~brain.data)) / n if n else None
        facts[f"{name}_outside_brain"] = outside
        if outside is not None and outside > MOST_OUTSIDE:
            log.warning(
                "%s: %.0f %% of it lies outside the brain; is it of this person and visit, and in "
                "the space that its name says? It is marked 'check'.", source, 100 * outside,
            )  # fmt: skip
        if name not in MAY_FILL_VENTRICLES:
            facts |= _fluid_in(mask, (tissue, hemispheres), name, source)
    return MasksInBrain(facts)


def _fluid_in(
    mask: MaskImage, anatomy: tuple[LabelImage, LabelImage], name: str, source: str
) -> Facts:
    """Tell how much of the fluid of both sides a mask holds, and say it if it is most."""
    share = share_of_fluid(mask.data, *(image.data for image in anatomy))
    if share is not None and share > MOST_OF_FLUID:
        log.warning(
            "%s holds %.0f %% and more of the ventricles, or of other fluid, of each side: it "
            "seems to be a mask of fluid (it is given as %s). It is marked 'check'.",
            source, 100 * share, name,
        )  # fmt: skip
    return {f"{name}_share_of_fluid": share}


def share_of_fluid(
    mask: NDArray[np.bool_], tissue: NDArray[np.integer], sides: NDArray[np.integer]
) -> float | None:
    """Tell which share of the lateral ventricles, or of other CSF, lies in a mask on both sides.

    Parameters
    ----------
    mask
        Shape (X, Y, Z).
    tissue, sides
        Same shape, tissue classes, and 1 left, 2 right.

    Returns
    -------
    float or None
        Of the side of which it holds less; of ventricles or other CSF, of which it holds more. None
        for an empty mask, and where neither is on both sides.
    """
    if not mask.any():
        return None
    classes = class_of(tissue)
    found = []
    for fluid in (VENTRICLES, CSF):
        parts = [mask[(classes == fluid) & (sides == side)] for side in (LEFT, RIGHT)]
        if all(part.size for part in parts):
            found.append(min(float(part.mean()) for part in parts))
    return max(found, default=None)


@step(mem_gb=2.0)
def tabulate_acute(
    acute: MaskImage,
    wmh: MaskImage,
    tissue: LabelImage,
    zones: LabelImage,
    depth: Grid3D,
    ventricle_distance: Grid3D,
    cortex_distance: Grid3D,
    remote_mm: float,
    haemorrhage: MaskImage | None = None,
    oedema: MaskImage | None = None,
    territories: LabelImage | None = None,
    territory_names: dict[int, str] | None = None,
    rule: Facts | None = None,
) -> AcuteLesions:
    """Describe every acute lesion, and how far it lies from a haemorrhage and from WMH.

    Parameters
    ----------
    acute, wmh
        Acute lesions and WMH.
    tissue, zones
        seg-tissue and seg-zones.
    depth, ventricle_distance, cortex_distance
        Distances on the same grid.
    remote_mm
        From how far on a lesion is remote from the haemorrhage.
    haemorrhage
        The haemorrhage, if a mask of it is given.
    oedema
        The oedema around it, if a mask of it is given; the haemorrhage is taken to be in it.
    territories, territory_names
        An atlas of arteries laid over, and its regions.
    rule
        What was found out where a rule found the lesions: if it was refused, they are not none.
    """
    labels, count = label_lesions(acute.data, acute.affine)
    sizes = spacing_of(acute.affine)
    distances = {
        "ventricle_distance": ventricle_distance.data,
        "cortex_distance": cortex_distance.data,
    }
    measures = lesion_measures(labels, acute.affine, distances)
    zone = lesion_majority(labels, count, zones.data)
    side = lesion_majority(labels, count, side_of(tissue.data))
    depths = _means(labels, count, depth.data)
    artery = [0] * count
    if territories is not None:
        named = np.isin(territories.data, list(territory_names or {}))
        artery = list(lesion_label(labels, count, np.where(named, territories.data, 0)))
    apart, from_oedema = (
        [math.inf] * count if edge is None
        else nearness(labels, count, edge, sizes).distance_mm.tolist()
        for edge in (_edge(haemorrhage), _edge(oedema, haemorrhage))
    )  # fmt: skip
    from_wmh = nearness(labels, count, wmh.data, sizes).distance_mm.tolist()
    names = {index: region.abbreviation for index, region in load_regions("zones").items()}
    load = float(np.count_nonzero(wmh.data) * voxel_mm3(wmh.affine))
    rows = [
        {name: _plain(values[i]) for name, values in measures.items() if name != "n_voxels"}
        | {
            "hemisphere": LETTERS[int(side[i])] if side[i] else None,
            "zone": names.get(int(zone[i])),
            "depth": _finite(depths[i]),
            "territory": (territory_names or {}).get(int(artery[i])),
            "haemorrhage_distance": _finite(apart[i]),
            "is_remote": _is_remote(apart[i], remote_mm),
            "oedema_distance": _finite(from_oedema[i]),
            "is_remote_from_oedema": _is_remote(from_oedema[i], remote_mm),
            "wmh_distance": _finite(from_wmh[i]),
            "wmh_volume_mm3": load,
        }
        for i in range(count)
    ]
    if rule is not None and rule["refused"]:
        return AcuteLesions([], {"lesions": None, "remote_lesions": None})
    n_remote = sum(row["is_remote"] is True for row in rows)
    return AcuteLesions(rows, {"lesions": count, "remote_lesions": n_remote})


def _edge(first: MaskImage | None, more: MaskImage | None = None) -> Any:
    """Return where something lies, with what it holds; None where it is not given or empty."""
    if first is None or not first.data.any():
        return None
    return first.data if more is None else first.data | more.data


def _is_remote(distance_mm: float, remote_mm: float) -> bool | None:
    return distance_mm >= remote_mm if math.isfinite(distance_mm) else None


@step(mem_gb=2.0, seconds=20)
def tabulate_adjacency(
    spaces: MaskImage,
    lesions: LabelImage,
    tissue: LabelImage,
    ventricle_distance: Grid3D,
    is_periventricular: list[bool],
    seed: int,
) -> Adjacency:
    """Tell how near each lesion lies to perivascular spaces, and how near it would by chance.

    Parameters
    ----------
    spaces
        Perivascular spaces.
    lesions
        seg-lesions.
    tissue
        seg-tissue: lesions are moved within white matter.
    ventricle_distance
        In mm; a moved lesion keeps its distance.
    is_periventricular
        Of each lesion.
    seed
        Of the moves.
    """
    count = len(is_periventricular)
    sizes = spacing_of(spaces.affine)
    found = nearness(lesions.data, count, spaces.data, sizes, NEAR_MM)
    chance = nearness_by_chance(
        lesions.data,
        count,
        spaces.data,
        np.isin(class_of(tissue.data), WHITE_OR_WMH),
        ventricle_distance.data,
        sizes,
        within_mm=NEAR_MM[0],
        n_draws=N_DRAWS,
        seed=seed,
    )
    rows: Rows = [
        {
            "index": i + 1,
            "lesion_class": "PV" if is_periventricular[i] else "deep",
            "perivascular_distance": _finite(found.distance_mm[i]),
            "perivascular_volume_2mm": float(found.volume_mm3[i, 0]),
            "perivascular_volume_5mm": float(found.volume_mm3[i, 1]),
            "is_adjacent": bool(found.distance_mm[i] <= NEAR_MM[0]),
            "chance": _finite(chance.share[i]),
            "n_draws": int(chance.n_draws[i]),
        }
        for i in range(count)
    ]
    return Adjacency(rows, [_summed(rows, name) for name in CLASSES])


def _summed(rows: Rows, name: str) -> dict[str, Any]:
    """Add up lesions of a class; chance is compared on those that could be moved."""
    mine = [row for row in rows if name in {"all", row["lesion_class"]}]
    movable = [row for row in mine if row["chance"] is not None]
    return {
        "lesion_class": name,
        "n_lesions": len(mine),
        "n_adjacent": sum(row["is_adjacent"] for row in mine),
        "share": _mean([row["is_adjacent"] for row in mine]),
        "n_movable": len(movable),
        "share_movable": _mean([row["is_adjacent"] for row in movable]),
        "chance": _mean([row["chance"] for row in movable]),
        "published_lo": PUBLISHED[0],
        "published_hi": PUBLISHED[1],
    }


def _mean(values: list[Any]) -> float | None:
    return float(np.mean(values)) if values else None


def _means(labels: Any, count: int, values: Any) -> list[float]:
    """Average over the voxels of each lesion that have a value."""
    known = (labels > 0) & np.isfinite(values)
    sums, counts = (
        np.bincount(labels[known], weights=one, minlength=count + 1)[1:]
        for one in (values[known].astype(np.float64), np.ones(np.count_nonzero(known)))
    )
    return [float(a / b) if b else math.nan for a, b in zip(sums, counts, strict=True)]


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
