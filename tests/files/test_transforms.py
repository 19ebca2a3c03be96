"""Transform files of every program say the same matrix, in the direction of ITK's."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from wmhflow.ants.transforms import map_points
from wmhflow.errors import InputError
from wmhflow.files.itk import read_itk_affine, write_itk_affine
from wmhflow.files.transforms import foreign_transform, linear_matrix, read_transform
from wmhflow.steps.images import convert_transform

FLIP = np.diag([-1.0, -1.0, 1.0])
POINTS = np.moveaxis(np.indices((4, 4, 4)), 0, -1).reshape(-1, 3) * 20.0
PARTS = {
    "AffineTransform_double_3_3": ([1, 0.1, 0, 0, 1, 0.2, 0, 0.1, 1, 4, 5, 6], [7, 8, 9]),
    "MatrixOffsetTransformBase_double_3_3": ([0, -1, 0, 1, 0, 0, 0, 0, 1, 4, 5, 6], [7, 8, 9]),
    "Euler3DTransform_double_3_3": ([0.1, 0.2, 0.3, 4, 5, 6], [7, 8, 9, 0]),
    "Euler3DTransform_double_3_3 ": ([0.1, 0.2, 0.3, 4, 5, 6], [7, 8, 9, 1]),
    "VersorRigid3DTransform_double_3_3": ([0.1, 0.2, 0.3, 4, 5, 6], [7, 8, 9]),
    "Similarity3DTransform_double_3_3": ([0.1, 0.2, 0.3, 4, 5, 6, 1.1], [7, 8, 9]),
}
LTA = """# transform file
type      = 1 # LINEAR_RAS_TO_RAS
nxforms   = 1
mean      = 0.0 0.0 0.0
sigma     = 1.0
1 4 4
1 0 0 3
0 1 0 -4
0 0 1 5
0 0 0 1
src volume info
valid = 0
dst volume info
valid = 0
"""


def text_of(*kinds: str) -> str:
    lines = ["#Insight Transform File V1.0"]
    for number, kind in enumerate(kinds):
        numbers, fixed = PARTS[kind]
        lines += [f"#Transform {number}", f"Transform: {kind.strip()}"]
        lines.append("Parameters: " + " ".join(map(str, numbers)))
        lines.append("FixedParameters: " + " ".join(map(str, fixed)))
    return "\n".join(lines) + "\n"


def hdf5_of(path: Path, *kinds: str, spelling: str = "Transform") -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("TransformGroup")
        for number, kind in enumerate(kinds):
            entry = group.create_group(str(number))
            entry["TransformType"] = [kind.strip().encode()]
            if kind in PARTS:
                entry[f"{spelling}Parameters"] = np.array(PARTS[kind][0], float)
                entry[f"{spelling}FixedParameters"] = np.array(PARTS[kind][1], float)
    return path


def itks_answer(path: Path) -> np.ndarray:
    """Where ITK itself takes points."""
    return map_points(POINTS, str(path), 0)


def ours(matrix: np.ndarray) -> np.ndarray:
    return nib.affines.apply_affine(matrix, POINTS)


def test_the_first_of_several_transforms_is_applied_first(tmp_path: Path) -> None:
    turn, move = np.diag([-1.0, 1.0, -1.0, 1.0]), np.eye(4)
    move[:3, 3] = 10, 20, 30
    chain = [
        write_itk_affine(matrix, tmp_path / f"{name}.txt")
        for name, matrix in (("turn", turn), ("move", move))
    ]
    assert np.allclose(map_points(POINTS, chain, 0), ours(move @ turn), atol=1e-4)


@pytest.mark.parametrize("content", [None, b"#Insight", b"\x89HDF\r\n\x1a\n" + bytes(64)])
def test_a_transform_that_cannot_be_read_is_an_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / ("x.h5" if content and content[0] > 127 else "x.txt")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be applied"):
        map_points(POINTS, str(path), 0)


@pytest.mark.parametrize("kind", PARTS)
def test_itk_takes_points_where_the_matrix_takes_them(kind: str, tmp_path: Path) -> None:
    text = tmp_path / "x.txt"
    text.write_text(text_of(kind))
    matrix = read_transform(text).matrix
    assert matrix is not None
    assert np.allclose(ours(matrix), itks_answer(text), atol=1e-4)
    binary = tmp_path / "x.mat"
    numbers, fixed = (np.array(part, float)[:, None] for part in PARTS[kind])
    savemat(binary, {kind.strip(): numbers, "fixed": fixed}, format="4")
    assert np.allclose(read_itk_affine(binary), matrix)
    for spelling in ("Transform", "Tranform"):
        packed = hdf5_of(tmp_path / f"{spelling}.h5", kind, spelling=spelling)
        assert np.allclose(read_itk_affine(packed), matrix)


@pytest.mark.parametrize("kind", ["MatrixOffsetTransformBese", "MatrixOffsetTetTransformBase", "x"])
def test_a_kind_that_itk_does_not_have_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_itk_affine(np.eye(4), path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("MatrixOffsetTransformBase", kind), encoding="utf-8")
    with pytest.raises(InputError, match=f"a.txt.*{kind}.* is no kind of transform that ITK has"):
        read_transform(path)


def test_a_list_of_transforms_is_applied_from_its_end(tmp_path: Path) -> None:
    kinds = list(PARTS)[:3]
    text = tmp_path / "x.txt"
    text.write_text(text_of(*kinds))
    matrix = read_itk_affine(text)
    assert np.allclose(ours(matrix), itks_answer(text), atol=1e-4)
    packed = hdf5_of(tmp_path / "x.h5", "CompositeTransform_double_3_3", *kinds)
    assert np.allclose(read_itk_affine(packed), matrix)


def test_a_field_is_not_linear(tmp_path: Path) -> None:
    packed = hdf5_of(tmp_path / "x.h5", *list(PARTS)[:1], "DisplacementFieldTransform_float_3_3")
    assert not read_transform(packed).is_linear
    with pytest.raises(InputError, match="DisplacementField"):
        read_itk_affine(packed)


GRIDS = {
    "left first": np.array([[-1.2, 0, 0, 90], [0, 1, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1.0]]),
    "right first": np.array([[1.2, 0, 0, -90], [0, 1, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1.0]]),
    "sagittal": np.array([[0, 0, 3, -60], [-1, 0, 0, 100], [0, 0.9, 0, -80], [0, 0, 0, 1.0]]),
}
SHAPES = {"left first": (30, 40, 20), "right first": (35, 28, 22), "sagittal": (26, 32, 18)}


def image(folder: Path, name: str) -> Path:
    path = folder / f"{name.replace(' ', '')}.nii.gz"
    rng = np.random.default_rng(len(name))
    nib.save(nib.Nifti1Image(rng.random(SHAPES[name], dtype=np.float32), GRIDS[name]), path)
    return path


def moved_world() -> np.ndarray:
    """Where points of the moving image lie in the fixed one, RAS mm."""
    world = np.eye(4)
    world[:3, :3] = Rotation.from_euler("xyz", [5, -8, 12], degrees=True).as_matrix() * 1.02
    world[:3, 3] = [4, -7, 9]
    return world


# Voxel coordinates scaled to mm, as FSL's documentation defines them for each image: a voxel's
# index times its size, and for an image of neurological order (a positive determinant) the first
# index counted from the other end, so that all images are of radiological order.
SCALED = {
    "left first": np.array([[1.2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]]),
    "right first": np.array([[-1.2, 0, 0, 34 * 1.2], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]]),
    "sagittal": np.array([[1.0, 0, 0, 0], [0, 0.9, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]]),
}


def test_the_scaled_mm_are_for_images_of_these_orders() -> None:
    """The matrices are written by hand; here is what they are written for."""
    orders = {name: np.sign(np.linalg.det(affine)) for name, affine in GRIDS.items()}
    assert orders == {"left first": -1, "right first": 1, "sagittal": -1}
    assert SHAPES["right first"][0] == 35


@pytest.mark.parametrize("moving", GRIDS)
@pytest.mark.parametrize("fixed", GRIDS)
def test_a_flirt_matrix_takes_scaled_mm_to_scaled_mm(
    moving: str, fixed: str, tmp_path: Path
) -> None:
    """One point is followed by hand from the fixed image's world to the moving one's."""
    # what flirt wrote: a turn by 90 degrees about z, larger by 1 %, and a shift
    flirt = np.array([[0, -1.01, 0, 50], [1.01, 0, 0, -3], [0, 0, 1.01, 7], [0, 0, 0, 1.0]])
    path = tmp_path / "x.mat"
    np.savetxt(path, flirt, fmt="%.12f")
    found = linear_matrix(path, image(tmp_path, moving), image(tmp_path, fixed))
    for voxel in ((0, 0, 0), (3, 5, 2), (12, 20, 9)):
        start = np.array([*voxel, 1.0])
        scaled = flirt @ SCALED[moving] @ start
        there = np.linalg.solve(SCALED[fixed], scaled)
        assert np.allclose(found @ GRIDS[fixed] @ there, GRIDS[moving] @ start, atol=1e-8)


def test_fsls_worked_example_of_a_swapped_hand(tmp_path: Path) -> None:
    """Known numbers: the identity of flirt between images of both hands mirrors their voxels."""
    path = tmp_path / "x.mat"
    np.savetxt(path, np.eye(4))
    shape = (11, 12, 13)
    affines = {"radiological": np.diag([-2.0, 2, 2, 1]), "neurological": np.diag([2.0, 2, 2, 1])}
    files = {}
    for name, affine in affines.items():
        files[name] = tmp_path / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(np.ones(shape, np.float32), affine), files[name])
    found = linear_matrix(path, files["neurological"], files["radiological"])
    # voxel 3 of 11 of the radiological image (x = -6 mm) is voxel 10 - 3 = 7 of the other (14 mm)
    assert np.allclose(found @ [-6, 4, 8, 1], [14, 4, 8, 1])
    same = linear_matrix(path, files["radiological"], files["radiological"])
    assert np.allclose(same, np.eye(4))


def lta_of(kind: int, matrix: np.ndarray, source: str, target: str) -> str:
    lines = [f"type = {kind}", "nxforms = 1", "mean = 0 0 0", "sigma = 1", "1 4 4"]
    lines += [" ".join(f"{number:.12f}" for number in row) for row in matrix]
    for title, name in (("src", source), ("dst", target)):
        affine, shape = GRIDS[name], np.array(SHAPES[name])
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        lines += [f"{title} volume info", "valid = 1  # volume info valid", "filename = x.mgz"]
        lines.append("volume = " + " ".join(map(str, shape)))
        lines.append("voxelsize = " + " ".join(map(str, sizes)))
        for axis, letter in enumerate("xyz"):
            lines.append(f"{letter}ras = " + " ".join(map(str, affine[:3, axis] / sizes[axis])))
        centre = nib.affines.apply_affine(affine, shape / 2)
        lines.append("cras = " + " ".join(map(str, centre)))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", [0, 1])
def test_freesurfer_says_the_inverse(kind: int, tmp_path: Path) -> None:
    moving, fixed = "left first", "sagittal"
    matrix = moved_world()
    if kind == 0:
        matrix = np.linalg.inv(GRIDS[fixed]) @ matrix @ GRIDS[moving]
    path = tmp_path / "x.lta"
    path.write_text(lta_of(kind, matrix, moving, fixed))
    images = image(tmp_path, moving), image(tmp_path, fixed)
    found = linear_matrix(path, *images)
    assert np.allclose(found, np.linalg.inv(moved_world()), atol=1e-6)
    with pytest.raises(InputError, match="other way round"):
        linear_matrix(path, *images[::-1])


def moved_grid(folder: Path, name: str, to: str, mm: float) -> Path:
    """An image of the grid of another, whose header was moved."""
    affine = GRIDS[name].copy()
    affine[0, 3] += mm
    path = folder / f"{to}.nii.gz"
    nib.save(nib.Nifti1Image(np.ones(SHAPES[name], np.float32), affine), path)
    return path


def test_of_two_images_alike_the_place_tells_which_way_freesurfer_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "left first"
    beside = GRIDS[name].copy()
    beside[0, 3] += 9
    monkeypatch.setitem(GRIDS, "beside", beside)
    monkeypatch.setitem(SHAPES, "beside", SHAPES[name])
    path = tmp_path / "x.lta"
    path.write_text(lta_of(1, moved_world(), name, "beside"))
    images = moved_grid(tmp_path, name, "one", 0), moved_grid(tmp_path, name, "other", 9)
    assert linear_matrix(path, *images) is not None
    with pytest.raises(InputError, match="other way round"):
        linear_matrix(path, *images[::-1])


@pytest.mark.parametrize("kind", [0, 1])
def test_an_image_that_was_moved_since_freesurfer_registered_it_is_refused(
    tmp_path: Path, kind: int
) -> None:
    # its points were taken from where they are now to where they belonged before
    name = "left first"
    path = tmp_path / "x.lta"
    path.write_text(lta_of(kind, moved_world(), name, name))
    still = moved_grid(tmp_path, name, "still", 0)
    assert linear_matrix(path, still, moved_grid(tmp_path, name, "nearly", 1e-3)) is not None
    with pytest.raises(InputError, match=r"lay elsewhere \(by up to 40 mm"):
        linear_matrix(path, moved_grid(tmp_path, name, "moved", 40), still)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("nxforms = 1", "nxforms = 2", "holds several transforms"),
        ("src volume", "1 4 4\n1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\nsrc volume", "several"),
        ("xras = ", "xras = 2 0 0 # ", "axes that are none"),
        ("xras = ", "xras = 0 0 0 # ", "axes that are none"),
        ("voxelsize = ", "voxelsize = 0 1 1 # ", "without a size"),
        ("voxelsize = ", "voxelsize = -1 1 1 # ", "without a size"),
        ("voxelsize = ", "voxelsize = nan 1 1 # ", "without a size"),
    ],
)
def test_an_lta_that_freesurfer_does_not_write_is_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "x.lta"
    text = lta_of(0, moved_world(), "left first", "left first")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        read_transform(path)


# what FreeSurfer writes where it knows no geometry
UNKNOWN_GEOMETRY = """valid = 0  # volume info invalid
filename = x.mgz
volume = 256 256 256
voxelsize = 1 1 1
xras = -1 0 0
yras = 0 0 -1
zras = 0 1 0
cras = 0 0 0
"""


def test_voxels_of_an_invalid_geometry_are_those_of_the_images(tmp_path: Path) -> None:
    moving, fixed = "left first", "sagittal"
    matrix = np.linalg.inv(GRIDS[fixed]) @ moved_world() @ GRIDS[moving]
    head = lta_of(0, matrix, moving, fixed).partition("src volume info")[0]
    path = tmp_path / "x.lta"
    path.write_text(
        head + "".join(f"{end} volume info\n{UNKNOWN_GEOMETRY}" for end in ("src", "dst"))
    )
    found = linear_matrix(path, image(tmp_path, moving), image(tmp_path, fixed))
    assert np.allclose(found, np.linalg.inv(moved_world()), atol=1e-6)


def test_freesurfer_without_geometry_is_in_world_mm(tmp_path: Path) -> None:
    path = tmp_path / "x.lta"
    path.write_text(LTA)
    found = linear_matrix(path, image(tmp_path, "left first"), image(tmp_path, "sagittal"))
    assert found[:3, 3].tolist() == [-3, 4, -5]


def test_converted_it_takes_points_where_itks_own_does(tmp_path: Path) -> None:
    moving = fixed = image(tmp_path, "left first")
    lta = tmp_path / "x.lta"
    lta.write_text(lta_of(1, moved_world(), "left first", "left first"))
    converted = convert_transform(lta, moving, fixed, tmp_path).transform
    assert converted.parent == tmp_path
    assert np.allclose(itks_answer(converted), ours(np.linalg.inv(moved_world())), atol=1e-4)


def test_what_is_written_as_itks_says_what_the_convention_says(tmp_path: Path) -> None:
    """Points of the fixed image to points of the moving one, in LPS."""
    path = write_itk_affine(moved_world(), tmp_path / "x.txt")
    assert np.allclose(read_itk_affine(path), moved_world(), atol=1e-9)
    import ants

    lps = ants.read_transform(path).apply_to_point([-1.0, -2.0, 3.0])
    expected = nib.affines.apply_affine(moved_world(), [1.0, 2.0, 3.0])
    assert np.allclose(np.array(lps) * [-1, -1, 1], expected)


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("txt", "hello\n"),
        ("mat", "1 2 3\n"),
        ("mat", "1 0 0 hello\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"),
        ("lta", "type = 1\n"),
        ("lta", LTA.replace("1 0 0 3", "1 0 0 hello")),
        ("h5", "x"),
        ("lta", ""),
    ],
)
def test_what_is_no_transform_is_refused(ending: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_text(content)
    with pytest.raises(InputError, match=f"x.{ending} .*flirt"):
        read_transform(path)


FOUR = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"
# texts that hold a matrix and none of ITK's words, and what is said of them
TEXTS = {
    "flirt's": (FOUR, "4×4 numbers alone"),
    "MRtrix's": (f"# command_history: transformconvert\n{FOUR}", "4×4 numbers alone"),
    "AFNI's in a line": ("1 0 0 0 0 1 0 0 0 0 1 0\n", "as AFNI writes them"),
    "AFNI's in three": ("# 3dAllineate matrices\n1 0 0 0\n0 1 0 0\n0 0 1 0\n", "as AFNI writes"),
    "register.dat": (f"bert\n2\n2\n0.15\n{FOUR}round\n", "register.dat"),
    "words": ("no numbers at all\n", "holds no transform; give"),
}


@pytest.mark.parametrize(("text", "why"), TEXTS.values(), ids=TEXTS)
def test_a_text_without_the_words_of_itk_is_said_to_be_whose(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "from-dwi_to-T1w_xfm.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=why.replace("(", "\\(")):
        read_transform(path)


@pytest.mark.parametrize(
    ("ending", "whose"),
    [
        (".aff12.1D", "AFNI"), (".1D", "AFNI"), ("+orig.BRIK.gz", "AFNI"), (".m3z", "FreeSurfer"),
        (".dat", "register.dat"), (".xfm", "MINC"), (".tfm", "call it .txt"), (".x5", "not read"),
        (".csv", "in .csv is not read"), (".mat", None), (".h5", None), (".nii.gz", None),
        (".json", None),
    ],
)  # fmt: skip
def test_a_transform_of_a_kind_that_is_not_read_is_told(ending: str, whose: str | None) -> None:
    said = foreign_transform(f"sub-01_from-dwi_to-T1w_mode-image_xfm{ending}")
    assert (said is None) == (whose is None)
    assert whose is None or whose in str(said)
