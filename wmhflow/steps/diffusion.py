"""Steps that fit models to a diffusion series."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wmhflow.core.diffusion.coherence import Coherence, fibre_coherence, tissue_fa
from wmhflow.core.diffusion.gradients import (
    LARGEST_B0,
    LARGEST_LOWEST,
    Gradients,
    UnfitSeriesError,
    image_axes,
)
from wmhflow.core.diffusion.levels import listed, signal_levels, uneven_volumes
from wmhflow.core.diffusion.robust import fit_tensor_robustly
from wmhflow.core.diffusion.selection import TENSOR_UNKNOWNS, design_condition
from wmhflow.core.diffusion.tensor import TensorFit, fit_tensor, main_directions
from wmhflow.core.space.geometry import spacing_of
from wmhflow.core.space.grids import Grid3D, apply_affine
from wmhflow.errors import InputError
from wmhflow.files.forms import trusted_affine
from wmhflow.files.gradients import load_bvals, load_gradients
from wmhflow.files.images import load_series, load_volume, read_series_header
from wmhflow.files.itk import read_itk_affine
from wmhflow.labels.digits import WHITE_OR_WMH, class_of
from wmhflow.steps.kinds import Columns, Facts, LabelImage, step
from wmhflow.steps.levels import series_without_level
from wmhflow.steps.meeting import apart_fact

# Without a mask, what is brighter than this share of the brightest hundredth of the volumes without
# weighting is head.
HEAD_SHARE = 0.15
# So many voxels around white matter are fitted, too: maps are sampled between voxels.
MARGIN_VOXELS = 2
log = logging.getLogger("wmhflow")


@dataclass(frozen=True)
class Part:
    """Part of a series: the signals of the voxels of a mask, and what they were weighted with.

    Attributes
    ----------
    signals : ndarray of shape (n, g)
        In the order of ``mask``.
    mask : ndarray of shape (X, Y, Z)
        The voxels that count.
    gradients
        Of the g volumes, along the world's axes.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.
    n_uneven : int
        Volumes that are brighter or darker than others of their b-value.
    ends : tuple of Grid3D
        The first and the last volume without weighting; none if there is one.
    air_share : float
        The value of no signal as given, beside what is bright without weighting.
    """

    signals: NDArray[np.float32]
    mask: NDArray[np.bool_]
    gradients: Gradients
    affine: NDArray[np.float64]
    n_uneven: int = 0
    ends: tuple[Grid3D, ...] = ()
    air_share: float = 0.0

    def grid(self, values: NDArray[Any]) -> Grid3D:
        """Lay values of the mask's voxels on the grid; NaN is outside."""
        laid = np.full(self.mask.shape, np.nan, dtype=np.float32)
        laid[self.mask] = values
        return Grid3D(laid, self.affine)


def load_part(
    image: Path,
    bval: Path,
    bvec: Path | None,
    table: Path | None,
    mask: Path | None,
    volumes: Sequence[int],
    convention: str,
    trust: str | None,
) -> Part:
    """Load the volumes of a series that a model is fitted to.

    Parameters
    ----------
    image, bval, bvec, table, mask
        The files of the series; without a mask the head is found by its brightness.
    volumes
        Their numbers.
    convention
        Along which axes the directions of ``bvec`` lie.
    trust
        The form of the header that is believed.

    Raises
    ------
    InputError
        If the table does not fit, no voxel is left, or as :func:`count_uneven`.
    """
    shape, affine, _ = read_series_header(image)
    affine = trusted_affine(image, affine, trust)
    gradients = load_gradients(image, shape[3], affine, bval, bvec, table, convention)
    gradients = gradients.part(volumes)
    data, _ = load_series(image, volumes)
    data, air = series_without_level(str(image), data, int(np.argmax(gradients.b0)))
    counted = head_mask(data[..., gradients.b0]) if mask is None else load_volume(mask)[0] != 0
    if mask is None and not counted.any():
        raise InputError(
            f"{image} leaves no voxel to fit a model to: its volumes without weighting hold no "
            "signal; look at them, and whether its b-values are in the order of the volumes."
        )
    check_left(counted, mask or image)
    signals = np.empty((int(counted.sum()), len(volumes)), dtype=np.float32)
    for number in range(len(volumes)):
        signals[:, number] = data[..., number][counted]
    limit = gradients.b0_limit
    n_uneven = count_uneven(signals, gradients.bvals, limit, volumes, image)
    without = np.flatnonzero(gradients.b0)
    pair = (without[0], without[-1]) if len(without) > 1 else ()
    ends = tuple(Grid3D(data[..., number].astype(np.float32), affine) for number in pair)
    return Part(signals, counted, gradients, affine, n_uneven, ends, air)


