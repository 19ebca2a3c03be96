"""Atlases laid over a person: labels to the voxel, probabilities, lobes, the bridge's cache."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.core.regions.lookup import as_volumes
from wmhflow.core.regions.probabilities import STEPS
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import Template
from wmhflow.registries.atlases import DIRECTORY_VARIABLE
from wmhflow.steps import atlases
from wmhflow.steps.atlases import (
    LaidAtlas,
    bridge_templates,
    find_points,
    lay_atlas,
    lobes_from_atlas,
    weigh_volumes,
)
from wmhflow.steps.kinds import LabelImage, MaskImage

AFFINE = np.array([[1.0, 0, 0, -9.5], [0, 1, 0, -8], [0, 0, 1, -5], [0, 0, 0, 1]])
SHAPE = (20, 17, 11)
MOVED_MM = np.array([2.0, -1.0, 3.0])


@pytest.fixture
def halves(tmp_path: Path) -> str:
    """An atlas of a left and a right half, on a coarser grid that is stored the other way round."""
    affine = np.array([[-2.0, 0, 0, 9], [0, 1, 0, -8], [0, 0, 1, -5], [0, 0, 0, 1]])
    data = np.ones((10, 17, 11), np.int16)
    data[:5] = 2
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "halves.nii.gz")
    (tmp_path / "halves.txt").write_text("1|L|half left\n2|R|half right\n")
    return f"halves={tmp_path / 'halves.nii.gz'}"


def laid(
    atlas: str, folder: Path, matrix: np.ndarray, masks: list[np.ndarray] | None = None
) -> LaidAtlas:
    """Lay an atlas over all of the grid but its first plane, or over masks."""
    brain = np.ones(SHAPE, bool)
    brain[:, 0] = False
    way = Path(write_itk_affine(matrix, folder / "way.txt"))
    found = find_points([MaskImage(mask, AFFINE) for mask in masks or [brain]], [way])
    return lay_atlas(atlas, False, Path(atlas.partition("=")[2]), found.points, 0.5)


def test_labels_keep_their_side_through_a_mirrored_grid(halves: str, tmp_path: Path) -> None:
    found = laid(halves, tmp_path, np.eye(4))
    assert (found.labels.data[:10, 1:] == 1).all()
    assert (found.labels.data[10:, 1:] == 2).all()
    assert (found.labels.data[:, 0] == 0).all()
    assert found.members is None
    assert found.steps is None


def test_wmh_outside_the_brain_mask_have_a_region(halves: str, tmp_path: Path) -> None:
    brain, wmh = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    brain[5:9, 5:9, 5:9] = True
    wmh[12, 3, 3] = True
    labels = laid(halves, tmp_path, np.eye(4), [brain, wmh]).labels.data
    assert labels[12, 3, 3] == 2
    assert (labels[brain] == 1).all()
    assert np.count_nonzero(labels) == 4**3 + 1


def test_a_point_is_looked_up_where_the_transform_says(halves: str, tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[:3, 3] = MOVED_MM
    labels = laid(halves, tmp_path, matrix).labels.data
    # what lies at x in the person lies at x + 2 in the atlas: its middle is at x = -2 here
    assert set(np.unique(labels[:8])) <= {0, 1}
    assert set(np.unique(labels[8:])) <= {0, 2}
    assert (labels[:, :, 8:] == 0).all()
    assert labels[:18, 1:, :8].all()


def test_an_atlas_that_does_not_reach_the_person_is_refused(halves: str, tmp_path: Path) -> None:
    far = np.eye(4)
    far[:3, 3] = 500
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 1), np.float32), AFFINE), tmp_path / "one.nii.gz")
    (tmp_path / "one.txt").write_text("1|A|all of it\n")
    for atlas in (halves, f"one={tmp_path / 'one.nii.gz'}"):
        with pytest.raises(InputError, match="--atlas-template"):
            laid(atlas, tmp_path, far)


def test_probabilities_overlap_and_end_at_the_brain(tmp_path: Path) -> None:
    volumes = np.zeros((*SHAPE, 2), np.float32)
    volumes[:10, ..., 0] = 1.0
    volumes[..., 1] = 0.5
    nib.save(nib.Nifti1Image(volumes, AFFINE), tmp_path / "tracts.nii.gz")
    (tmp_path / "tracts.txt").write_text("1|A|bundle left\n2|B|both\n")
    found = laid(f"tracts={tmp_path / 'tracts.nii.gz'}", tmp_path, np.eye(4))
    assert found.steps is not None
    assert found.members is not None
    steps = as_volumes(found.steps.values, found.steps.mask)
    labels = found.labels.data
    assert (steps[:, 0] == 0).all()
    assert set(np.unique(steps[:, 1:, :, 1])) == {STEPS // 2}
    assert (np.isin(labels, found.members["1"]) == (steps[..., 0] > 0)).all()
    assert (np.isin(labels, found.members["2"]) == (steps[..., 1] > 0)).all()
    wmh = np.zeros(SHAPE, bool)
    wmh[8:12, 1:] = True
    region = {"seg": "tracts", "index": 1, "name": "bundle left", "hemisphere": "L"}
    regions = [[region, region | {"index": 2}]]
    first, second = weigh_volumes([found.steps], regions, MaskImage(wmh, AFFINE)).rows
    assert first["wmh_volume_mm3"] == 2 * 16 * 11
    assert second["wmh_volume_mm3"] == 0.5 * 4 * 16 * 11
    assert second["volume_mm3"] == 0.5 * 20 * 16 * 11


def test_lobes_of_an_atlas_go_to_the_person_s_own_cortex() -> None:
    codes = np.zeros(SHAPE, np.int32)
    codes[:10, 0], codes[10:, 0], codes[:10, -1], codes[10:, -1] = 1028, 2028, 1011, 2011
    tissue = np.zeros(SHAPE, np.uint8)
    tissue[:10, 1:16], tissue[10:, 1:16] = 13, 23
    found = lobes_from_atlas(LabelImage(codes, AFFINE), LabelImage(tissue, AFFINE))
    lobes = found.cortex_lobes.data
    assert (lobes[:, 1:8] == 1).all()
    assert (lobes[:, 9:16] == 4).all()
    assert (lobes[:, [0, 16]] == 0).all()


def test_a_bridge_is_registered_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "cache"))
    template = Template(tmp_path / "template")
    save_image(template.path("t1w"))
    made: list[Any] = []

    def register(image: Any, template: Template, seed: int, out: Path, **_: Any) -> None:
        made.append(image)
        with h5py.File(out, "w") as stored:
            stored["TransformGroup/0"] = len(made)

    # what registers takes minutes and has tests of its own; here it is asked for, or it is not
    monkeypatch.setattr(atlases, "register_bridge", register)

    def bridged(name: str, seed: int = 1) -> Path:
        folder = tmp_path / f"node{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return bridge_templates(tmp_path / name, template, False, seed, folder).forward

    save_image(tmp_path / "one.nii", np.ones(SHAPE))
    save_image(tmp_path / "other.nii", np.zeros(SHAPE))
    first, again = bridged("one.nii"), bridged("one.nii")
    assert first != again
    assert first.read_bytes() == again.read_bytes()
    assert len(made) == 1
    # another image, another seed and another template are other bridges
    bridged("other.nii")
    bridged("one.nii", seed=2)
    save_image(template.path("t1w"), np.ones(SHAPE))
    bridged("one.nii")
    assert len(made) == 4
    kept = sorted((tmp_path / "cache" / "bridges").iterdir(), key=lambda path: path.stat().st_mtime)
    assert len(kept) == 4
    assert {path.stat().st_mode & 0o044 for path in kept} == {0o044}
    # what was cut short in the cache is made again
    kept[-1].write_bytes(kept[-1].read_bytes()[:100])
    bridged("one.nii")
    assert len(made) == 5
