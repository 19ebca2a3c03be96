"""The step that finds acute lesions on a diffusion-weighted image and the ADC."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.transforms import resample_through
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.diffusion.acute import find_acute
from wmhflow.core.space.geometry import spacing_of
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_volume
from wmhflow.labels.digits import VENTRICLES, class_of
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, step

# What is found out, and is not known where the images are refused.
FOUND = (
    *("white_dwi", "white_spread", "white_adc", "fluid_dwi", "fluid_adc"),
    *("coverage", "rim_mm3", "volume_mm3"),
)
log = logging.getLogger("wmhflow")


class AcuteMask(NamedTuple):
    """Acute lesions on the reference grid, and what the rule rests on."""

    mask: MaskImage
    facts: Facts


@step(mem_gb=2.5, seconds=10)
def find_acute_lesions(
    dwi: Grid3D,
    adc: Path,
    tissue: LabelImage,
    brain: MaskImage,
    nawm: MaskImage,
    dwi_transform: Path | None = None,
    adc_transform: Path | None = None,
    haemorrhage: MaskImage | None = None,
    adc_factor: float = 1.0,
    source: str = "",
    trust: str | None = None,
) -> AcuteMask:
    """Bring both images to the reference and find what is bright on the one and dark on the other.

    Parameters
    ----------
    dwi
        Diffusion-weighted image of b about 1000 s/mm².
    adc
        Map of the apparent diffusion coefficient.
    tissue, brain, nawm
        seg-tissue, the brain, and normal-appearing white matter.
    dwi_transform, adc_transform
        From each image to the reference; None where the headers agree.
    haemorrhage
        The haemorrhage, if a mask of it is given.
    adc_factor
        What the values of the map are multiplied by to be mm²/s.
    source
        How messages name the series and the map.
    trust
        The form of the map's header that is believed.
    """
    shown = Grid3D(np.where(dwi.data > 0, dwi.data, np.float32(np.nan)), dwi.affine)
    to = Grid3D(np.zeros(tissue.data.shape, np.float32), tissue.affine)
    try:
        data, affine = load_volume(adc)
        values = np.asarray(data, dtype=np.float32) * np.float32(adc_factor)
        # 0 is the outside of a mask, or a failed fit
        given = Grid3D(np.where(values != 0, values, np.nan), trusted_affine(adc, affine, trust))
        found = find_acute(
            brought(shown, to, dwi_transform),
            brought(given, to, adc_transform),
            brain.data,
            nawm.data,
            class_of(tissue.data) == VENTRICLES,
            spacing_of(tissue.affine),
            dwi.voxel_mm3,
            class_of(tissue.data),
            None if haemorrhage is None else haemorrhage.data,
        )
    except (InputError, UnfitImageError) as error:
        log.warning(
            "%s: acute lesions are not looked for, and their number is n/a: %s. Correct the "
            "images, or leave --acute-source dwi out.", source, error,
        )  # fmt: skip
        nothing = MaskImage(np.zeros(tissue.data.shape, bool), tissue.affine)
        return AcuteMask(nothing, {"refused": 1, **dict.fromkeys(FOUND)})
    return AcuteMask(MaskImage(found.mask, tissue.affine), {"refused": 0, **found.facts})


def brought(grid: Grid3D, to: Grid3D, transform: Path | None) -> NDArray[np.float32]:
    """Bring an image to a grid, linearly; NaN where it has no value, or does not reach.

    Parameters
    ----------
    grid
        Values, NaN where there are none.
    to
        The grid to fill.
    transform
        From the image to the grid; None where the headers agree.
    """
    chain = [] if transform is None else [str(transform)]
    known = np.isfinite(grid.data)
    filled = Grid3D(np.where(known, grid.data, 0).astype(np.float32), grid.affine)
    share = resample_through(Grid3D(known.astype(np.float32), grid.affine), to, chain)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = resample_through(filled, to, chain) / share
    return np.asarray(np.where(share > 0.5, found, np.float32(np.nan)), np.float32)
