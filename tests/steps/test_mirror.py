"""Opposites through a symmetric template: nothing where both sides agree, the sign where not."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.core.measure.coverage import coverage_of_each
from wmhflow.core.measure.mirror import free_of_lesions
from wmhflow.core.regions.partition import partition
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.rows import TableRegion
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.measures import MapOptions, load_maps
from wmhflow.steps.mirror import (
    compare_sides,
    has_trivial_load,
    mirror_partition,
    opposite_rows,
)
from wmhflow.steps.partition import as_partition

SHAPE = (20, 16, 12)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = [-19, -15, -11]  # x = 0 lies between the two middle planes
X = (AFFINE[0, 0] * np.arange(SHAPE[0]) + AFFINE[0, 3])[:, None, None] * np.ones(SHAPE)
ZONES = np.where(X < 0, 11, 21) + (np.abs(X) > 8)
REGIONS = [
    TableRegion("zones", index, f"zone {index}", side, other, (("zones", (index,)),))
    for index, side, other in ((11, "L", 21), (12, "L", 22), (21, "R", 11), (22, "R", 12))
]


def opposites(
    folder: Path, wmh: Any, values: Any, turn: Any = None, *, arbitrary: bool = False
) -> dict[int, Any]:
    """Compare a map in both sides; the head may lie turned in the world."""
    turn = np.eye(4) if turn is None else turn
    world = turn @ AFFINE
    found = partition({"zones": ZONES, "WMH": wmh, "NAWM": ~wmh})
    columns = {name: column.tolist() for name, column in found.columns.items()}
    mirrored = mirror_partition(
        LabelImage(found.labels, world),
        columns,
        # points of the reference to points of the template, and back
        inverse=Path(write_itk_affine(np.linalg.inv(turn), folder / "inverse.txt")),
        forward=Path(write_itk_affine(turn, folder / "forward.txt")),
        folder=folder,
    )
    options = [MapOptions("FA", "1", -10.0, 10.0, arbitrary_zero=arbitrary)]
    loaded = load_maps([save_image(folder / "map.nii", values, world)], options, None)
    sides = [as_partition(part, columns) for part in mirrored]
    weights = coverage_of_each([side.labels for side in sides], world, SHAPE, loaded.affine)
    rows = opposite_rows(options, loaded, sides, weights, REGIONS)
    return {row["index"]: row for row in rows}


def test_a_symmetric_map_has_no_asymmetry(tmp_path: Path) -> None:
    nothing = np.zeros(SHAPE, bool)
    for row in opposites(tmp_path, nothing, np.abs(X) / 20).values():
        assert row["asymmetry"] == pytest.approx(0, abs=1e-6)
        assert row["volume_mm3"] == row["opposite_volume_mm3"]


def test_an_arbitrary_zero_has_differences_and_no_index(tmp_path: Path) -> None:
    rows = opposites(tmp_path, np.zeros(SHAPE, bool), np.where(X < 0, 3.0, 1.0), arbitrary=True)
    for row in rows.values():
        assert np.isnan(row["asymmetry"])
        assert row["difference"] == pytest.approx(2.0)


def test_the_index_has_the_sign_of_the_higher_side(tmp_path: Path) -> None:
    higher_on_the_left = np.where(X < 0, 3.0, 1.0)
    rows = opposites(tmp_path, np.zeros(SHAPE, bool), higher_on_the_left)
    for row in rows.values():
        assert row["asymmetry"] == pytest.approx(0.5)
        assert row["difference"] == pytest.approx(2.0)


def test_lesions_of_either_side_count_on_neither(tmp_path: Path) -> None:
    wmh = np.zeros(SHAPE, bool)
    wmh[3:6, 4:8, 4:8] = True
    values = np.where(wmh, 9.0, 1.0)
    values[wmh[::-1]] = 5.0
    for row in opposites(tmp_path, wmh, values).values():
        assert row["value"] == pytest.approx(1.0)
        assert row["opposite_value"] == pytest.approx(1.0)
    volume = {index: (index == ZONES).sum() * 8 for index in (11, 12, 21, 22)}
    rows = opposites(tmp_path, wmh, values)
    for index in (12, 22):
        lost = (wmh & (ZONES == 12)).sum() * 8
        assert rows[index]["volume_mm3"] == volume[index] - lost
        assert rows[index]["opposite_volume_mm3"] == volume[index] - lost


def test_infarcts_count_on_neither_side_either() -> None:
    wmh, infarct = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    infarct[3:6, 4:8, 4:8] = True
    found = partition({"zones": ZONES, "WMH": wmh, "NAWM": ~wmh, "infarct": infarct})
    own, opposite = free_of_lesions(found, found.labels[::-1])
    gone = infarct | infarct[::-1]
    for part in (own, opposite):
        assert np.array_equal(part.labels == 0, gone)


def test_a_turned_head_gives_the_same_answer(tmp_path: Path) -> None:
    turn = nib.eulerangles.euler2mat(0.2, -0.1, 0.3)
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = turn, (7, -3, 11)
    values = np.where(X < 0, 3.0, 1.0)
    straight = opposites(tmp_path, np.zeros(SHAPE, bool), values)
    turned = opposites(tmp_path, np.zeros(SHAPE, bool), values, world)
    for index, row in straight.items():
        assert turned[index]["asymmetry"] == pytest.approx(row["asymmetry"], abs=1e-5)


def test_a_lesion_on_one_side_gives_its_sign() -> None:
    volumes = [
        {"seg": "zones", "index": region.index, "n_lesions": int(share > 0)}
        | {"volume_mm3": 1000.0, "wmh_fraction": share}
        for region, share in zip(REGIONS, (0.0, 0.3, 0.0, 0.1), strict=True)
    ]
    table = compare_sides(volumes, [region.as_dict() for region in REGIONS]).table
    rows = {row["index"]: row for row in table}
    assert rows[12]["asymmetry"] == rows[22]["asymmetry"] == pytest.approx(0.5)
    assert rows[22]["opposite_value"] == 0.3
    assert np.isnan(rows[11]["asymmetry"])


@pytest.mark.parametrize(
    ("seg", "trivial"),
    [("shells", True), ("majoritypv414", True), ("zones", False), ("shells2", False)],
)
def test_an_atlas_has_loads_however_its_name_begins(seg: str, trivial: bool) -> None:
    region = TableRegion(seg, 11, "left a", "L", 21, ((seg, (11,)),))
    assert has_trivial_load(region) == trivial
