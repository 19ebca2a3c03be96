"""Tables of gradients: one direction in the world, whoever wrote it; what is none is refused."""

from __future__ import annotations

import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from tests.core.diffusion.series import table, turn
from wmhflow.core.diffusion import (
    Gradients,
    UnfitSeriesError,
    count_directions,
    fit_ivim,
    fraction_volumes,
    free_water_volumes,
    image_axes,
    ivim_volumes,
    kurtosis_volumes,
    read_gradients,
    tensor_volumes,
)


def grid(codes: str, oblique_deg: float = 0) -> np.ndarray:
    affine = np.diag([2.0, 2.5, 3.0, 1.0])
    affine[:3, :3] = turn(oblique_deg, 0) @ turn(oblique_deg, 2) @ affine[:3, :3]
    ornt = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    return affine @ inv_ornt_aff(ornt, (10, 11, 12))


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "LIA", "PIR"])
@pytest.mark.parametrize("oblique", [0.0, 20.0])
def test_a_direction_is_the_same_in_the_world_however_the_image_lies(codes, oblique) -> None:
    bvals, world = table((1000, 12))
    affine = grid(codes, oblique)
    in_image = world @ image_axes(affine)
    fsl = in_image * np.where(np.linalg.det(affine[:3, :3]) > 0, [-1, 1, 1], [1, 1, 1])
    for convention, written in (("world", world), ("voxel", in_image), ("FSL", fsl)):
        read = read_gradients(bvals, written.T, affine, convention, len(bvals))
        assert np.allclose(read.vectors, world, atol=1e-12), convention


