"""The template and its priors: symmetric, plausible, drawn once and then only read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wmhflow.files import template
from wmhflow.files.template import CACHE_VARIABLE, IMAGES, MASK_PRIORS, cached_template

FOUND = cached_template()


@pytest.mark.parametrize("name", IMAGES)
def test_every_prior_is_symmetric_about_a_plane_of_voxels_at_zero(name: str) -> None:
    grid = FOUND.grid(name)
    assert np.allclose(grid.data, grid.data[::-1], atol=1e-4)
    middle = (grid.data.shape[0] - 1) / 2
    assert (grid.affine @ [middle, 0, 0, 1])[0] == 0
    assert grid.data.min() >= 0
    if name in MASK_PRIORS:
        assert set(np.unique(grid.data)) == {0, 1}


def test_the_region_of_the_ventricles_has_the_size_of_generous_ventricles() -> None:
    assert 40_000 < FOUND.grid("ventricles").data.sum() * FOUND.grid("ventricles").voxel_mm3 < 1.2e5


def test_tissues_share_the_brain_among_them() -> None:
    inside = FOUND.mask("brain_mask")
    shares = sum(FOUND.grid(name).data for name in ("csf", "cortex", "deep_grey", "white"))
    assert np.abs(np.asarray(shares)[inside] - 1).mean() < 0.05


def test_what_lies_in_a_given_folder_is_used_and_nothing_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FOUND.folder.name).symlink_to(FOUND.folder)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))

    def draw(folder: Path) -> None:
        raise AssertionError(f"drawn into {folder}")

    monkeypatch.setattr(template, "_draw_into", draw)
    assert cached_template().folder == tmp_path / FOUND.folder.name
