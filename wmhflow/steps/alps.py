"""The step that measures DTI-ALPS from the tensors of a series."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.transforms import map_points
from wmhflow.core.diffusion.alps import (
    MIDDLES_MM,
    Alps,
    TensorField,
    head_rotation,
    measure_side,
    middles_of,
)
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.core.space.grids import apply_affine
from wmhflow.files.itk import read_itk_affine
from wmhflow.labels.digits import WHITE_OR_WMH, WMH, class_of
from wmhflow.steps.kinds import Columns, Facts, LabelImage, MaskImage, Rows, step

log = logging.getLogger("wmhflow")
SIDES = ("L", "R")
# Points of the brain, mm in the template, by which it is found how the head is turned.
CLOUD_MM = np.indices((5, 5, 5)).reshape(3, -1).T / 4.0 * np.array([100.0, 130, 90]) - np.array(
    [50.0, 85, 20]
)
NO_DIRECTIONS = (
    "the table of gradients does not fit the fibres",
    "nobody can tell whether the table of gradients fits the fibres",
)

NO_TENSORS = "no tensor could be fitted to the series"


class AlpsTable(NamedTuple):
    """A row for each side and one for both, and measures for the QC table."""

    rows: Rows
    facts: Facts


@step(mem_gb=1.5, seconds=5, ants=True)
def measure_alps(
    tensors: Columns,
    tensor_facts: dict[str, Any],
    tissue: LabelImage,
    wmh: MaskImage,
    forward: Path,
    transform: Path | None = None,
    seed: int = 0,
    source: str = "",
) -> AlpsTable:
    """Measure DTI-ALPS on both sides, unless the directions of diffusion are not to be believed.

    That an index is missing is said with the reason.

    Parameters
    ----------
    tensors
        Along the axes of the series' world, mm²/s.
    tensor_facts
        What the fit found out.
    tissue, wmh
        seg-tissue, and lesions, on the reference.
    forward
        From the reference to the template.
    transform
        From the series to the reference, ITK; None where the headers agree.
    seed
        Of ANTs.
    source
        The series, for messages.
    """
    right = tensor_facts.get("directions_follow_fibres")
    if tensor_facts.get("refused"):
        found = {side: _none(NO_TENSORS) for side in SIDES}
    elif right != 1:
        found = {side: _none(NO_DIRECTIONS[right is None]) for side in SIDES}
    else:
        to_series = np.eye(4) if transform is None else read_itk_affine(transform)

        def in_world(points: NDArray[np.float64]) -> NDArray[np.float64]:
            return apply_affine(to_series, map_points(points, str(forward), seed))

        rotation = head_rotation(CLOUD_MM, in_world(CLOUD_MM))
        field = _field(tensors, tissue, wmh, np.asarray(np.linalg.inv(to_series), np.float64))
        found = {}
        for side in SIDES:
            middles = middles_of(side)
            places = in_world(np.stack(list(middles.values())))
            named = dict(zip(middles, places, strict=True))
            found[side] = measure_side(field, named, rotation)
    rows = [_row(side, one) for side, one in found.items()]
    rows.append(_both(rows))
    missing = sum(row["alps"] is None for row in rows if row["hemisphere"] in SIDES)
    if missing:
        log.warning("%s: DTI-ALPS is n/a: %s.", source, rows[-1]["reason"])
    # an affine holds 3 mm as 3.00000005
    spacing = round(float(max(spacing_of(tensors.affine))), 3)
    facts = {"voxel_mm": spacing, "mean": rows[-1]["alps"], "missing_sides": missing}
    return AlpsTable(rows, {f"alps_{name}": value for name, value in facts.items()})


def _none(reason: str) -> Alps:
    return Alps(np.nan, np.nan, np.nan, {}, reason)


def _field(
    tensors: Columns, tissue: LabelImage, wmh: MaskImage, to_reference: NDArray[np.float64]
) -> TensorField:
    """Lay the tissues over the tensors: that of the reference's voxel at each one's middle."""
    places = apply_affine(tensors.affine, np.argwhere(tensors.mask).astype(np.float64))
    to_voxels = np.linalg.inv(tissue.affine) @ to_reference
    index = np.rint(apply_affine(to_voxels, places)).astype(int)
    inside = ((index >= 0) & (index < tissue.data.shape)).all(axis=1)
    classes, lesion = np.zeros(len(index), dtype=np.int64), np.zeros(len(index), dtype=bool)
    where = tuple(index[inside].T)
    classes[inside], lesion[inside] = class_of(tissue.data)[where], wmh.data[where]
    lesion |= classes == WMH
    is_white = np.isin(classes, WHITE_OR_WMH) | lesion
    return TensorField(tensors.values, places, voxel_mm3(tensors.affine), is_white, lesion)


def _row(side: str, found: Alps) -> dict[str, Any]:
    row: dict[str, Any] = {
        "hemisphere": side,
        "alps": _number(found.index),
        "alps_without_wmh": _number(found.without_lesions),
        "alps_local": _number(found.local),
        "reason": found.reason,
    }
    for name in MIDDLES_MM:
        one = found.regions.get(name)
        for part in ("n", "volume_mm3", "fa", "md", "wmh_fraction", "angle_deg", "moved_mm"):
            row[f"{name}_{part}"] = None if one is None else _number(getattr(one, part))
    return row


def _both(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Average the indices of the two sides; one that lacks makes the mean lack."""
    both: dict[str, Any] = dict.fromkeys(rows[0]) | {"hemisphere": "B"}
    for name in ("alps", "alps_without_wmh", "alps_local"):
        values = [row[name] for row in rows]
        both[name] = None if None in values else sum(values) / len(values)
    reasons = dict.fromkeys(
        f"{row['hemisphere']}: {row['reason']}" for row in rows if row["reason"]
    )
    return both | {"reason": "; ".join(reasons) or None}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
