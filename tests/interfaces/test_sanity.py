"""The checks as steps: they hand on what passes and name the file of what does not."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.interfaces.measures import quality_row
from wmhflow.interfaces.sanity import CheckAnatomy, CheckBrain, CheckImage

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
def anatomy(tmp_path: Path) -> dict[str, str]:
    """Tissues, a brain and a template that lies where the person does."""
    images = {"tissue": TISSUE, "brain_mask": TISSUE > 0, "template": scan(20, 70, 90)}
    paths = {
        name: str(save_image(tmp_path / f"{name}.nii", values, AFFINE))
        for name, values in images.items()
    }
    still = write_itk_affine(np.eye(4), tmp_path / "still.txt")
    return paths | {"template_mask": paths["brain_mask"], "forward": still}


def check(anatomy: dict[str, str], folder: Path, needs_flair: bool = True, **images: Any) -> Any:
    given = {
        name: str(save_image(folder / f"{name}.nii", values, AFFINE))
        for name, values in images.items()
    }
    named = {f"{name}_source": f"sub-01_{name}.nii.gz" for name in given}
    first = next(iter(given))
    node = CheckAnatomy(
        reference=given[first],
        source=named[f"{first}_source"],
        needs_flair=needs_flair,
        **anatomy,
        **given,
        **named,
    )
    return node.run(cwd=folder).outputs


def verdicts(facts: dict[str, Any]) -> dict[str, str]:
    return {name: quality_row(name, value)["verdict"] for name, value in facts.items()}


def test_what_passes_is_handed_on(anatomy: dict[str, str], tmp_path: Path) -> None:
    done = check(anatomy, tmp_path, t1w=T1W, flair=FLAIR)
    assert done.tissue == anatomy["tissue"]
    assert set(verdicts(done.facts).values()) == {"ok"}
    assert set(verdicts(check(anatomy, tmp_path, flair=FLAIR).facts).values()) == {"ok"}


def test_swapped_images_fail_with_the_files_name(anatomy: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sub-01_t1w\.nii\.gz and the FLAIR seem to be swapped"):
        check(anatomy, tmp_path, t1w=FLAIR, flair=T1W)


def test_a_t2w_in_the_flairs_place_fails_or_is_flagged(
    anatomy: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"sub-01_flair\.nii\.gz is no FLAIR"):
        check(anatomy, tmp_path, t1w=T1W, flair=T2W)
    facts = check(anatomy, tmp_path, needs_flair=False, t1w=T1W, flair=T2W).facts
    assert verdicts(facts)["FLAIR_ventricle_to_white"] == "check"


@pytest.mark.parametrize(
    ("images", "flagged"),
    [
        ({"t1w": T2W, "flair": FLAIR}, "T1w_ventricle_to_white"),
        ({"t1w": FLAIR}, "T1w_cortex_to_white"),
        ({"t1w": T1W, "flair": 2 * T1W}, "FLAIR_cortex_to_white"),
        ({"t1w": T1W, "flair": 2 * T1W}, "T1w_FLAIR_correlation"),
        ({"t1w": T1W, "flair": 2 * T1W}, "FLAIR_over_T1w_cortex"),
        ({"t1w": T1W * 5 ** np.linspace(-1, 1, 38)[:, None]}, "T1w_unevenness"),
    ],
)
def test_what_is_only_unlikely_is_flagged(
    anatomy: dict[str, str], tmp_path: Path, images: dict[str, Any], flagged: str
) -> None:
    facts = check(anatomy, tmp_path, needs_flair=False, **images).facts
    assert verdicts(facts)[flagged] == "check"


def test_one_image_given_twice_fails(anatomy: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sub-01_flair\.nii\.gz shows the same image as the T1w"):
        check(anatomy, tmp_path, t1w=T1W, flair=2 * T1W)


def test_no_brain_fails(anatomy: dict[str, str], tmp_path: Path) -> None:
    ramp = np.indices(SHAPE)[2] * 10.0
    with pytest.raises(InputError, match=r"sub-01_t1w\.nii\.gz shows no brain"):
        check(anatomy, tmp_path, t1w=ramp)


def test_half_a_brain_fails(tmp_path: Path) -> None:
    half = np.where(np.arange(SHAPE[0])[:, None, None] < 16, T1W, 0)
    image = save_image(tmp_path / "half.nii", half, AFFINE)
    mask = save_image(tmp_path / "mask.nii", half != 0, AFFINE)
    node = CheckBrain(brain_mask=str(mask), reference=str(image), source="sub-01_T1w.nii.gz")
    with pytest.raises(InputError, match=r"sub-01_T1w\.nii\.gz shows part of a brain"):
        node.run(cwd=tmp_path)


def test_noise_fails_and_a_scan_is_handed_on(tmp_path: Path) -> None:
    scanned = save_image(tmp_path / "scan.nii", T1W, AFFINE)
    done = CheckImage(in_file=str(scanned), source="x").run(cwd=tmp_path).outputs
    assert done.out_file == str(scanned)
    noise = np.random.default_rng(0).normal(100, 20, SHAPE)
    path = str(save_image(tmp_path / "noise.nii", noise, AFFINE))
    with pytest.raises(InputError, match=r"sub-01_FLAIR\.nii\.gz is noise"):
        CheckImage(in_file=path, source="sub-01_FLAIR.nii.gz").run(cwd=tmp_path)
