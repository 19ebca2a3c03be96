"""Masks on their way to the reference: what is kept, what is counted, what a lesion is called."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path

import numpy as np
import pytest

from tests.builders import AFFINE, save_image
from wmhflow.core.space.grids import Grid3D
from wmhflow.core.wmh.model import LesionModel
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import IMAGES, MASK_PRIORS, Template
from wmhflow.registries.quality import find_measure
from wmhflow.steps.kinds import LabelImage, MaskImage, Space
from wmhflow.steps.lesions import bring_mask, find_lesions, keep_infarct_out, number_lesions

# from which probability on a voxel is lesion
THRESHOLD = np.float32(LesionModel().threshold)

SHAPE = (8, 9, 10)
VOXEL_MM3 = float(np.prod(np.diag(AFFINE)[:3]))


def block(*where: slice) -> np.ndarray:
    data = np.zeros(SHAPE, bool)
    data[where] = True
    return data


def test_an_infarct_is_brought_as_a_mask_of_wmh_is(tmp_path: Path) -> None:
    where = block(slice(2, 4), slice(2, 4), slice(2, 4))
    given = np.where(where, 255.0, 0)
    given[0, 0, 0] = np.nan
    path = save_image(tmp_path / "infarct.nii.gz", given)
    found = bring_mask(path, Space(SHAPE, AFFINE), what="infarct")
    assert np.array_equal(found.mask.data, where)
    assert np.array_equal(found.mask.affine, AFFINE)
    assert found.probseg is None
    assert found.facts == pytest.approx(
        {
            "infarct_nonfinite_voxels": 1,
            "infarct_given_volume_mm3": 8 * VOXEL_MM3,
            "infarct_hole_voxels": 0,
            "infarct_kept_fraction": 1.0,
        }
    )


def test_a_mask_is_moved_as_its_transform_says_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    where = block(slice(2, 4), slice(2, 4), slice(2, 4))
    path = save_image(tmp_path / "wmh.nii.gz", where)
    shift = np.eye(4)
    shift[0, 3] = 3 * AFFINE[0, 0]
    # reference points to points of the mask: what lies at 3 there lies at 0 here
    way = Path(write_itk_affine(shift, tmp_path / "way.txt"))
    found = bring_mask(path, Space(SHAPE, AFFINE), [way])
    assert np.array_equal(found.mask.data, block(slice(0, 1), slice(2, 4), slice(2, 4)))
    assert found.facts["wmh_kept_fraction"] == 0.5


def test_probabilities_are_kept_and_cut_at_a_half(tmp_path: Path) -> None:
    shares = np.linspace(0, 1, np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)
    path = save_image(tmp_path / "shares.nii.gz", shares)
    found = bring_mask(path, Space(SHAPE, AFFINE), is_probability=True)
    assert found.probseg is not None
    assert np.allclose(found.probseg.data, shares)
    assert np.array_equal(found.mask.data, shares > 0.5)


@pytest.mark.parametrize("fill", [False, True])
def test_holes_are_counted_and_filled_if_asked(fill: bool, tmp_path: Path) -> None:
    ring = block(slice(2, 5), slice(2, 5), slice(2, 5))
    ring[3, 3, 3] = False
    path = save_image(tmp_path / "ring.nii.gz", ring)
    found = bring_mask(path, Space(SHAPE, AFFINE), fill=fill)
    assert found.facts["wmh_hole_voxels"] == 1
    assert found.mask.data[3, 3, 3] == fill
    assert found.mask.data.sum() == 26 + fill


def test_wmh_lose_what_lies_in_the_infarct_and_so_do_their_probabilities() -> None:
    wmh = block(slice(2, 5), slice(2, 5), slice(2, 5))
    infarct = block(slice(4, 7), slice(2, 5), slice(2, 5))
    probability = (0.4 + 0.5 * wmh).astype(np.float32)
    found = keep_infarct_out(
        MaskImage(wmh, AFFINE), MaskImage(infarct, AFFINE), Grid3D(probability, AFFINE)
    )
    assert np.array_equal(found.wmh.data, wmh & ~infarct)
    assert found.probseg is not None
    left = found.probseg.data
    assert (left[infarct] == 0).all()
    assert np.array_equal(left[~infarct], probability[~infarct])
    assert found.facts == pytest.approx(
        {
            "wmh_removed_infarct_voxels": 9,
            "wmh_removed_infarct_rim_voxels": 0,
            "wmh_removed_infarct_fraction": 9 / 27,
            "infarct_volume_mm3": 27 * VOXEL_MM3,
        }
    )
    assert keep_infarct_out(MaskImage(wmh, AFFINE), MaskImage(infarct, AFFINE)).probseg is None


def test_an_infarct_that_holds_most_of_the_given_wmh_is_marked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing else would tell why there are none; in computed ones infarcts are found, too."""
    wmh = block(slice(2, 5), slice(2, 5), slice(2, 5))
    infarct = block(slice(1, 4), slice(1, 6), slice(1, 6))
    for with_rims, wanted in ((False, 18 / 27), (True, None)):
        masks = (MaskImage(wmh, AFFINE), MaskImage(infarct, AFFINE))
        found = keep_infarct_out(*masks, with_rims=with_rims)
        assert found.facts["wmh_removed_infarct_fraction"] == wanted
    (line,) = caplog.messages
    assert line.startswith("67 % of the given WMH lies in the mask of infarcts")
    measure = find_measure("wmh_removed_infarct_fraction")
    assert measure is not None
    assert (measure.low, measure.high) == (0, 0.5)


