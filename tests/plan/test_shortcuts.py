"""What a plan finds in plain numbers, or once for many, is what is found the long way."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.builders import describe, save_image
from wmhflow.bids.entities import _read, entities_of
from wmhflow.bids.query import FoundFile, open_query
from wmhflow.bids.sidecars import Names, read_sidecar
from wmhflow.core.align.plausible import (
    LARGEST_SCALE,
    LEAST_SCALE,
    _is_surely_of_heads,
    matrix_fault,
)
from wmhflow.errors import GridError
from wmhflow.files.forms import _surely_agree, check_forms
from wmhflow.files.inspection import ImageFacts, boxes_meet, holds_middle
from wmhflow.files.streams import first_bytes
from wmhflow.files.transforms import _turned_about
from wmhflow.plan.packing import Packing
from wmhflow.registries.maps import load_maps
from wmhflow.registries.producers import _may_be_named, load_producers, recognise_name
from wmhflow.settings import Inputs, NamedPath


def turned(degrees: float, scale: Any = 1.0) -> NDArray[np.float64]:
    """An affine that turns about an odd axis, and scales."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0, 0.8])).as_matrix()
    matrix[:3, :3] = matrix[:3, :3] * scale
    matrix[:3, 3] = (-80, -100, -60)
    return matrix


# ---- headers -------------------------------------------------------------------------------------

FORMS = {
    "alike": {},
    "turned": {"sform": turned(30)},
    "no qform": {"qform_code": 0},
    "no sform": {"sform_code": 0},
    "a voxel 2 % longer": {"pixdim": 1.02},
    "a voxel 0.98 % longer": {"pixdim": 1.0098},
    "a voxel of no length": {"pixdim": 0.0, "qform_code": 0},
    "half a voxel apart": {"moved": 0.5},
    "nearly half a voxel apart": {"moved": 0.499},
    "more than half a voxel apart": {"moved": 0.51},
    "far apart": {"moved": 40},
    "a quaternion that is none": {"quatern_b": 3.0},
    "numbers that are none": {"quatern_b": np.nan},
}


SURE = {"alike", "turned", "no qform", "a voxel 0.98 % longer"}


@pytest.mark.parametrize("trust", [None, "sform", "qform"])
@pytest.mark.parametrize("name", FORMS)
def test_forms_that_agree_at_a_glance_agree(tmp_path: Path, name: str, trust: str | None) -> None:
    odd = FORMS[name]
    image = nib.Nifti1Image(np.zeros((20, 24, 18), np.uint8), odd.get("sform", np.eye(4)))
    sform = image.affine.copy()
    sform[0, 3] += odd.get("moved", 0)
    image.set_qform(image.affine, code=1)
    image.set_sform(sform, code=1)
    for field in ("qform_code", "sform_code", "quatern_b"):
        if field in odd:
            image.header[field] = odd[field]
    if "pixdim" in odd:
        image.header["pixdim"][1] = odd["pixdim"]
    path = tmp_path / "image.nii"
    path.write_bytes(image.header.binaryblock + bytes(4) + image.get_fdata().tobytes())

    def told(begin: bytes) -> str | None:
        try:
            return check_forms(path, trust, begin)
        except GridError as error:
            return str(error)

    begin = first_bytes(path)[0]
    assert told(begin) == told(b"")
    assert _surely_agree(begin) == (name in SURE)


def test_another_order_of_bytes_is_read_the_long_way() -> None:
    assert not _surely_agree(struct.pack(">i", 348) + bytes(600))
    assert not _surely_agree(b"")


# ---- matrices ------------------------------------------------------------------------------------


def test_what_is_sure_of_a_matrix_is_so() -> None:
    n_sure, rng = 0, np.random.default_rng(5)
    for _ in range(700):
        matrix = turned(rng.uniform(-180, 180), rng.uniform(0.45, 2.1, 3))
        matrix[:3, :3] += rng.normal(0, rng.choice([0, 0.01, 0.3]), (3, 3))
        matrix[0] *= rng.choice([1, 1, 1, -1])
        if _is_surely_of_heads(matrix.tolist()):
            n_sure += 1
            scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
            assert scales.min() > LEAST_SCALE
            assert scales.max() < LARGEST_SCALE
            assert np.linalg.det(matrix[:3, :3]) > 0
    assert n_sure > 150


