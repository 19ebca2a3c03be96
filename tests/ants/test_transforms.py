"""Resampling with ANTs says what scipy says, on any grid, and is refused where it cannot be."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import ndimage

from tests.heads import coarse
from wmhflow.ants.images import THREADS_VARIABLE, single_threaded_ants
from wmhflow.ants.transforms import (
    _resample_by_ants,
    average_through,
    carry_points,
    map_points,
    resample_all,
    resample_through,
)
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import make_reproducible, read_point_map, write_itk_affine
from wmhflow.files.transforms import LPS_FROM_RAS
from wmhflow.steps.images import resample
from wmhflow.steps.kinds import Space

MOTION = rigid_matrix([4, 2, -6, 5, -3, 8], np.zeros(3))


@pytest.fixture(scope="module")
def head() -> Grid3D:
    return coarse("t1w", 4.0)


def test_resampling_agrees_with_scipy_and_inverts(head: Grid3D, tmp_path: Path) -> None:
    way = write_itk_affine(MOTION, tmp_path / "x.txt")
    ours = resample_through(head, head, [way])
    voxels = np.linalg.inv(head.affine) @ MOTION @ head.affine
    theirs = ndimage.affine_transform(head.data, voxels[:3, :3], voxels[:3, 3], order=1)
    assert np.abs(ours - theirs)[5:-5, 5:-5, 5:-5].max() < 0.1
    chained = resample_through(head, head, [way, way], invert=[False, True])
    assert np.abs(chained - head.data).max() < 0.1
    # the step does the same
    step = resample(head, Space(head.data.shape, head.affine), [Path(way)])
    assert np.array_equal(step.image.data, ours)
    assert np.array_equal(step.image.affine, head.affine)


def test_labels_on_an_oblique_grid_stay_labels_and_stay_in_place(head: Grid3D) -> None:
    labels = Grid3D(((head.data > 100) * 7).astype(np.float32), head.affine)
    oblique = rigid_matrix([1, 2, 3, 10, 20, 30], np.zeros(3)) @ head.affine
    oblique = oblique @ np.diag([1, -1, 1.4, 1])
    shape = (60, 70, 45)
    # the middles of both grids in one place
    middles = ([*(np.array(n) - 1) / 2, 1] for n in (head.data.shape, shape))
    there, here = (a @ m for a, m in zip((head.affine, oblique), middles, strict=True))
    oblique[:3, 3] += (there - here)[:3]
    empty = Grid3D(np.zeros(shape, np.float32), oblique)
    found = resample_through(labels, empty, [], "nearest")
    assert set(np.unique(found)) == {0, 7}
    places = np.linalg.inv(head.affine) @ oblique
    truth = ndimage.affine_transform(
        labels.data, places[:3, :3], places[:3, 3], empty.data.shape, order=0
    )
    # a voxel that lies on an edge may round either way
    assert (found == truth).mean() > 0.999


def composite(path: Path, parts: list[str]) -> str:
    """Write a composite transform as ITK does: what is listed last is applied to points first."""
    rng = np.random.default_rng(3)
    lps = LPS_FROM_RAS @ MOTION @ LPS_FROM_RAS
    linear = np.r_[lps[:3, :3].ravel(), lps[:3, 3]]
    size, origin, spacing = (30, 36, 33), (80, 110, -75), (5, 5.5, 4.5)
    kinds = {
        "affine": ("AffineTransform_float_3_3", linear, np.zeros(3)),
        "field": (
            "DisplacementFieldTransform_float_3_3",
            rng.normal(0, 3, (*size[::-1], 3)).ravel(),
            np.r_[size, origin, spacing, np.diag([-1.0, -1.0, 1.0]).ravel()],
        ),
    }
    with h5py.File(path, "w") as file:
        file["ITKVersion"], file["HDFVersion"] = [b"5.4.0"], [b"1.14"]
        file["TransformGroup/0/TransformType"] = [b"CompositeTransform_float_3_3"]
        for number, name in enumerate(parts, start=1):
            kind, numbers, fixed = kinds[name]
            group = file.create_group(f"TransformGroup/{number}")
            group["TransformType"] = [kind.encode()]
            group["TransformParameters"] = numbers.astype(np.float32)
            group["TransformFixedParameters"] = np.asarray(fixed, np.float64)
    return str(path)


def test_a_transform_that_is_written_anew_moves_images_alike(head: Grid3D, tmp_path: Path) -> None:
    path = composite(tmp_path / "x.h5", ["affine", "field"])
    name = "TransformGroup/2/TransformParameters"
    with h5py.File(path, "r+") as file:
        numbers = file[name][()]
        del file[name]
        # in pieces and compressed, as ITK writes fields
        file.create_dataset(name, data=numbers, chunks=(4096,), compression="gzip")
    before = _resample_by_ants(head, head, [path], "linear", [False], 0)
    ours = resample_through(head, head, [path])
    make_reproducible(Path(path))
    with h5py.File(path) as file:
        assert file[name].shuffle
        # an eighth of a thousandth of a millimetre
        assert 0 < np.abs(file[name][()] - numbers).max() <= 2.0**-13
    most = np.abs(head.data).max() * 1e-3
    assert np.abs(_resample_by_ants(head, head, [path], "linear", [False], 0) - before).max() < most
    assert np.abs(resample_through(head, head, [path]) - ours).max() < most
    again = Path(path).read_bytes()
    make_reproducible(Path(path))
    assert Path(path).read_bytes() == again


@pytest.mark.parametrize("how", ["linear", "nearest"])
@pytest.mark.parametrize(
    "chain",
    [[], ["motion"], ["motion back"], ["affine field"], ["field affine"], ["field"],
     ["motion", "affine field"], ["motion back", "field affine", "motion"]],
)  # fmt: skip
def test_our_kernel_gives_what_ants_gives(
    head: Grid3D, chain: list[str], how: str, tmp_path: Path
) -> None:
    paths = [
        write_itk_affine(MOTION, tmp_path / "motion.txt")
        if name.startswith("motion")
        else composite(tmp_path / f"{name}.h5", name.split())
        for name in chain
    ]
    back = [name.endswith("back") for name in chain]
    turned = rigid_matrix([1, 2, 3, 10, 20, 30], np.zeros(3)) @ head.affine
    # coarser, mirrored, and partly beyond the field and the image
    shape, affine = (50, 40, 34), turned @ np.diag([1, -1.2, 1.4, 1])
    middle = head.affine @ [*np.divide(head.data.shape, 2), 1]
    affine[:3, 3] += (middle - affine @ [*np.divide(shape, 2.4), 1])[:3]
    empty = Grid3D(np.zeros(shape, np.float32), affine)
    assert read_point_map(paths, back) is not None
    ours = resample_through(head, empty, paths, how, back)
    theirs = _resample_by_ants(head, empty, paths, how, back, 0)
    assert (theirs > 0).mean() > 0.1
    assert (theirs == 0).mean() > 0.01
    differ = np.abs(ours - theirs) > 1e-3
    # what lies half way between two voxels, or on the border, may go either way
    assert differ.mean() < 1e-4


@pytest.mark.parametrize(
    ("chain", "back"), [(["affine field"], [True]), (["field affine", "affine field"], None)]
)
def test_what_the_kernel_does_not_know_is_left_to_ants(
    head: Grid3D, chain: list[str], back: list[bool] | None, tmp_path: Path
) -> None:
    paths = [composite(tmp_path / f"{name}.h5", name.split()) for name in chain]
    assert read_point_map(paths, back) is None
    if back is None:
        assert resample_through(head, head, paths).any()


def test_two_fields_in_turn_are_as_ants_applies_them(head: Grid3D, tmp_path: Path) -> None:
    flip = write_itk_affine(np.diag([-1.0, 1, 1, 1]), tmp_path / "flip.txt")
    parts = {"a": ["affine", "field"], "b": ["field", "affine"]}
    first, last = (composite(tmp_path / f"{name}.h5", part) for name, part in parts.items())
    paths = [first, flip, last]
    # turned: on its own grid a plane of the head's voxels lies on the very border of the field
    turned = Grid3D(head.data, rigid_matrix([1, 2, 3, 10, 20, 30], np.zeros(3)) @ head.affine)
    theirs = _resample_by_ants(head, turned, paths, "nearest", [False] * 3, 0)
    assert (theirs > 0).mean() > 0.1
    differ = np.abs(resample_through(head, turned, paths, "nearest") - theirs) > 1e-3
    # what lies half way between two voxels, or on the border, may go either way
    assert differ.mean() < 1e-4
    points = np.random.default_rng(0).uniform(-60, 60, (200, 3))
    # ANTs counts in single precision
    assert np.allclose(carry_points(points, paths, 0), map_points(points, paths, 0), atol=1e-3)


def test_what_cannot_be_applied_is_left_to_ants_to_refuse(tmp_path: Path) -> None:
    flat = write_itk_affine(np.diag([1.0, 1.0, 0.0, 1.0]), tmp_path / "flat.txt")
    assert read_point_map([flat], [True]) is None
    damaged = Path(composite(tmp_path / "x.h5", ["field"]))
    with h5py.File(damaged, "a") as file:
        del file["TransformGroup/1/TransformParameters"]
    assert read_point_map([damaged]) is None


@pytest.mark.parametrize("place", [3, 7, 9, 10, 13])
@pytest.mark.parametrize("value", [0.0, -1.0, 0.5, 1e300, np.inf, np.nan])
def test_a_field_on_a_grid_that_no_image_has_is_refused(
    tmp_path: Path, place: int, value: float
) -> None:
    """Numbers of an origin, a size of a voxel and directions: ANTs follows all but a size of 0."""
    path = Path(composite(tmp_path / "y.h5", ["field"]))
    with h5py.File(path, "a") as file:
        numbers = file["TransformGroup/1/TransformFixedParameters"]
        directions = np.array(numbers[9:]).reshape(3, 3)
        assert np.allclose(directions.T @ directions, np.eye(3))
        is_sound = numbers[place] == value or (place < 9 and 0 < value < 1)
        is_sound = is_sound or (place == 3 and abs(value) <= 1)
        # the opposite direction is one as well
        is_sound = is_sound or (place > 8 and value == -numbers[place] and value != 0)
        numbers[place] = value
    if is_sound:
        assert read_point_map([path]) is not None
        return
    with pytest.raises(InputError, match="not at right angles, or whose voxels have no size"):
        read_point_map([path])


def test_several_images_at_once_are_what_they_are_one_by_one(head: Grid3D, tmp_path: Path) -> None:
    way = composite(tmp_path / "x.h5", ["affine", "field"])
    images = {"t1w": head, "mask": Grid3D((head.data > 100).astype(np.float32), head.affine)}
    thick = Grid3D(np.zeros((40, 40, 9), np.float32), head.affine @ np.diag([1, 1, 4, 1]))
    for averaged, one in ((False, resample_through), (True, average_through)):
        found = resample_all(images, thick, [way], averaged=averaged)
        for name, grid in images.items():
            assert np.array_equal(found[name], one(grid, thick, [way]))
    other = Grid3D(head.data, head.affine @ np.diag([1, 1, 2, 1]))
    with pytest.raises(ValueError, match="different grids"):
        resample_all(images | {"other": other}, thick, [way])


def test_wrong_arguments_are_refused(head: Grid3D) -> None:
    with pytest.raises(InputError, match="interpolation"):
        resample_through(head, head, [], "sinc")
    with pytest.raises(InputError, match="inversion"):
        resample_through(head, head, [], invert=[True])


def test_ants_runs_with_one_thread() -> None:
    assert os.environ[THREADS_VARIABLE] == "1"
    assert single_threaded_ants(5).config._random_seed == 5
