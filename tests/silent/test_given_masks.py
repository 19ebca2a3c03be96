"""Given masks that are no plain masks: what is read, what is said, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.builders import save_image
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.values import check_sides, read_labels, read_lesions
from wmhflow.labels.digits import WHITE_MATTER
from wmhflow.registries.mask_labels import find_mask_labels
from wmhflow.steps.kinds import LabelImage, Space
from wmhflow.steps.lesions import bring_mask
from wmhflow.steps.placement import judge_placement

SHAPE = (40, 36, 32)
AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
Values = np.ndarray[Any, Any]


def lesions() -> Values:
    """A cube of 1,000 voxels, and a small one of 12."""
    mask = np.zeros(SHAPE)
    mask[8:18, 10:20, 9:19] = 1
    mask[25:28, 25:27, 20:22] = 1
    return mask


TRUE_MM3 = 1012.0


def other() -> Values:
    """Another lesion beside them."""
    mask = np.zeros(SHAPE)
    mask[28:34, 8:14, 22:28] = 1
    return mask


def moved(mask: Values, order: int) -> Values:
    return np.asarray(ndimage.shift(mask, (0.3, 0.4, 0.2), order=order))


def faint() -> Values:
    blurred = ndimage.gaussian_filter(lesions(), 2)
    return np.asarray(blurred / blurred.max())


def averaged(first: Values, second: Values) -> Values:
    return (first + second) / 2


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("0 and 1", lesions(), ""),
        ("0 and 255", lesions() * 255, ""),
        ("0 and 2", lesions() * 2, "lesions have the value 2"),
        ("0 and 0.02", lesions() * 0.02, "lesions have the value 0.02"),
        ("read back a little below", lesions() * 0.9999, ""),
        ("NaN outside", np.where(lesions() > 0, 1, np.nan), ""),
        ("linear", moved(lesions(), 1), "interpolated mask: cut at 0.5"),
        ("linear, 0 to 255", np.rint(255 * moved(lesions(), 1)), "cut at 127.5"),
        ("linear, along one axis", ndimage.shift(lesions(), (0, 0, 0.3), order=1), "cut at 0.5"),
        ("finer by a half", ndimage.zoom(lesions(), 1.5, order=1), "cut at 0.5"),
    ],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_values_that_mean_a_mask(
    tmp_path: Path, name: str, values: Values, said: str, kind: type
) -> None:
    path = save_image(tmp_path / "mask.nii.gz", values, AFFINE, dtype=kind)
    found = read_lesions(path)
    assert "; ".join(found.reading.notes).endswith(said), name
    expected = TRUE_MM3 * (3.375 if "finer" in name else 1)
    assert found.volume_mm3 == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (lesions() + 2 * other(), r"several labels, 1 \(1,012 voxels\) and 2 \(216 voxels\)"),
        (lesions() + 4 * other(), "several labels.*--wmh-labels"),
        (moved(lesions() + 2 * other(), 1), "more than two values that fill regions"),
        (averaged(lesions(), np.roll(lesions(), 4, 0)), "more than two values|several"),
        (moved(lesions(), 3), "interpolated by a spline"),
        (np.clip(moved(lesions(), 3), 0, None), "neither a mask nor probabilities"),
        (faint() * 0.3, "neither a mask nor probabilities"),
        (faint() * 40, "neither a mask nor probabilities"),
        (lesions() - 1, "below 0"),
        (np.where(lesions() > 0, 1, -1), "below 0"),
        (lesions() + 1, "holds no 0"),
        (np.full(SHAPE, np.nan), "every voxel is NaN"),
    ],
)
def test_values_that_mean_no_mask_are_refused(tmp_path: Path, values: Values, why: str) -> None:
    path = save_image(tmp_path / "mask.nii.gz", values, AFFINE, dtype=np.float32)
    with pytest.raises(InputError, match=f"mask.nii.gz.*({why})"):
        read_lesions(path)


@pytest.mark.parametrize("spacing_mm", [5.0, 10.0])
def test_an_inverted_mask_marks_more_than_all_white_matter(
    tmp_path: Path, spacing_mm: float
) -> None:
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1])
    path = save_image(tmp_path / "mask.nii.gz", 1 - lesions(), affine)
    with pytest.raises(InputError, match="litres, more than a brain has white matter"):
        read_lesions(path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (faint(), ""),
        (faint() * 100, "divided by 100"),
        (faint() * 98, "divided by 100"),
        (np.rint(faint() * 255), "divided by 255"),
    ],
)
def test_probabilities_on_a_known_scale(tmp_path: Path, values: Values, said: str) -> None:
    path = save_image(tmp_path / "probseg.nii.gz", values, AFFINE, dtype=np.float32)
    found = read_lesions(path, is_probability=True)
    assert "; ".join(found.reading.notes).endswith(said)
    assert 0.9 < found.share.max() <= 1
    assert found.volume_mm3 == pytest.approx(np.count_nonzero(faint() > 0.5), rel=0.06)


@pytest.mark.parametrize("values", [faint() * 40, faint() * 4, faint() - 0.2, faint() * 3000])
def test_probabilities_on_no_scale_are_refused(tmp_path: Path, values: Values) -> None:
    path = save_image(tmp_path / "probseg.nii.gz", values, AFFINE, dtype=np.float32)
    with pytest.raises(InputError, match="no probabilities"):
        read_lesions(path, is_probability=True)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_labels_of_the_challenge_are_told_apart(tmp_path: Path, kind: type) -> None:
    path = save_image(tmp_path / "mask.nii.gz", lesions() + 2 * other(), AFFINE, dtype=kind)
    meaning = find_mask_labels(["challenge"])
    wmh, rest = (read_lesions(path, labels=chosen) for chosen in (meaning.wmh, meaning.other))
    assert (wmh.volume_mm3, rest.volume_mm3) == (TRUE_MM3, 216)
    assert wmh.reading.notes == ("1 (1,012 voxels) counts, 2 (216 voxels) does not",)


@pytest.mark.parametrize(
    ("values", "labels", "others", "fits"),
    [
        # only other lesions, in a mask of the challenge
        (2 * other(), (1,), (2,), True),
        (lesions(), (2,), (1,), True),
        # a person without lesions in a parcellation
        (2 * lesions() + 41 * other(), (77,), (), True),
        # a plain mask of another value, which would have given a volume of 0
        (255 * lesions(), (1,), (), False),
        (255 * lesions(), (1,), (2,), False),
        (lesions(), (77, 78, 79), (), False),
    ],
)
def test_a_mask_of_none_of_the_labels_is_no_empty_one(
    tmp_path: Path, values: Values, labels: tuple[int, ...], others: tuple[int, ...], fits: bool
) -> None:
    path = save_image(tmp_path / "mask.nii.gz", values, AFFINE)
    if fits:
        assert read_lesions(path, labels=labels, others=others).volume_mm3 == 0
    else:
        with pytest.raises(InputError, match="none of the labels that were named"):
            read_lesions(path, labels=labels, others=others)


@pytest.mark.parametrize("words", [["nobody"], ["0"], ["-1"], ["1.5"], ["challenge", "1"]])
def test_what_is_no_label_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="neither one of challenge"):
        find_mask_labels(words)


@pytest.mark.parametrize(("below", "fits"), [(1e-4, True), (0.02, True), (0.4, False)])
def test_labels_are_rounded_and_never_cut(tmp_path: Path, below: float, fits: bool) -> None:
    path = save_image(tmp_path / "a.nii.gz", 2035 * lesions() - below * lesions(), AFFINE)
    if fits:
        assert read_labels(path)[0].max() == 2035
    else:
        with pytest.raises(InputError, match="between whole numbers"):
            read_labels(path)


@pytest.mark.parametrize(("sign", "fits"), [(1, True), (-1, False)])
def test_sides_of_a_parcellation_are_tested(tmp_path: Path, sign: int, fits: bool) -> None:
    codes = np.zeros(SHAPE)
    codes[2:15], codes[22:38] = 2, 41
    path = save_image(tmp_path / "dseg.nii.gz", codes, np.diag([sign, 1.0, 1.0, 1.0]))
    if fits:
        check_sides(path, *read_labels(path))
    else:
        with pytest.raises(InputError, match=r"dseg\.nii\.gz has left and right exchanged"):
            check_sides(path, *read_labels(path))


@pytest.mark.parametrize(("highest", "is_said"), [(0.3, True), (1 / 255, True), (0.9, False)])
def test_probabilities_of_which_none_counts_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, highest: float, is_said: bool
) -> None:
    """A person without lesions came out where values were divided by 255 twice."""
    path = save_image(tmp_path / "probseg.nii.gz", highest * lesions(), AFFINE)
    made = bring_mask(path, Space(SHAPE, AFFINE), is_probability=True)
    assert made.mask.data.any() != is_said
    assert ("probseg.nii.gz has no value above" in caplog.text) == is_said


# ---- where a mask lies ---------------------------------------------------------------------------


def scanner(shift_mm: float) -> Values:
    affine = AFFINE.copy()
    affine[:3, 3] = shift_mm, 0, 0
    return affine


def judged(folder: Path, mask: Values, affine: Values, space: str, quality: str = "flag") -> Any:
    """Judge a mask over a FLAIR that is bright in the lesions; the raw FLAIR lies 7 mm aside."""
    rng = np.random.default_rng(1)
    flair = (100 + 40 * lesions() + rng.normal(0, 5, SHAPE)).astype(np.float32)
    natives = {"T1w": save_image(folder / "t1w.nii.gz", flair, AFFINE)}
    natives["FLAIR"] = save_image(folder / "flair.nii.gz", flair, scanner(7))
    to_flair = np.eye(4)
    to_flair[0, 3] = 7
    far = np.eye(4)
    far[0, 3] = 400
    return judge_placement(
        save_image(folder / "mask.nii.gz", mask, affine),
        Grid3D(flair, AFFINE),
        LabelImage(np.full(SHAPE, WHITE_MATTER, np.uint8), AFFINE),
        {name: str(path) for name, path in natives.items()},
        "T1w",
        space,
        Path(write_itk_affine(far, folder / "inverse.txt")),
        quality,
        Path(write_itk_affine(to_flair, folder / "other.txt")),
    ).facts


Change = Callable[[Values], Values]


@pytest.mark.parametrize(
    ("change", "affine", "space", "named"),
    [
        (np.array, AFFINE, "T1w", None),
        (np.array, scanner(7), "FLAIR", None),
        # named by the wrong space, which its header belies
        (np.array, scanner(7), "T1w", "in_FLAIR_space"),
        # on the FLAIR's voxels, with a header that another program wrote
        (np.array, scanner(-9), "FLAIR", "on_FLAIR_grid"),
        (np.array, scanner(-9), "T1w", "on_T1w_grid"),
        (lambda mask: mask[::-1], AFFINE, "T1w", "mirrored"),
        (lambda mask: mask[:, ::-1], AFFINE, "T1w", "front_to_back"),
        (lambda mask: mask[:, :, ::-1], AFFINE, "T1w", "upside_down"),
    ],
)
def test_the_reading_in_which_a_mask_fits_is_named(
    tmp_path: Path, change: Change, affine: Values, space: str, named: str | None
) -> None:
    facts = judged(tmp_path, np.array(change(lesions())), affine, space)
    better = {name.removeprefix("wmh_fits_better_") for name in facts if "better" in name}
    assert better == ({named} if named else set())
    assert (facts["wmh_local_contrast"] > 0.95) == (named is None)


def test_a_mask_of_another_person_fits_nowhere_and_is_refused_if_asked(tmp_path: Path) -> None:
    facts = judged(tmp_path, other(), AFFINE, "T1w")
    assert {name for name, value in facts.items() if value is not None} == {"wmh_local_contrast"}
    assert abs(facts["wmh_local_contrast"] - 0.5) < 0.1
    with pytest.raises(InputError, match=r"mask.nii.gz does not lie.*of this person"):
        judged(tmp_path, other(), AFFINE, "T1w", "fail")


def test_a_mask_of_most_of_the_white_matter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="marks 98 % of the white matter"):
        judged(tmp_path, 1 - lesions(), AFFINE, "T1w")


def test_a_mirrored_mask_is_refused_with_its_way_out_if_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="left and right exchanged"):
        judged(tmp_path, np.array(lesions()[::-1]), AFFINE, "T1w", "fail")


LOST = {
    "in cm": np.diag([0.1, 0.1, 0.1, 1.0]),
    "elsewhere": np.array([[1.0, 0, 0, 90], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
}


@pytest.mark.parametrize("affine", LOST.values(), ids=LOST)
@pytest.mark.parametrize("what", ["wmh", "infarct"])
def test_a_mask_of_which_nothing_arrives_is_no_mask_of_nothing(
    tmp_path: Path, affine: np.ndarray, what: str
) -> None:
    """A person without lesions came out, marked by one row of the QC table."""
    data = np.zeros((20, 20, 20), np.uint8)
    data[11:14, 12:15, 11:13] = 1
    path = save_image(tmp_path / "mask.nii.gz", data, affine, dtype=np.uint8)
    space = Space((20, 20, 20), np.eye(4))
    with pytest.raises(InputError, match=r"marks 18 voxels .* none of them arrives"):
        bring_mask(path, space, what=what)
    # a few voxels may fall between, and an empty mask marks nothing
    for few in (9, 0):
        left = np.where(np.cumsum(data).reshape(data.shape) <= few, data, 0)
        save_image(path, left, affine, dtype=np.uint8)
        assert not bring_mask(path, space, what=what).mask.data.any()
