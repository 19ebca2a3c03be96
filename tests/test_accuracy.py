"""What the accuracy benchmark measures on is what it says: thick slices, simulated heads."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from benchmarks.accuracy.brain import ELSEWHERE, KINDS, LARGEST_TURN_DEG, cases, elsewhere
from benchmarks.accuracy.chain import dice
from benchmarks.accuracy.cost import differing
from benchmarks.accuracy.gauntlet.acquire import Acquired, uneven
from benchmarks.accuracy.gauntlet.anatomy import CAVITY, LESION, RIM, VENTRICLES, WHITE, Head
from benchmarks.accuracy.gauntlet.below import PLACES, RADII_MM, found_below, planted_below
from benchmarks.accuracy.gauntlet.wide import BELOW, widened
from benchmarks.accuracy.simulate import LATERAL_VENTRICLES, simulated
from benchmarks.accuracy.wmh import thick_slices
from benchmarks.training.cases import with_spots
from benchmarks.training.wide import LACUNES, hollowed


@pytest.mark.parametrize("up", [1.0, -1.0])
def test_thick_slices_are_means_that_lie_where_their_voxels_lay(up: float, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((4, 5, 22)).astype(np.float32)
    affine = np.diag([-1.0, 1, up, 1])
    affine[:3, 3] = [3, -7, 11]
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "thin.nii.gz")
    thick = nib.load(thick_slices(tmp_path / "thin.nii.gz", 5.0, tmp_path / "thick.nii.gz"))
    assert thick.shape == (4, 5, 4)
    assert np.allclose(thick.get_fdata()[..., 1], values[..., 5:10].mean(axis=2), atol=1e-6)
    middle_of_second = nib.affines.apply_affine(affine, [2, 3, 7])
    assert np.allclose(nib.affines.apply_affine(thick.affine, [2, 3, 1]), middle_of_second)


def test_simulated_heads_have_the_contrast_of_their_name() -> None:
    codes = np.zeros((40, 40, 40), np.int16)
    codes[4:36, 4:36, 4:36] = 3
    codes[8:32, 8:32, 8:32] = 2
    codes[16:24, 16:24, 16:24] = LATERAL_VENTRICLES[0]
    for contrast, order in (("T1w", (4, 3, 2)), ("FLAIR", (4, 2, 3))):
        image = simulated(codes, np.ones(3), contrast, seed=1)
        medians = [float(np.median(image[codes == code])) for code in order]
        assert medians == sorted(medians)
        assert np.median(image[codes == 0]) < medians[0]
        assert np.array_equal(image, simulated(codes, np.ones(3), contrast, seed=1))


def test_dice_of_known_masks() -> None:
    first, second = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert dice(first, second) == 0.5
    assert dice(first & False, second & False) == 1.0


def test_lesions_planted_below_lie_in_pons_and_cerebellum_alone() -> None:
    codes = np.full((40, 40, 40), 2, np.int16)
    codes[..., :14], codes[:20, :, :14], codes[..., :2] = 7, 16, 8
    head = planted_below(Head("drawn", codes, np.eye(4)), seed=5)
    changed = head.codes != codes
    assert (head.codes[changed] == LESION).all()
    assert set(np.unique(codes[changed])) == {7, 16}
    for members in PLACES.values():
        volume = (changed & np.isin(codes, members)).sum()
        # balls may meet, and reach out of the region
        largest = 4 / 3 * np.pi * max(RADII_MM) ** 3
        assert 0.4 * largest < volume < 1.6 * largest


def test_what_is_false_below_and_what_is_met_is_told_by_whole_lesions() -> None:
    mask, below, added = (np.zeros((10, 10, 10), bool) for _ in range(3))
    below[..., :5] = True
    added[1:3, 1:3, 1], added[7, 7, 1] = True, True
    mask[1:4, 1:3, 1] = True  # a planted one and a little more
    mask[5, 5, 2:4] = True  # plain
    mask[8, 1, 8] = True  # of the cerebrum
    assert found_below(mask, below, added, 0.5) == (1.0, 1)
    assert found_below(mask & False, below, added, 0.5) == (0.0, 0)


def test_what_a_brain_mask_holds_of_eyes_and_neck_is_counted() -> None:
    codes = np.zeros((20, 20, 40), np.int16)
    codes[..., 25:], codes[..., :10], codes[:2, :, 25:] = 2, 512, 506
    head = Head("drawn", codes, np.eye(4))
    image = nib.Nifti1Image(codes.astype(np.float32), np.eye(4))
    taken = Acquired(image, head.brain, head.brain, head.brain, np.eye(4))
    everything = elsewhere(head, taken, np.ones(codes.shape, bool))
    # more than 10 mm below the brain's lowest voxel, which is the 25th
    assert everything == pytest.approx({"eyes": 0.6, "bone": 0, "cord": 4.0, "neck": 6.0})
    assert not any(elsewhere(head, taken, head.brain).values())
    assert set(everything) == {*ELSEWHERE, "neck"}


def test_whole_heads_are_the_same_each_time_and_turned_as_far_as_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.accuracy.brain.names", lambda: list("abcdefghij"))
    drawn = cases(210)
    assert drawn == cases(210)
    assert len({(case.head, case.kind) for case in drawn}) == 10 * len(KINDS)
    turns = [case.turned_deg for case in drawn]
    assert 0 <= min(turns) < 2
    assert 23 < max(turns) <= LARGEST_TURN_DEG


def test_lesions_differ_in_brightness_and_fade_at_their_edge_and_nothing_else_changes() -> None:
    lesions = np.zeros((40, 20, 20), bool)
    lesions[4:13, 5:14, 5:14] = lesions[24:33, 5:14, 5:14] = True
    values = np.where(lesions, 2.0, 1.0).astype(np.float32)
    found = uneven(values, lesions, 0.4, np.random.default_rng(3))
    assert (found[~lesions] == 1).all()
    first, second = found[8, 9, 9], found[28, 9, 9]
    assert abs(first - second) > 0.02
    assert 1 < found[4, 9, 9] <= first
    assert (values == np.where(lesions, 2, 1)).all()


def test_small_lesions_are_planted_in_white_matter_alone() -> None:
    codes = np.zeros((40, 40, 40), np.int16)
    codes[:20], codes[20:] = 3, WHITE[0]
    found = with_spots(Head("none", codes, np.eye(4)), np.random.default_rng(1)).codes
    changed = found != codes
    assert 3 < changed.sum() < 5000
    assert (codes[changed] == WHITE[0]).all()
    assert (found == LESION).any()


def test_cavities_have_rims_that_are_no_lesions_and_spare_the_ventricles() -> None:
    codes = np.full((60, 60, 60), WHITE[0], np.int16)
    codes[:20], codes[20:24] = VENTRICLES[0], LESION
    for seed in range(5):
        head = hollowed(Head("none", codes, np.eye(4)), np.random.default_rng(seed))
        cavities, number = ndimage.label(head.codes == CAVITY)
        assert 1 <= number <= LACUNES[1]
        beside = ndimage.binary_dilation(cavities > 0) & (cavities == 0)
        assert set(np.unique(head.codes[beside])) <= {RIM, VENTRICLES[0]}
        assert np.array_equal(head.codes == VENTRICLES[0], codes == VENTRICLES[0])
        assert (head.lesions <= (codes == LESION)).all()


@pytest.mark.parametrize("pushed", [True, False])
def test_ventricles_are_widened_to_their_volume_and_nothing_moves_that_should_not(
    pushed: bool,
) -> None:
    places = np.indices((64, 72, 64)) - np.array([32, 36, 32])[:, None, None, None]
    away = np.linalg.norm(places, axis=0)
    codes = np.select([away < 7, away < 22, away < 26, away < 29], [4, 2, 3, 507], 0)
    codes[..., :14] = np.where(away[..., :14] < 26, BELOW[0], codes[..., :14])
    head = Head("drawn", codes.astype(np.int16), np.eye(4))
    found = widened(head, 9.0, pushed)
    assert found.ventricles.sum() == 9000
    assert found.ventricles[head.ventricles].all()
    for code in (0, 507, BELOW[0]):
        assert np.array_equal(found.codes == code, codes == code)
    # cortex is pressed together where tissue is pushed aside, and stays where white matter is lost
    thickness = (found.codes[32, 36, 33:] == 3).sum()
    assert thickness < 4 if pushed else thickness == 4
    assert (found.codes == 3).any()
    assert widened(head, 1.0, pushed) is head


def test_files_that_differ_between_two_runs_are_named(tmp_path: Path) -> None:
    for run, words in (("one", "a"), ("other", "b")):
        for name, content in (("same.tsv", "x"), ("differs.tsv", words)):
            file = tmp_path / run / "sub-01" / "anat" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
    (tmp_path / "one" / "sub-01" / "lacking.tsv").write_text("x", encoding="utf-8")
    assert differing(tmp_path / "one", tmp_path / "other") == ["differs.tsv", "lacking.tsv"]