def count_uneven(
    signals: NDArray[np.floating],
    bvals: NDArray[np.float64],
    b0_limit: float,
    volumes: Sequence[int],
    image: Path,
) -> int:
    """Count the volumes that are brighter or darker than others of their b-value, and name them.

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        Of the voxels that count.
    bvals : ndarray of shape (g,)
        s/mm².
    b0_limit
        Up to which b a volume counts as without weighting, s/mm².
    volumes
        Their numbers in the series.
    image
        The series, for messages.

    Raises
    ------
    InputError
        If a volume holds no signal, or the b-values are not those of the volumes.
    """
    numbers = np.asarray(volumes)
    try:
        found = uneven_volumes(signal_levels(signals), bvals, b0_limit, numbers)
    except UnfitSeriesError as error:
        raise InputError(f"{image}: {error}.") from error
    if found:
        log.warning(
            "%s: brighter or darker than others of their b-value by half and more: %s; look "
            "whether b-values are in the order of the volumes, and whether signal was lost. The "
            "series is marked 'check'.",
            image, listed(np.array(found)),
        )  # fmt: skip
    return len(found)


def check_left(counted: NDArray[np.bool_], file: Path) -> None:
    """Refuse a series of which no voxel counts, or has a fit.

    Parameters
    ----------
    counted
        Voxels that count, or that a model was fitted to.
    file
        The mask that leaves none, or the series.

    Raises
    ------
    InputError
        If there is none.
    """
    if not counted.any():
        raise InputError(f"{file} leaves no voxel to fit a model to; look at it.")


