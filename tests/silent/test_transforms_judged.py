"""A transform that was given, or a header that is believed, is judged; nothing wrong is silent."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest

from tests.builders import PHANTOM, save_image
from tests.coarse import PLACE
from tests.files.test_composites import FLIP
from tests.files.test_fields import field_image
from tests.plan.test_participant import mask, plan_one
from tests.runs import phantom_words
from wmhflow.bids.naming import TEMPLATE
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.core.align.quality import poor_numbers
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.images import load_grid
from wmhflow.files.itk import read_itk_affine, write_itk_affine
from wmhflow.files.template import cached_template
from wmhflow.plan.judging import judge_visit
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.visit import visit_unit
from wmhflow.settings import Settings
from wmhflow.steps.alignment import judge_alignment, judge_warp, say_which_form_fits
from wmhflow.steps.kinds import MaskImage

VISIT = Path("sub-01", "ses-1")
DWI = "dwi/sub-01_ses-1_from-dwi_to-T1w_mode-image_xfm.txt"
GIVEN = PHANTOM / "derivatives" / "maps" / VISIT
FA = GIVEN / "dwi" / "sub-01_ses-1_model-tensor_param-fa_dwimap.nii.gz"
T1W = PHANTOM / VISIT / "anat" / "sub-01_ses-1_T1w.nii.gz"

# ---- what the file alone tells -------------------------------------------------------------------


def phantom_visit(folder: Path) -> VisitPlan:
    words = phantom_words(folder / "out", folder / "work", dataset=folder / "data")
    (plan,) = make_plans(parse_settings([*words, "--participant-label", "01"]))
    return plan.visits[0]


@pytest.fixture
def phantom(tmp_path: Path) -> Path:
    """One visit of the phantom, whose files may be replaced."""
    for source in (PHANTOM, *(PHANTOM / "derivatives" / n for n in ("lesions", "maps"))):
        made = tmp_path / "data" / source.relative_to(PHANTOM)
        shutil.copytree(source / VISIT, made / VISIT, copy_function=os.symlink)
        shutil.copy(source / "dataset_description.json", made)
    shutil.copytree(
        PHANTOM / "derivatives" / "parcellation",
        tmp_path / "data" / "derivatives" / "parcellation",
        copy_function=os.symlink,
    )
    return tmp_path


def changed(change: Callable[[Any], Any]) -> Any:
    return change(read_itk_affine(GIVEN / DWI))


def moved(mm: float) -> Callable[[Any], Any]:
    def change(matrix: Any) -> Any:
        matrix[1, 3] += mm
        return matrix

    return change


def with_number(number: float, place: tuple[int, int] = (0, 3)) -> Callable[[Any], Any]:
    def change(matrix: Any) -> Any:
        matrix[place] = number
        return matrix

    return change


def scaled(*scales: float) -> Callable[[Any], Any]:
    return lambda matrix: np.diag([*scales, 1.0]) @ matrix


BAD_MATRICES = {
    "NaN": (with_number(np.nan), "not finite"),
    "NaN in its turn": (with_number(np.nan, (1, 1)), "not finite"),
    "infinite": (with_number(-np.inf), "not finite"),
    "1e300": (with_number(1e300), "as large as 1e+300"),
    "scale 0": (scaled(0, 0, 0), "scales the image by 0"),
    "one axis is flat": (scaled(1, 1, 0), "scales the image by 0"),
    "scale 1000": (scaled(1000, 1000, 1000), "scales the image by"),
    "scale 0.1": (scaled(0.1, 0.1, 0.1), "scales the image by"),
    "mirrored, left and right": (scaled(-1, 1, 1), "mirrors the image"),
    "mirrored, up and down": (scaled(1, 1, -1), "mirrors the image"),
    "two metres away": (moved(2000), "out of the field of view"),
    "two metres the other way": (moved(-2000), "out of the field of view"),
}


# where a template lies is told by the images
KINDS_OF_MATRICES = [
    pytest.param(kind, *row, id=f"{kind}, {name}")
    for kind in ("map", "FLAIR", "template")
    for name, row in BAD_MATRICES.items()
    if kind != "template" or "metres" not in name
]


@pytest.mark.parametrize(("kind", "change", "said"), KINDS_OF_MATRICES)
def test_a_matrix_that_brings_no_heads_together_is_refused_in_the_plan(
    phantom: Path, kind: str, change: Any, said: str
) -> None:
    maps = phantom / "data" / "derivatives" / "maps" / VISIT
    names = {
        "map": [DWI],
        "FLAIR": ["anat/sub-01_ses-1_from-FLAIR_to-T1w_mode-image_xfm.txt"],
        "template": [f"anat/sub-01_ses-1_from-{a}_to-{b}_mode-image_xfm.txt"
                     for a, b in ((TEMPLATE, "T1w"), ("T1w", TEMPLATE))],
    }  # fmt: skip
    for name in names[kind]:
        (maps / name).unlink(missing_ok=True)
        write_itk_affine(changed(change), maps / name)
    visit = phantom_visit(phantom)
    # a map's costs its maps, of which there are two, and nothing else
    told = visit.refused if kind == "map" else (visit.problem or "",)
    assert (visit.problem is None) == (kind == "map")
    assert len(told) == (2 if kind == "map" else 1)
    for why in told:
        assert said in why
        assert any(str(maps / name) in why for name in names[kind])


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (np.zeros((4, 4)), "no inverse"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.diag([1, 1, 1e300, 1]), "no inverse"),
        (np.diag([-1.0, 1, 1, 1]), "mirrors the image"),
        (np.diag([5.0, 5, 5, 1]), "scales the image"),
    ],
)
def test_flirts_matrices_are_judged_as_itks(phantom: Path, numbers: Any, said: str) -> None:
    folder = phantom / "data" / "derivatives" / "maps" / VISIT / "dwi"
    next(folder.glob("*xfm.txt")).unlink()
    path = folder / "sub-01_ses-1_from-dwi_to-T1w_mode-image_xfm.mat"
    np.savetxt(path, numbers)
    visit = phantom_visit(phantom)
    assert visit.problem is None
    assert len(visit.refused) == 2
    for problem in visit.refused:
        assert said in problem
        assert str(path) in problem


def test_a_map_whose_header_lies_elsewhere_is_refused_in_the_plan(phantom: Path) -> None:
    image = nib.load(FA)
    away = image.affine.copy()
    away[0, 3] += 400
    folder = phantom / "data" / "derivatives" / "maps" / VISIT / "dwi"
    next(folder.glob("*param-fa*")).unlink()
    name = "sub-01_ses-1_space-T1w_model-tensor_param-fa_dwimap.nii.gz"
    save_image(folder / name, np.asarray(image.dataobj), away)
    visit = phantom_visit(phantom)
    assert visit.problem is None
    (problem,) = visit.refused
    assert name in problem
    assert "lies outside the T1w image" in problem


def test_the_phantom_s_own_transforms_are_no_problem(phantom: Path) -> None:
    visit = phantom_visit(phantom)
    assert visit.problem is None
    names = {
        recipe.name
        for recipe in visit_unit(visit, Settings(Path("raw"), Path("out"), "participant")).recipes
        if recipe.function.__name__ == "judge_alignment"
    }
    assert names == {"judged_FAMD", "judged_CBF", "judged_Chimap"}


# ---- fields of displacements ---------------------------------------------------------------------

GRID = (10, 11, 12)


def write_field(
    path: Path,
    vectors: Any,
    origin: Any = (-10, -10, -10),
    spacing: float = 10,
    affine: Any = None,
) -> Path:
    """Write a composite of a matrix and a field of displacements, in LPS mm, as ITK does."""
    place = np.eye(4) if affine is None else affine
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for number, (kind, numbers, fixed) in enumerate((
            ("CompositeTransform_double_3_3", [], []),
            ("AffineTransform_double_3_3", [*place[:3, :3].ravel(), *place[:3, 3]], [0, 0, 0]),
            ("DisplacementFieldTransform_double_3_3", np.transpose(vectors, (2, 1, 0, 3)).ravel(),
             [*GRID, *origin, *[spacing] * 3, *np.eye(3).ravel()]),
        )):  # fmt: skip
            group = file.create_group(f"TransformGroup/{number}")
            group["TransformType"] = np.array([kind.encode()])
            if len(numbers):
                group["TransformParameters"] = np.asarray(numbers, np.float64)
                group["TransformFixedParameters"] = np.asarray(fixed, np.float64)
    return path


def field(fill: float = 0.0) -> Any:
    return np.full((*GRID, 3), fill)


def folded() -> Any:
    vectors = field()
    vectors[..., 0] = -2.5 * 10 * np.arange(GRID[0])[:, None, None]
    return vectors


def bent() -> Any:
    vectors = field()
    vectors[..., 0] = 3 * np.sin(np.arange(GRID[0]))[:, None, None]
    return vectors


FIELDS = {
    "NaN": (field(np.nan), {}, "not finite"),
    "one NaN": (np.where(np.arange(field().size).reshape(field().shape) == 7, np.nan, 0), {},
                "not finite"),
    "1e30": (field(1e30), {}, "further than a head"),
    "folded": (folded(), {}, "folds in 100 %"),
    "of another image": (bent(), {"origin": (900, 900, 900)}, "belongs to another image"),
    "tiny": (bent(), {"spacing": 1.0}, "belongs to another image"),
    "still": (field(), {}, None),
    "sound": (bent(), {}, ""),
}  # fmt: skip


def write_image(path: Path, vectors: Any, origin: Any, spacing: float = 10) -> Path:
    """Write the same field, without the matrix, as an image in RAS."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = origin
    path.parent.mkdir(parents=True, exist_ok=True)
    with np.errstate(over="ignore"):
        return field_image(path, vectors @ FLIP, np.diag([-1.0, -1, 1, 1]) @ affine)


