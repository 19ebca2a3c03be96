"""What a registration to the template is told of lesions and infarcts."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.heads import coarse
from wmhflow.ants import warp
from wmhflow.core.space.grids import Grid3D, robust_range


def test_wmh_are_filled_and_an_infarct_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = coarse("t1w", 6.0)
    brain = template.data > 20
    wmh, infarct = np.zeros((2, *brain.shape), bool)
    wmh[10:12, 8:18, 8:12] = True
    wmh &= brain
    infarct[20:22, 10:14, 12:14] = True
    dark = Grid3D(np.where(wmh, 30, template.data).astype(np.float32), template.affine)
    met: dict[str, Any] = {}

    def meet(brain: Grid3D, *rest: Any) -> warp.WarpFit:
        met["brain"], met["infarct"] = brain, rest[4]
        return warp.WarpFit("", "", {}, np.eye(4))

    def without_bias(data: Any, mask: Any, voxel_sizes_mm: Any, weight: Any) -> Any:
        met["weight"] = weight
        return data

    monkeypatch.setattr(warp, "register_brains", meet)
    monkeypatch.setattr(warp, "correct_bias", without_bias)
    fit = warp.register_to_template(dark, brain, template, tmp_path, 1, wmh=wmh, infarct=infarct)
    assert (met["infarct"] == infarct).all()
    assert (met["weight"] == ~(wmh | infarct)).all()
    assert fit.metrics["wmh_filled_mm3"] == pytest.approx(wmh.sum() * 216)
    # nearly as bright as before they were darkened
    filled, before = met["brain"].data[wmh], robust_range(np.where(brain, template.data, 0))[wmh]
    assert np.ptp(filled) == 0
    assert abs(filled.mean() - before.mean()) < 0.1


def test_a_small_infarct_stays_out_of_a_coarser_metric() -> None:
    infarct = np.zeros((20, 20, 20), bool)
    infarct[9, 9, 9] = True
    counted = warp._without(infarct, np.eye(4), 2.0)
    assert counted is not None
    assert 1 <= (~counted).sum() <= 27
    assert not counted[4, 4, 4]
    assert warp._without(np.zeros_like(infarct), np.eye(4), 2.0) is None
