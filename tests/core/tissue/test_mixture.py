"""A planted mixture is found again, whatever the grid, the threads and what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.tissue.mixture import fit_mixture, neighbour_weights, neighbours
from wmhflow.core.tissue.segment import judge_mixture

SHAPE = (30, 32, 40)
MEANS = np.array([20.0, 68.0, 80.0, 100.0])


def planted(sd: float = 4.0, shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, ...]:
    """Slabs of four classes: image, brain, priors that are a voxel off and unsure, truth."""
    truth = np.indices(shape)[2] * 4 // shape[2]
    image = MEANS[truth] + sd * np.random.default_rng(0).standard_normal(shape)
    off = np.roll(truth, 1, axis=2)
    priors = np.where(off == np.arange(4)[:, None, None, None], 0.7, 0.1).astype(np.float32)
    return image.astype(np.float32), np.ones(shape, bool), priors, truth


def uneven(image: np.ndarray, by: float = 8.0) -> np.ndarray:
    """Add as much to every other voxel as is taken from those between."""
    odd = np.indices(image.shape)[:2].sum(axis=0) % 2
    return (image + np.where(odd, by, -by)).astype(np.float32)


@pytest.mark.parametrize("sizes_mm", [(1, 1, 1), (0.5, 0.5, 8), (6, 0.9, 0.9)])
def test_planted_means_spreads_and_classes_are_found(sizes_mm: tuple[float, ...]) -> None:
    image, brain, priors, truth = planted()
    found = fit_mixture(image, brain, priors, sizes_mm, likeness=3.0)
    assert np.allclose(found.means, MEANS, atol=1)
    assert np.allclose(found.sds, 4, atol=0.7)
    assert np.allclose(found.posteriors.sum(axis=0), 1, atol=1e-5)
    assert np.mean(found.posteriors.argmax(axis=0) == truth) > 0.97


def test_contrast_and_unit_do_not_matter() -> None:
    image, brain, priors, _ = planted()
    found = fit_mixture(image, brain, priors, (1, 1, 1), fluid=0)
    inverted = fit_mixture(500 - 3 * image, brain, priors, (1, 1, 1), fluid=0)
    assert np.allclose(inverted.means, 500 - 3 * found.means, atol=0.5)
    assert np.allclose(inverted.posteriors, found.posteriors, atol=0.01)


def test_neighbours_decide_where_brightness_and_priors_cannot() -> None:
    truth = np.indices((9, 9, 10))[2] // 5
    image = uneven(np.where(truth, 60.0, 40.0))
    image[4, 4, 1] = image[4, 4, 7] = 50
    priors = np.full((2, *truth.shape), 0.5, np.float32)
    priors[0] += np.where(truth, -0.2, 0.2)
    priors[1] = 1 - priors[0]
    priors[:, 4, 4, 1] = priors[:, 4, 4, 7] = 0.5
    alone = fit_mixture(image, truth >= 0, priors, (1, 1, 1), likeness=0.0).posteriors[1]
    beside = fit_mixture(image, truth >= 0, priors, (1, 1, 1), likeness=4.0).posteriors[1]
    assert alone[4, 4, 1] == pytest.approx(0.5, abs=0.1)
    assert beside[4, 4, 1] < 0.1
    assert beside[4, 4, 7] > 0.9


def test_a_voxel_between_two_equal_sides_belongs_to_neither() -> None:
    image = np.full((6, 6, 9), 50, np.float32)
    image[..., :4], image[..., 5:] = 40, 60
    image = uneven(image)
    image[..., 4] = 50
    image[..., 5:] = 100 - image[..., 3::-1]
    priors = np.full((2, 6, 6, 9), 0.5, np.float32)
    priors[0, ..., :4], priors[0, ..., 5:] = 0.9, 0.1
    priors[1] = 1 - priors[0]
    # of the plane between the sides there is one voxel
    brain = np.ones(image.shape, bool)
    brain[..., 4] = False
    brain[2, 2, 4] = True
    found = fit_mixture(image, brain, priors, (1, 1, 1), likeness=2.0)
    assert found.posteriors[0, 2, 2, 4] == pytest.approx(0.5, abs=1e-3)


def test_a_far_neighbour_counts_less() -> None:
    weights = neighbour_weights((0.5, 0.5, 8.0), 3.0)
    assert weights.sum() == pytest.approx(3)
    assert weights[0] == pytest.approx(16 * weights[4])
    # a voxel like neither class: in its slice all are of one, above and below of the other
    image = np.full((9, 9, 9), 40, np.float32)
    image[:, :, 4] = 60
    priors = np.where(image[None] > 45, [[[[0.1]]], [[[0.9]]]], [[[[0.9]]], [[[0.1]]]])
    image = uneven(image)
    image[4, 4, 4] = 50
    priors[:, 4, 4, 4] = 0.5
    thick = fit_mixture(image, image > 0, priors.astype(np.float32), (0.5, 0.5, 8), likeness=4.0)
    thin = fit_mixture(image, image > 0, priors.astype(np.float32), (8, 8, 0.5), likeness=4.0)
    assert thick.posteriors[1, 4, 4, 4] > 0.9
    assert thin.posteriors[1, 4, 4, 4] < 0.1


def test_neighbours_are_those_that_share_a_face() -> None:
    mask = np.random.default_rng(0).random((4, 5, 6)) > 0.4
    places = {tuple(place): number for number, place in enumerate(np.argwhere(mask).tolist())}
    listed = neighbours(mask)
    for place, number in places.items():
        for axis in range(3):
            for after, step in enumerate((-1, 1)):
                beside = tuple(n + step * (a == axis) for a, n in enumerate(place))
                assert listed[number, 2 * axis + after] == places.get(beside, -1)


def test_an_empty_class_and_one_of_few_voxels_harm_nothing() -> None:
    image, brain, priors, truth = planted()
    priors[:, truth == 1] = np.array([0.1, 0, 0.8, 0.1], np.float32)[:, None]
    priors[1] = 0
    priors[1, 0, 0, 0] = 0.5
    priors /= priors.sum(axis=0)
    found = fit_mixture(image, brain, priors, (1, 1, 1), fluid=0)
    assert np.isfinite(found.posteriors).all()
    assert np.isfinite(found.means).all()
    assert found.means[[0, 3]] == pytest.approx(MEANS[[0, 3]], abs=1.5)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("means", [(20, 68, 80, 100), (20, 125, 110, 100)], ids=["T1w", "FLAIR"])
def test_fluid_where_the_template_has_deep_grey_matter_is_fluid(
    means: tuple[float, ...], share: float
) -> None:
    """As in a hydrocephalus that the warp does not follow."""
    _, brain, priors, truth = planted()
    wide = (truth == 2) & (np.indices(SHAPE)[0] < share * SHAPE[0])
    truth = np.where(wide, 0, truth)
    noise = 4 * np.random.default_rng(0).standard_normal(SHAPE)
    image = (np.array(means)[truth] + noise).astype(np.float32)
    found = fit_mixture(image, brain, priors, (1, 1, 1), None, 0.5, 3.0, 0)
    # of the deep grey matter little is left
    assert np.allclose(found.means, means, atol=[1.5, 1.5, 10, 1.5])
    assert np.mean(found.posteriors.argmax(axis=0)[wide] == 0) > 0.99


def test_half_of_the_white_matter_as_lesion_keeps_its_prior_and_moves_nothing() -> None:
    image, brain, priors, truth = planted()
    lesion = (truth == 3) & (np.indices(SHAPE)[0] < 15)
    image[lesion] = 70
    priors[:, lesion] = np.array([0, 0, 0, 1], np.float32)[:, None]
    found = fit_mixture(image, brain, priors, (1, 1, 1), ~lesion)
    assert np.allclose(found.means, MEANS, atol=1)
    assert (found.posteriors[:, lesion] == priors[:, lesion]).all()


def test_what_is_not_finite_keeps_its_prior() -> None:
    image, brain, priors, _ = planted()
    image[3, 3, 3], image[5, 5, 5] = np.nan, np.inf
    found = fit_mixture(image, brain, priors, (1, 1, 1))
    assert (found.posteriors[:, 3, 3, 3] == priors[:, 3, 3, 3]).all()
    assert np.isfinite(found.posteriors).all()
    assert np.allclose(found.means, MEANS, atol=1)


def test_what_fluid_fills_in_part_goes_to_the_larger_part() -> None:
    shape = (40, 40, 40)
    share = np.clip((np.indices(shape)[2] - 15) / 10, 0, 1)
    image = 20 + 80 * share + np.random.default_rng(0).standard_normal(shape)
    priors = np.full((2, *shape), 0.5, np.float32)
    priors[0] += np.where(share < 0.5, 0.2, -0.2)
    priors[1] = 1 - priors[0]
    found = fit_mixture(image.astype(np.float32), share >= 0, priors, (1, 1, 1), fluid=0)
    assert found.means == pytest.approx([20, 100], abs=2)
    sure = (share != 0.5) & (np.abs(share - 0.5) < 0.45)
    assert np.mean((found.posteriors[1] > 0.5)[sure] == (share > 0.5)[sure]) > 0.98


def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    image, brain, priors, _ = planted(shape=(48, 48, 48))
    image[:5], brain[-3:] = 300, False
    results = []
    for threads in ("1", "2"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found = fit_mixture(image, brain, priors, (1, 1, 2), likeness=3.0, fluid=0)
        results.append(found.posteriors.tobytes() + found.means.tobytes() + found.sds.tobytes())
    assert results[0] == results[1]


def test_nothing_to_fit_and_grids_that_differ_are_refused() -> None:
    image, brain, priors, _ = planted()
    with pytest.raises(ValueError, match=r"no voxel .* look at image and masks"):
        fit_mixture(image, brain, priors, (1, 1, 1), ~brain)
    with pytest.raises(ValueError, match="one grid"):
        fit_mixture(image[1:], brain, priors, (1, 1, 1))


def test_classes_that_are_none_are_refused() -> None:
    image, brain, priors, truth = planted()
    judge_mixture(fit_mixture(image, brain, priors, (1, 1, 1)))
    even = fit_mixture(np.full(SHAPE, 7, np.float32), brain, priors, (1, 1, 1))
    with pytest.raises(ValueError, match="equally bright everywhere"):
        judge_mixture(even)
    between = np.array([80.0, 50.0, 60.0, 110.0])[truth].astype(np.float32)
    with pytest.raises(ValueError, match="no contrast has"):
        judge_mixture(fit_mixture(between, brain, priors, (1, 1, 1)))
    found = fit_mixture(image, brain, priors, (1, 1, 1))
    found.voxels[:] = [0, 0, 0, found.voxels.sum()]
    with pytest.raises(ValueError, match="100% of the brain was taken for white matter"):
        judge_mixture(found)
    found.voxels[:] = [found.voxels.sum() / 2, 0, 0, found.voxels.sum() / 2]
    with pytest.raises(ValueError, match="hardly any cortex"):
        judge_mixture(found)
    found.posteriors[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        judge_mixture(found)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_fluid_in_the_place_of_white_matter_is_fluid(
    share: float, power: float, scale: float
) -> None:
    """Ventricles far wider than the template's lie where the priors say white matter."""
    shape = (40, 40, 40)
    truth = np.full(shape, 2)
    truth[:10] = 1
    truth[:, :3] = 0
    expected = truth.copy()
    truth[12 : 12 + round(28 * share), 6:, :] = 0
    rng = np.random.default_rng(3)
    image = scale * (np.array([70.0, 330.0, 290.0])[truth] + rng.normal(0, 18, shape))
    priors = np.full((3, *shape), 0.02)
    for number in range(3):
        priors[number][expected == number] = 0.96
    brain = np.ones(shape, bool)
    found = fit_mixture(
        image.astype(np.float32), brain, priors.astype(np.float32), (1, 1, 1),
        prior_power=power, likeness=3.0, fluid=0,
    )  # fmt: skip
    assert found.means == pytest.approx(scale * np.array([70, 330, 290]), rel=0.06)
    assert found.sds[2] < 30 * scale
    assert np.mean(np.argmax(found.posteriors, axis=0)[truth == 0] == 0) > 0.98
