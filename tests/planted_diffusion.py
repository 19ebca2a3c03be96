"""A diffusion series of the coarse head: tensors whose every number is planted, without noise."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from tests.builders import describe
from tests.coarse import MOTIONS, PLACE, Coarse, coarse_dataset, head, planted, save
from tests.core.diffusion.series import table

MD = 0.8e-3
FLUID = 3e-3
# diffusivity along left and right beside that along the other axis across fibres: DTI-ALPS
ALPS = 1.5
# in the template, mm: fibres go up within, and to the front beyond
PROJECTION_MM = 32.0
GIVEN_FA = "model-tensor_param-fa_dwimap.nii.gz"


@cache
def eigenvalues() -> tuple[np.ndarray, np.ndarray]:
    """FA, and the eigenvalues (along, left-right, other) of mean MD and ratio ALPS that have it."""
    other = np.linspace(0.02e-3, 3 * MD / (1.25 + 1 + ALPS), 4000)
    values = np.stack([3 * MD - (1 + ALPS) * other, ALPS * other, other], axis=1)
    fa = np.sqrt(1.5 * ((values - MD) ** 2).sum(axis=1) / (values**2).sum(axis=1))
    return fa[::-1], values[::-1]


def tensors() -> np.ndarray:
    """The tensors along the axes of the series' world, (X, Y, Z, 3, 3), mm²/s."""
    made = head()
    fa, values = eigenvalues()
    along, sideways, other = (np.interp(planted("FA"), fa, part) for part in values.T)
    places = np.moveaxis(np.indices(made.codes.shape), 0, -1)
    in_template = np.linalg.inv(PLACE) @ made.affine
    x = (places @ in_template[:3, :3].T + in_template[:3, 3])[..., 0]
    up = np.abs(x) < PROJECTION_MM
    local = np.zeros((*x.shape, 3, 3))
    local[..., 0, 0] = sideways
    local[..., 1, 1] = np.where(up, other, along)
    local[..., 2, 2] = np.where(up, along, other)
    fluid = np.isin(made.codes, (4, 43, 24)) & ~made.lesions
    local[fluid] = np.eye(3) * FLUID
    rotation = (MOTIONS["dwi"] @ PLACE)[:3, :3]
    return rotation @ local @ rotation.T


def write_series(
    folder: Path, shells: tuple[tuple[float, int], ...], flip: int | None = None
) -> Path:
    """Write a preprocessed series with its table, in FSL's convention; ``flip`` makes it wrong."""
    made, affine = head(), MOTIONS["dwi"] @ head().affine
    bvals, world = table(*shells, n_b0=1)
    inside = made.codes > 0
    within = tensors()[inside]
    b0 = np.where(np.isin(made.codes, (4, 43, 24)), 1500, 700 + 20 * (made.codes % 7))[inside]
    data = np.zeros((*made.codes.shape, len(bvals)), np.float32)
    data[inside] = b0[:, None] * np.exp(
        -bvals * np.einsum("gi,nij,gj->ng", world, within, world, optimize=True)
    )
    path = folder / "sub-01" / "dwi" / "sub-01_desc-preproc_dwi.nii"
    save(path, data, affine)
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    written = world @ axes
    if np.linalg.det(affine[:3, :3]) > 0:
        written[:, 0] *= -1
    if flip is not None:
        written[:, flip] *= -1
    np.savetxt(path.with_suffix(".bval"), bvals[None], fmt="%g")
    np.savetxt(path.with_suffix(".bvec"), written.T, fmt="%.12f")
    return path


def write_mask(folder: Path, planes: slice) -> None:
    """Write a mask of the brain in some planes, beside the series."""
    mask = np.zeros(head().codes.shape, np.uint8)
    mask[:, :, planes] = head().codes[:, :, planes] > 0
    path = folder / "sub-01" / "dwi" / "sub-01_desc-brain_mask.nii.gz"
    save(path, mask, MOTIONS["dwi"] @ head().affine)


def diffusion_dataset(
    folder: Path, shells: tuple[tuple[float, int], ...] = ((1000, 12),)
) -> Coarse:
    """The coarse dataset with a diffusion series in the place of the map of FA."""
    made = coarse_dataset(folder, without=[GIVEN_FA])
    describe(folder / "prep", DatasetType="derivative", GeneratedBy=[{"Name": "by hand"}])
    write_series(folder / "prep", shells)
    # where a series lies is told by a transform of its own dataset
    for path in [*made.given.rglob("*from-dwi_to-*")]:
        target = folder / "prep" / path.relative_to(made.given)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    return made