def head_mask(b0: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find the head in volumes without weighting by its brightness.

    Parameters
    ----------
    b0 : ndarray of shape (X, Y, Z, n)
        The volumes.
    """
    bright = np.nan_to_num(b0.mean(axis=3), posinf=0, neginf=0)
    return np.asarray(bright > HEAD_SHARE * np.percentile(bright, 99))


def tissue_on(tissue: LabelImage, part: Part, transform: Path | None) -> NDArray[np.int64]:
    """Return the tissue class at the middle of each voxel of a series; 0 is none.

    Parameters
    ----------
    tissue
        seg-tissue, on the reference.
    part
        The series.
    transform
        From the series to the reference, ITK; None where the headers agree.
    """
    affine = part.affine
    if transform is not None:
        affine = np.linalg.inv(read_itk_affine(transform)) @ affine
    middles = np.indices(part.mask.shape).reshape(3, -1).T.astype(np.float64)
    index = np.rint(apply_affine(np.linalg.inv(tissue.affine) @ affine, middles)).astype(int)
    inside = ((index >= 0) & (index < tissue.data.shape)).all(axis=1)
    found = np.zeros(len(index), dtype=np.int64)
    found[inside] = class_of(tissue.data)[tuple(index[inside].T)]
    return found.reshape(part.mask.shape)


def near_white(part: Part, tissue: LabelImage, transform: Path | None) -> NDArray[np.bool_]:
    """Find the voxels of a series in white matter and two around it.

    Parameters
    ----------
    part
        The series.
    tissue, transform
        seg-tissue, and what leads from the series to it.
    """
    white = np.isin(tissue_on(tissue, part, transform), WHITE_OR_WMH)
    cube = np.ones((3, 3, 3), dtype=bool)
    near = ndimage.binary_dilation(white, cube, iterations=MARGIN_VOXELS)
    return np.asarray(near & part.mask)


class Shown(NamedTuple):
    """What shows the anatomy of a series."""

    image: Grid3D


@step(mem_gb=1.5, seconds=5, gives_maps=True)
def average_b0(image: Path, bval: Path, trust: str | None = None) -> Shown:
    """Average the volumes without diffusion weighting.

    Parameters
    ----------
    image, bval
        The series, and its b-values.
    trust
        The form of the header that is believed.
    """
    bvals = load_bvals(bval)
    limit = LARGEST_B0 if bvals.min() <= LARGEST_B0 else LARGEST_LOWEST
    data, affine = load_series(image, np.flatnonzero(bvals <= limit).tolist())
    mean = np.nan_to_num(data.mean(axis=3), posinf=0, neginf=0)
    return Shown(Grid3D(mean, trusted_affine(image, affine, trust)))


class TensorMaps(NamedTuple):
    """Maps of a tensor, the tensors along the world's axes (mm²/s), and how well they are known."""

    fa: Grid3D
    md: Grid3D
    ad: Grid3D
    rd: Grid3D
    tensors: Columns
    facts: Facts


@step(mem_gb=3.0, seconds=10, gives_maps=True)
def fit_tensors(
    image: Path,
    bval: Path,
    volumes: list[int],
    convention: str,
    bvec: Path | None = None,
    table: Path | None = None,
    mask: Path | None = None,
    trust: str | None = None,
    fit: str = "wls",
    tissue: LabelImage | None = None,
    transform: Path | None = None,
) -> TensorMaps:
    """Fit a tensor to each voxel, and see whether its directions follow fibres.

    Parameters
    ----------
    image, bval, bvec, table, mask
        The files of the series.
    volumes
        Numbers of the volumes that are fitted.
    convention
        Along which axes the directions of ``bvec`` lie.
    trust
        The form of the header that is believed.
    fit
        How: ``wls``, or ``robust`` near white matter.
    tissue, transform
        seg-tissue, and what leads from the series to it; a robust fit needs to know where.
    """
    part = load_part(image, bval, bvec, table, mask, volumes, convention, trust)
    found = fit_tensor(part.signals, part.gradients)
    if fit == "robust" and tissue is not None:
        near = near_white(part, tissue, transform)[part.mask]
        found = fit_tensor_robustly(found, part.signals, part.gradients, near)
    fitted = np.isfinite(found.fa)
    check_left(fitted, image)
    coherence = _coherence(part, found, fitted)
    _say_table(image, coherence)
    return TensorMaps(
        part.grid(found.fa),
        part.grid(found.md),
        part.grid(found.ad),
        part.grid(found.rd),
        Columns(found.tensors, part.mask, part.affine),
        _design_facts(part) | _tensor_facts(found, fitted, coherence) | _apart(part, image),
    )


def _design_facts(part: Part) -> Facts:
    return {
        "condition_number": design_condition(part.gradients),
        "redundancy": len(part.gradients.bvals) - TENSOR_UNKNOWNS,
        "uneven_volumes": part.n_uneven,
        "air_share": part.air_share,
    }


def _apart(part: Part, image: Path) -> Facts:
    """Tell how far the head moved between the first and the last volume without weighting."""
    names = ("its first volume without weighting", "its last one")
    return {"apart_mm": apart_fact(str(image), part.ends, names) if part.ends else None}


def _coherence(part: Part, fit: TensorFit, fitted: NDArray[np.bool_]) -> Coherence:
    along = np.zeros((len(fitted), 3))
    along[fitted] = main_directions(fit.tensors[fitted]) @ image_axes(part.affine)
    fibres = np.zeros((*part.mask.shape, 3))
    fibres[part.mask] = along
    fa = np.full(part.mask.shape, np.nan)
    fa[part.mask] = tissue_fa(fit.fa, fit.md, fit.rd)
    return fibre_coherence(fibres, fa, np.asarray(spacing_of(part.affine)))


def _say_table(image: Path, coherence: Coherence) -> None:
    """Say that directions follow no fibres; nothing is turned round."""
    if coherence.is_right is False:
        log.warning(
            "%s: its directions follow the fibres best with %s, so that its table of gradients "
            "seems to be of another convention. FA and diffusivities are right all the same; "
            "DTI-ALPS is not computed. Correct the table.",
            image,
            coherence.words,
        )


def _tensor_facts(fit: TensorFit, fitted: NDArray[np.bool_], coherence: Coherence) -> Facts:
    right = coherence.is_right
    return {
        "n_voxels": len(fitted),
        "n_without_fit": int(np.count_nonzero(~fitted)),
        "negative_fraction": fit.n_negative / max(int(fitted.sum()), 1),
        "directions_follow_fibres": None if right is None else int(right),
        "second_best_table": coherence.second,
        "best_table": coherence.words,
    }
