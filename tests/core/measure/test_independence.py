"""How many independent samples voxels are worth, and what follows for shells around lesions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.measure.coverage import coverage_weights, merge_regions
from wmhflow.core.measure.curves import smooth_curve
from wmhflow.core.measure.independence import (
    SELF,
    correlation_by_distance,
    gather_cells,
    independent_samples,
    pair_shares,
    pair_shares_between,
)
from wmhflow.core.measure.penumbra import Penumbra, fit_penumbra, fit_shells
from wmhflow.core.measure.surroundings import (
    FEWEST_BLOCKS,
    ShellMeans,
    Surroundings,
    bin_means,
    shell_means,
    sum_map,
    surroundings_of,
)

SIDE = 48
EYE = np.eye(4)


def noise(fwhm: float, seed: int, side: int = SIDE) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((side,) * 3)
    drawn = ndimage.gaussian_filter(drawn, fwhm / 2.3548, mode="wrap") if fwhm else drawn
    return drawn / drawn.std()


def regions() -> np.ndarray:
    """A ball, a plate of two voxels, and a few voxels."""
    labels = np.zeros((SIDE,) * 3, dtype=np.int32)
    places = np.indices(labels.shape) - SIDE / 2
    labels[(places**2).sum(axis=0) < 14**2] = 1
    labels[2:4] = 2
    labels[44:46, 44:46, 44:46] = 3
    return labels


@pytest.mark.parametrize("fwhm", [0.0, 2.4, 5.0])
def test_samples_are_as_many_as_the_means_of_many_maps_show(fwhm: float) -> None:
    labels = regions()
    weights = coverage_weights(labels, EYE, labels.shape, EYE)
    cells = gather_cells(weights, EYE)
    shares = pair_shares(weights, cells)
    voxels = np.bincount(labels.ravel())[1:]
    assert 1 / shares[:, SELF] == pytest.approx(voxels)
    means, samples = [], []
    for seed in range(24):
        drawn = noise(fwhm, seed)
        means.append(ndimage.mean(drawn, labels, (1, 2, 3)))
        given = drawn.ravel()[weights.voxels]
        alike = correlation_by_distance(given, np.ones(given.size), cells)
        samples.append(independent_samples(shares, alike, voxels, voxels.astype(float)))
    # the variance of 24 means is known to a third
    assert np.mean(samples, axis=0) == pytest.approx(1 / np.var(means, axis=0), rel=0.7)
    if not fwhm:
        assert np.mean(samples, axis=0) == pytest.approx(voxels, rel=0.1)


def test_correlation_falls_from_one_and_is_that_of_the_smoothing() -> None:
    labels = np.ones((SIDE,) * 3, dtype=np.int32)
    spacing = np.diag([2.0, 2.0, 2.0, 1.0])
    weights = coverage_weights(labels, spacing, labels.shape, spacing)
    cells = gather_cells(weights, spacing)
    found = correlation_by_distance(noise(2.5, 0).ravel(), np.ones(labels.size), cells)
    assert found[SELF] == 1
    # of two places so far apart: a Gaussian √2 times as wide as the kernel's (in mm: 5)
    width = 5.0 / 2.3548 * np.sqrt(2)
    # after itself and the cell's own, classes are whole mm: 6 steps of 2, and 6 of 4 and 24 of √20
    for mm, apart in ((2, np.full(6, 2.0)), (4, np.repeat([4.0, np.sqrt(20)], [6, 24]))):
        expected = np.exp(-((apart / width) ** 2) / 2).mean()
        assert found[1 + mm] == pytest.approx(expected, abs=0.05)
    assert (found[-2:] < 0.02).all()


def test_a_map_of_no_spread_tells_no_correlation() -> None:
    labels = np.ones((4, 4, 4), dtype=np.int32)
    weights = coverage_weights(labels, EYE, labels.shape, EYE)
    cells = gather_cells(weights, EYE)
    found = correlation_by_distance(np.zeros(64), np.ones(64), cells)
    assert found.tolist() == [1.0] + [0.0] * (cells.n_classes - 1)


@pytest.mark.parametrize("turned", [np.diag([-1.0, 1, 1]), np.eye(3)[[1, 2, 0]]])
def test_another_orientation_of_the_same_map_has_the_same_samples(turned: np.ndarray) -> None:
    labels, drawn = regions()[:-1], noise(3.0, 1)[:-1]
    axes = np.abs(turned).argmax(axis=1)
    flips = [turned[i, axis] < 0 for i, axis in enumerate(axes)]
    affine = np.eye(4)
    affine[:3, :3] = turned.T
    found = []
    for where in (EYE, affine):
        stored = [labels, drawn]
        if where is affine:
            stored = [one.transpose(axes) for one in stored]
            stored = [
                one[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
                for one in stored
            ]
        weights = coverage_weights(stored[0], where, stored[0].shape, where)
        cells = gather_cells(weights, where)
        given = stored[1].ravel()[weights.voxels]
        alike = correlation_by_distance(given, np.ones(given.size), cells)
        shares = pair_shares(weights, cells)
        voxels = 1 / shares[:, SELF]
        found.append(independent_samples(shares, alike, voxels, voxels))
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_two_groups_have_the_pairs_that_their_union_has() -> None:
    labels = regions()
    weights = coverage_weights(labels, EYE, labels.shape, EYE)
    cells = gather_cells(weights, EYE)
    between = pair_shares_between(weights, [0, 1, 1], 2, cells)
    assert np.allclose(between, between.transpose(1, 0, 2))
    both = merge_regions(weights, [(1, [1]), (2, [2, 3])])
    alone = pair_shares(both, cells)
    assert between[0, 0] == pytest.approx(alone[0], rel=0.1, abs=1e-6)
    assert between[1, 1] == pytest.approx(alone[1], rel=0.1, abs=1e-6)


def test_pairs_are_those_that_are_counted_one_by_one() -> None:
    # a thin region, of which few cells are near a cell, and a thick one
    labels = np.zeros((20, 18, 22), dtype=np.int32)
    labels[2:, 5, 4:9] = 1
    labels[4:16, 7:17, 10:20] = 2
    weights = coverage_weights(labels, EYE, labels.shape, EYE)
    cells = gather_cells(weights, EYE)
    reach = {int(step): int(one) for step, one in zip(cells.steps, cells.classes, strict=True)}
    totals = []
    for region in (0, 1):
        inside = np.repeat(np.arange(weights.voxels.size), np.diff(weights.starts))
        mine = inside[weights.regions == region]
        totals.append(np.bincount(cells.of_voxel[mine], minlength=cells.n_places))
    expected = np.zeros((2, 2, cells.n_classes))
    for one, other in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for place in np.flatnonzero(totals[one]):
            for there in np.flatnonzero(totals[other]):
                near = reach.get(int(there - place))
                if near is not None:
                    share = totals[one][place] * totals[other][there]
                    expected[one, other, near] += share / totals[one].sum() / totals[other].sum()
    shares, between = pair_shares(weights, cells), pair_shares_between(weights, [0, 1], 2, cells)
    for region in (0, 1):
        assert shares[region, 2:] == pytest.approx(expected[region, region, 2:], rel=1e-12)
    assert between[..., 2:] == pytest.approx(expected[..., 2:], rel=1e-12)
    assert (expected[..., 2:].sum(axis=2) > 0.05).all()


def test_a_region_seen_in_part_has_part_of_the_samples_and_an_empty_one_none() -> None:
    shares = np.array([[0.01, 0.05], [0.01, 0.05], [0.5, 0.5]])
    found = independent_samples(shares, [1, 0.4], [100, 100, 2], [100, 50, np.nan])
    assert found[:2] == pytest.approx([1 / 0.03, 0.5 / 0.03])
    assert np.isnan(found[2])
    # never more than voxels, nor less than one
    assert independent_samples([[0.1, 0.0]], [1, 1], [10], [4]) == pytest.approx([4])
    assert independent_samples([[0.2, 0.8]], [1, 1], [5], [1]) == pytest.approx([1])


# ---- shells around lesions -----------------------------------------------------------------------

N_SHELLS = 8


@cache
def scene() -> tuple[np.ndarray, Surroundings]:
    """Distances from two lesions of 7 and 5 mm, in voxels of 2 mm, and what lies around them."""
    affine = np.diag([2.0, 2, 2, 1])
    places = 2 * (np.indices((SIDE,) * 3) - SIDE / 2)
    brain = (places**2).sum(axis=0) < 44**2
    lesion = np.zeros(brain.shape, dtype=bool)
    for centre, radius in (((-14, 6, 0), 7), ((18, -8, 6), 5)):
        away = places - np.array(centre)[:, None, None, None]
        lesion |= (away**2).sum(axis=0) < radius**2
    outside = np.asarray(distance_to(lesion, (2, 2, 2)), float)
    inside = np.asarray(distance_to(~lesion, (2, 2, 2)), float)
    shell = np.where(brain, np.searchsorted(np.arange(0, 15, 2), outside), 0)
    shell = np.where(lesion, -1, shell)
    distance = np.where(lesion, -inside, outside)
    right = (places[0] > 0).astype(int)
    around = surroundings_of(shell, right, distance, (N_SHELLS, 2), affine, brain.shape, affine)
    return distance, around


def fitted(means: ShellMeans, seed: int) -> Penumbra:
    away, shares = scene()[1].distance_mm, np.nan_to_num(means.composition)
    return fit_shells(away, means.mean, means.covariance, shares, seed=seed)


def found_in(values: np.ndarray, seed: int = 1) -> Penumbra:
    _, around = scene()
    sums = sum_map(values, np.isfinite(values), around)
    return fitted(shell_means(sums, around, [0, 1]), seed)


def test_means_of_shells_are_those_of_their_voxels_whatever_the_class() -> None:
    distance, around = scene()
    values = 3 + noise(0, 0) + distance
    values[10:12] = np.nan
    sums = sum_map(values, np.isfinite(values), around)
    both = shell_means(sums, around, [0, 1])
    inside = around.weights.voxels[around.entries[0]]
    numbers = np.zeros(values.size)
    numbers[inside] = around.shell[around.entries[1]] + 1
    seen = np.isfinite(values.ravel())
    for shell in range(N_SHELLS):
        expected = values.ravel()[seen & (numbers == shell + 1)].mean()
        assert both.mean[shell] == pytest.approx(expected)
    assert np.nansum(both.composition, axis=1) == pytest.approx(1)
    assert both.n_blocks >= FEWEST_BLOCKS
    assert np.linalg.eigvalsh(both.covariance)[0] > 0


def test_the_errors_of_shells_are_those_that_many_maps_show() -> None:
    _, around = scene()
    every = [
        shell_means(sum_map(drawn, np.isfinite(drawn), around), around, [0, 1])
        for drawn in (noise(2.0, seed) for seed in range(24))
    ]
    expected = np.mean([np.diag(one.covariance) for one in every], axis=0)
    shown = np.var([one.mean for one in every], axis=0)
    assert np.mean(expected / shown) == pytest.approx(1.1, abs=0.4)


def test_a_smooth_map_that_is_flat_is_called_flat_and_a_ramp_has_its_width() -> None:
    distance, around = scene()
    everywhere = np.ones(distance.shape, dtype=bool)
    ramp = sum_map(np.maximum(0, 8 - distance) / 8, everywhere, around).mean
    flat, widths, held, misled = 0, [], 0, 0
    for seed in range(12):
        alone = sum_map(noise(2.0, 500 + seed), everywhere, around)
        means = shell_means(alone, around, [0, 1])
        n = [alone.weight[around.shell == shell].sum() for shell in range(N_SHELLS)]
        # what counts voxels as independent finds a penumbra in noise
        misled += fit_penumbra(
            np.arange(1.0, 14, 2), means.mean[:-1], n[:-1], np.ones(7),
            plateau_mean=means.mean[-1], plateau_n_effective=n[-1], plateau_sd=1.0,
        ).model != "flat"  # fmt: skip
        flat += fitted(means, seed).model == "flat"
        both = replace(alone, mean=alone.mean + 3 * ramp)
        fit = fitted(shell_means(both, around, [0, 1]), seed)
        widths.append(fit.width_mm)
        held += fit.width_lo <= 8 <= np.nan_to_num(fit.width_hi, nan=np.inf)
    assert (flat >= 11, held >= 10, misled >= 4) == (True, True, True)
    assert np.mean(widths) == pytest.approx(8, abs=0.2)


def test_a_shell_s_own_distances_count_and_not_their_mean() -> None:
    # a ramp that ends within a shell: exact, where the mean distance would be off
    distance, around = scene()
    means = shell_means(
        sum_map(np.maximum(0, 7.1 - distance), np.ones(distance.shape, bool), around),
        around,
        [0, 1],
    )
    shares = np.nan_to_num(means.composition)
    exact = fit_shells(around.distance_mm, means.mean, 1e-8 * np.eye(N_SHELLS), shares)
    assert exact.width_mm == pytest.approx(7.1, abs=0.05)


def test_draws_depend_on_the_seed_alone() -> None:
    distance, _ = scene()
    values = noise(2.0, 3) + np.maximum(0, 8 - distance) / 4
    assert found_in(values, 1) == found_in(values, 1)
    one, other = found_in(values, 1), found_in(values, 2)
    assert one.width_mm == pytest.approx(other.width_mm, abs=0.02)
    assert one.width_lo != other.width_lo


def test_bins_of_half_a_millimetre_join_to_a_curve_with_a_band() -> None:
    distance, around = scene()
    values = 2 - np.maximum(0, 8 - distance) / 8
    values[distance < 0] = 7
    sums = sum_map(values + 0.1 * noise(2.0, 4), np.ones(values.shape, bool), around)
    shells = shell_means(sums, around, [0, 1])
    bins = bin_means(sums, around, [0, 1], shells)
    outside = around.bin_edges[:-1] >= 0
    assert np.nanmean(bins.mean[~outside]) == pytest.approx(7, abs=0.1)
    curve = smooth_curve(bins.mean[outside], bins.covariance[np.ix_(outside, outside)])
    middle = around.bin_edges[:-1][outside] + 0.25
    truth = 2 - np.maximum(0, 8 - middle) / 8
    known = np.isfinite(curve.value)
    assert known.sum() >= 20
    inside = (curve.low - 0.03 <= truth) & (truth <= curve.high + 0.03)
    assert inside[known].mean() > 0.8
    few = replace(shells, n_blocks=FEWEST_BLOCKS - 1)
    assert np.isnan(smooth_curve(bins.mean, bin_means(sums, around, [0], few).covariance)).all()


def test_a_curve_keeps_a_line_and_takes_noise_away() -> None:
    at = np.arange(28.0)
    assert smooth_curve(2 - at, np.eye(28)).value == pytest.approx(2 - at, abs=1e-6)
    noisy = np.random.default_rng(5).standard_normal(28)
    curve = smooth_curve(noisy, np.eye(28))
    assert curve.value.std() < 0.6 * noisy.std()
    assert (curve.low < curve.value).all()
    gap = np.where(at == 5, np.nan, 2 - at)
    assert smooth_curve(gap, np.eye(28)).value[5] == pytest.approx(-3)
