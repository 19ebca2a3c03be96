"""An atlas on another template than the program's comes to lie where its anatomy lies."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.tissue.template import draw_ventricle_core
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import cached_template
from wmhflow.registries.atlases import DIRECTORY_VARIABLE
from wmhflow.steps.atlases import bridge_templates, find_points, lay_atlas
from wmhflow.steps.kinds import load_mask


def other_space(values: np.ndarray, order: int) -> np.ndarray:
    """Deform an image of the template: 4 % longer, shifted by some mm, and bent by 3 mm."""
    i, j, k = np.indices(values.shape).astype(np.float64)
    middle = (values.shape[1] - 1) / 2
    places = [i + 3 * np.sin(k / 25), (j - middle) / 1.04 + middle - 4, k + 3 * np.cos(j / 30)]
    return ndimage.map_coordinates(values, places, order=order)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.slow
def test_an_atlas_in_a_deformed_space_is_brought_back_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "cache"))
    # the finest level of the registration takes most of its time, and the anatomy lies right before
    monkeypatch.setattr("wmhflow.ants.warp.SYN_LEVELS_MM", (8.0, 4.0))
    monkeypatch.setattr("wmhflow.ants.warp.SYN_ITERATIONS", (60, 40))
    monkeypatch.setattr("wmhflow.core.align.search.ROTATIONS_TRIED_DEG", (0.0,))
    template = cached_template()
    head = template.grid("t1w")
    ventricles = draw_ventricle_core(template.grid("csf").data, head.affine)
    x = head.affine[0, 0] * np.arange(ventricles.shape[0]) + head.affine[0, 3]
    truth = np.where(ventricles, np.where(x < 0, 1, 2)[:, None, None], 0)
    image = nib.Nifti1Image(other_space(head.data, 1).astype(np.float32), head.affine)
    nib.save(image, tmp_path / "other_T1w.nii.gz")
    labels = nib.Nifti1Image(other_space(truth, 0).astype(np.int16), head.affine)
    nib.save(labels, tmp_path / "v.nii.gz")
    (tmp_path / "v.txt").write_text("1|VL|ventricle left\n2|VR|ventricle right\n")
    forward = bridge_templates(
        tmp_path / "other_T1w.nii.gz", template, has_labels=False, seed=1, folder=tmp_path
    ).forward
    way = Path(write_itk_affine(np.eye(4), tmp_path / "identity.txt"))
    found = {}
    for name, transforms in (("bridged", [way, forward]), ("taken for the same", [way])):
        points = find_points([load_mask(template.path("brain_mask"))], transforms).points
        atlas = tmp_path / "v.nii.gz"
        laid = lay_atlas(
            f"v={atlas}", sides_checked=False, image=atlas, points=points, threshold=0.5
        )
        found[name] = laid.labels.data
    for side in (1, 2):
        scores = {name: dice(image == side, truth == side) for name, image in found.items()}
        assert scores["bridged"] > 0.85, scores
        assert scores["taken for the same"] < 0.6, scores
    (kept,) = (tmp_path / "cache" / "bridges").iterdir()
    assert kept.read_bytes() == forward.read_bytes()
