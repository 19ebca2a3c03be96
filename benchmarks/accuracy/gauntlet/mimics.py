"""What is bright on a FLAIR and no lesion: drawn by chance, within what is seen in practice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.gauntlet.anatomy import OUTSIDE_FROM, VENTRICLES, WHITE, Head, Mask, cloud

GREY = (3, 42, 17, 18, 53, 54)
CISTERNS, THIRD_VENTRICLE = (14, 15, 24), 14
# Cortex of the insula, the temporal poles and the cingulum is brighter than other cortex, by place.
REGIONAL_SD, REGIONAL_MM, POLES = 0.05, 16.0, (0.0, 0.2)
# White matter within a few mm of the ventricles is brighter than the rest, without being ill.
HALO, HALO_MM = (0.0, 0.12), 2.5
FLOW_SHARE, FLOW_MM, FLOW = 0.5, 5.0, (0.3, 1.2)
PLEXUS, SPOT = (0.9, 1.6), (1.2, 1.9)


def with_mimics(
    values: NDArray[np.float32], head: Head, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Make bright what is bright on a FLAIR without being a lesion.

    Cortex differs from place to place and is brightest in the temporal poles; normal white matter
    has a halo along the ventricles; fluid that moves is not dark in the cisterns and the fourth
    ventricle; choroid plexus, the pineal region and spots of the meninges are bright.

    Parameters
    ----------
    values
        Brightness, normal white matter having 1.
    head
        Anatomy.
    rng
        What is drawn by chance.

    Returns
    -------
    ndarray
        The brightness with all that.
    """
    codes = head.codes
    values = values.copy()
    grey = np.isin(codes, GREY)
    regional = 1 + REGIONAL_SD * cloud(rng, codes.shape, REGIONAL_MM)
    values[grey] *= np.clip(regional, 0.88, 1.15)[grey]
    values[grey & _poles(codes)] *= 1 + rng.uniform(*POLES)
    ventricles = np.isin(codes, VENTRICLES)
    away = ndimage.distance_transform_edt(~ventricles).astype(np.float32)
    halo = 1 + rng.uniform(*HALO) * np.exp(-away / HALO_MM)
    white = np.isin(codes, WHITE)
    values[white] *= halo[white]
    if rng.random() < FLOW_SHARE:
        flow = np.clip(cloud(rng, codes.shape, FLOW_MM) - 1.2, 0, 1)
        cisterns = np.isin(codes, CISTERNS)
        values[cisterns] += (rng.uniform(*FLOW) * flow)[cisterns]
    _plexus(values, ventricles, rng)
    _spots(values, codes, rng)
    return values


def _poles(codes: NDArray[np.int16]) -> Mask:
    """Find the front of the lower third of the brain: poles of the temporal lobes, and orbits."""
    brain = np.argwhere((codes > 0) & (codes < OUTSIDE_FROM))
    front, low = np.percentile(brain[:, 1], 62), np.percentile(brain[:, 2], 38)
    found = np.zeros(codes.shape, bool)
    found[:, int(front) :, : int(low)] = True
    return found


def _plexus(values: NDArray[np.float32], ventricles: Mask, rng: np.random.Generator) -> None:
    """Put plexus at the floor of the ventricles' back half, as a chain of small balls."""
    places = np.argwhere(ventricles)
    if not len(places):
        return
    middle = np.percentile(places[:, 1], 55)
    floor = places[(places[:, 1] < middle)]
    bright = rng.uniform(*PLEXUS)
    for centre in floor[rng.integers(0, len(floor), 14)]:
        _ball(values, centre, rng.uniform(1.0, 3.0), bright, ventricles)


def _spots(values: NDArray[np.float32], codes: NDArray[np.int16], rng: np.random.Generator) -> None:
    """Put bright spots in the meninges and the pineal region: veins, and slow flow."""
    surface = np.isin(codes, (24, 514)) & ndimage.binary_dilation(np.isin(codes, GREY))
    places = np.argwhere(surface)
    for centre in places[rng.integers(0, len(places), int(rng.integers(0, 6)))]:
        _ball(values, centre, rng.uniform(1.0, 3.0), rng.uniform(*SPOT), codes > 0)
    third = np.argwhere(codes == THIRD_VENTRICLE)
    if len(third) and rng.random() < FLOW_SHARE:
        behind = third[third[:, 1] <= np.percentile(third[:, 1], 10)].mean(axis=0)
        centre = behind + np.array([0, -rng.uniform(3, 10), rng.uniform(0, 6)])
        _ball(values, centre, rng.uniform(1.5, 4.0), rng.uniform(*SPOT), codes > 0)


def _ball(
    values: NDArray[np.float32],
    centre: NDArray[np.floating],
    radius: float,
    bright: float,
    inside: Mask,
) -> None:
    """Make a ball as bright as that."""
    reach = int(np.ceil(radius)) + 1
    box = tuple(
        slice(max(int(c) - reach, 0), min(int(c) + reach + 1, n))
        for c, n in zip(centre, values.shape, strict=True)
    )
    offsets = np.meshgrid(
        *[np.arange(part.start, part.stop) - c for part, c in zip(box, centre, strict=True)],
        indexing="ij",
    )
    near = (sum(part**2 for part in offsets) <= radius**2) & inside[box]
    values[box][near] = bright
