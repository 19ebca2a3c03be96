"""Transforms that follow one another are one, and a map says the same through it as in place."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import save_image
from tests.files.test_fields import field_image
from tests.files.test_transforms import PARTS, POINTS, hdf5_of, itks_answer
from tests.plan.test_participant import FIELD, FLIRT
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.chains import chain_matrix
from wmhflow.files.itk import read_itk_affine, write_itk_affine
from wmhflow.files.transforms import linear_matrix
from wmhflow.steps.adapter import interface_of
from wmhflow.steps.composing import compose_fields, compose_transforms
from wmhflow.steps.images import convert_transform
from wmhflow.steps.measures import MapOptions, load_maps

FIRST = rigid_matrix((4, -3, 8, 5, -12, 2), np.zeros(3))
SECOND = rigid_matrix((-2, 7, 1, -3, 4, 9), np.zeros(3))
THIRD = rigid_matrix((1, 1, -6, 2, 0, -4), np.zeros(3))
AFFINE = np.array([[-2.0, 0, 0, 9], [0, 0, 2.5, -14], [0, 3, 0, 6], [0, 0, 0, 1]])


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    """A map, and the reference on another grid."""
    data = np.random.default_rng(3).uniform(0.2, 0.8, (8, 9, 10))
    return (
        save_image(tmp_path / "map.nii.gz", data, AFFINE),
        save_image(tmp_path / "t1w.nii.gz", np.ones((9, 8, 7))),
    )


def written(folder: Path, *matrices: np.ndarray) -> list[Path]:
    return [
        Path(write_itk_affine(matrix, folder / f"{number}.txt"))
        for number, matrix in enumerate(matrices)
    ]


@pytest.mark.parametrize("backwards", [(False, False), (False, True), (True, False), (True, True)])
def test_a_chain_is_its_legs_one_after_the_other(
    tmp_path: Path, images: tuple[Path, Path], backwards: tuple[bool, bool]
) -> None:
    """Points are followed by hand: from the reference through the last leg, then the first."""
    ways = [
        np.linalg.inv(matrix) if back else matrix
        for matrix, back in zip((FIRST, SECOND), backwards, strict=True)
    ]
    paths = written(tmp_path, *ways)
    other = Path(write_itk_affine(THIRD, tmp_path / "other.txt"))
    made = compose_transforms(*images, tmp_path, paths, list(backwards), other).transform
    points = np.random.default_rng(1).uniform(-80, 80, (20, 3))
    followed = points
    for matrix in (THIRD, SECOND, FIRST):
        followed = followed @ matrix[:3, :3].T + matrix[:3, 3]
    found = read_itk_affine(made)
    assert np.allclose(points @ found[:3, :3].T + found[:3, 3], followed, atol=1e-9)


def test_a_map_through_a_chain_lies_where_one_written_in_the_reference_lies(
    tmp_path: Path, images: tuple[Path, Path]
) -> None:
    """The same voxels with a header that puts them in place: places and values agree."""
    paths = written(tmp_path, FIRST, np.linalg.inv(SECOND))
    made = compose_transforms(*images, tmp_path, paths, [False, True]).transform
    data = np.random.default_rng(3).uniform(0.2, 0.8, (8, 9, 10))
    in_place = np.linalg.inv(FIRST @ SECOND) @ AFFINE
    direct = save_image(tmp_path / "in_place.nii.gz", data, in_place)
    options = [MapOptions("FA", "1", 0, 1)]
    through, beside = load_maps([images[0]], options, made), load_maps([direct], options, None)
    assert np.allclose(through.affine, beside.affine, atol=1e-5)
    assert np.array_equal(through.maps["FA"][0], beside.maps["FA"][0])


def test_a_composite_of_linear_transforms_is_one_leg(
    tmp_path: Path, images: tuple[Path, Path]
) -> None:
    """ITK's own answer for the composite, and then the other leg, or the other way round."""
    linear = [kind for kind in PARTS if "Composite" not in kind][:2]
    composite = hdf5_of(tmp_path / "composite.h5", "CompositeTransform_double_3_3", *linear)
    (other,) = written(tmp_path, FIRST)
    alone = chain_matrix([composite], [False], *images)
    assert np.allclose(nib.affines.apply_affine(alone, POINTS), itks_answer(composite), atol=1e-4)
    for paths, whole in (([other, composite], FIRST @ alone), ([composite, other], alone @ FIRST)):
        made = compose_transforms(*images, tmp_path, paths, [False, False]).transform
        assert np.allclose(read_itk_affine(made), whole, atol=1e-9)


