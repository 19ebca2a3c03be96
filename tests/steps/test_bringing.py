"""A map through a field of displacements says on the reference what it says in its own place."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from tests.builders import save_image
from tests.files.test_composites import FIRST, bent_field, followed, moved
from wmhflow.files.itk import write_itk_affine
from wmhflow.steps.bringing import bring_map
from wmhflow.steps.composing import compose_fields
from wmhflow.steps.kinds import Space
from wmhflow.steps.measures import MapOptions

OWN = np.array([[-2.0, 0, 0, 40], [0, 0, 2.5, -40], [0, 2, 0, -40], [0, 0, 0, 1]])
SHAPE = (41, 41, 33)
SPACE = Space((9, 8, 7), np.array([[2.0, 0, 0, -8], [0, 2, 0, -7], [0, 0, 2, -6], [0, 0, 0, 1]]))
OPTIONS = MapOptions("FA", "1", 0.0, 1.0, factor=0.01)


def places(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    return nib.affines.apply_affine(affine, np.indices(shape).reshape(3, -1).T)


def in_percent(points: np.ndarray) -> np.ndarray:
    """A map that changes evenly in space, so that interpolation is exact, in percent."""
    return 50 + points @ [0.3, -0.2, 0.1]


def chain(folder: Path, *, other: bool = False) -> Path:
    """An affine from the map on, then a field, and the inverse of the same affine after it."""
    legs = [Path(write_itk_affine(FIRST, folder / "first.txt")), bent_field(folder / "field.h5")]
    after = Path(write_itk_affine(np.linalg.inv(FIRST), folder / "other.txt")) if other else None
    return compose_fields(folder, legs, [False, False], after).transform


def test_a_brought_map_has_the_values_of_its_own_places(tmp_path: Path) -> None:
    image = save_image(tmp_path / "fa.nii.gz",
                       in_percent(places(SHAPE, OWN)).reshape(SHAPE), OWN)  # fmt: skip
    on_reference = places(SPACE.shape, SPACE.affine)
    back = followed(np.linalg.inv(FIRST), on_reference)
    for other, points in ((False, on_reference), (True, back)):
        found = bring_map([image], [OPTIONS], SPACE, chain(tmp_path, other=other)).image
        expected = in_percent(followed(FIRST, moved(points)))
        assert np.array_equal(found.affine, SPACE.affine)
        assert np.allclose(found.data.ravel(), expected, atol=2e-3)


def test_what_does_not_count_mixes_with_nothing(tmp_path: Path) -> None:
    """Half of the map is no data: what is seen keeps its value up to the border, and ends there."""
    values = np.full(SHAPE, 40.0)
    values[: SHAPE[0] // 2] = 0
    values[30, 20, 16], values[25, 20, 16] = np.nan, 3000
    image = save_image(tmp_path / "fa.nii.gz", values, OWN)
    found = bring_map([image], [OPTIONS], SPACE, chain(tmp_path)).image.data
    seen = np.isfinite(found)
    assert 0.1 < seen.mean() < 0.9
    assert np.allclose(found[seen], 40)
    # a place is seen where most of its weight lies on voxels that count
    where = followed(FIRST, moved(places(SPACE.shape, SPACE.affine)))
    voxel = nib.affines.apply_affine(np.linalg.inv(OWN), where)[:, 0].reshape(SPACE.shape)
    border = SHAPE[0] // 2 - 0.5
    assert not seen[voxel < border - 0.01].any()
    assert seen[voxel > border + 0.01].mean() > 0.95


def test_a_map_that_cannot_be_used_has_no_value(tmp_path: Path) -> None:
    image = save_image(tmp_path / "fa.nii.gz", np.full(SHAPE, 40.0), OWN)
    found = bring_map([image], [OPTIONS], SPACE, chain(tmp_path), without=["FA"]).image
    assert np.isnan(found.data).all()
