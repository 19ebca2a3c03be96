"""The symmetric template, and the priors that are drawn on it."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from wmhflow.core.tissue import template as templates
from wmhflow.errors import MissingProgramError

if TYPE_CHECKING:
    pass


TEMPLATE_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
MASK_PRIORS = ("brain_mask", "ventricles", "infratentorial")


# --- the template -------------------------------------------------------------------------------


def template_path(kind: str) -> Path:
    """Find an image of the symmetric ICBM152 template in nilearn's package.

    Parameters
    ----------
    kind
        ``t1``, ``gm`` or ``wm``.

    Returns
    -------
    Path
        The image.

    Raises
    ------
    MissingProgramError
        If nilearn, or the file in it, is not there.
    """
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise MissingProgramError("nilearn is not installed; the template lies in its package.")
    path = Path(spec.origin).parent / "datasets" / "data" / TEMPLATE_FILE.format(kind)
    if not path.is_file():
        raise MissingProgramError(f"{path} is not in nilearn's package; install nilearn 0.14.")
    return path


def write_template_priors(out_dir: Path, resolution: int) -> dict[str, str]:
    """Write the template and every prior drawn on it.

    Parameters
    ----------
    out_dir
        Folder to write into.
    resolution
        Voxel size in mm, 1 or 2.

    Returns
    -------
    dict
        Paths by name: ``t1w`` and the fields of ``TemplatePriors``.
    """
    image: Any = nib.load(template_path("t1"))
    arrays = [np.asanyarray(nib.load(template_path(k)).dataobj) for k in ("t1", "gm", "wm")]
    priors = dataclasses.asdict(templates.make_priors(*arrays, image.affine))
    affine = image.affine @ np.diag([resolution, resolution, resolution, 1.0])
    written = {}
    for name, values in {"t1w": arrays[0].astype(np.float32), **priors}.items():
        coarse = templates.coarsen(values.astype(np.float32), resolution)
        coarse, dtype = (coarse > 0.5, np.uint8) if name in MASK_PRIORS else (coarse, np.float32)
        saved = nib.Nifti1Image(coarse.astype(dtype), affine)
        saved.set_sform(affine, code="mni")
        saved.set_qform(affine, code="mni")
        saved.header.set_xyzt_units("mm")
        nib.save(saved, out_dir / f"{name}.nii.gz")
        written[name] = str((out_dir / f"{name}.nii.gz").absolute())
    return written