def test_a_lesion_s_territory_is_that_of_the_atlas_and_not_of_another_number() -> None:
    shape, affine = (20, 17, 11), np.eye(4)
    wmh, territories = np.zeros(shape, bool), np.zeros(shape, np.int32)
    wmh[2:5, 3, 3] = wmh[12:15, 3, 3] = True
    territories[:10], territories[10:13], territories[13:] = 28, 8, 18
    near = Grid3D(np.ones(shape, np.float32), affine)
    found = number_lesions(
        MaskImage(wmh, affine),
        LabelImage(np.where(wmh, 16, 15).astype(np.uint8), affine),
        near,
        near,
        [LabelImage(np.full(shape, 11, np.uint8), affine)],
        ["majority"],
        "continuity",
        territories=LabelImage(territories, affine),
        territory_names={8: "frontal", 18: "temporal", 28: "cerebellar"},
    )
    assert [row["territory"] for row in found.table] == ["cerebellar", "temporal"]
    assert [row["hemisphere"] for row in found.table] == ["L", "L"]
    assert found.is_periventricular == [True, True]
    assert np.array_equal(found.lesions.data > 0, wmh)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("noise_sd", [0.04, 0.15])
@pytest.mark.parametrize("reference_name", ["T1w", "FLAIR"])
def test_wmh_are_found_on_the_flair_and_lie_on_the_reference(
    reference_name: str, noise_sd: float, tmp_path: Path
) -> None:
    affine = np.diag([-1.0, 1, 1, 1])
    inner = np.zeros((40, 40, 40), bool)
    inner[3:-3, 3:-3, 3:-3] = True
    noise = np.random.default_rng(0).normal(1, noise_sd, inner.shape)
    lesion = np.zeros(inner.shape, bool)
    lesion[10:16, 10:16, 10:16] = True
    # The head moved by 4 mm between the two scans: the FLAIR's voxels lie at other places.
    moved = affine.copy()
    moved[:3, 3] = [4, 0, 0]
    flair = Grid3D((np.where(lesion, 160, 100) * noise * inner).astype(np.float32), moved)
    t1w = Grid3D((np.where(lesion, 80, 100) * inner).astype(np.float32), affine)
    (tmp_path / "template").mkdir()
    for name in IMAGES:
        values = inner if name in ("white", "t1w", "brain_mask") else np.zeros(inner.shape)
        dtype = np.uint8 if name in MASK_PRIORS else np.float32
        save_image(tmp_path / "template" / f"{name}.nii.gz", values, affine, dtype=dtype)
    shift = np.eye(4)
    shift[0, 3] = 4.0 if reference_name == "T1w" else -4.0
    # the template's images lie where the T1w does
    to_template = np.eye(4) if reference_name == "T1w" else shift
    reference = t1w if reference_name == "T1w" else flair
    found = find_lesions(
        flair,
        Space(reference.data.shape, reference.affine),
        MaskImage(inner, reference.affine),
        reference_name,
        Template(tmp_path / "template"),
        Path(write_itk_affine(to_template, tmp_path / "template.txt")),
        "sub-01_FLAIR.nii.gz",
        t1w,
        Path(write_itk_affine(shift, tmp_path / "rigid.txt")),
    )
    assert dice(found.mask.data, lesion) > 0.9
    assert 0.8 * noise_sd < found.facts["noise"] < 1.1 * noise_sd
    assert np.array_equal(found.mask.data, found.probseg.data >= THRESHOLD)
    assert np.array_equal(found.mask.affine, reference.affine)
    assert set(found.facts) == {
        *("white_matter_sd", "cortex_z", "cortex_spread_z", "lesion_z", "expected_dice"),
        *("noise", "slice_difference"),
    }
