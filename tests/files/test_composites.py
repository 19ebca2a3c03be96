"""Transforms one after the other, of which some bend, in one file: the same points as in turn."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from wmhflow.ants.transforms import carry_points, map_points
from wmhflow.core.align.search import rigid_matrix
from wmhflow.errors import InputError
from wmhflow.files.composites import write_composite
from wmhflow.files.itk import check_whole, write_itk_affine
from wmhflow.files.transforms import read_transform

FLIP = np.diag([-1.0, -1.0, 1.0])
AFFINE = np.array([[10.0, 0, 0, -40], [0, 10, 0, -45], [0, 0, 10, -50], [0, 0, 0, 1]])
FIRST = rigid_matrix((4, -3, 8, 5, -12, 2), np.zeros(3))
SECOND = rigid_matrix((-2, 7, 1, -3, 4, 9), np.zeros(3))
POINTS = np.random.default_rng(2).uniform(-15, 15, (30, 3))


def field_of(path: Path, vectors: np.ndarray, affine: np.ndarray) -> Path:
    """Write displacements, (X, Y, Z, 3) in RAS mm, as ITK's transform file."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction = FLIP @ affine[:3, :3] / spacing
    fixed = [*vectors.shape[:3], *(FLIP @ affine[:3, 3]), *spacing, *direction.ravel()]
    numbers = (vectors @ FLIP).transpose(2, 1, 0, 3).ravel()
    with h5py.File(path, "w") as file:
        entry = file.create_group("TransformGroup/0")
        entry["TransformType"] = [b"DisplacementFieldTransform_double_3_3"]
        entry["TransformParameters"] = numbers.astype(np.float64)
        entry["TransformFixedParameters"] = np.array(fixed, np.float64)
    return path


def moved(points: np.ndarray) -> np.ndarray:
    """Move points by a displacement that is linear in place, so that interpolation is exact."""
    return points + 2 + points @ BEND


BEND = np.array([[0.05, 0.02, 0], [0, -0.04, 0.03], [0.01, 0, 0.06]])


def bent_field(path: Path) -> Path:
    voxels = np.indices((9, 10, 11)).reshape(3, -1).T
    places = nib.affines.apply_affine(AFFINE, voxels)
    return field_of(path, (moved(places) - places).reshape(9, 10, 11, 3), AFFINE)


def followed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


# legs from the map on; points go through the last one first
CHAINS = {
    "a field alone": (["field"], moved),
    "an affine, then a field": (["first", "field"], lambda x: followed(FIRST, moved(x))),
    "a field, then an affine": (["field", "first"], lambda x: moved(followed(FIRST, x))),
    "a field, then an inverse": (
        ["field", "-first"], lambda x: moved(followed(np.linalg.inv(FIRST), x))),
    "between two": (["first", "field", "second"],
                    lambda x: followed(FIRST, moved(followed(SECOND, x)))),
    "two fields": (["field", "first", "field"], lambda x: moved(followed(FIRST, moved(x)))),
}  # fmt: skip


@pytest.mark.parametrize(("names", "answer"), CHAINS.values(), ids=CHAINS)
def test_points_go_through_a_composite_as_through_its_legs(tmp_path, names, answer) -> None:
    files = {
        "field": bent_field(tmp_path / "field.h5"),
        "first": Path(write_itk_affine(FIRST, tmp_path / "first.txt")),
        "second": Path(write_itk_affine(SECOND, tmp_path / "second.txt")),
    }
    legs = [files[name.removeprefix("-")] for name in names]
    backwards = [name.startswith("-") for name in names]
    made = write_composite(legs, backwards, tmp_path / "made.h5")
    check_whole(made)
    assert not read_transform(made).is_linear
    # by our own kernel, and by ITK itself
    assert np.allclose(carry_points(POINTS, str(made), 0), answer(POINTS), atol=1e-4)
    assert np.allclose(map_points(POINTS, str(made), 0), answer(POINTS), atol=1e-3)
    # and a linear transform after them all
    further = write_composite(legs, backwards, tmp_path / "further.h5", SECOND)
    expected = answer(followed(SECOND, POINTS))
    assert np.allclose(carry_points(POINTS, str(further), 0), expected, atol=1e-4)


def test_a_composite_of_a_composite_has_its_parts_in_their_order(tmp_path: Path) -> None:
    first = Path(write_itk_affine(FIRST, tmp_path / "first.txt"))
    once = write_composite([first, bent_field(tmp_path / "f.h5")], [False, False],
                           tmp_path / "once.h5")  # fmt: skip
    again = write_composite([once, first], [False, True], tmp_path / "again.h5")
    back = followed(np.linalg.inv(FIRST), POINTS)
    assert np.allclose(carry_points(POINTS, str(again), 0), followed(FIRST, moved(back)), atol=1e-4)
    assert again.read_bytes() == write_composite(
        [once, first], [False, True], tmp_path / "equal.h5").read_bytes()  # fmt: skip


def test_what_cannot_be_part_of_a_composite_is_refused(tmp_path: Path) -> None:
    flirt = tmp_path / "flirt.mat"
    flirt.write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    flat = Path(write_itk_affine(np.diag([1.0, 1, 0, 1]), tmp_path / "flat.txt"))
    text = tmp_path / "field.txt"
    text.write_text(
        "#Insight Transform File V1.0\nTransform: DisplacementFieldTransform_double_3_3\n"
    )
    for path, backwards, why in (
        (text, True, r"field\.txt is not linear \(Displacement.*its inverse is needed"),
        (flirt, False, "a transform of FSL"),
        (flat, True, "without an inverse"),
        (text, False, "not kept as .h5 or image"),
    ):
        with pytest.raises(InputError, match=why):
            write_composite([path], [backwards], tmp_path / "no.h5")
