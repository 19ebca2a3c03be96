"""Images from which no map can be computed: a sentence for each kind, and an empty map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.coarse import head
from wmhflow.labels.digits import CORTEX, DEEP_GREY, VENTRICLES, WHITE_MATTER
from wmhflow.steps.echoes import map_decay, map_susceptibility
from wmhflow.steps.kinds import Grid3D, LabelImage, MaskImage
from wmhflow.steps.ratios import map_rate, map_t1_over_t2, map_transfer

TIMES_S = [0.005, 0.01, 0.015, 0.02]


def tissue(away_mm: float = 0.0) -> LabelImage:
    codes = head().codes
    labels = np.where(codes > 0, CORTEX, 0).astype(np.int32)
    for found, label in (((2, 41), WHITE_MATTER), ((10, 49), DEEP_GREY), ((4, 43), VENTRICLES)):
        labels[np.isin(codes, found)] = label
    affine = head().affine.copy()
    affine[0, 3] += away_mm
    return LabelImage(labels, affine)


def image(values: Any, part: slice = slice(None)) -> Grid3D:
    data = np.broadcast_to(np.asarray(values, np.float32), head().codes.shape)
    affine = head().affine.copy()
    affine[:3, 3] = affine[:3] @ [0, 0, part.start or 0, 1]
    return Grid3D(np.ascontiguousarray(data[:, :, part]), affine)


def magnitudes(part: slice = slice(None)) -> list[Grid3D]:
    inside = head().codes > 0
    return [image(500 * np.exp(-40 * time) * inside, part) for time in TIMES_S]


def phases(part: slice = slice(None)) -> list[Grid3D]:
    slope = np.sin(np.indices(head().codes.shape)[0] / 9)
    return [image(30 * time * slope, part) for time in TIMES_S]


def noise() -> list[Grid3D]:
    rng = np.random.default_rng(0)
    return [image(rng.uniform(-3, 3, head().codes.shape)) for _ in TIMES_S]


def chi(
    bright: list[Grid3D], turns: list[Grid3D], away_mm: float = 0.0, unit: str | None = "rad"
) -> Any:
    return map_susceptibility(bright, turns, tissue(away_mm), TIMES_S, 3.0, unit)


def ratio(t2w: Grid3D, away_mm: float = 0.0) -> Any:
    labels = tissue(away_mm)
    none = MaskImage(labels.data < 0, labels.affine)
    return map_t1_over_t2(t2w, magnitudes()[0], labels, none, 14.0)


def blank() -> list[Grid3D]:
    return 4 * [image(0)]


def nothing() -> list[Grid3D]:
    return 4 * [image(np.nan)]


SLICE = slice(20, 21)


@pytest.mark.parametrize(
    ("compute", "name", "why"),
    [
        (
            lambda: chi(magnitudes(), phases(), 900),
            "Chimap",
            "no voxel of the brain lies in the images",
        ),
        (lambda: chi(blank(), phases()), "Chimap", "in 0 % of the brain"),
        (lambda: chi(nothing(), phases()), "Chimap", "in 0 % of the brain"),
        (lambda: chi(magnitudes(), nothing()), "Chimap", "not finite"),
        (lambda: chi(magnitudes(), blank()), "Chimap", "not above white matter"),
        (lambda: chi(magnitudes(), noise()), "Chimap", "off a line"),
        (lambda: chi(magnitudes(), phases(), unit="Hz"), "Chimap", "its unit is 'Hz'"),
        (lambda: chi(magnitudes(), phases(), unit=None), "Chimap", "look whether it is a phase"),
        (lambda: chi(magnitudes(SLICE), phases(SLICE)), "Chimap", "too thin"),
        (lambda: map_decay(blank(), TIMES_S), "R2starmap", "no magnitude"),
        (lambda: map_decay(nothing(), TIMES_S), "R2starmap", "every voxel is NaN or infinite"),
        (lambda: map_decay([image(-5)] * 4, TIMES_S), "R2starmap", "no magnitude"),
        (lambda: map_transfer(image(0), image(0)), "MTRmap", "no voxel"),
        (lambda: map_transfer(image(np.nan), image(np.nan)), "MTRmap", "no voxel"),
        (lambda: map_rate(image(0), 1.0), "R1map", "its median is nan"),
        (lambda: map_rate(image(90), 1.0), "R1map", "its median is 90"),
        (lambda: ratio(image(0)), "T1wT2w", "no brighter than white matter"),
        (lambda: ratio(image(np.nan)), "T1wT2w", "no voxel of fluid"),
        (lambda: ratio(image(1), 900), "T1wT2w", "no voxel of fluid"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN", "ignore:Mean of empty", "ignore:invalid value")
def test_a_map_that_cannot_be_computed_is_empty_and_it_is_said(
    compute: Callable[[], Any], name: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    values, facts = compute()
    assert np.isnan(values.data).all()
    assert facts.pop("refused") == 1
    assert set(facts.values()) == {None}
    assert caplog.text.count(f"{name} is not computed, and is n/a: ") == 1
    assert why in caplog.text
    assert f"or leave the map out with --no-compute {name}." in caplog.text


def test_what_can_be_computed_has_the_same_facts_as_what_cannot() -> None:
    for can, cannot in (
        (lambda: map_decay(magnitudes(), TIMES_S), lambda: map_decay(blank(), TIMES_S)),
        (lambda: map_rate(image(0.9), 1.0), lambda: map_rate(image(0), 1.0)),
        (lambda: map_transfer(image(5), image(4)), lambda: map_transfer(image(0), image(0))),
    ):
        (_, done), (_, refused) = can(), cannot()
        assert list(done) == list(refused)
        assert (done["refused"], refused["refused"]) == (0, 1)
