"""Steps that fit models beyond the tensor to a diffusion series."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wmhflow.core.diffusion.fractions import LEAST_RESPONSE_VOXELS, shell_means, tissue_fractions
from wmhflow.core.diffusion.freewater import fit_free_water
from wmhflow.core.diffusion.gradients import shells_of
from wmhflow.core.diffusion.ivim import fit_ivim
from wmhflow.core.diffusion.kurtosis import fit_kurtosis
from wmhflow.core.diffusion.selection import SAME_IVIM_B, tensor_volumes
from wmhflow.core.diffusion.tensor import fit_tensor
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.forms import trusted_affine
from wmhflow.files.gradients import load_bvals
from wmhflow.files.images import load_series, load_volume
from wmhflow.labels.digits import CORTEX, VENTRICLES, WHITE_MATTER
from wmhflow.steps.diffusion import (
    Part,
    check_left,
    count_uneven,
    head_mask,
    load_part,
    near_white,
    tissue_on,
)
from wmhflow.steps.kinds import Facts, LabelImage, step
from wmhflow.steps.levels import series_without_level

# Voxels of one bundle, and of cortex, that show what the tissue's signal is.
LEAST_WHITE_FA, LARGEST_GREY_FA = 0.7, 0.2
log = logging.getLogger("wmhflow")


def _near_white(part: Part, tissue: LabelImage, transform: Path | None, image: Path) -> Part:
    """Keep the voxels of white matter and two around it."""
    near = near_white(part, tissue, transform)
    if not near.any():
        raise InputError(f"{image} shows no white matter where it lies; check how it is aligned.")
    return replace(part, signals=part.signals[near[part.mask]], mask=near)


class FreeWaterMaps(NamedTuple):
    """The share of free water, and maps of the tensor beside it."""

    fw: Grid3D
    fat: Grid3D
    mdt: Grid3D
    facts: Facts


@step(mem_gb=3.0, seconds=40, gives_maps=True)
def fit_free_waters(
    image: Path,
    bval: Path,
    volumes: list[int],
    convention: str,
    tissue: LabelImage,
    bvec: Path | None = None,
    table: Path | None = None,
    mask: Path | None = None,
    transform: Path | None = None,
    trust: str | None = None,
) -> FreeWaterMaps:
    """Fit free water and a tensor beside it in white matter and two voxels around it.

    Parameters
    ----------
    image, bval, bvec, table, mask
        The files of the series.
    volumes
        Numbers of the volumes that are fitted.
    convention
        Along which axes the directions of ``bvec`` lie.
    tissue, transform
        seg-tissue, and what leads from the series to it.
    trust
        The form of the header that is believed.
    """
    whole = load_part(image, bval, bvec, table, mask, volumes, convention, trust)
    part = _near_white(whole, tissue, transform, image)
    fit = fit_free_water(part.signals, part.gradients)
    check_left(np.isfinite(fit.fraction), image)
    facts = _counted(fit.fraction) | {
        "tensorless_fraction": _share(np.isnan(fit.md), np.isfinite(fit.fraction)),
        "uneven_volumes": part.n_uneven,
        "air_share": part.air_share,
    }
    return FreeWaterMaps(part.grid(fit.fraction), part.grid(fit.fa), part.grid(fit.md), facts)


class KurtosisMaps(NamedTuple):
    """Maps of kurtosis."""

    mk: Grid3D
    ak: Grid3D
    rk: Grid3D
    kfa: Grid3D
    mkt: Grid3D
    facts: Facts


@step(mem_gb=4.0, seconds=120, gives_maps=True)
def fit_kurtoses(
    image: Path,
    bval: Path,
    volumes: list[int],
    convention: str,
    tissue: LabelImage,
    bvec: Path | None = None,
    table: Path | None = None,
    mask: Path | None = None,
    transform: Path | None = None,
    trust: str | None = None,
) -> KurtosisMaps:
    """Fit kurtosis in white matter and two voxels around it.

    Parameters
    ----------
    image, bval, bvec, table, mask
        The files of the series.
    volumes
        Numbers of the volumes that are fitted.
    convention
        Along which axes the directions of ``bvec`` lie.
    tissue, transform
        seg-tissue, and what leads from the series to it.
    trust
        The form of the header that is believed.
    """
    whole = load_part(image, bval, bvec, table, mask, volumes, convention, trust)
    part = _near_white(whole, tissue, transform, image)
    fit = fit_kurtosis(part.signals, part.gradients)
    check_left(np.isfinite(fit.mkt) | np.isfinite(fit.mk), image)
    facts = _counted(fit.mk) | {
        "bounded_fraction": fit.bounded_fraction,
        "uneven_volumes": part.n_uneven,
        "air_share": part.air_share,
    }
    maps = (fit.mk, fit.ak, fit.rk, fit.kfa)
    mk, ak, rk, kfa = (part.grid(values) for values in maps)
    return KurtosisMaps(mk, ak, rk, kfa, part.grid(fit.mkt), facts)


class IvimMaps(NamedTuple):
    """Diffusivity of tissue, and the share of perfusion."""

    d: Grid3D
    f: Grid3D
    facts: Facts


@step(mem_gb=2.0, seconds=10, gives_maps=True)
def fit_ivims(
    image: Path,
    bval: Path,
    volumes: list[int],
    mask: Path | None = None,
    trust: str | None = None,
) -> IvimMaps:
    """Fit slow diffusion and the share of perfusion.

    Parameters
    ----------
    image, bval, mask
        The files of the series; the directions of each b are averaged.
    volumes
        Numbers of the volumes that are fitted.
    trust
        The form of the header that is believed.
    """
    used = load_bvals(bval)[volumes]
    data, affine = load_series(image, volumes)
    data, air = series_without_level(str(image), data, int(np.argmin(used)))
    counted = (
        head_mask(data[..., used == used.min()]) if mask is None else load_volume(mask)[0] != 0
    )
    check_left(counted, mask or image)
    n_uneven = count_uneven(data[counted], used, SAME_IVIM_B, volumes, image)
    fit = fit_ivim(data[counted], used)
    check_left(np.isfinite(fit.fraction), image)
    laid = []
    for values in (fit.diffusivity, fit.fraction):
        grid = np.full(counted.shape, np.nan, dtype=np.float32)
        grid[counted] = values
        laid.append(Grid3D(grid, trusted_affine(image, affine, trust)))
    facts = _counted(fit.diffusivity) | {"uneven_volumes": n_uneven, "air_share": air}
    return IvimMaps(laid[0], laid[1], facts)


class FractionMaps(NamedTuple):
    """Fractions like those of white matter, grey matter and fluid."""

    white: Grid3D
    grey: Grid3D
    fluid: Grid3D
    facts: Facts


@step(mem_gb=3.0, seconds=10, gives_maps=True)
def divide_tissues(
    image: Path,
    bval: Path,
    volumes: list[int],
    convention: str,
    tissue: LabelImage,
    bvec: Path | None = None,
    table: Path | None = None,
    mask: Path | None = None,
    transform: Path | None = None,
    trust: str | None = None,
) -> FractionMaps:
    """Divide the mean signal of each shell among three tissues, whose signals the person shows.

    Parameters
    ----------
    image, bval, bvec, table, mask
        The files of the series.
    volumes
        Numbers of the volumes that are fitted.
    convention
        Along which axes the directions of ``bvec`` lie.
    tissue, transform
        seg-tissue, and what leads from the series to it.
    trust
        The form of the header that is believed.
    """
    part = load_part(image, bval, bvec, table, mask, volumes, convention, trust)
    shells = [part.gradients.b0.tolist(), *(one.volumes for one in shells_of(part.gradients))]
    means = shell_means(part.signals, shells)
    pure = _pure_voxels(part, tissue_on(tissue, part, transform))
    counts = {f"n_response_{name}": int(chosen.sum()) for name, chosen in pure.items()}
    if min(counts.values()) < LEAST_RESPONSE_VOXELS:
        log.warning(
            "%s: too few voxels show the signal of one tissue alone (%s, where %d are needed), so "
            "that no voxel can be divided among tissues: the maps hold no value.",
            image,
            ", ".join(f"{name.removeprefix('n_response_')} {n}" for name, n in counts.items()),
            LEAST_RESPONSE_VOXELS,
        )
        found = np.full((len(means), 3), np.nan)
    else:
        found = tissue_fractions(
            means, np.stack([np.median(means[chosen], axis=0) for chosen in pure.values()])
        )
    series_facts = {"uneven_volumes": part.n_uneven, "air_share": part.air_share}
    facts = _counted(found[:, 0]) | counts | series_facts
    white, grey, fluid = (part.grid(found[:, column]) for column in range(3))
    return FractionMaps(white, grey, fluid, facts)


def _pure_voxels(part: Part, classes: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Choose voxels of one tissue alone: a bundle, cortex, and the middle of the ventricles."""
    low = tensor_volumes(part.gradients).volumes
    fa = fit_tensor(part.signals[:, list(low)], part.gradients.part(low)).fa
    sound = (np.isfinite(part.signals) & (part.signals > 0)).all(axis=1)
    here = classes[part.mask]
    core = ndimage.binary_erosion(classes == VENTRICLES)[part.mask]
    return {
        "white": sound & (here == WHITE_MATTER) & (fa > LEAST_WHITE_FA),
        "grey": sound & (here == CORTEX) & (fa < LARGEST_GREY_FA),
        "fluid": sound & core,
    }


def _counted(values: NDArray[np.float64]) -> Facts:
    return {"n_voxels": len(values), "n_without_fit": int(np.count_nonzero(np.isnan(values)))}


def _share(chosen: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(chosen & among)) / max(int(np.count_nonzero(among)), 1)
