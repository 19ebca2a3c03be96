"""Masks on their way to the reference: what is kept, what is counted."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, save_image
from wmhflow.interfaces.anatomy import (
    CombineTissues,
    GivenMask,
    TissuesFromParcellation,
    WithoutInfarct,
)

SHAPE = (8, 9, 10)
VOXEL_MM3 = float(np.prod(np.diag(AFFINE)[:3]))


def block(*where: slice) -> np.ndarray:
    data = np.zeros(SHAPE)
    data[where] = 1
    return data


def voxels(path: str) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def test_an_infarct_is_brought_as_a_mask_of_wmh_is(tmp_path: Path) -> None:
    given = block(slice(2, 4), slice(2, 4), slice(2, 4)) * 255
    given[0, 0, 0] = np.nan
    node = GivenMask(
        in_file=str(save_image(tmp_path / "infarct.nii.gz", given)),
        reference=str(save_image(tmp_path / "t1w.nii.gz")),
        what="infarct",
    )
    done = node.run(cwd=tmp_path).outputs
    assert np.array_equal(voxels(done.mask) > 0, given == 255)
    assert done.facts == pytest.approx(
        {
            "infarct_nonfinite_voxels": 1,
            "infarct_given_volume_mm3": 8 * VOXEL_MM3,
            "infarct_hole_voxels": 0,
            "infarct_kept_fraction": 1.0,
        }
    )


def test_wmh_lose_what_lies_in_the_infarct_and_so_do_their_probabilities(tmp_path: Path) -> None:
    wmh = block(slice(2, 5), slice(2, 5), slice(2, 5))
    infarct = block(slice(4, 7), slice(2, 5), slice(2, 5))
    probability = 0.4 * block(slice(None)) + 0.5 * wmh
    names = {"wmh": wmh, "infarct": infarct, "probseg": probability}
    paths = {name: str(save_image(tmp_path / f"{name}.nii", data)) for name, data in names.items()}
    done = WithoutInfarct(**paths).run(cwd=tmp_path).outputs
    assert np.array_equal(voxels(done.wmh) > 0, (wmh > 0) & (infarct == 0))
    left = voxels(done.probseg)
    assert (left[infarct > 0] == 0).all()
    assert np.allclose(left[infarct == 0], probability[infarct == 0])
    assert done.facts == pytest.approx(
        {
            "wmh_removed_infarct_voxels": 9,
            "wmh_removed_infarct_rim_voxels": 0,
            "infarct_volume_mm3": 27 * VOXEL_MM3,
        }
    )


def test_the_infarct_is_counted_out_of_nawm(tmp_path: Path) -> None:
    images = {
        "tissue": np.full(SHAPE, 5),
        "hemispheres": np.ones(SHAPE),
        "wmh": np.zeros(SHAPE),
        "infarct": block(slice(2, 5), slice(2, 5), slice(2, 5)),
    }
    paths = {name: str(save_image(tmp_path / f"{name}.nii", data)) for name, data in images.items()}
    done = CombineTissues(**paths).run(cwd=tmp_path).outputs
    # the block of 27 and one voxel on each of its 6 faces of 9
    assert done.facts["nawm_removed_infarct_voxels"] == 27 + 6 * 9
    assert np.count_nonzero(voxels(done.nawm)) == np.prod(SHAPE) - 27 - 6 * 9
    assert np.array_equal(np.unique(voxels(done.tissue)), [15])
    del paths["infarct"]
    again = CombineTissues(**paths).run(cwd=tmp_path).outputs
    assert "nawm_removed_infarct_voxels" not in again.facts


def test_codes_that_nobody_knows_are_counted_and_are_no_tissue(tmp_path: Path) -> None:
    codes = np.zeros(SHAPE)
    codes[:4], codes[4:], codes[0, :3] = 2, 41, 4711
    done = TissuesFromParcellation(
        in_file=str(save_image(tmp_path / "dseg.nii.gz", codes)),
        reference=str(save_image(tmp_path / "t1w.nii.gz")),
    ).run(cwd=tmp_path)
    assert done.outputs.facts == {"parcellation_unknown_voxels": 3 * SHAPE[2]}
    assert np.array_equal(voxels(done.outputs.tissue) > 0, np.isin(codes, (2, 41)))
