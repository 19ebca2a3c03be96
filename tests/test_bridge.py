"""An atlas on another template than the program's comes to lie where its anatomy lies."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from wmhflow.ants.bridge import DRAWN_PRIORS
from wmhflow.core.tissue.template import draw_ventricle_core
from wmhflow.files.grids import load_grid
from wmhflow.files.itk import write_itk_affine
from wmhflow.interfaces.atlases import LayAtlas, PointsInTemplate
from wmhflow.interfaces.bridge import BridgeTemplates
from wmhflow.interfaces.segmentation import TemplatePriors
from wmhflow.registries.atlases import DIRECTORY_VARIABLE

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
    priors = TemplatePriors().run(cwd=str(tmp_path)).outputs
    template = load_grid(priors.t1w)
    ventricles = draw_ventricle_core(load_grid(priors.csf).data, template.affine)
    x = template.affine[0, 0] * np.arange(ventricles.shape[0]) + template.affine[0, 3]
    truth = np.where(ventricles, np.where(x < 0, 1, 2)[:, None, None], 0)
    image = nib.Nifti1Image(other_space(template.data, 1).astype(np.float32), template.affine)
    nib.save(image, tmp_path / "other_T1w.nii.gz")
    labels = nib.Nifti1Image(other_space(truth, 0).astype(np.int16), template.affine)
    nib.save(labels, tmp_path / "v.nii.gz")
    (tmp_path / "v.txt").write_text("1|VL|ventricle left\n2|VR|ventricle right\n")
    given = {name: getattr(priors, name) for name in DRAWN_PRIORS}
    bridge = BridgeTemplates(
        image=str(tmp_path / "other_T1w.nii.gz"),
        template_t1w=priors.t1w,
        template_mask=priors.brain_mask,
        **given,
    )
    forward = bridge.run(cwd=str(tmp_path)).outputs.forward
    way = write_itk_affine(np.eye(4), tmp_path / "identity.txt")
    found = {}
    for name, transforms in (("bridged", [way, forward]), ("taken for the same", [way])):
        (tmp_path / name).mkdir()
        places = PointsInTemplate(masks=[priors.brain_mask], transforms=transforms)
        points = places.run(cwd=str(tmp_path / name)).outputs.points
        laid = LayAtlas(
            atlas=f"v={tmp_path / 'v.nii.gz'}",
            image=str(tmp_path / "v.nii.gz"),
            points=points,
            threshold=0.5,
        ).run(cwd=str(tmp_path / name))
        found[name] = np.asanyarray(nib.load(laid.outputs.labels).dataobj)
    for side in (1, 2):
        scores = {name: dice(image == side, truth == side) for name, image in found.items()}
        assert scores["bridged"] > 0.85, scores
        assert scores["taken for the same"] < 0.6, scores
    (kept,) = (tmp_path / "cache" / "bridges").iterdir()
    assert kept.read_bytes() == Path(forward).read_bytes()
