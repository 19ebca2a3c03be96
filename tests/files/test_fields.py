"""Fields of displacements kept as images: read as the same field in ITK's own file, or refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension

from tests.files.test_composites import (
    AFFINE,
    FIRST,
    FLIP,
    POINTS,
    bent_field,
    field_of,
    followed,
    moved,
)
from wmhflow.ants.transforms import carry_points, map_points
from wmhflow.core.align.search import rigid_matrix
from wmhflow.errors import InputError
from wmhflow.files.composites import write_composite
from wmhflow.files.itk import check_whole, read_point_map, write_itk_affine
from wmhflow.files.transforms import read_transform

FLIPPED = np.array([[-1.0, 0, 0, 8], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
OBLIQUE = rigid_matrix((0, 0, 0, 20, -10, 30), np.zeros(3)) @ AFFINE


def field_image(
    path: Path,
    vectors: np.ndarray,
    affine: np.ndarray,
    intent: int = 1007,
    name: str = "",
    dtype: type = np.float32,
    kind: type = nib.Nifti1Image,
) -> Path:
    """Write displacements, (X, Y, Z, 3) in RAS mm, as ANTs' Warp.nii.gz is."""
    data = (vectors @ FLIP)[:, :, :, None, :].astype(dtype)
    image = kind(data, affine)
    image.header.set_intent(intent, name=name, allow_unknown=True)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    nib.save(image, path)
    return path


def bent_image(path: Path, affine: np.ndarray = AFFINE, **how) -> Path:
    places = nib.affines.apply_affine(affine, np.moveaxis(np.indices((9, 10, 11)), 0, -1))
    return field_image(path, moved(places) - places, affine, **how)


# how the image is written
KEPT = {
    "as ANTs does": {},
    "in double precision": {"dtype": np.float64},
    "as NIfTI-2": {"kind": nib.Nifti2Image},
    "oblique": {"affine": OBLIQUE},
    "flipped": {"affine": AFFINE @ FLIPPED},
}


@pytest.mark.parametrize("how", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_an_image_is_the_field_of_the_same_numbers(tmp_path: Path, how, ending: str) -> None:
    affine = how.get("affine", AFFINE)
    path = bent_image(tmp_path / f"field{ending}", **how)
    read = read_transform(path)
    assert (read.program, read.is_linear) == ("ITK", False)
    check_whole(path)
    places = nib.affines.apply_affine(affine, np.moveaxis(np.indices((9, 10, 11)), 0, -1))
    other = field_of(tmp_path / "field.h5", moved(places) - places, affine)
    found, expected = read_point_map([path]), read_point_map([other])
    assert found is not None
    assert expected is not None
    assert np.allclose(found.displacements.vectors, expected.displacements.vectors, atol=1e-6)
    assert np.allclose(found.displacements.affine, expected.displacements.affine, atol=1e-6)
    inside = nib.affines.apply_affine(affine, [[4.3, 4.6, 5.1], [3.0, 5.5, 4.4]])
    assert np.allclose(carry_points(inside, str(path), 0), moved(inside), atol=1e-4)
    # ITK itself reads both alike
    if "kind" not in how:
        assert np.allclose(map_points(inside, str(path), 0), moved(inside), atol=1e-3)


def test_the_composite_of_an_image_is_that_of_the_file(tmp_path: Path) -> None:
    first = Path(write_itk_affine(FIRST, tmp_path / "first.txt"))
    image, file = bent_image(tmp_path / "f.nii.gz", dtype=np.float64), bent_field(tmp_path / "f.h5")
    made = [
        write_composite([first, one], [True, False], tmp_path / f"{one.name}.h5")
        for one in (image, file)
    ]
    answers = [carry_points(POINTS, str(path), 0) for path in made]
    assert np.allclose(*answers, atol=1e-6)
    expected = followed(np.linalg.inv(FIRST), moved(POINTS))
    assert np.allclose(answers[0], expected, atol=1e-4)
    assert np.allclose(map_points(POINTS, str(made[0]), 0), expected, atol=1e-3)


# the legs; points come back to where they were
INVERSES = {
    "a field": ["-field"],
    "an image": ["-image"],
    "a composite": ["-composite"],
    "between others": ["first", "-composite", "-first"],
}


@pytest.mark.parametrize("names", INVERSES.values(), ids=INVERSES)
def test_the_inverse_of_a_field_leads_back(tmp_path: Path, names: list[str]) -> None:
    first = Path(write_itk_affine(FIRST, tmp_path / "first.txt"))
    field = bent_field(tmp_path / "field.h5")
    files = {
        "first": first,
        "field": field,
        "image": bent_image(tmp_path / "image.nii.gz"),
        "composite": write_composite([first, field, first], [False] * 3, tmp_path / "c.h5"),
    }
    legs = [files[name.removeprefix("-")] for name in names]
    backwards = [name.startswith("-") for name in names]
    there = write_composite(legs, backwards, tmp_path / "there.h5")
    back = write_composite(legs[::-1], [not one for one in backwards[::-1]], tmp_path / "back.h5")
    check_whole(there)
    points = POINTS / 3
    for one, other in ((there, back), (back, there)):
        ends = carry_points(points, str(one), 0)
        assert np.abs(ends - points).max() > 1
        assert np.allclose(carry_points(ends, str(other), 0), points, atol=2e-3)
        assert np.allclose(map_points(ends, str(other), 0), points, atol=5e-3)


def of_three_volumes(path: Path, intent: int) -> None:
    image = nib.Nifti1Image(np.zeros((9, 10, 11, 3), np.float32), AFFINE)
    image.header.set_intent(intent, allow_unknown=True)
    nib.save(image, path)


def of_afni(path: Path) -> None:
    bent_image(path)
    image = nib.load(path)
    image.header.extensions.append(Nifti1Extension("afni", b"<AFNI_attributes/>  "))
    nib.save(image, path)


def described(path: Path) -> None:
    bent_image(path, intent=1007)
    image = nib.load(path)
    image.header["descrip"] = b"Deformation"
    nib.save(image, path)


def plain(path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((9, 10, 11), np.float32), AFFINE), path)


