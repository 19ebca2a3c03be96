"""An atlas on another template than the program's comes to lie where its anatomy lies."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tests.builders import save_image
from wmhflow.core.tissue.template import draw_ventricle_core
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import cached_template
from wmhflow.registries.atlases import DIRECTORY_VARIABLE
from wmhflow.steps.atlases import bridge_templates, find_points, lay_atlas
from wmhflow.steps.kinds import MaskImage

pytestmark = pytest.mark.slow


def other_space(values: np.ndarray, order: int) -> np.ndarray:
    """Deform an image of the template: 4 % longer, shifted by some mm, and bent by 3 mm."""
    i, j, k = np.indices(values.shape).astype(np.float64)
    middle = (values.shape[1] - 1) / 2
    places = [i + 3 * np.sin(k / 25), (j - middle) / 1.04 + middle - 4, k + 3 * np.cos(j / 30)]
    return ndimage.map_coordinates(values, places, order=order)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_an_atlas_in_a_deformed_space_is_brought_back_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "cache"))
    template = cached_template()
    t1w, brain = template.grid("t1w"), template.mask("brain_mask")
    ventricles = draw_ventricle_core(template.grid("csf").data, t1w.affine)
    x = t1w.affine[0, 0] * np.arange(ventricles.shape[0]) + t1w.affine[0, 3]
    truth = np.where(ventricles, np.where(x < 0, 1, 2)[:, None, None], 0)
    other = save_image(tmp_path / "other_T1w.nii.gz", other_space(t1w.data, 1), t1w.affine)
    atlas = tmp_path / "v.nii.gz"
    save_image(atlas, other_space(truth, 0), t1w.affine, dtype=np.int16)
    (tmp_path / "v.txt").write_text("1|VL|ventricle left\n2|VR|ventricle right\n")
    forward = bridge_templates(other, template, False, 42, tmp_path).forward
    way = Path(write_itk_affine(np.eye(4), tmp_path / "identity.txt"))
    scores = {}
    for name, transforms in (("bridged", [way, forward]), ("taken for the same", [way])):
        points = find_points([MaskImage(brain, t1w.affine)], transforms).points
        found = lay_atlas(f"v={atlas}", False, atlas, points, 0.5).labels.data
        scores[name] = [dice(found == side, truth == side) for side in (1, 2)]
    assert min(scores["bridged"]) > 0.85, scores
    assert max(scores["taken for the same"]) < 0.6, scores
    (kept,) = (tmp_path / "cache" / "bridges").iterdir()
    assert kept.read_bytes() == forward.read_bytes()
