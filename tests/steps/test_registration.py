"""Registration: a known motion comes back, all is the same twice, a warp has an inverse."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tests.builders import save_image
from wmhflow.ants import warp
from wmhflow.ants.transforms import map_points, resample_through
from wmhflow.core.align.quality import ACCEPTABLE
from wmhflow.core.align.search import rotation_matrix
from wmhflow.core.space.grids import Grid3D, resample_isotropic
from wmhflow.errors import InputError
from wmhflow.files.images import load_grid
from wmhflow.files.itk import read_itk_affine, write_itk_affine
from wmhflow.files.template import Template, template_path
from wmhflow.steps.kinds import MaskImage
from wmhflow.steps.measures import quality_row
from wmhflow.steps.registration import (
    RigidAlignment,
    align_rigidly,
    warp_again,
    warp_to_template,
)


def head_of(spacing_mm: float) -> Grid3D:
    """The packaged template, at a voxel size that makes tests quick."""
    return resample_isotropic(load_grid(template_path("t1")), spacing_mm)


def known_motion(angles: tuple[float, float, float], shift: tuple[float, float, float]) -> Any:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_matrix(angles), shift
    return matrix


def moved_copy(grid: Grid3D, matrix: np.ndarray[Any, Any]) -> Grid3D:
    """The same head, of which only the header says that it lies elsewhere."""
    return Grid3D(grid.data, matrix @ grid.affine)


def aligned(fixed: Grid3D, moving: Grid3D, folder: Path, quality: str = "flag") -> RigidAlignment:
    return align_rigidly(fixed, moving, quality, "sub-1_FLAIR", "sub-1_T1w", 7, folder)


@pytest.fixture(scope="module")
def small_head() -> Grid3D:
    return head_of(6.0)


@pytest.mark.parametrize(
    "motion",
    [
        pytest.param(((4, -6, 8), (6, -9, 5)), marks=pytest.mark.slow),
        ((-20, 12, 25), (30, 20, -25)),
        pytest.param(((38, -36, 40), (-25, 25, 20)), marks=pytest.mark.slow),
    ],
    ids=["small", "large", "largest"],
)
def test_known_motion_is_recovered_across_contrasts(
    small_head: Grid3D, motion: Any, tmp_path: Path
) -> None:
    truth = known_motion(*motion)
    inverted = Grid3D(np.where(small_head.data > 0, 280 - small_head.data, 0), small_head.affine)
    moving = moved_copy(inverted, truth)
    found = aligned(small_head, moving, tmp_path)
    points = nib.affines.apply_affine(small_head.affine, np.argwhere(small_head.data > 0)[::50])
    error = nib.affines.apply_affine(read_itk_affine(found.transform), points)
    error = np.linalg.norm(error - nib.affines.apply_affine(truth, points), axis=1)
    assert error.max() < 0.5
    assert found.metrics["mutual_information"] > found.metrics["mutual_information_identity"]
    # and what is written is what it says: the moving image lies where the fixed one does
    inner = ndimage.binary_erosion(small_head.data > 0, iterations=2)
    warped = resample_through(moving, small_head, [str(found.transform)])
    assert np.corrcoef(warped[inner], inverted.data[inner])[0, 1] > 0.95


def noise_like(head: Grid3D) -> Grid3D:
    return Grid3D(np.random.default_rng(0).random(head.data.shape, dtype=np.float32), head.affine)


@pytest.mark.parametrize(
    ("shift_mm", "kind", "kept"),
    [
        (1.2, "brain", True),
        pytest.param(3.0, "slices", True, marks=pytest.mark.slow),
        (3.5, "brain", False),
        pytest.param(1.2, "noise", False, marks=pytest.mark.slow),
        pytest.param(1.2, "head", False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("few_turns")
def test_brains_in_one_field_of_view_stay(
    small_head: Grid3D, shift_mm: float, kind: str, kept: bool, tmp_path: Path
) -> None:
    brain = np.where(small_head.data > 20, small_head.data, 0)
    if kind == "head":
        # a head around it, with a neck, that stands free of most of the image's faces
        around = ndimage.binary_dilation(brain > 0, iterations=3)
        brain = np.where((brain == 0) & around, 150.0, brain)
    brain = np.pad(brain, 4)
    shifted = ndimage.shift(brain, (shift_mm / 6.0, 0, 0), order=1)
    pair = [brain, np.where(shifted > 20, shifted, 0)]
    if kind == "noise":
        pattern = 1 + np.arange(brain.size).reshape(brain.shape) % 7
        pair = [np.where(data > 0, data, pattern) for data in pair]
    fixed, moving = (Grid3D(data.astype(np.float32), small_head.affine) for data in pair)
    if kind == "slices":
        n_slices = brain.shape[2] // 2
        halves = moving.data[:, :, : 2 * n_slices].reshape(*brain.shape[:2], n_slices, 2)
        affine = small_head.affine @ np.diag([1, 1, 2, 1])
        affine[:3, 3] += small_head.affine[:3, 2] / 2
        moving = Grid3D(halves.mean(axis=3), affine)
    metrics = aligned(fixed, moving, tmp_path).metrics
    assert metrics["search_displacement_mm"] == pytest.approx(shift_mm, abs=0.4)
    moved = 0.0 if kept else shift_mm
    assert metrics["translation_mm"] == pytest.approx(moved, abs=0.4 * (not kept))


@pytest.mark.slow
def test_what_cannot_be_aligned_is_searched_anew_and_told(
    small_head: Grid3D, tmp_path: Path
) -> None:
    found = aligned(small_head, noise_like(small_head), tmp_path)
    assert found.metrics["retries"] == 2
    rows = [quality_row(f"x_registration_{k}", v) for k, v in found.metrics.items() if k != "start"]
    verdicts = {row["metric"].removeprefix("x_registration_"): row["verdict"] for row in rows}
    assert verdicts["mutual_information_ratio"] == "check"


@pytest.mark.slow
@pytest.mark.usefixtures("few_turns")
def test_what_cannot_be_aligned_fails_with_both_names(tmp_path: Path) -> None:
    tiny_head = head_of(8.0)
    with pytest.raises(InputError, match=r"sub-1_FLAIR .* sub-1_T1w: .*ratio .*at least"):
        aligned(tiny_head, noise_like(tiny_head), tmp_path, "fail")


@pytest.mark.slow
@pytest.mark.usefixtures("few_turns")
def test_verdict_can_be_left_out(small_head: Grid3D, tmp_path: Path) -> None:
    moving = moved_copy(small_head, known_motion((3, 2, 5), (4, 5, 6)))
    off, flag = (
        aligned(small_head, moving, tmp_path, quality).metrics for quality in ("off", "flag")
    )
    assert set(flag) - set(off) == {*ACCEPTABLE, "displacement_mm", "retries", "mirrored_fit"}
    assert flag["retries"] == 0
    rows = [quality_row(f"x_registration_{name}", flag[name]) for name in ACCEPTABLE]
    assert {row["verdict"] for row in rows} == {"ok"}


def test_a_head_upside_down_is_found(small_head: Grid3D, tmp_path: Path) -> None:
    truth = known_motion((0, 170, 30), (6, -9, 5))
    found = aligned(small_head, moved_copy(small_head, truth), tmp_path)
    points = nib.affines.apply_affine(small_head.affine, np.argwhere(small_head.data > 0)[::50])
    error = nib.affines.apply_affine(read_itk_affine(found.transform) - truth, points)
    assert np.linalg.norm(error, axis=1).max() < 1


@pytest.mark.usefixtures("few_turns")
def test_same_input_gives_the_same_bytes(small_head: Grid3D, tmp_path: Path) -> None:
    moving = moved_copy(small_head, known_motion((3, 2, 5), (4, 5, 6)))
    runs = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        runs.append(aligned(small_head, moving, tmp_path / run))
    assert runs[0].transform.read_bytes() == runs[1].transform.read_bytes()
    assert runs[0].metrics == runs[1].metrics


# ---- the template --------------------------------------------------------------------------------


@pytest.fixture
def template(small_head: Grid3D, tmp_path: Path) -> Template:
    """The template, as far as a registration needs it."""
    folder, head = tmp_path / "template", small_head
    save_image(folder / "t1w.nii.gz", head.data, head.affine)
    save_image(folder / "csf.nii.gz", np.zeros_like(head.data), head.affine)
    for name, mask in (("brain_mask", head.data > 0), ("ventricles", head.data < 0)):
        save_image(folder / f"{name}.nii.gz", mask, head.affine, dtype=np.uint8)
    return Template(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "finest_mm", [3.0, pytest.param(warp.COARSEST_SYN_MM, marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("few_turns", "few_iterations")
def test_template_registration_is_repeatable_invertible_and_does_not_fold(
    finest_mm: float,
    small_head: Grid3D,
    template: Template,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warp, "COARSEST_SYN_MM", finest_mm)
    monkeypatch.setattr(warp, "AFFINE_MM", 6.0)
    places = np.indices(small_head.data.shape)
    bent = ndimage.map_coordinates(
        small_head.data, places + 0.8 * np.sin(places[[1, 2, 0]] / 4), order=1
    )
    person = Grid3D(bent, known_motion((5, 0, 4), (5, 3, 2)) @ small_head.affine)
    brain = MaskImage(person.data > 20, person.affine)
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        runs.append(warp_to_template(person, brain, template, 3, "x", tmp_path / name))
    for output in ("forward", "inverse", "affine"):
        first, second = (getattr(run, output).read_bytes() for run in runs)
        assert first == second, output
    assert runs[0].metrics == runs[1].metrics
    assert runs[0].metrics["jacobian_min"] > 0
    there = Grid3D(resample_through(person, small_head, [str(runs[0].forward)]), small_head.affine)
    back = resample_through(there, person, [str(runs[0].inverse)])
    assert np.corrcoef(back.ravel(), person.data.ravel())[0, 1] > 0.97
    assert np.corrcoef(there.data.ravel(), small_head.data.ravel())[0, 1] > 0.95


@pytest.mark.usefixtures("few_iterations")
def test_registering_again_waits_for_lesions_that_matter_and_keeps_the_affine(
    small_head: Grid3D, template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warp, "COARSEST_SYN_MM", 3.0)
    brain = MaskImage(small_head.data > 20, small_head.affine)
    before = {name: tmp_path / name for name in ("forward.h5", "inverse.h5")}
    affine = Path(write_itk_affine(np.eye(4), tmp_path / "affine.txt"))
    told = {"start": "header", "mutual_information_affine": 0.5, "jacobian_min": 9.0}
    found = []
    # 4.3 ml a layer, where 5 ml matter
    for height in (1, 2):
        wmh = np.zeros(small_head.data.shape, bool)
        wmh[10:12, 8:18, 8 : 8 + height] = True
        lesions = MaskImage(wmh, small_head.affine)
        found.append(
            warp_again(
                small_head,
                brain,
                template,
                lesions,
                *before.values(),
                affine,
                told,
                3,
                "x",
                tmp_path,
            )
        )
    few, many = found
    assert few == (*before.values(), told)
    assert many.forward not in before.values()
    assert many.forward.is_file()
    # what is said of the affine stays, as it does; what is said of the warp is new
    assert {name: many.metrics[name] for name in list(told)[:2]} == dict(list(told.items())[:2])
    assert 0 < many.metrics["jacobian_min"] < 2
    assert many.metrics["wmh_filled_mm3"] == pytest.approx(2 * 20 * 216)


@pytest.mark.slow
@pytest.mark.usefixtures("few_turns", "few_iterations")
def test_registering_again_goes_on_from_where_the_first_warp_ended(
    small_head: Grid3D, template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warp, "COARSEST_SYN_MM", 3.0)
    monkeypatch.setattr(warp, "AFFINE_MM", 6.0)
    places = np.indices(small_head.data.shape)
    bent = ndimage.map_coordinates(
        small_head.data, places + 0.8 * np.sin(places[[1, 2, 0]] / 4), order=1
    )
    person = Grid3D(bent, small_head.affine)
    brain = MaskImage(person.data > 20, person.affine)
    (tmp_path / "first").mkdir()
    first = warp_to_template(person, brain, template, 3, "x", tmp_path / "first")
    wmh = np.zeros(brain.data.shape, bool)
    wmh[10:12, 8:18, 8:12] = True
    lesions = MaskImage(wmh & brain.data, brain.affine)
    # without a single iteration it ends where it began
    monkeypatch.setattr(warp, "AGAIN_ITERATIONS", (0, 0, 0))
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found = warp_again(
            person,
            brain,
            template,
            lesions,
            seed=3,
            source="x",
            folder=tmp_path / name,
            **first._asdict(),
        )
        runs.append(found)
    for output in ("forward", "inverse"):
        one, other = (getattr(run, output).read_bytes() for run in runs)
        assert one == other, output
        points = nib.affines.apply_affine(person.affine, np.argwhere(brain.data)[::20])
        ends = [map_points(points, str(getattr(run, output)), 3) for run in (first, runs[0])]
        np.testing.assert_allclose(ends[1], ends[0], atol=0.05)
        assert np.linalg.norm(ends[0] - points, axis=1).mean() > 0.5
