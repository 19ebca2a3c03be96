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


@pytest.mark.parametrize(
    ("half_width_mm", "where", "found"),
    [(22, "middle", True), (10, "middle", False), (22, "aside", False), (22, "infarct", False)],
)
@pytest.mark.parametrize("spacing", [(2, 2, 2), (1.5, 1.5, 5)])
def test_very_wide_ventricles_are_found_where_the_affine_lays_the_templates(
    half_width_mm: float, where: str, found: bool, spacing: tuple[float, float, float]
) -> None:
    shape = tuple(int(120 / size) for size in spacing)
    brain = np.diag([*spacing, 1.0])
    brain[:3, 3] = 13, -7, 5
    places = [np.arange(n) * size - 60 for n, size in zip(shape, spacing, strict=True)]
    away = np.stack(np.meshgrid(*places, indexing="ij"))
    if where == "aside":
        away -= 35
    fluid = np.linalg.norm(away, axis=0) < half_width_mm
    image = np.where(fluid, 0.2, 0.9).astype(np.float32)
    # the template's, in its own place, of 16 mm
    region = np.linalg.norm(np.indices((40, 40, 40)) - 20, axis=0) < 8
    template = np.diag([2.0, 2, 2, 1])
    affine = np.eye(4)
    affine[:3, 3] = brain[:3, 3] + 60 - 40
    ventricles = warp.TemplateVentricles(region.astype(np.float32), region, template)
    counted = ~fluid if where == "infarct" else None
    wide = warp.wide_ventricles(Grid3D(image, brain), ventricles, affine, counted)
    assert (wide is not None) == found
    if wide is not None:
        assert (wide & fluid).sum() > 0.95 * fluid.sum()
        assert not (wide & ~fluid).any()
