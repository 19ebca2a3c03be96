"""Steps that fit models to a series: where they fit, what they count, and what they say."""

from __future__ import annotations

import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import save_image
from tests.core.diffusion.series import STICK, table, tensor_signal, turned
from tests.core.diffusion.test_coherence import rings
from wmhflow.errors import InputError
from wmhflow.labels.digits import CORTEX, LEFT, VENTRICLES, WHITE_MATTER, with_side
from wmhflow.steps.diffusion import average_b0, fit_tensors
from wmhflow.steps.diffusion_models import (
    divide_tissues,
    fit_free_waters,
    fit_ivims,
    fit_kurtoses,
)
from wmhflow.steps.kinds import LabelImage

AFFINE = np.diag([-2.0, 2.0, 2.0, 1.0])
SHAPE = (12, 13, 14)
SHELLS = ((700, 15), (2000, 15))


def classes() -> np.ndarray:
    """White matter in slabs of two, cortex in a third one, ventricle in a block."""
    found = np.zeros(SHAPE, np.int16)
    found[1:5] = with_side(WHITE_MATTER, LEFT)
    found[5:7] = with_side(CORTEX, LEFT)
    found[7:, 1:12, 1:13] = with_side(VENTRICLES, LEFT)
    return found


def tissue() -> LabelImage:
    return LabelImage(classes(), AFFINE)


