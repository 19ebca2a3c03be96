"""The symmetric template, and the priors that are drawn on it: once, for every run."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

import wmhflow
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import MissingProgramError
from wmhflow.files.caches import cache_folder, is_writable
from wmhflow.files.images import load_grid, load_image

TEMPLATE_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
MASK_PRIORS = ("brain_mask", "ventricles", "infratentorial")
# the template itself, and what is drawn on it: the fields of core.tissue.template.TemplatePriors
PRIORS = ("csf", "cortex", "deep_grey", "white", "ventricles", "infratentorial")
IMAGES = ("t1w", "brain_mask", *PRIORS)
# a folder that may be read-only, as in an image: it is looked into first
CACHE_VARIABLE = "WMHFLOW_CACHE_DIR"
# beside the images: the checksum of each, since disks and copies damage what lies there for years
CHECKSUMS = "checksums.json"
log = logging.getLogger("wmhflow")


@dataclass(frozen=True)
class Template:
    """The skull-stripped template and the priors on its grid, in a folder.

    Images are called as in ``IMAGES``: ``t1w``, its ``brain_mask``, probabilities of ``csf``,
    ``cortex``, ``deep_grey`` and ``white`` matter, the generous region of the lateral
    ``ventricles``, and ``infratentorial``: cerebellum and brain stem.
    """

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def path(self, name: str) -> Path:
        """Return where an image lies."""
        return self.folder / f"{name}.nii.gz"

    def grid(self, name: str) -> Grid3D:
        """Load an image."""
        return load_grid(self.path(name))

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Load a mask."""
        return self.grid(name).data > 0


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


def cached_template() -> Template:
    """Return the template with its priors, drawn now if no run drew them before.

    They are kept in ``WMHFLOW_CACHE_DIR`` or in the user's cache, in a folder named after the
    images that they are drawn on and the code that draws them.
    """
    name = f"template-{_key()}"
    given = os.environ.get(CACHE_VARIABLE)
    if given and _is_whole(Path(given) / name):
        return Template(Path(given) / name)
    parent = Path(given) if given and is_writable(Path(given)) else cache_folder("template")
    if not _is_whole(parent / name):
        _draw_into(parent / name)
    return Template(parent / name)


def _key() -> str:
    """Name what the priors depend on: the images, and the modules that draw them."""
    told = hashlib.sha256(wmhflow.__version__.encode())
    for kind in ("t1", "gm", "wm"):
        told.update(template_path(kind).read_bytes())
    for module in (__name__, "wmhflow.core.tissue.template"):
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None:
            told.update(Path(spec.origin).read_bytes())
    return told.hexdigest()[:16]


def _is_whole(folder: Path) -> bool:
    """Tell whether every image is there as it was drawn."""
    try:
        noted = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        return bool(noted == _checksums(folder))
    except (OSError, ValueError, RecursionError):
        return False


def _checksums(folder: Path) -> dict[str, int]:
    return {name: zlib.crc32((folder / f"{name}.nii.gz").read_bytes()) for name in IMAGES}


def _draw_into(folder: Path) -> None:
    """Draw the priors into a folder that appears whole; other jobs may draw at the same time."""
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".drawn-"))
    damaged = partial.with_name(f"{partial.name}-damaged")
    try:
        write_template_priors(partial)
        (partial / CHECKSUMS).write_text(json.dumps(_checksums(partial)), encoding="utf-8")
        partial.chmod(0o755)
        if folder.exists() and not _is_whole(folder):
            log.warning("%s was damaged: the template was drawn anew.", folder)
            folder.rename(damaged)
        partial.replace(folder)
    except OSError:
        # another job was faster: what it drew is the same
        if not _is_whole(folder):
            raise
    finally:
        for left in (partial, damaged):
            shutil.rmtree(left, ignore_errors=True)


def write_template_priors(folder: Path) -> None:
    """Write the template and every prior drawn on it.

    Parameters
    ----------
    folder
        Where they are written: ``t1w`` and the fields of ``TemplatePriors``.
    """
    from wmhflow.core.tissue import template as templates

    t1, affine = load_image(template_path("t1"))
    grey, white = (load_image(template_path(kind))[0] for kind in ("gm", "wm"))
    priors = dataclasses.asdict(templates.make_priors(t1, grey, white, affine))
    for name, values in {"t1w": t1.astype(np.float32), **priors}.items():
        dtype = np.uint8 if name in MASK_PRIORS else np.float32
        drawn: Any = values > 0.5 if name in MASK_PRIORS else values
        saved = nib.Nifti1Image(drawn.astype(dtype), affine)
        saved.set_sform(affine, code="mni")
        saved.set_qform(affine, code="mni")
        saved.header.set_xyzt_units("mm")
        nib.save(saved, folder / f"{name}.nii.gz")


if __name__ == "__main__":
    print(cached_template())