CASES = {
    "counts": (lambda b, v: (b[:-1], v), "14 volumes, 13 b-values and 14 directions"),
    "no direction": (lambda b, v: (b, np.where(np.arange(14)[:, None] > 9, 0, v)), "4 of its"),
    "none at all": (lambda b, v: (b, 0 * v), "12 of its"),
    "NaN": (lambda b, v: (b, np.where(np.arange(14)[:, None] == 5, np.nan, v)), "1 of its"),
    "lengths say b": (lambda b, v: (b, v * np.linspace(0.3, 1, 14)[:, None]), "length²"),
    "length": (lambda b, v: (b, v * 1.5), "not of length 1"),
    "no b0": (lambda b, v: (b + 200, v), "without diffusion weighting"),
    "negative": (lambda b, v: (b - 5, v), "finite and 0 or larger"),
    "flat": (lambda b, v: (b, v[:, :2]), "none of three"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_table_is_refused_with_the_reason(case: str) -> None:
    change, why = CASES[case]
    bvals, vectors = change(*table((1000, 12)))
    with pytest.raises(UnfitSeriesError, match=why):
        read_gradients(bvals, np.asarray(vectors).T, np.eye(4), "world", 14)


@pytest.mark.parametrize("places", [(14, 27), (2, 16), (5, 6)], ids=str)
def test_a_trace_that_the_scanner_computed_is_left_out_and_said(places: tuple[int, int]) -> None:
    """Philips writes one beside the directions; all else was refused for it."""
    bvals, vectors = table((1000, 12), (2000, 12))
    plain = read_gradients(bvals, vectors.T, np.eye(4), "world", 26)
    wanted = (tensor_volumes(plain), free_water_volumes(plain), fraction_volumes(plain))
    at = (places[0], places[1] - 1)
    # numbers of the volumes before the traces came in between
    kept = np.setdiff1d(np.arange(28), places)
    more = read_gradients(
        np.insert(bvals, at, (1000, 2000)), np.insert(vectors, at, 0, axis=0).T, np.eye(4),
        "world", 28,
    )  # fmt: skip
    assert np.flatnonzero(more.is_trace).tolist() == list(places)
    for choose, one in zip(
        (tensor_volumes, free_water_volumes, fraction_volumes), wanted, strict=True
    ):
        chosen = choose(more)
        assert chosen.volumes == tuple(kept[list(one.volumes)])
        assert (chosen.directions, chosen.condition) == (one.directions, one.condition)
        assert chosen.words == f"{one.words}, without 2 of no direction (a scanner's trace)"


def test_lengths_of_the_root_of_b_are_recognised() -> None:
    bvals, vectors = table((1000, 6), (2000, 6))
    with pytest.raises(UnfitSeriesError, match="root of their b-values"):
        read_gradients(bvals, vectors * np.sqrt(bvals / 2000)[:, None], np.eye(4), "world", 14)


def test_nan_of_a_volume_without_weighting_means_nothing() -> None:
    bvals, vectors = table((1000, 12))
    vectors[0] = np.nan
    assert read_gradients(bvals, vectors, np.eye(4), "world", 14).vectors[0].tolist() == [0, 0, 0]


def test_a_direction_and_its_opposite_are_one() -> None:
    bvals, vectors = table((1000, 6))
    doubled = Gradients(np.r_[bvals, bvals], np.r_[vectors, -vectors])
    assert count_directions(doubled, np.flatnonzero(doubled.bvals)) == 6


def selected(model, *shells: tuple[float, int], n_b0: int = 2):
    return model(Gradients(*table(*shells, n_b0=n_b0)))


def test_a_tensor_takes_what_is_up_to_1500_or_else_the_lowest_shell() -> None:
    both = selected(tensor_volumes, (1000, 30), (2000, 30))
    assert [shell.b for shell in both.shells] == [1000]
    assert len(both.volumes) == 32
    assert [shell.b for shell in selected(tensor_volumes, (1700, 30)).shells] == [1700]
    few = selected(tensor_volumes, (700, 3), (2000, 30))
    assert [shell.b for shell in few.shells] == [2000]
    assert selected(tensor_volumes, (1000, 6), n_b0=1).redundancy == 0


def test_directions_in_a_plane_determine_no_tensor() -> None:
    bvals, vectors = table((1000, 12))
    angle = np.linspace(0, np.pi, 12, endpoint=False)
    vectors[2:] = np.stack([np.cos(angle), np.sin(angle), np.zeros(12)], axis=1)
    with pytest.raises(UnfitSeriesError, match="do not determine"):
        tensor_volumes(Gradients(bvals, vectors))


REFUSED = [
    (tensor_volumes, ((1000, 5),), "at most 5"),
    (kurtosis_volumes, ((1000, 30),), "two shells"),
    (kurtosis_volumes, ((900, 30), (1150, 30)), "900 and 1150"),
    (kurtosis_volumes, ((1000, 30), (2000, 10)), "15 directions"),
    (kurtosis_volumes, ((500, 30), (1000, 30)), "1500 to 3000"),
    (free_water_volumes, ((1700, 30),), "10.1002/mrm.28599"),
    (free_water_volumes, ((900, 30), (1150, 30)), "1.5 times"),
    (fraction_volumes, ((1000, 30),), "two shells"),
    (ivim_volumes, ((200, 6), (500, 6), (1000, 6)), "from 10 to 200, and there are 0"),
    (ivim_volumes, ((20, 6), (50, 6), (100, 6), (1000, 6)), "from 200 to 1000, and there are 1"),
]


@pytest.mark.parametrize(("model", "shells", "why"), REFUSED)
def test_a_model_that_a_series_cannot_carry_says_why(model, shells, why: str) -> None:
    table_of = Gradients(*table(*shells))
    with pytest.raises(UnfitSeriesError, match=why):
        model(table_of.bvals if model is ivim_volumes else table_of)


def test_two_shells_carry_every_model_of_two() -> None:
    for model in (kurtosis_volumes, free_water_volumes, fraction_volumes):
        chosen = selected(model, (1000, 30), (2000, 30))
        assert [shell.b for shell in chosen.shells] == [1000, 2000]
        assert chosen.words == "2 without weighting, 30 with b = 1000, 30 with b = 2000"


def test_what_scanners_write_for_a_b_value_of_ivim_counts() -> None:
    """Volumes that count for a b-value are those that are fitted."""
    bvals = np.repeat([0.0, 22, 49, 101, 198, 502, 1003, 1012, 2000], 3)
    chosen = ivim_volumes(bvals)
    assert chosen.volumes == tuple(np.flatnonzero(bvals < 1020).tolist())
    assert fit_ivim(np.exp(-bvals[None] * 1e-3), bvals).diffusivity[0] == pytest.approx(1e-3)


def test_b_values_of_ivim_are_chosen() -> None:
    bvals = table((20, 3), (50, 3), (100, 3), (200, 3), (500, 3), (800, 3), (2000, 3))[0]
    chosen = ivim_volumes(bvals)
    assert [shell.b for shell in chosen.shells] == [20, 50, 100, 200, 500, 800]
    assert (chosen.n_b0, len(chosen.volumes)) == (2, 20)
    with pytest.raises(UnfitSeriesError, match="b = 0"):
        ivim_volumes(bvals[2:])
    with pytest.raises(UnfitSeriesError, match="three directions"):
        ivim_volumes(bvals[:-4])
