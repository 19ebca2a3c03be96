"""Images of one scan that are divided or fitted voxel by voxel, of which one was moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.coarse import anatomical, head
from tests.echoes import planted
from wmhflow.core.align.meeting import apart_mm, furthest_apart
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D
from wmhflow.registries.quality import find_measure
from wmhflow.steps.diffusion import Part, _apart
from wmhflow.steps.echoes import map_decay
from wmhflow.steps.meeting import MOST_APART_MM
from wmhflow.steps.ratios import map_transfer


def on_grid(values: Any, moved_mm: float = 0.0) -> Grid3D:
    """Lay an image on the coarse head's grid, moved by so many mm to the front, with noise."""
    turned = ndimage.shift(np.asarray(values, float), (0, moved_mm / 3, 0), order=1)
    noise = np.random.default_rng(3).normal(0, 3, turned.shape)
    return Grid3D((turned + noise * (turned > 0)).astype(np.float32), head().affine)


def off() -> Any:
    return anatomical("T1w")


def on() -> Any:
    return off() * (1 - planted("MTR") / 100)


def echoes() -> list[Any]:
    rate = planted("R2star")
    return [anatomical("FLAIR") * np.exp(-rate * time) for time in TIMES]


TIMES = [0.004, 0.012, 0.02]


@pytest.mark.parametrize("moved_mm", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("other", [on, lambda: anatomical("FLAIR")], ids=["dimmed", "FLAIR"])
def test_how_far_a_head_moved_is_measured_whatever_the_contrast(
    moved_mm: float, other: Any
) -> None:
    found = apart_mm(on_grid(off()), on_grid(other(), moved_mm))
    assert found == pytest.approx(moved_mm, abs=0.3)


def test_a_turn_is_measured_too() -> None:
    still = on_grid(off())
    turn = rigid_matrix((0, 0, 3, 0, 0, 0), np.zeros(3))
    found = apart_mm(still, Grid3D(still.data, turn @ still.affine))
    assert found is not None
    assert 1.5 < found < 4


def test_what_shows_no_head_tells_nothing() -> None:
    small = Grid3D(np.random.default_rng(0).random((9, 9, 9), np.float32), np.eye(4))
    blank = Grid3D(np.full(head().codes.shape, np.nan, np.float32), head().affine)
    assert furthest_apart([small, small]) == (None, 0)
    assert furthest_apart([blank, on_grid(off())]) == (None, 0)


@pytest.mark.parametrize("moved_mm", [0.0, 4.0])
def test_a_pair_that_moved_is_marked(moved_mm: float, caplog: Any) -> None:
    """Its ratio was that of one tissue over another beside every edge, and nothing was said."""
    facts = map_transfer(on_grid(off()), on_grid(on(), moved_mm)).facts
    assert facts["apart_mm"] == pytest.approx(moved_mm, abs=0.3)
    said = "elsewhere in the one with the pulse than in the image without the pulse"
    assert (said in caplog.text) == (moved_mm > 0)


def test_an_echo_that_moved_is_named(caplog: Any) -> None:
    still, *others = echoes()
    images = [on_grid(still), on_grid(others[0], 4.0), on_grid(others[1])]
    facts = map_decay(images, TIMES).facts
    assert facts["apart_mm"] == pytest.approx(4.0, abs=0.3)
    assert "elsewhere in the echo at 12 ms than in the echo at 4 ms" in caplog.text
    measure = find_measure("decay_apart_mm")
    assert measure is not None
    assert measure.high == MOST_APART_MM


@pytest.mark.parametrize("moved_mm", [0.0, 4.0])
def test_a_diffusion_series_in_which_the_head_moved_is_marked(moved_mm: float, caplog: Any) -> None:
    first, last = on_grid(off()), on_grid(off(), moved_mm)
    nothing = np.zeros((0, 0), np.float32), np.zeros(first.data.shape, bool)
    part = Part(*nothing, None, first.affine, 0, (first, last))  # type: ignore[arg-type]
    found = _apart(part, Path("sub-01_dwi.nii.gz"))["apart_mm"]
    assert found == pytest.approx(moved_mm, abs=0.3)
    assert ("sub-01_dwi.nii.gz: the head lies" in caplog.text) == (moved_mm > 0)
    alone = Part(part.signals, part.mask, part.gradients, part.affine)
    assert _apart(alone, Path("x.nii"))["apart_mm"] is None