def of_two(path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((9, 10, 11, 1, 2), np.float32), AFFINE)
    image.header.set_intent(1007)
    nib.save(image, path)


def of_two_places(path: Path) -> None:
    bent_image(path)
    image = nib.load(path)
    other = AFFINE.copy()
    other[0, 3] += 30
    image.set_qform(other, 1)
    nib.save(image, path)


FOREIGN = {
    "FNIRT's field": (lambda p: of_three_volumes(p, 2006), "is a field of FSL.*-from-fnirt"),
    "FNIRT's coefficients": (lambda p: of_three_volumes(p, 2007), "holds coefficients of FSL"),
    "TOPUP's": (lambda p: of_three_volumes(p, 2016), "holds coefficients of FSL"),
    "three volumes": (
        lambda p: of_three_volumes(p, 0), "has three volumes and no mark of whose field it is"),
    "AFNI's": (of_afni, "is a field of AFNI"),
    "SPM's by its text": (described, "is a deformation of SPM"),
    "SPM's by its intent": (lambda p: bent_image(p, name="Mapping"), "is a deformation of SPM"),
    "displacements of nobody": (
        lambda p: bent_image(p, intent=1006), ".* in other directions than ITK's"),
    "no intent": (lambda p: bent_image(p, intent=0), "does not say that it holds vectors"),
    "an image of a head": (plain, "is no field of displacements .*9×10×11"),
    "of two components": (of_two, "is no field of displacements"),
    "of two places": (of_two_places, "says two places in its header"),
}  # fmt: skip


@pytest.mark.parametrize(("write", "why"), FOREIGN.values(), ids=FOREIGN)
def test_what_other_programs_keep_is_told_apart(tmp_path: Path, write, why: str) -> None:
    path = tmp_path / "from-dwi_to-T1w_xfm.nii.gz"
    write(path)
    with pytest.raises(InputError, match=f"{path.name} {why}"):
        read_transform(path)


def test_a_damaged_image_is_refused_when_it_is_read_to_its_end(tmp_path: Path) -> None:
    path = bent_image(tmp_path / "f.nii.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(InputError, match=r"f\.nii\.gz cannot be read"):
        check_whole(path)
    turned = bytearray(gzip.decompress(whole))
    turned[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(gzip.compress(bytes(turned)))
    with pytest.raises(InputError, match="not finite"):
        check_whole(path)
