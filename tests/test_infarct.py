"""Visits with infarcts: one over given WMH, one painted into the images beside computed WMH."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tests.coarse import LESIONS, MOTIONS, PLACE, VOXEL_MM, Coarse, coarse_dataset, head, save
from tests.heads import early_stops
from tests.inprocess import run, succeed
from wmhflow.bids.writer import read_table

DARK_T1W, BRIGHT_FLAIR = 200.0, 850.0
MASK = "space-T1w_label-infarct_mask.nii.gz"
# over a planted lesion: its centre in the template, and a radius in mm
CENTRE, RADIUS_MM = np.array(LESIONS[2][0]), 9.0
KINDS = ("given", pytest.param("computed", marks=pytest.mark.slow))


def ball() -> np.ndarray:
    """Draw the infarct on the coarse grid."""
    centre = nib.affines.apply_affine(PLACE, CENTRE)
    places = nib.affines.apply_affine(
        head().affine, np.moveaxis(np.indices(head().codes.shape), 0, -1)
    )
    return np.linalg.norm(places - centre, axis=-1) <= RADIUS_MM


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Coarse]:
    """The outputs with WMH given, and with WMH computed where the infarct is seen in the images."""

    @cache
    def outputs_of(kind: str) -> Coarse:
        left_out = [] if kind == "given" else ["WMH_mask.nii.gz", "cbf.nii.gz"]
        coarse = coarse_dataset(tmp_path_factory.mktemp(kind), without=left_out)
        mask = coarse.find("aparcaseg_dseg.nii.gz").with_name(f"sub-01_{MASK}")
        save(mask, ball().astype(np.uint8), head().affine)
        if kind == "computed":
            for ending, value in (("_T1w.nii.gz", DARK_T1W), ("_FLAIR.nii.gz", BRIGHT_FLAIR)):
                image = nib.load(coarse.find(ending))
                data = np.asanyarray(image.dataobj).copy()
                data[ball()] = value
                save(coarse.find(ending), data, image.affine)
        with early_stops():
            succeed(coarse.words())
        return coarse

    return outputs_of


def mask(coarse: Coarse, label: str) -> np.ndarray:
    path = coarse.anat() / f"sub-01_space-T1w_label-{label}_mask.nii.gz"
    return np.asanyarray(nib.load(path).dataobj) > 0


def quality(coarse: Coarse) -> dict[str, float]:
    rows = read_table(coarse.anat() / "sub-01_desc-wmhflow_qc.tsv")
    return {row["metric"]: float(row["value"]) for row in rows if row["value"] != "n/a"}


def away_from_the_infarct() -> np.ndarray:
    return ndimage.distance_transform_edt(~ball(), sampling=[VOXEL_MM] * 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_infarct_is_written_as_given_and_kept_out_of_everything(
    made: Callable[[str], Coarse], kind: str
) -> None:
    coarse = made(kind)
    assert (
        run(coarse.words("--dry-run")).out.count("_label-infarct_mask.nii.gz of given in T1w space")
        == 1
    )
    assert np.array_equal(mask(coarse, "infarct"), ball())
    assert not (mask(coarse, "WMH") & ball()).any()
    assert away_from_the_infarct()[mask(coarse, "NAWM")].min() > VOXEL_MM
    assert quality(coarse)["nawm_removed_infarct_voxels"] > 0
    assert quality(coarse)["infarct_kept_fraction"] == 1


def test_given_wmh_lose_what_lies_in_the_infarct_and_nothing_else(
    made: Callable[[str], Coarse],
) -> None:
    planted = head().lesions
    assert (planted & ball()).any()
    assert np.array_equal(mask(made("given"), "WMH"), planted & ~ball())
    removed = quality(made("given"))["wmh_removed_infarct_voxels"]
    assert removed == np.count_nonzero(planted & ball())


@pytest.mark.slow
def test_a_bright_infarct_is_no_computed_wmh(made: Callable[[str], Coarse]) -> None:
    coarse = made("computed")
    # painted as bright as a lesion, it would have been one
    assert quality(coarse)["wmh_removed_infarct_voxels"] > 0.3 * ball().sum()
    probability = coarse.anat() / "sub-01_space-T1w_label-WMH_probseg.nii.gz"
    assert np.asanyarray(nib.load(probability).dataobj)[ball()].max() == 0
    found, planted = mask(coarse, "WMH"), head().lesions & ~ball()
    # no rim of it is left
    assert away_from_the_infarct()[found].min() > 2 * VOXEL_MM
    assert found.sum() == pytest.approx(planted.sum(), rel=0.3)
    assert (found & planted).sum() > 0.7 * planted.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_the_sidecar_names_its_source(made: Callable[[str], Coarse], kind: str) -> None:
    start = made(kind).anat() / "sub-01_space-T1w_label"
    content = json.loads(Path(f"{start}-infarct_mask.json").read_text(encoding="utf-8"))
    assert content["Type"] == "Lesion"
    assert content["Sources"] == [f"bids:given:sub-01/anat/sub-01_{MASK}"]
    wmh = json.loads(Path(f"{start}-WMH_mask.json").read_text(encoding="utf-8"))
    assert any("label-infarct" in source for source in wmh["Sources"])


@pytest.mark.slow
def test_the_flair_was_where_it_was_said_to_be(made: Callable[[str], Coarse]) -> None:
    image = nib.load(made("computed").find("_FLAIR.nii.gz"))
    assert np.allclose(image.affine, MOTIONS["FLAIR"] @ head().affine, atol=1e-4)
