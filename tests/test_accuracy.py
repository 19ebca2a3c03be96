"""What the accuracy benchmark measures on is what it says: thick slices, simulated heads."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks.accuracy.chain import dice
from benchmarks.accuracy.simulate import LATERAL_VENTRICLES, simulated
from benchmarks.accuracy.wmh import thick_slices


@pytest.mark.parametrize("up", [1.0, -1.0])
def test_thick_slices_are_means_that_lie_where_their_voxels_lay(up: float, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((4, 5, 22)).astype(np.float32)
    affine = np.diag([-1.0, 1, up, 1])
    affine[:3, 3] = [3, -7, 11]
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "thin.nii.gz")
    thick = nib.load(thick_slices(tmp_path / "thin.nii.gz", 5.0, tmp_path / "thick.nii.gz"))
    assert thick.shape == (4, 5, 4)
    assert np.allclose(thick.get_fdata()[..., 1], values[..., 5:10].mean(axis=2), atol=1e-6)
    middle_of_second = nib.affines.apply_affine(affine, [2, 3, 7])
    assert np.allclose(nib.affines.apply_affine(thick.affine, [2, 3, 1]), middle_of_second)


def test_simulated_heads_have_the_contrast_of_their_name() -> None:
    codes = np.zeros((40, 40, 40), np.int16)
    codes[4:36, 4:36, 4:36] = 3
    codes[8:32, 8:32, 8:32] = 2
    codes[16:24, 16:24, 16:24] = LATERAL_VENTRICLES[0]
    for contrast, order in (("T1w", (4, 3, 2)), ("FLAIR", (4, 2, 3))):
        image = simulated(codes, np.ones(3), contrast, seed=1)
        medians = [float(np.median(image[codes == code])) for code in order]
        assert medians == sorted(medians)
        assert np.median(image[codes == 0]) < medians[0]
        assert np.array_equal(image, simulated(codes, np.ones(3), contrast, seed=1))


def test_dice_of_known_masks() -> None:
    first, second = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert dice(first, second) == 0.5
    assert dice(first & False, second & False) == 1.0