@pytest.mark.parametrize("ends", ["from-FLAIR_to-T1w", "from-T1w_to-FLAIR"])
@pytest.mark.parametrize("ending", [".h5", ".nii.gz"])
@pytest.mark.parametrize(("vectors", "where", "said"), FIELDS.values(), ids=FIELDS)
def test_a_field_is_judged_before_the_first_step(
    raw: Path, derivatives: Path, vectors: Any, where: Any, said: str | None, ending: str, ends: str
) -> None:
    path = derivatives / "sub-01" / "anat" / f"sub-01_{ends}_mode-image_xfm{ending}"
    write = write_field if ending == ".h5" else write_image
    # the images of `raw` span 0 to 70, 80 and 90 mm in RAS: -70 to 0 and -80 to 0 in LPS
    write(path, vectors, **({"origin": (-85, -95, -10)} | where))
    if ends == "from-T1w_to-FLAIR" and said == "belongs to another image":
        # that it folds, too, is said first of a field whose inverse is needed
        said = "belongs to another image|folds in"
    mask(derivatives)
    visit = plan_one(raw, derivatives)
    assert visit.problem is None
    if said:
        with pytest.raises(InputError, match=said) as refused:
            judge_visit(visit)
        assert str(path) in str(refused.value)
    else:
        notes = [note.why for note in judge_visit(visit) if note.what == "transform"]
        assert [path.name in note and "moves nothing" in note for note in notes] == (
            [True] if said is None else []
        )