def test_a_composite_with_a_field_is_no_leg_and_is_named(
    tmp_path: Path, images: tuple[Path, Path]
) -> None:
    kinds = ("CompositeTransform_double_3_3", "DisplacementFieldTransform_double_3_3")
    composite = hdf5_of(tmp_path / "composite.h5", *kinds)
    (other,) = written(tmp_path, FIRST)
    with pytest.raises(InputError, match=r"composite\.h5 is not linear"):
        compose_transforms(*images, tmp_path, [other, composite], [False, False])


def test_no_legs_are_the_other_image_s_transform(tmp_path: Path, images: tuple[Path, Path]) -> None:
    other = Path(write_itk_affine(THIRD, tmp_path / "other.txt"))
    made = compose_transforms(*images, tmp_path, other=other).transform
    assert np.allclose(read_itk_affine(made), THIRD)


def test_the_step_runs_without_legs_as_the_graph_runs_it(
    tmp_path: Path, images: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """nipype takes an empty list for an input that is missing."""
    monkeypatch.chdir(tmp_path)
    other = Path(write_itk_affine(THIRD, tmp_path / "other.txt"))
    interface = interface_of(compose_transforms)
    interface.inputs.trait_set(moving=str(images[0]), fixed=str(images[1]), other=str(other))
    made = interface.run().outputs.transform
    assert np.allclose(read_itk_affine(Path(made)), THIRD)


def test_flirt_s_inverse_is_between_the_same_images_the_other_way_round(
    tmp_path: Path, images: tuple[Path, Path]
) -> None:
    flirt = tmp_path / "x.mat"
    flirt.write_text(FLIRT)
    moving, fixed = images
    there = linear_matrix(flirt, fixed, moving)
    assert np.allclose(chain_matrix([flirt], [True], moving, fixed) @ there, np.eye(4))
    made = convert_transform(flirt, moving, fixed, tmp_path, inverted=True).transform
    assert np.allclose(read_itk_affine(made) @ there, np.eye(4), atol=1e-9)


def test_what_cannot_be_composed_is_refused(tmp_path: Path, images: tuple[Path, Path]) -> None:
    (good,) = written(tmp_path, FIRST)
    flirt, bent = tmp_path / "flirt.mat", tmp_path / "bent.txt"
    flirt.write_text(FLIRT)
    bent.write_text(FIELD)
    flat = Path(write_itk_affine(np.diag([1.0, 1, 0, 1]), tmp_path / "flat.txt"))
    for paths, message in (
        ([good, flirt], "a transform of FSL, one of 2"),
        ([good, bent], "is not linear"),
        ([flat], "its inverse is needed"),
    ):
        with pytest.raises(InputError, match=message):
            chain_matrix(paths, [True] * len(paths), *images)
    with pytest.raises(InputError, match="is not linear, and a map that follows it"):
        compose_transforms(*images, tmp_path, [good], [False], bent)


def test_the_inverse_of_a_field_says_how_well_it_leads_back(tmp_path: Path) -> None:
    """Facts are made where an inverse is, from the head that the reference shows."""
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    affine[:3, 3] = -48
    places = nib.affines.apply_affine(affine, np.moveaxis(np.indices((13, 13, 13)), 0, -1))
    bent = 3 * np.sin(places[..., [1, 2, 0]] / 15)
    field = field_image(tmp_path / "field.nii.gz", bent, affine)
    size = np.linalg.norm(places, axis=-1)
    head = Grid3D(np.where(size < 36, 100.0, 1.0).astype(np.float32), affine)
    first = Path(write_itk_affine(FIRST, tmp_path / "first.txt"))
    for legs, inverted in (([field], [True]), ([first, field], [True, True])):
        made = compose_fields(tmp_path, legs, inverted, fixed=head)
        assert 0 < made.facts["inverse_error_mm"] < 0.5
    for inverted in ([False], [True]):
        fixed = head if inverted == [False] else None
        assert compose_fields(tmp_path, [field], inverted, fixed=fixed).facts == {}
