"""Rims of cavities are told from lesions around ventricles and from lesions with a lacune."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wmhflow.core.checks.cavities import rim_share

SHAPE, MM = (60, 60, 60), 1.0


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    places = np.indices(SHAPE, dtype=np.float32)
    away = sum((part - c) ** 2 for part, c in zip(places, centre, strict=True))
    return np.asarray(away <= radius**2)


VENTRICLE, EVERYWHERE = ball((15, 30, 30), 8), np.ones(SHAPE, bool)


def share_of(
    cavity: np.ndarray,
    lesions: np.ndarray,
    ventricle: np.ndarray = VENTRICLE,
    tissue: np.ndarray = EVERYWHERE,
    keep: tuple[int, int, int] = (1, 1, 1),
    scale: float = 1.0,
) -> float:
    flair = np.full(SHAPE, 100.0) + 3 * (np.indices(SHAPE).sum(axis=0) % 3)
    flair[lesions] = 150
    flair[cavity | ventricle] = 20
    lesions = lesions & ~cavity & ~ventricle
    normal = ~(lesions | cavity | ventricle)
    flair, lesions, normal, ventricle, tissue = (
        one[tuple(slice(None, None, n) for n in keep)]
        for one in (flair * scale, lesions, normal, ventricle, tissue & ~ventricle)
    )
    return rim_share(flair, lesions, normal, (ventricle, tissue), [MM * n for n in keep])


@pytest.mark.parametrize("keep", [(1, 1, 1), (2, 2, 2), (1, 1, 5), (5, 1, 1), (1, 4, 1)])
@pytest.mark.parametrize("radius", [4.0, 8.0])
def test_a_rim_is_all_rim_however_thick_slices_are(
    radius: float, keep: tuple[int, int, int]
) -> None:
    cavity, lesion = ball((40, 30, 30), radius), ball((40, 30, 30), radius + 3)
    assert share_of(cavity, lesion, keep=keep) == 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_unit_of_the_image_does_not_matter(scale: float) -> None:
    assert share_of(ball((40, 30, 30), 6), ball((40, 30, 30), 9), scale=scale) == 1


def test_a_rim_beside_lesions_is_a_share_of_them() -> None:
    cavity, rim = ball((45, 30, 30), 6), ball((45, 30, 30), 9)
    other = ball((28, 45, 20), 8)
    own = int((rim & ~cavity).sum())
    assert share_of(cavity, rim | other) == pytest.approx(own / (own + int(other.sum())))


def test_a_rim_that_is_open_in_part_is_one() -> None:
    rim = ball((40, 30, 30), 9)
    rim[:, :, 34:] = False
    rim[30:38, :24, :] = False
    assert share_of(ball((40, 30, 30), 6), rim) == 1


@pytest.mark.parametrize("keep", [(1, 1, 1), (1, 1, 5), (4, 1, 1)])
def test_a_piece_of_a_rim_is_one_where_tissue_is_expected(keep: tuple[int, int, int]) -> None:
    cavity, piece = ball((40, 30, 30), 6), ball((40, 30, 30), 9)
    piece[:, 24:, :] = False
    assert share_of(cavity, piece, keep=keep) == 1
    # a fissure beside a lesion is as dark, and lies where fluid is expected
    fluid = np.zeros(SHAPE, bool)
    fluid[30:] = True
    assert share_of(cavity, piece, tissue=~fluid, keep=keep) == 0


@pytest.mark.parametrize(
    ("what", "cavity", "lesions"),
    [
        ("a lesion", ball((40, 30, 30), 0), ball((40, 30, 30), 9)),
        ("a lacune in a large lesion", ball((40, 30, 30), 3), ball((40, 30, 30), 14)),
        ("a perivascular space", ball((40, 30, 30), 1.2), ball((40, 30, 30), 5)),
        ("a halo around the ventricle", ball((0, 0, 0), 0), ball((15, 30, 30), 11)),
        ("a horn beyond the ventricle's label", ball((21, 30, 30), 4), ball((16, 30, 30), 14)),
    ],
)
def test_other_lesions_are_no_rims(what: str, cavity: np.ndarray, lesions: np.ndarray) -> None:
    assert share_of(cavity, lesions) == 0, what


def test_of_what_is_not_there_nothing_is_said() -> None:
    none, one = np.zeros(SHAPE, bool), ball((40, 30, 30), 5)
    flair = np.full(SHAPE, 100.0)
    assert math.isnan(rim_share(flair, none, ~one, (none, ~none), (1, 1, 1)))
    assert math.isnan(rim_share(flair, one, none, (none, ~none), (1, 1, 1)))
    assert math.isnan(rim_share(0 * flair, one, ~one, (none, ~none), (1, 1, 1)))
    assert math.isnan(rim_share(np.nan * flair, one, ~one, (none, ~none), (1, 1, 1)))