# ---- what images tell ----------------------------------------------------------------------------


@cache
def images() -> tuple[Grid3D, Grid3D, np.ndarray]:
    fa = load_grid(FA)
    data = np.nan_to_num(fa.data)
    return load_grid(T1W), Grid3D(data, fa.affine), read_itk_affine(GIVEN / DWI)


def judged(
    folder: Path, matrix: Any, quality: str, moving: Grid3D | None = None, **more: Any
) -> Any:
    fixed, fa, _ = images()
    transform = None if matrix is None else Path(write_itk_affine(matrix, folder / "x.txt"))
    given = None if matrix is None else "given_xfm.txt"
    names = {"moving_name": str(FA), "fixed_name": str(T1W)} | more
    return judge_alignment(
        fixed, moving or fa, quality, seed=7, transform=transform, given_name=given, **names
    ).metrics


def test_a_right_transform_has_good_numbers(tmp_path: Path) -> None:
    found = judged(tmp_path, images()[2], "fail")
    assert poor_numbers(found) == {}
    assert found["misalignment_mm"] < 1


def test_the_inverse_is_found_and_named(tmp_path: Path, caplog: Any) -> None:
    inverse = np.linalg.inv(images()[2])
    with caplog.at_level(logging.WARNING, "wmhflow"):
        found = judged(tmp_path, inverse, "flag")
    assert found["misalignment_mm"] > 2.5
    for said in ("given_xfm.txt does not bring", str(FA), "Its inverse fits", "'check'"):
        assert said in caplog.text
    with pytest.raises(InputError, match=r"given_xfm\.txt does not bring .* Its inverse fits"):
        judged(tmp_path, inverse, "fail")


@pytest.mark.slow
def test_a_map_that_lay_right_before_is_told_so(tmp_path: Path) -> None:
    _, fa, matrix = images()
    placed = Grid3D(fa.data, np.linalg.inv(matrix) @ fa.affine)
    with pytest.raises(InputError, match="Without it the images fit"):
        judged(tmp_path, matrix, "fail", placed)
    # and what lies right by its header is good by its header
    assert poor_numbers(judged(tmp_path, None, "fail", placed)) == {}


@pytest.mark.parametrize("wanted", ["flag", pytest.param("fail", marks=pytest.mark.slow)])
def test_a_map_called_t1w_that_is_turned_to_ac_pc_is_flagged_or_refused(
    tmp_path: Path, caplog: Any, wanted: str
) -> None:
    """Turned by 8 degrees, 5 and 12 mm off, lesions would come out healthier than normal tissue."""
    _, fa, matrix = images()
    tilt = rigid_matrix((8, 0, 0, 0, 5, 12), np.zeros(3))
    tilted = Grid3D(fa.data, tilt @ np.linalg.inv(matrix) @ fa.affine)
    if wanted == "fail":
        with pytest.raises(InputError, match=r"does not lie on .* as their headers say"):
            judged(tmp_path, None, wanted, tilted)
        return
    with caplog.at_level(logging.WARNING, "wmhflow"):
        found = judged(tmp_path, None, wanted, tilted)
    assert "misalignment_mm" in poor_numbers(found)
    assert found["misalignment_mm"] > 5
    assert "does not lie on" in caplog.text
    assert "'check'" in caplog.text


