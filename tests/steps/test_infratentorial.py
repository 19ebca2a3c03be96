"""Lesions of cerebellum and brain stem: told apart, and of a zone and a lobe as any other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wmhflow.core.space.grids import Grid3D
from wmhflow.labels.digits import (
    CORTEX,
    INFRATENTORIAL,
    LEFT,
    RIGHT,
    VENTRICLES,
    WHITE_MATTER,
    class_of,
)
from wmhflow.labels.schemes import DEFAULT_SCHEME
from wmhflow.steps.infratentorial import Infratentorial, find_infratentorial
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.lesions import NumberedLesions, number_lesions
from wmhflow.steps.regions import (
    divide_into_lobes,
    divide_into_zones,
    measure_cortex_distance,
    measure_distance,
)
from wmhflow.steps.tissue import put_lesions_in

AFFINE, SHAPE = np.diag([1.0, 1.0, 2.0, 1.0]), (12, 10, 40)
# Along z: cerebellum and brain stem, white matter, the lateral ventricles, white matter, cortex.
BELOW, VENTRICLE, CORTICAL = 10, slice(24, 26), 38
# Where lesions lie along z, each a voxel wide.
PLANTED = {
    "below": slice(3, 6),
    "partly below": slice(7, 12),
    "at the ventricle": slice(22, 24),
    "deep": slice(30, 32),
}
VOXEL_MM3, N_BELOW, N_WMH = 2.0, 3 + 3, 3 + 5 + 2 + 2


class Head:
    """A head of slabs and its lesions, with tissues that know of lesions or do not."""

    def __init__(self, *, is_computed: bool) -> None:
        plain = np.full(SHAPE, WHITE_MATTER, np.uint8)
        plain[..., :BELOW], plain[..., VENTRICLE] = INFRATENTORIAL, VENTRICLES
        plain[..., CORTICAL:] = CORTEX
        sides = np.where(np.arange(SHAPE[0])[:, None, None] < 6, LEFT, RIGHT) * np.ones(SHAPE, int)
        wmh = np.zeros(SHAPE, bool)
        for place, (x, along) in enumerate(zip((1, 9, 4, 8), PLANTED.values(), strict=True)):
            wmh[x, 2 + place, along] = True
        self.wmh = MaskImage(wmh, AFFINE)
        # tissues that are computed call lesions white matter
        self.before = LabelImage(np.where(wmh & is_computed, WHITE_MATTER, plain), AFFINE)
        self.placed = MaskImage(plain == INFRATENTORIAL, AFFINE) if is_computed else None
        self.tissue = put_lesions_in(self.before, LabelImage(sides, AFFINE), self.wmh).tissue
        ventricles = MaskImage(plain == VENTRICLES, AFFINE)
        self.near: dict[str, Grid3D] = {
            "ventricle_distance": measure_distance(ventricles, self.tissue).distance,
            "cortex_distance": measure_cortex_distance(self.tissue).distance,
        }

    def told_apart(self) -> Infratentorial:
        """Find cerebellum and brain stem."""
        return find_infratentorial(self.before, self.wmh, self.placed)

    def numbered(self, below: MaskImage | None) -> NumberedLesions:
        """Number the lesions."""
        zones = divide_into_zones(self.tissue, **self.near, scheme=DEFAULT_SCHEME).zones
        cortex = LabelImage((class_of(self.tissue.data) == CORTEX).astype(np.uint8), AFFINE)
        return number_lesions(
            self.wmh, self.tissue, **self.near, zones=[zones], columns=["majority"],
            rule="continuity", lobes=divide_into_lobes(self.tissue, cortex).lobes,
            infratentorial=below,
        )  # fmt: skip


@pytest.fixture(scope="module", params=["parcellation", "computed"])
def head(request: pytest.FixtureRequest) -> Head:
    return Head(is_computed=request.param == "computed")


def test_the_region_is_the_same_whoever_made_the_tissues(head: Head) -> None:
    found = head.told_apart()
    everywhere = np.zeros(SHAPE, bool)
    everywhere[..., :BELOW] = True
    assert np.array_equal(found.infratentorial.data, everywhere)
    assert found.facts == {
        "wmh_infratentorial_mm3": N_BELOW * VOXEL_MM3,
        "wmh_infratentorial_fraction": N_BELOW / N_WMH,
    }


def test_without_lesions_there_is_no_share_of_them() -> None:
    head = Head(is_computed=False)
    none = MaskImage(head.wmh.data & False, AFFINE)
    assert find_infratentorial(head.before, none).facts == {
        "wmh_infratentorial_mm3": 0,
        "wmh_infratentorial_fraction": None,
    }


def test_where_nothing_of_it_is_known_nothing_is_said() -> None:
    head = Head(is_computed=False)
    white = LabelImage(np.full(SHAPE, WHITE_MATTER, np.uint8), AFFINE)
    found = find_infratentorial(white, head.wmh)
    assert set(found.facts.values()) == {None}
    for below in (found.infratentorial, None):
        assert {row["infratentorial"] for row in head.numbered(below).table} == {None}


def test_the_lesion_table_tells_them_apart_and_all_else_is_as_without(head: Head) -> None:
    found = head.numbered(head.told_apart().infratentorial)
    rows = {round(row["z"]): row for row in found.table}
    told = {name: rows[along.start + along.stop - 1] for name, along in PLANTED.items()}
    assert {name: row["infratentorial"] for name, row in told.items()} == {
        "below": 1, "partly below": 3 / 5, "at the ventricle": 0, "deep": 0,
    }  # fmt: skip
    assert {name: (row["continuity"], row["majority"]) for name, row in told.items()} == {
        "below": ("deep", "D"), "partly below": ("deep", "D"), "at the ventricle": ("PV", "JV"),
        "deep": ("deep", "PV"),
    }  # fmt: skip
    assert {row["lobe"] for row in told.values()} == {"frontal lobe"}
    # they add up to what the table of quality says
    in_all = math.fsum(row["infratentorial"] * row["volume_mm3"] for row in found.table)
    assert in_all == pytest.approx(N_BELOW * VOXEL_MM3)
    without = head.numbered(None)
    assert found.is_periventricular == without.is_periventricular
    assert [row | {"infratentorial": None} for row in found.table] == without.table
