"""Compiles every kernel for the kinds of arrays that the program hands to it.

Run as ``python -m wmhflow.core.warm``. numba keeps what it compiles in ``NUMBA_CACHE_DIR``; the
container is built with that folder filled, so that no run in it has to wait for a compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.align.chains import pull_nearest
from wmhflow.core.align.inverting import inverse_fault, invert_field
from wmhflow.core.align.pulling import Displacements, PointMap, pull
from wmhflow.core.align.similarity import compare
from wmhflow.core.arrays.distance import distance_to, nearest, signed_distance
from wmhflow.core.arrays.validation import COPIED_TYPES, kernel_ready
from wmhflow.core.contrasts.decay import fit_decay
from wmhflow.core.diffusion.coherence import fibre_coherence
from wmhflow.core.diffusion.fractions import tissue_fractions
from wmhflow.core.diffusion.freewater import fit_free_water
from wmhflow.core.diffusion.gradients import Gradients
from wmhflow.core.diffusion.tensor import fit_tensor
from wmhflow.core.measure.coverage import coverage_of_each, merge_regions, union_entries
from wmhflow.core.measure.independence import gather_cells, pair_shares
from wmhflow.core.measure.means import union_means
from wmhflow.core.measure.statistics import region_statistics
from wmhflow.core.measure.surroundings import sum_map, surroundings_of
from wmhflow.core.regions.bullseye import bullseye_labels, depth
from wmhflow.core.regions.lesions import label_lesions, lesion_measures
from wmhflow.core.regions.lobes import propagate_lobes
from wmhflow.core.regions.lookup import steps_at
from wmhflow.core.regions.shells import shell_labels
from wmhflow.core.regions.zones import zone_labels
from wmhflow.core.space.grids import Grid3D
from wmhflow.core.susceptibility.unwrapping import unwrap_phase
from wmhflow.core.tissue.mixture import fit_mixture

SHAPE = (6, 7, 8)
SPACING_MM = (1.0, 1.0, 1.0)
# Sizes in no simple ratio, and so long keys of distance and owner.
UNEVEN_SPACING_MM = (0.937_777, 1.0, 3.141_593)
LIMIT_MM = 3.0


class _Head(NamedTuple):
    """A few voxels of everything: ventricle, lesion, white matter and cortex, on both sides."""

    ventricle: NDArray[np.bool_]
    lesion: NDArray[np.bool_]
    white_matter: NDArray[np.bool_]
    cortex: NDArray[np.bool_]
    right: NDArray[np.bool_]


def main() -> None:
    """Call every compiled function on tiny volumes."""
    # C order is what numpy makes, Fortran order what nibabel reads.
    for arranged in (np.ascontiguousarray, np.asfortranarray):
        head = _Head(*map(arranged, _head()))
        for spacing in (SPACING_MM, UNEVEN_SPACING_MM):
            _warm_distances(head, spacing)
        _warm_regions(head, arranged)
        _warm_sampling(head)
    _warm_copies()
    _warm_alignment()
    _warm_tissues(_head())
    _warm_echoes()
    _warm_diffusion()


def _head() -> _Head:
    axis0 = np.broadcast_to(np.arange(SHAPE[0])[:, None, None], SHAPE)
    cortex = np.ones(SHAPE, dtype=bool)
    cortex[1:-1, 1:-1, 1:-1] = False
    ventricle = np.zeros(SHAPE, dtype=bool)
    ventricle[2:4, 3:5, 3:5] = True
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[2, 2, 2] = lesion[4, 4, 5] = True
    return _Head(ventricle, lesion, ~(cortex | ventricle), cortex, axis0 >= SHAPE[0] // 2)


def _warm_distances(head: _Head, spacing: tuple[float, float, float]) -> None:
    # With a limit, in a part of the volume and over all of it are different types to the compiler.
    for limit in (None, LIMIT_MM):
        for within in (None, head.white_matter, head.right | ~head.right):
            for target in (head.ventricle, head.cortex):
                distance_to(target, spacing, limit=limit, within=within)
                nearest(target.astype(np.int32), spacing, limit=limit, within=within)
        signed_distance(head.lesion, spacing, limit=limit)


def _warm_copies() -> None:
    """Copy volumes in the order of files, and parts of volumes, to the order of kernels."""
    for dtype in COPIED_TYPES:
        volume = np.zeros(SHAPE, dtype=dtype)
        kernel_ready(np.asfortranarray(volume))
        kernel_ready(volume[:, 1:, 1:])


def _warm_alignment() -> None:
    image = Grid3D(np.ones(SHAPE, dtype=np.float32), np.eye(4))
    compare(image, image, seed=0).score(np.eye(4))
    still = Displacements(np.zeros((*SHAPE, 3), dtype=np.float32), np.eye(4))
    points = PointMap(np.eye(4), still, np.eye(4))
    pull([image], image, points)
    pull_nearest([image], image, [points, points])
    invert_field(still)
    inverse_fault(still, np.ones((1, 3)))


def _warm_tissues(head: _Head) -> None:
    priors = np.stack([head.cortex, ~head.cortex]).astype(np.float32)
    fit_mixture(priors[0], head.cortex | ~head.cortex, priors, SPACING_MM, fluid=0)


def _warm_echoes() -> None:
    ones = np.ones(SHAPE)
    fit_decay([ones, ones, ones], [0.01, 0.02, 0.03])
    unwrap_phase(ones, ones > 0)


def _warm_diffusion() -> None:
    """Fit models to one voxel of each kind of numbers."""
    half = np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1.0]])
    gradients = Gradients(np.r_[0.0, 6 * [1000.0]], np.r_[np.zeros((1, 3)), half / np.sqrt(2)])
    fit_tensor(np.ones((2, 7), dtype=np.float32), gradients)
    fit_free_water(np.ones((2, 7), dtype=np.float32), gradients)
    tissue_fractions(np.ones((2, 3)), np.eye(3))
    fibre_coherence(np.zeros((2, 2, 2, 3)), np.zeros((2, 2, 2)), np.ones(3))


def _warm_regions(head: _Head, arranged: Callable[..., NDArray[Any]]) -> None:
    to_ventricle = arranged(distance_to(head.ventricle, SPACING_MM))
    to_cortex = arranged(distance_to(head.cortex, SPACING_MM))
    affine = np.diag([*SPACING_MM, 1.0])
    labels, n_lesions = label_lesions(head.lesion, affine)
    lesion_measures(labels, affine, {"ventricle_distance": to_ventricle})
    zone_labels(to_ventricle, to_cortex, head.white_matter, head.right)
    for inner in (True, False):
        shell_labels(
            arranged(labels),
            n_lesions,
            [True] * n_lesions,
            head.white_matter,
            SPACING_MM,
            head.right,
            inner=inner,
        )
    lobes = propagate_lobes(
        head.cortex.astype(np.uint8), head.right, head.white_matter, head.right, SPACING_MM
    )
    bullseye_labels(depth(to_ventricle, to_cortex), lobes)


def _warm_sampling(head: _Head) -> None:
    affine = np.diag([*SPACING_MM, 1.0])
    labels = 1 + head.white_matter
    weights, _ = coverage_of_each([labels, labels[::-1]], affine, SHAPE, affine)
    merged = merge_regions(weights, [(1, [1]), (3, [1, 2])])
    values = head.white_matter.astype(np.float32)
    entries = union_entries(weights, [(1, [1]), (3, [1, 2])])
    for covered in (merged, entries):
        region_statistics(values, covered, head.white_matter)
        pair_shares(covered, gather_cells(covered, affine))
    union_means(values, weights, [(1, [1]), (3, [1, 2])])
    shell = 1 + head.white_matter.astype(np.int16)
    nowhere = np.zeros_like(shell)
    around = surroundings_of(shell, nowhere, shell, (2, 1), affine, SHAPE, affine)
    noisy = np.random.default_rng(0).random(SHAPE)
    sum_map(noisy, head.white_matter, around)
    around.pairs.sum()
    steps_at(np.zeros((2, 3)), values[..., None], affine)


if __name__ == "__main__":
    main()