@pytest.mark.parametrize("odd", [
    np.diag([-1.0, 1, 1, 1]), np.diag([1.0, 1, 0, 1]), np.diag([1.0, 1, 1, 2]),
    np.diag([3.0, 1, 1, 1]), np.full((4, 4), np.nan), np.full((4, 4), np.inf),
    np.eye(4) + 1e7 * np.eye(4, k=3),
])  # fmt: skip
def test_a_matrix_with_a_fault_is_never_sure(odd: NDArray[np.float64]) -> None:
    assert not _is_surely_of_heads(odd.tolist())
    assert matrix_fault(odd) is not None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_turn_is_that_of_scipy_to_the_last_digit(axis: int) -> None:
    rng = np.random.default_rng(6)
    for angle in [*rng.uniform(-7, 7, 300), 0.0, np.pi, -np.pi / 2, 1e-9, 1e8]:
        wanted = Rotation.from_euler("xyz"[axis], angle).as_matrix()
        assert np.array_equal(_turned_about(axis, float(angle)), wanted)
    assert np.isnan(_turned_about(axis, float("nan"))).all()


def test_images_that_surely_meet_meet() -> None:
    n_sure, rng = 0, np.random.default_rng(7)
    for _ in range(400):
        sizes, matrix = rng.uniform(0.5, 3, 3), turned(rng.uniform(-90, 90))
        matrix[:3, 3] = rng.normal(0, 25, 3)
        one, other = (_facts(turned(rng.uniform(-9, 9), sizes), rng) for _ in range(2))
        if holds_middle(one, matrix, other):
            n_sure += 1
            moved = ImageFacts(one.path, one.shape, np.linalg.inv(matrix) @ one.affine)
            (low, high), (low_b, high_b) = _ends(moved), _ends(other)
            assert np.all(low < high_b)
            assert np.all(low_b < high)
            assert boxes_meet(moved, other)
    assert n_sure > 20


def _facts(affine: NDArray[np.float64], rng: np.random.Generator) -> ImageFacts:
    x, y, z = rng.integers(1, 120, 3)
    return ImageFacts(Path("x"), (int(x), int(y), int(z)), affine)


def _ends(facts: ImageFacts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    last = np.array(facts.shape) - 1
    corners = np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, -1).T * last
    world = corners @ facts.affine[:3, :3].T + facts.affine[:3, 3]
    return world.min(axis=0), world.max(axis=0)


def test_images_that_only_touch_do_not_meet() -> None:
    one = ImageFacts(Path("x"), (11, 11, 11), np.eye(4))
    for gap, meets in ((10.0, False), (9.99, True), (9.9999, True), (10.001, False)):
        moved = np.eye(4)
        moved[0, 3] = gap
        assert boxes_meet(one, ImageFacts(Path("y"), (11, 11, 11), moved)) == meets


# ---- names ---------------------------------------------------------------------------------------

