"""Steps that prepare images, and bring them and transforms into the forms that other steps take."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wmhflow.ants.transforms import resample_through
from wmhflow.core.checks import sanity
from wmhflow.core.checks.ghosts import ghost_share
from wmhflow.core.checks.slices import darkest_slice
from wmhflow.core.checks.zero import zero_level
from wmhflow.core.space.geometry import spacing_of
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.chains import chain_matrix
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_volume
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import Template, cached_template
from wmhflow.steps.kinds import Facts, Folder, MaskImage, Space, step

log = logging.getLogger("wmhflow")


class Prepared(NamedTuple):
    """An image that is safe to compute with, and what its values tell."""

    image: Grid3D
    facts: Facts


@step(mem_gb=1.0)
def prepare_image(in_file: Path, judged: bool = True, trust: str | None = None) -> Prepared:
    """Make an image safe to compute with; its grid stays as it is.

    Parameters
    ----------
    in_file
        Raw 3D image.
    judged
        Whether an image of noise, a mask, or a field with next to nothing in it is refused.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.

    Returns
    -------
    Prepared
        Single precision; voxels that were NaN or infinite are 0 and counted. Where an image is
        judged and no signal has another value than 0, that value is taken off all others.

    Raises
    ------
    InputError
        If the image cannot be that of a head.
    """
    data, affine = load_volume(in_file)
    affine = trusted_affine(in_file, affine, trust)
    values = np.asarray(data, dtype=np.float32)
    finite = np.isfinite(values)
    facts: Facts = {"nonfinite_voxels": int(np.count_nonzero(~finite))}
    values = np.where(finite, values, np.float32(0))
    if judged:
        # what is derived from brightness rests on shares of it
        level = zero_level(values)
        if level:
            log.warning("%s has %.6g where there is no signal; it is taken off.", in_file, level)
            values = np.where(finite, values - np.float32(level), np.float32(0))
        told = sanity.value_facts(values, spacing_of(affine))
        refuse(str(in_file), sanity.value_finding(told))
        ghost = ghost_share(values, spacing_of(affine))
        facts |= {**told, "ghost_share": ghost, "darkest_slice": darkest_slice(values)}
        facts["zero_level"] = level
    return Prepared(Grid3D(values, affine), facts)


def refuse(source: str, finding: str | None) -> None:
    """Fail with the file's name if something was found.

    Raises
    ------
    InputError
        The file, what is wrong with it, and what to do.
    """
    if finding:
        raise InputError(
            f"{source} {finding}; look at it, and give the right image or leave the person out."
        )


class Transform(NamedTuple):
    """A linear transform as ITK writes it."""

    transform: Path


@step(mem_gb=0.5)
def convert_transform(
    in_file: Path,
    moving: Path,
    fixed: Path,
    folder: Folder,
    trust: str | None = None,
    inverted: bool = False,
) -> Transform:
    """Write a linear transform of any program, or its inverse, as ITK does.

    Parameters
    ----------
    in_file
        Linear transform of any program.
    moving, fixed
        The image that it moves, and the one that it leads to.
    folder
        Where it is written.
    trust
        The form of the images' headers that is believed, ``sform`` or ``qform``.
    inverted
        Whether its inverse is meant: the file leads from the fixed image to the moving one.
    """
    matrix = chain_matrix([in_file], [inverted], moving, fixed, trust)
    return Transform(Path(write_itk_affine(matrix, folder / "transform.txt")))


class Resampled(NamedTuple):
    """An image on another's grid."""

    image: Grid3D


@step(mem_gb=2.0)
def resample(moving: Grid3D, space: Space, transforms: list[Path]) -> Resampled:
    """Resample an image onto a grid through transforms, linearly.

    Parameters
    ----------
    moving
        Image to resample.
    space
        Grid to fill.
    transforms
        The last is applied first.
    """
    values = resample_through(moving, space.empty, [str(path) for path in transforms])
    return Resampled(Grid3D(values, space.affine))


class Intracranial(NamedTuple):
    """What lies within the skull."""

    mask: MaskImage


@step(mem_gb=2.0)
def find_intracranial(template: Template, space: Space, inverse: Path) -> Intracranial:
    """Bring the template's brain, with the fluid around it, to the person.

    Parameters
    ----------
    template
        The template.
    space
        The reference grid.
    inverse
        From the template to the reference.
    """
    mask = template.grid("brain_mask")
    laid = resample_through(mask, space.empty, [str(inverse)], "nearest")
    return Intracranial(MaskImage(np.rint(laid) != 0, space.affine))


class Found(NamedTuple):
    """The template and its priors."""

    template: Template


@step(mem_gb=2.0, always=True, seconds=10)
def find_template() -> Found:
    """Find the template with its priors, which are drawn if no run drew them before."""
    return Found(cached_template())