@pytest.mark.slow
def test_a_header_that_is_off_is_said_with_the_form_that_fits(tmp_path: Path) -> None:
    _, fa, matrix = images()
    with pytest.raises(InputError, match=r"does not lie on .* as their headers say: "):
        judged(tmp_path, None, "fail")
    image = nib.Nifti1Image(fa.data, fa.affine)
    image.set_sform(fa.affine, code=1)
    image.set_qform(np.linalg.inv(matrix) @ fa.affine, code=1)
    nib.save(image, tmp_path / "two_forms.nii")
    with pytest.raises(
        InputError, match=r"By the qform of .*two_forms\.nii they fit.* --trust qform"
    ):
        judged(tmp_path, None, "fail", moving_name=str(tmp_path / "two_forms.nii"))


@pytest.mark.slow
def test_of_two_forms_the_one_that_fits_is_named_where_images_are_registered(
    tmp_path: Path, caplog: Any
) -> None:
    fixed, fa, matrix = images()
    right = np.linalg.inv(matrix) @ fa.affine
    for sform, qform, said in (
        (fa.affine, right, "By the qform of .*two_forms.nii they fit, and not by its sform"),
        (right, fa.affine, "whose sform and qform differ: By the sform they fit"),
    ):
        image = nib.Nifti1Image(fa.data, sform)
        image.set_sform(sform, code=1)
        image.set_qform(qform, code=1)
        nib.save(image, tmp_path / "two_forms.nii")
        names = (str(T1W), str(tmp_path / "two_forms.nii"))
        with caplog.at_level(logging.WARNING, "wmhflow"):
            say_which_form_fits(fixed, Grid3D(fa.data, sform), names, 7, None)
        assert re.search(said, caplog.text)
    caplog.clear()
    say_which_form_fits(fixed, fa, (str(T1W), str(FA)), 7, None)
    assert caplog.text == ""


@pytest.mark.slow
def test_a_transform_that_is_not_linear_is_judged_by_what_it_makes(tmp_path: Path) -> None:
    _, _, matrix = images()
    flip = np.diag([-1.0, -1, 1, 1])
    for number, lps in enumerate((flip @ matrix @ flip, flip @ np.linalg.inv(matrix) @ flip)):
        path = tmp_path / f"{number}.h5"
        write_field(path, field(), affine=lps)
        fixed, fa, _ = images()
        names = {"moving_name": str(FA), "fixed_name": str(T1W), "given_name": path.name}
        found = judge_alignment(fixed, fa, "flag", seed=7, transform=path, **names).metrics
        assert bool(poor_numbers(found)) == bool(number)
        assert found["field_of_view_overlap"] > 0.9


@pytest.mark.parametrize("wanted", ["flag", "fail", "off"])
def test_nothing_is_judged_where_nobody_asks_for_it(phantom: Path, wanted: str) -> None:
    settings = parse_settings(["raw", "out", "participant", "--registration-qc", wanted])
    recipes = visit_unit(phantom_visit(phantom), settings).recipes
    judges = [one for one in recipes if one.function.__name__ in ("judge_alignment", "judge_warp")]
    assert {one.options["quality"] for one in judges} == ({wanted} - {"off"})


@pytest.mark.slow
def test_transforms_to_the_template_are_judged_together(tmp_path: Path, caplog: Any) -> None:
    template = cached_template()
    head, brain = template.grid("t1w"), template.mask("brain_mask")
    person = Grid3D(head.data[::3, ::3, ::3], PLACE @ head.affine @ np.diag([3.0, 3, 3, 1]))
    forward = Path(write_itk_affine(PLACE, tmp_path / "forward.txt"))
    inverse = Path(write_itk_affine(np.linalg.inv(PLACE), tmp_path / "inverse.txt"))

    def numbers(one: Path, other: Path, quality: str) -> Any:
        shown = MaskImage(brain[::3, ::3, ::3], person.affine)
        return judge_warp(person, shown, template, one, other, quality, "T1w.nii", 7).metrics

    found = numbers(forward, inverse, "fail")
    assert poor_numbers(found) == {}
    assert found["round_trip_mm"] < 0.01
    assert found["jacobian_min"] == pytest.approx(1, abs=1e-3)
    with pytest.raises(InputError, match=r"inverse\.txt does not bring .* exchange their names"):
        numbers(inverse, forward, "fail")
    with caplog.at_level(logging.WARNING, "wmhflow"):
        assert numbers(forward, forward, "flag")["round_trip_mm"] > 2.5
    assert "forward.txt leads points back" in caplog.text
