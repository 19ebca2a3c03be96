"""The checks as steps: they hand on what passes and name the file of what does not."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import Template
from wmhflow.steps.images import prepare_image
from wmhflow.steps.kinds import MaskImage
from wmhflow.steps.measures import quality_row
from wmhflow.steps.tissue import CheckedTissues, check_anatomy, check_brain

SHAPE, AFFINE = (32, 38, 30), np.diag([6.0, 6.0, 6.0, 1.0])
RADIUS = np.sqrt(
    sum((6 * (axis - (n - 1) / 2)) ** 2 for axis, n in zip(np.indices(SHAPE), SHAPE, strict=True))
)
TISSUE = np.select([RADIUS < 24, RADIUS < 58, RADIUS < 66], [12, 15, 13], 0)


def scan(csf: float, grey: float, white: float) -> Any:
    values = np.select([TISSUE == 12, TISSUE == 13, TISSUE == 15], [csf, grey, white], 0.0)
    return values + np.random.default_rng(0).normal(0, 2, SHAPE) * (TISSUE > 0)


T1W, FLAIR, T2W = scan(30, 75, 100), scan(25, 115, 100), scan(250, 130, 100)


@pytest.fixture
def anatomy(tmp_path: Path) -> dict[str, Any]:
    """Tissues, and a template that lies where the person does."""
    folder = tmp_path / "template"
    save_image(folder / "t1w.nii.gz", scan(20, 70, 90), AFFINE)
    save_image(folder / "brain_mask.nii.gz", TISSUE > 0, AFFINE, dtype=np.uint8)
    return {
        "tissue": save_image(tmp_path / "tissue.nii", TISSUE, AFFINE, dtype=np.uint8),
        "brain_mask": MaskImage(TISSUE > 0, AFFINE),
        "template": Template(folder),
        "forward": Path(write_itk_affine(np.eye(4), tmp_path / "still.txt")),
    }


def check(anatomy: dict[str, Any], needs_flair: bool = True, **images: Any) -> CheckedTissues:
    """Check images, the first of which is the reference."""
    given = {name: Grid3D(values.astype(np.float32), AFFINE) for name, values in images.items()}
    names = {"t1w": "T1w", "flair": "FLAIR"}
    first = next(iter(given))
    return check_anatomy(
        **anatomy,
        **given,
        reference=given[first],
        sources={names[name]: f"sub-01_{names[name]}.nii.gz" for name in given},
        reference_name=names[first],
        needs_flair=needs_flair,
    )


def verdicts(facts: dict[str, Any]) -> dict[str, str]:
    return {name: quality_row(name, value)["verdict"] for name, value in facts.items()}


def test_what_passes_is_handed_on(anatomy: dict[str, Any]) -> None:
    done = check(anatomy, t1w=T1W, flair=FLAIR)
    assert done.tissue == anatomy["tissue"]
    assert set(verdicts(done.facts).values()) == {"ok"}
    assert set(verdicts(check(anatomy, flair=FLAIR).facts).values()) == {"ok"}


def test_swapped_images_fail_with_the_files_name(anatomy: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"sub-01_T1w\.nii\.gz and the FLAIR seem to be swapped"):
        check(anatomy, t1w=FLAIR, flair=T1W)


def test_a_t2w_in_the_flairs_place_fails_or_is_flagged(anatomy: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"sub-01_FLAIR\.nii\.gz is no FLAIR"):
        check(anatomy, t1w=T1W, flair=T2W)
    facts = check(anatomy, needs_flair=False, t1w=T1W, flair=T2W).facts
    assert verdicts(facts)["FLAIR_ventricle_to_white"] == "check"


@pytest.mark.parametrize(
    ("images", "flagged"),
    [
        ({"t1w": T2W, "flair": FLAIR}, "T1w_ventricle_to_white"),
        ({"t1w": FLAIR}, "T1w_cortex_to_white"),
        ({"t1w": T1W, "flair": 2 * T1W}, "FLAIR_bright_cortex_to_dark_white"),
        ({"t1w": T1W, "flair": 2 * T1W}, "T1w_FLAIR_correlation"),
        ({"t1w": T1W, "flair": 2 * T1W}, "FLAIR_over_T1w_cortex"),
        ({"t1w": T1W * 5 ** np.linspace(-1, 1, 38)[:, None]}, "T1w_unevenness"),
    ],
)
def test_what_is_only_unlikely_is_flagged(
    anatomy: dict[str, Any], images: dict[str, Any], flagged: str
) -> None:
    facts = check(anatomy, needs_flair=False, **images).facts
    assert verdicts(facts)[flagged] == "check"


def test_one_image_given_twice_fails(anatomy: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"sub-01_FLAIR\.nii\.gz shows the same image as the T1w"):
        check(anatomy, t1w=T1W, flair=2 * T1W)


def test_no_brain_fails(anatomy: dict[str, Any]) -> None:
    ramp = np.indices(SHAPE)[2] * 10.0
    with pytest.raises(InputError, match=r"sub-01_T1w\.nii\.gz shows no brain"):
        check(anatomy, t1w=ramp)


def test_half_a_brain_fails_and_how_much_is_cut_off_is_told() -> None:
    whole = Grid3D(T1W.astype(np.float32), AFFINE)
    assert set(check_brain(MaskImage(TISSUE > 0, AFFINE), whole, "x")) == {"brain_cut_share"}
    half = np.where(np.arange(SHAPE[0])[:, None, None] < 16, T1W, 0).astype(np.float32)
    with pytest.raises(InputError, match=r"sub-01_T1w\.nii\.gz shows part of a brain"):
        check_brain(MaskImage(half != 0, AFFINE), Grid3D(half, AFFINE), "sub-01_T1w.nii.gz")


@pytest.mark.parametrize("offset", [2000.0, -800.0])
def test_an_image_with_an_offset_is_as_one_without(tmp_path: Path, offset: float) -> None:
    scan = np.where(TISSUE > 0, T1W, 0).astype(np.float32)
    scan += np.random.default_rng(1).uniform(0, 1, SHAPE).astype(np.float32)
    broken = scan + np.float32(offset)
    broken[0, 0, 0] = np.nan
    done = prepare_image(save_image(tmp_path / "scan.nii", broken, AFFINE))
    assert done.facts["zero_level"] == pytest.approx(offset, abs=2)
    assert np.abs(done.image.data - scan).max() < 2
    assert done.image.data[0, 0, 0] == 0
    same = prepare_image(save_image(tmp_path / "same.nii", scan, AFFINE))
    assert same.facts["zero_level"] == 0
    assert np.array_equal(same.image.data, scan)


def test_noise_fails_unless_nobody_judges_and_a_scan_is_handed_on(tmp_path: Path) -> None:
    broken = T1W.astype(np.float32)
    broken[0, 0, :3] = np.nan, np.inf, -np.inf
    done = prepare_image(save_image(tmp_path / "scan.nii", broken, AFFINE))
    assert done.facts["nonfinite_voxels"] == 3
    assert np.array_equal(done.image.data, np.where(np.isfinite(broken), broken, 0))
    assert np.array_equal(done.image.affine, AFFINE)
    noise = np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.float32)
    path = save_image(tmp_path / "sub-01_FLAIR.nii.gz", noise, AFFINE)
    with pytest.raises(InputError, match=r"sub-01_FLAIR\.nii\.gz is noise"):
        prepare_image(path)
    assert np.array_equal(prepare_image(path, judged=False).image.data, noise)