def signals(share: float, bvals: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Bundles with free water, cortex, and fluid, (X, Y, Z, g)."""
    water = np.exp(-bvals * 3e-3)
    stick = np.stack([tensor_signal(turned(STICK, 9 * k, 2), bvals, vectors) for k in range(20)])
    found = np.zeros((*SHAPE, len(bvals)))
    number = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 20
    here = classes() % 10
    white = here == WHITE_MATTER
    found[white] = (1 - share) * stick[number[white]] + share * water
    found[here == CORTEX] = 1.1 * np.exp(-bvals * 0.8e-3)
    found[here == VENTRICLES] = 2 * water
    return 1000 * found


@pytest.fixture
def made(tmp_path: Path):
    def write(share: float = 0.0, shells=SHELLS, bvals=None, flip: bool = False):
        told, world = table(*shells)
        bvals = told if bvals is None else bvals
        path = save_image(tmp_path / "x_dwi.nii", signals(share, bvals, world), AFFINE)
        written = world * (np.array([-1, 1, 1]) if not flip else 1)
        np.savetxt(tmp_path / "x.bval", bvals[None], fmt="%g")
        # FSL's x in an image whose affine turns handedness is the image's
        np.savetxt(tmp_path / "x.bvec", written.T)
        files = {"image": path, "bval": tmp_path / "x.bval", "bvec": tmp_path / "x.bvec"}
        return files | {"volumes": list(range(len(bvals))), "convention": "FSL"}

    return write


def test_the_image_of_a_series_is_the_mean_of_what_is_not_weighted(made) -> None:
    files = made()
    shown = average_b0(files["image"], files["bval"]).image
    assert np.allclose(shown.data[classes() % 10 == VENTRICLES], 2000)
    assert np.array_equal(shown.affine, AFFINE)


def test_tensors_lie_in_the_world_and_the_outside_is_nan(made) -> None:
    found = fit_tensors(**made())
    first = np.argwhere(classes() % 10 == WHITE_MATTER)
    number = (np.ravel_multi_index(first.T, SHAPE)) % 20
    place = np.cumsum(found.tensors.mask.ravel()).reshape(SHAPE)
    voxel = tuple(first[np.flatnonzero(number == 5)[0]])
    tensor = found.tensors.values[place[voxel] - 1]
    expected = turned(STICK, 45, 2)[[0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]]
    assert np.allclose(tensor, expected, atol=2e-6)
    assert np.isnan(found.fa.data[0, 0, 0])
    assert found.facts["n_without_fit"] == 0
    assert found.facts["redundancy"] == 25


@pytest.mark.parametrize(("flipped", "verdict"), [(None, 1), (1, 0), (2, 0)])
def test_a_table_of_another_convention_is_found_and_said_and_nothing_is_turned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, flipped: int | None, verdict: int
) -> None:
    along, fa = rings()
    bvals, world = table((1000, 15))
    values = np.where(fa > 0.5, 1.4e-3, 0.0)[..., None] * (along @ world.T) ** 2
    image = 1000 * np.exp(-bvals * (values + 0.35e-3 + 0.3e-3 * (fa < 0.5)[..., None]))
    path = save_image(tmp_path / "r_dwi.nii", image, np.diag([2.0, 2, 2, 1]))
    written = world * np.array([-1, 1, 1])
    if flipped is not None:
        written[:, flipped] *= -1
    np.savetxt(tmp_path / "r.bval", bvals[None])
    np.savetxt(tmp_path / "r.bvec", written.T)
    with caplog.at_level(logging.WARNING, "wmhflow"):
        found = fit_tensors(
            path, tmp_path / "r.bval", list(range(17)), "FSL", bvec=tmp_path / "r.bvec"
        )
    assert found.facts["directions_follow_fibres"] == verdict
    assert ("another convention" in caplog.text) == (verdict == 0)
    assert np.allclose(found.fa.data[fa > 0.5], 0.768, atol=0.01)
    if flipped is not None:
        assert f"{'xyz'[flipped]} reversed" in caplog.text


def test_a_given_mask_decides_and_an_empty_one_is_refused(made, tmp_path: Path) -> None:
    mask = np.zeros(SHAPE)
    mask[2, 3:6] = 1
    found = fit_tensors(**made(), mask=save_image(tmp_path / "m.nii", mask, AFFINE))
    assert np.array_equal(np.isfinite(found.fa.data), mask > 0)
    with pytest.raises(InputError, match="leaves no voxel"):
        fit_tensors(**made(), mask=save_image(tmp_path / "m.nii", mask * 0, AFFINE))


def test_free_water_is_fitted_in_and_near_white_matter(made) -> None:
    found = fit_free_waters(**made(0.3), tissue=tissue())
    white = classes() % 10 == WHITE_MATTER
    assert np.allclose(found.fw.data[white], 0.3, atol=0.011)
    assert np.allclose(found.fat.data[white], 0.799, atol=0.03)
    assert np.isfinite(found.fw.data[5:7]).any()
    assert np.isnan(found.fw.data[8:]).all()
    assert found.facts["tensorless_fraction"] == 0


def test_a_series_beside_all_white_matter_is_refused(made) -> None:
    far = LabelImage(classes(), AFFINE @ np.array([[1, 0, 0, 80], *np.eye(4)[1:]]))
    with pytest.raises(InputError, match="no white matter"):
        fit_free_waters(**made(), tissue=far)


def test_kurtosis_of_water_beside_tissue_is_above_0(made) -> None:
    found = fit_kurtoses(**made(0.3), tissue=tissue())
    white = classes() % 10 == WHITE_MATTER
    assert np.nanmedian(found.mk.data[white]) > 0.3
    assert np.isnan(found.mk.data[9:]).all()
    assert 0 <= found.facts["bounded_fraction"] <= 1


def test_ivim_of_a_series_of_low_b_values(made, tmp_path: Path) -> None:
    bvals = np.repeat([0.0, 20, 50, 100, 200, 500, 800], 3)
    data = np.zeros((*SHAPE, len(bvals)))
    data[2:8, 2:8, 2:8] = 800 * (0.92 * np.exp(-bvals * 0.8e-3) + 0.08 * np.exp(-bvals * 0.03))
    path = save_image(tmp_path / "i_dwi.nii", data, AFFINE)
    np.savetxt(tmp_path / "i.bval", bvals[None], fmt="%g")
    found = fit_ivims(path, tmp_path / "i.bval", list(range(len(bvals))))
    assert np.allclose(found.d.data[2:8, 2:8, 2:8], 0.8e-3, rtol=0.01)
    assert np.allclose(found.f.data[2:8, 2:8, 2:8], 0.08, atol=0.01)
    assert np.isnan(found.d.data[0, 0, 0])


@pytest.mark.parametrize("fit", [fit_tensors, fit_free_waters, fit_kurtoses, fit_ivims])
@pytest.mark.parametrize(
    ("signal", "masked"), [(0, 1), (np.nan, 1), (-5, 1), (0, None), (np.nan, None), (100, 0)]
)
def test_a_series_that_gives_no_value_gives_no_map(
    made, tmp_path: Path, fit, signal: float, masked: int | None
) -> None:
    files = made()
    save_image(files["image"], np.full((*SHAPE, len(files["volumes"])), signal), AFFINE)
    if masked is not None:
        files["mask"] = save_image(tmp_path / "mask.nii", np.full(SHAPE, masked), AFFINE)
    if fit is fit_ivims:
        files = {
            name: files[name] for name in ("image", "bval", "volumes", "mask") if name in files
        }
    elif fit is not fit_tensors:
        files["tissue"] = tissue()
    with pytest.raises(InputError, match=r"no voxel to fit a model to|no white matter"):
        fit(**files)


def test_fractions_know_each_tissue_by_itself(made) -> None:
    found = divide_tissues(**made(), tissue=tissue())
    for name, label in (("white", WHITE_MATTER), ("grey", CORTEX), ("fluid", VENTRICLES)):
        assert np.nanmean(getattr(found, name).data[classes() % 10 == label]) > 0.97
    total = found.white.data + found.grey.data + found.fluid.data
    assert np.allclose(total[np.isfinite(total)], 1, atol=1e-5)
    assert found.facts["n_response_fluid"] >= 100


def test_too_few_voxels_of_a_tissue_leave_no_fraction_and_this_is_said(
    made, caplog: pytest.LogCaptureFixture
) -> None:
    few = tissue()
    few.data[few.data == with_side(CORTEX, LEFT)] = 0
    with caplog.at_level(logging.WARNING, "wmhflow"):
        found = divide_tissues(**made(), tissue=few)
    assert np.isnan(found.white.data).all()
    assert "grey 0" in caplog.text
    assert found.facts["n_response_grey"] == 0


@pytest.mark.acts("--tensor-fit")
def test_a_robust_fit_is_not_moved_by_a_spoilt_volume(made) -> None:
    files = made(0.0, ((1000, 40),))
    image = nib.load(files["image"])
    data = np.asanyarray(image.dataobj).copy()
    # the head moved while one volume was taken
    data[..., 20] *= 0.3
    nib.save(nib.Nifti1Image(data, AFFINE), files["image"])
    white = classes() % 10 == WHITE_MATTER
    plain = fit_tensors(**files).fa.data[white]
    robust = fit_tensors(**files, fit="robust", tissue=tissue())
    assert np.abs(plain - 0.799).max() > 0.05
    assert np.abs(robust.fa.data[white] - 0.799).max() < 0.005
    assert np.isfinite(robust.fa.data[10:, 3:9, 3:9]).all()
