"""Registration: a known motion comes back, files are the same twice, headers are kept."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from wmhflow.ants import warp
from wmhflow.ants.images import THREADS_VARIABLE, single_threaded_ants
from wmhflow.ants.transforms import apply_transforms
from wmhflow.core.align.quality import ACCEPTABLE
from wmhflow.core.align.search import rotation_matrix
from wmhflow.core.space.grids import Grid3D, resample_isotropic, robust_range
from wmhflow.errors import InputError
from wmhflow.files.grids import load_grid, save_like
from wmhflow.files.itk import read_itk_affine, write_itk_affine
from wmhflow.files.template import template_path
from wmhflow.interfaces.measures import quality_row
from wmhflow.interfaces.registration import RigidRegistration
from wmhflow.interfaces.transforms import ApplyTransforms
from wmhflow.interfaces.warp import TemplateRegistration, TemplateRegistrationAgain


def coarse_template(spacing_mm: float) -> Grid3D:
    """The packaged template, at a voxel size that makes tests quick."""
    return resample_isotropic(load_grid(template_path("t1")), spacing_mm)


def save(grid: Grid3D, path: Path) -> str:
    image = nib.Nifti1Image(grid.data.astype(np.float32), grid.affine)
    nib.save(image, path)
    return str(path)


def moved_copy(grid: Grid3D, matrix: np.ndarray[Any, Any], path: Path) -> str:
    """The same head, of which only the header says that it lies elsewhere."""
    return save(Grid3D(grid.data, matrix @ grid.affine), path)


def known_motion(angles: tuple[float, float, float], shift: tuple[float, float, float]) -> Any:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_matrix(angles), shift
    return matrix


@pytest.fixture(scope="module")
def head() -> Grid3D:
    return coarse_template(4.0)


@pytest.mark.parametrize(
    "motion",
    [((4, -6, 8), (6, -9, 5)), ((-20, 12, 25), (30, 20, -25)), ((38, -36, 40), (-25, 25, 20))],
    ids=["small", "large", "largest"],
)
def test_known_motion_is_recovered_across_contrasts(head, motion, tmp_path) -> None:
    truth = known_motion(*motion)
    inverted = Grid3D(np.where(head.data > 0, 280 - head.data, 0), head.affine)
    fixed = save(head, tmp_path / "fixed.nii.gz")
    moving = moved_copy(inverted, truth, tmp_path / "moving.nii.gz")
    found = RigidRegistration(fixed=fixed, moving=moving, seed=7).run(cwd=tmp_path).outputs
    points = nib.affines.apply_affine(head.affine, np.argwhere(head.data > 0)[::50])
    error = nib.affines.apply_affine(read_itk_affine(found.transform), points)
    error = np.linalg.norm(error - nib.affines.apply_affine(truth, points), axis=1)
    assert error.max() < 0.5
    assert found.metrics["mutual_information"] > found.metrics["mutual_information_identity"]


@pytest.fixture(scope="module")
def small_head() -> Grid3D:
    return coarse_template(6.0)


def noise_like(head: Grid3D) -> Grid3D:
    return Grid3D(np.random.default_rng(0).random(head.data.shape, dtype=np.float32), head.affine)


@pytest.mark.parametrize(
    ("shift_mm", "kind", "kept"),
    [
        (1.2, "brain", True),
        (3.0, "slices", True),
        (3.5, "brain", False),
        (1.2, "noise", False),
        (1.2, "head", False),
    ],
)
def test_brains_in_one_field_of_view_stay(head, shift_mm, kind, kept, tmp_path) -> None:
    brain = np.where(head.data > 20, head.data, 0)
    if kind == "head":
        # a head around it, with a neck, that stands free of most of the image's faces
        around = ndimage.binary_dilation(brain > 0, iterations=5)
        brain = np.where((brain == 0) & around, 150.0, brain)
    brain = np.pad(brain, 6)
    shifted = ndimage.shift(brain, (shift_mm / 4.0, 0, 0), order=1)
    pair = [brain, np.where(shifted > 20, shifted, 0)]
    if kind == "noise":
        pattern = 1 + np.arange(brain.size).reshape(brain.shape) % 7
        pair = [np.where(data > 0, data, pattern) for data in pair]
    grids = [Grid3D(data, head.affine) for data in pair]
    if kind == "slices":
        n_slices = brain.shape[2] // 2
        halves = pair[1][:, :, : 2 * n_slices].reshape(*brain.shape[:2], n_slices, 2)
        affine = head.affine @ np.diag([1, 1, 2, 1])
        affine[:3, 3] += head.affine[:3, 2] / 2
        grids[1] = Grid3D(halves.mean(axis=3), affine)
    files = [
        save(grid, tmp_path / f"{name}.nii.gz")
        for name, grid in zip(("fixed", "moving"), grids, strict=True)
    ]
    found = RigidRegistration(fixed=files[0], moving=files[1], seed=7).run(cwd=tmp_path).outputs
    assert found.metrics["search_displacement_mm"] == pytest.approx(shift_mm, abs=0.4)
    moved = 0.0 if kept else shift_mm
    assert found.metrics["translation_mm"] == pytest.approx(moved, abs=0.4 * (not kept))


def test_what_cannot_be_aligned_is_searched_anew_and_told(small_head, tmp_path) -> None:
    fixed, moving = (
        save(small_head, tmp_path / "f.nii.gz"),
        save(noise_like(small_head), tmp_path / "m.nii.gz"),
    )
    found = RigidRegistration(fixed=fixed, moving=moving).run(cwd=tmp_path).outputs
    assert found.metrics["retries"] == 2
    rows = [quality_row(f"x_registration_{k}", v) for k, v in found.metrics.items() if k != "start"]
    verdicts = {row["metric"].removeprefix("x_registration_"): row["verdict"] for row in rows}
    assert verdicts["mutual_information_ratio"] == "check"


def test_what_cannot_be_aligned_fails_with_both_names(small_head, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("wmhflow.ants.rigid.every_turn", lambda: [(0.0, 0.0, 0.0)])
    fixed, moving = (
        save(small_head, tmp_path / "f.nii.gz"),
        save(noise_like(small_head), tmp_path / "m.nii.gz"),
    )
    node = RigidRegistration(
        fixed=fixed,
        moving=moving,
        quality="fail",
        moving_name="sub-1_FLAIR",
        fixed_name="sub-1_T1w",
    )
    with pytest.raises(InputError, match=r"sub-1_FLAIR .* sub-1_T1w: .*ratio .*at least"):
        node.run(cwd=tmp_path)


def test_verdict_can_be_left_out(small_head, tmp_path) -> None:
    fixed = save(small_head, tmp_path / "f.nii.gz")
    moving = moved_copy(small_head, known_motion((3, 2, 5), (4, 5, 6)), tmp_path / "m.nii.gz")
    metrics = {}
    for quality in ("off", "flag"):
        node = RigidRegistration(fixed=fixed, moving=moving, quality=quality)
        metrics[quality] = node.run(cwd=tmp_path).outputs.metrics
    assert set(metrics["flag"]) - set(metrics["off"]) == {*ACCEPTABLE, "displacement_mm", "retries"}
    assert metrics["flag"]["retries"] == 0
    rows = [quality_row(f"x_registration_{name}", metrics["flag"][name]) for name in ACCEPTABLE]
    assert {row["verdict"] for row in rows} == {"ok"}


def test_a_head_upside_down_is_found(small_head, tmp_path) -> None:
    truth = known_motion((0, 170, 30), (6, -9, 5))
    fixed = save(small_head, tmp_path / "f.nii.gz")
    moving = moved_copy(small_head, truth, tmp_path / "m.nii.gz")
    found = RigidRegistration(fixed=fixed, moving=moving).run(cwd=tmp_path).outputs
    points = nib.affines.apply_affine(small_head.affine, np.argwhere(small_head.data > 0)[::50])
    error = nib.affines.apply_affine(read_itk_affine(found.transform) - truth, points)
    assert np.linalg.norm(error, axis=1).max() < 1


def test_same_input_gives_the_same_bytes(head, tmp_path) -> None:
    fixed = save(head, tmp_path / "fixed.nii.gz")
    moving = moved_copy(head, known_motion((3, 2, 5), (4, 5, 6)), tmp_path / "moving.nii.gz")
    written = []
    for run in ("a", "b"):
        folder = tmp_path / run
        folder.mkdir()
        outputs = RigidRegistration(fixed=fixed, moving=moving, seed=7).run(cwd=folder).outputs
        written.append([Path(outputs.transform).read_bytes(), Path(outputs.warped).read_bytes()])
    assert written[0] == written[1]


@pytest.mark.parametrize(
    "finest_mm", [3.0, pytest.param(warp.COARSEST_SYN_MM, marks=pytest.mark.slow)]
)
def test_template_registration_is_repeatable_invertible_and_does_not_fold(
    finest_mm, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(warp, "COARSEST_SYN_MM", finest_mm)
    template = coarse_template(6.0)
    bent = Grid3D(
        ndimage.map_coordinates(
            template.data,
            np.indices(template.data.shape)
            + 0.8 * np.sin(np.indices(template.data.shape)[[1, 2, 0]] / 4),
            order=1,
        ),
        known_motion((5, 0, 4), (5, 3, 2)) @ template.affine,
    )
    goal, person = save(template, tmp_path / "t.nii.gz"), save(bent, tmp_path / "p.nii.gz")
    mask = save(Grid3D((bent.data > 20).astype(np.float32), bent.affine), tmp_path / "m.nii.gz")
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        node = TemplateRegistration(reference=person, brain_mask=mask, template=goal, seed=3)
        runs.append(node.run(cwd=tmp_path / name).outputs)
    for output in ("forward", "inverse"):
        first, second = (Path(getattr(run, output)).read_bytes() for run in runs)
        assert first == second, output
    assert runs[0].metrics["jacobian_min"] > 0
    there = apply_transforms(person, goal, [runs[0].forward], tmp_path / "there.nii.gz")
    there_and_back = apply_transforms(there, person, [runs[0].inverse], tmp_path / "back.nii.gz")
    back = load_grid(there_and_back).data
    assert np.corrcoef(back.ravel(), bent.data.ravel())[0, 1] > 0.97
    warped = load_grid(there).data
    assert np.corrcoef(warped.ravel(), template.data.ravel())[0, 1] > 0.95


def lesions_of(height: int, template: Grid3D) -> np.ndarray[Any, Any]:
    """Make lesions of 4.3 ml a layer on a grid of 6 mm."""
    wmh = np.zeros(template.data.shape, bool)
    wmh[10:12, 8:18, 8 : 8 + height] = True
    return wmh


def test_registering_again_waits_for_lesions_that_matter(tmp_path, monkeypatch) -> None:
    template = coarse_template(6.0)
    goal = save(template, tmp_path / "t.nii.gz")
    brain = Grid3D((template.data > 20).astype(np.float32), template.affine)
    affine = np.diag([1.1, 0.9, 1.0, 1.0])
    made = warp.WarpFit(goal, goal, {"jacobian_min": 0.2}, affine)
    met = []

    def register(*_: Any, **given: Any) -> warp.WarpFit:
        met.append(given["affine"])
        return made

    monkeypatch.setattr(warp, "register_to_template", register)
    found = []
    for height in (1, 2):
        wmh = Grid3D(lesions_of(height, template).astype(np.float32), template.affine)
        node = TemplateRegistrationAgain(
            reference=goal,
            brain_mask=save(brain, tmp_path / "m.nii.gz"),
            template=goal,
            wmh=save(wmh, tmp_path / f"wmh{height}.nii.gz"),
            forward=goal,
            inverse=goal,
            affine=write_itk_affine(affine, tmp_path / "affine.txt"),
            metrics={"start": "header", "jacobian_min": 0.1},
        )
        found.append(node.run(cwd=tmp_path).outputs.metrics)
    assert [metrics["jacobian_min"] for metrics in found] == [0.1, 0.2]
    # the affine stays, and what is said of it
    assert [metrics["start"] for metrics in found] == ["header", "header"]
    np.testing.assert_allclose(met, [affine], atol=1e-9)


def test_wmh_are_filled_and_an_infarct_is_masked(tmp_path, monkeypatch) -> None:
    template = coarse_template(6.0)
    brain = template.data > 20
    wmh, infarct = lesions_of(4, template) & brain, np.zeros(brain.shape, bool)
    infarct[20:22, 10:14, 12:14] = True
    dark = Grid3D(np.where(wmh, 30, template.data).astype(np.float32), template.affine)
    met = {}

    def meet(brain: Grid3D, *rest: Any) -> warp.WarpFit:
        met["brain"], met["infarct"] = brain, rest[-2]
        return warp.WarpFit("", "", {}, np.eye(4))

    def without_bias(grid: Grid3D, mask: Any, seed: int, weight: Any) -> Any:
        met["weight"] = weight
        return grid.data

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


def test_resampling_keeps_oblique_header_and_label_type(head, tmp_path) -> None:
    labels = Grid3D((head.data > 100) * 7, head.affine)
    moving = str(tmp_path / "labels.nii.gz")
    nib.save(nib.Nifti1Image(labels.data.astype(np.int16), labels.affine), moving)
    oblique = known_motion((10, 20, 30), (1, 2, 3)) @ head.affine @ np.diag([1, -1, 1.4, 1])
    image = nib.Nifti1Image(np.zeros((50, 60, 40), np.float32), oblique)
    image.set_sform(oblique, 4)
    image.set_qform(oblique, 2)
    reference = str(tmp_path / "reference.nii.gz")
    nib.save(image, reference)
    node = ApplyTransforms(moving=moving, reference=reference, interpolation="nearest")
    result = nib.load(node.run(cwd=tmp_path).outputs.resampled)
    assert np.array_equal(result.affine, nib.load(reference).affine)
    for field in ("sform_code", "qform_code", "pixdim", "quatern_b", "srow_x"):
        assert np.array_equal(result.header[field], nib.load(reference).header[field]), field
    assert result.get_data_dtype() == np.int16
    assert set(np.unique(result.dataobj)) <= {0, 7}


def test_resampling_agrees_with_scipy_and_inverts(head, tmp_path) -> None:
    matrix = known_motion((5, -3, 8), (4, 2, -6))
    fixed = save(head, tmp_path / "fixed.nii.gz")
    xfm = write_itk_affine(matrix, tmp_path / "x.txt")
    ours = load_grid(apply_transforms(fixed, fixed, [xfm], tmp_path / "o.nii.gz")).data
    voxels = np.linalg.inv(head.affine) @ matrix @ head.affine
    theirs = ndimage.affine_transform(head.data, voxels[:3, :3], voxels[:3, 3], order=1)
    assert np.abs(ours - theirs)[5:-5, 5:-5, 5:-5].max() < 0.1
    chained = apply_transforms(
        fixed, fixed, [xfm, xfm], tmp_path / "c.nii.gz", invert=[False, True]
    )
    assert np.abs(load_grid(chained).data - head.data).max() < 0.1


def test_itk_file_says_what_the_convention_says(tmp_path) -> None:
    matrix = known_motion((5, -3, 8), (4, 2, -6))
    path = write_itk_affine(matrix, tmp_path / "x.txt")
    assert np.allclose(read_itk_affine(path), matrix, atol=1e-9)
    import ants

    lps = ants.read_transform(path).apply_to_point([-1.0, -2.0, 3.0])
    expected = nib.affines.apply_affine(matrix, [1.0, 2.0, 3.0])
    assert np.allclose(np.array(lps) * [-1, -1, 1], expected)


def test_saved_like_has_no_time_stamp(head, tmp_path) -> None:
    reference = save(head, tmp_path / "r.nii.gz")
    path = save_like(head.data > 3, reference, tmp_path / "s.nii.gz", np.uint8)
    assert Path(path).read_bytes()[4:8] == b"\0\0\0\0"
    assert nib.load(path).get_data_dtype() == np.uint8


def test_wrong_arguments_are_refused(head, tmp_path) -> None:
    fixed = save(head, tmp_path / "fixed.nii.gz")
    with pytest.raises(InputError, match="interpolation"):
        apply_transforms(fixed, fixed, [], tmp_path / "o.nii.gz", "sinc")
    with pytest.raises(InputError, match="inversion"):
        apply_transforms(fixed, fixed, [], tmp_path / "o.nii.gz", invert=[True])


def test_ants_runs_with_one_thread() -> None:
    assert os.environ[THREADS_VARIABLE] == "1"
    assert single_threaded_ants(5).config._random_seed == 5


def test_a_small_infarct_stays_out_of_a_coarser_metric() -> None:
    infarct = np.zeros((20, 20, 20), bool)
    infarct[9, 9, 9] = True
    counted = warp._without(infarct, np.eye(4), 2.0)
    assert 1 <= (~counted).sum() <= 27
    assert not counted[4, 4, 4]