NAMES = (
    "sub-01_T1w.nii.gz", "sub-01_ses-1_acq-a_run-02_T1w.nii.gz", "sub-1_sub-2_T1w.nii",
    "sub-xfm1_from-a_to-b_T1w.nii.gz", "sub-01_from-dwi_to-T1w_mode-image_xfm.txt",
    "sub-01T1w.nii.gz", "sub-_T1w.nii", "sub-01_T1w", "T1w.nii.gz", "01_acq-a_T1w.nii.gz",
    "sub-a+b_run-x_echo-1_part-mag_bold.nii.gz", "sub-01.nii.gz", "sub-01_hemi-X_desc-a.b_T1w.nii",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_entities_of_a_name_are_those_of_the_whole_name(name: str) -> None:
    assert list(entities_of(name).items()) == list(_read(name, "xfm" in name))


def test_every_pattern_of_a_producers_names_is_looked_at() -> None:
    for producer in load_producers().values():
        for row in producer.files:
            for name in row.names:
                text = name.removesuffix(".mgz").replace("*", "bianca7").replace("{image}", "flair")
                for ending in (".nii.gz", ".nii", ".mgz"):
                    path = f"a/{text.replace('{person}', 'sub-1')}{ending}"
                    fits = any(pattern.fullmatch(path) for pattern in row.patterns)
                    assert _may_be_named(path) >= fits
                    assert (recognise_name(path) is not None) >= fits


@pytest.mark.parametrize("known", [None, Names()])
def test_a_sidecar_is_found_by_listing_as_by_looking(tmp_path: Path, known: Names | None) -> None:
    folder = tmp_path / "sub-01" / "ses-1" / "dwi"
    folder.mkdir(parents=True)
    above = (
        *("dwi", "sub-01_dwi", "acq-a_dwi", "sub-01/sub-01_acq-a_dwi"),
        *("sub-01/ses-1/sub-01_ses-1_dwi", "sub-01/ses-1/dwi/sub-01_ses-1_acq-a_dwi"),
    )
    for number, name in enumerate(above):
        (tmp_path / f"{name}.json").write_text(json.dumps({f"Of{number}": number, "All": number}))
    # of another image, of another visit, and a folder
    for name in ("acq-b_dwi", "ses-2_dwi", "sub-01/sub-01_ses-2_dwi"):
        (tmp_path / f"{name}.json").write_text('{"Wrong": 1}')
    (folder / "sub-01_ses-1_dwi.json").mkdir()
    file = FoundFile(folder / "sub-01_ses-1_acq-a_dwi.nii.gz", {}, "raw", tmp_path)
    found = read_sidecar(file, known)
    assert found == {"All": 5, **{f"Of{number}": number for number in range(6)}}


def test_what_a_name_answers_is_the_same_for_everybody(tmp_path: Path) -> None:
    root = describe(tmp_path / "maps", DatasetType="derivative")
    names = ("param-fa_dwimap", "model-dki_param-md_dwimap", "run-01_cbf", "Chimap",
             "model-other_param-fa_dwimap", "space-T1w_T1map")  # fmt: skip
    for person in ("01", "02", "03"):
        for name in names[: 3 + int(person)]:
            save_image(root / f"sub-{person}" / "dwi" / f"sub-{person}_{name}.nii.gz")
            (root / f"sub-{person}" / "dwi" / f"sub-{person}_{name}.json").write_text("{}")
    raw = describe(tmp_path / "raw")
    query = open_query(raw, Inputs(derivatives=(NamedPath("maps", root),)))
    n_found = 0
    for person in ("01", "02", "03", "02"):
        for one in load_maps().values():
            for question in one.questions:
                given = {**question, "extension": [".nii.gz", ".nii"]}
                wanted = query.derived("map", person, **given)
                assert query.derived_images("map", person, question) == wanted
                n_found += len(wanted)
    assert n_found >= 4 * 3


# ---- plans as bytes ------------------------------------------------------------------------------


def test_what_all_share_is_not_copied() -> None:
    maps = load_maps()
    file = FoundFile(Path("/d/sub-1/x.nii"), {"suffix": "x"}, "d", Path("/d"))
    assert file.folder == "/d/sub-1"
    packing = Packing([*maps.values()])
    given = (maps["FA"], file, [file])
    one, found, (again,) = packing.unpack(packing.pack(given))
    assert one is maps["FA"]
    assert (found, vars(found).keys()) == (file, {"path", "entities", "dataset", "root", "kind",
                                                  "part"})  # fmt: skip
    assert found is again
    assert len(packing.pack(given)) < 500
    other = Packing().unpack(Packing().pack(maps["FA"]))
    assert other == maps["FA"]
    assert other is not maps["FA"]
