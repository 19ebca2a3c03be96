"""The template and its priors: symmetric, plausible, drawn once and then only read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wmhflow.files import template
from wmhflow.files.template import (
    CACHE_VARIABLE,
    CHECKSUMS,
    IMAGES,
    MASK_PRIORS,
    cached_template,
)

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


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def take_another_image(path: Path) -> None:
    # as whole as the image that it stands for
    path.write_bytes(path.with_name("white.nii.gz").read_bytes())


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of files that stand for the images."""

    def draw(folder: Path) -> None:
        for name in IMAGES:
            (folder / f"{name}.nii.gz").write_text(f"what is drawn as {name}")

    monkeypatch.setattr(template, "write_template_priors", draw)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return cached_template().folder


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("csf.nii.gz", cut),
        ("brain_mask.nii.gz", turn_a_bit),
        ("cortex.nii.gz", take_another_image),
        ("ventricles.nii.gz", Path.unlink),
        (CHECKSUMS, cut),
        (CHECKSUMS, Path.unlink),
    ],
)
def test_a_damaged_cache_is_drawn_anew(
    drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    # every run ended with its file's name until somebody removed it, or went on with another image
    before = {path.name: path.read_bytes() for path in drawn.iterdir()}
    damage(drawn / name)
    with caplog.at_level(logging.WARNING):
        assert cached_template().folder == drawn
    assert f"{drawn} was damaged" in caplog.text
    assert {path.name: path.read_bytes() for path in drawn.iterdir()} == before
    # nothing else is left, and nothing is drawn again
    assert list(drawn.parent.iterdir()) == [drawn]
    monkeypatch.setattr(template, "write_template_priors", None)
    assert cached_template().folder == drawn


def test_a_damaged_cache_that_cannot_be_written_to_is_passed_over(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(drawn / "csf.nii.gz")
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(template, "is_writable", lambda folder: False)
    monkeypatch.setattr(template, "cache_folder", lambda name: tmp_path / "own")
    assert cached_template().folder == tmp_path / "own" / drawn.name
