"""The way from the program's template to another one, registered once and kept."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

import wmhflow
from wmhflow.ants.bridge import register_bridge
from wmhflow.bids.writer import write_bytes
from wmhflow.files.grids import load_grid
from wmhflow.products.sidecars import software_versions
from wmhflow.registries.atlases import atlas_directory

log = logging.getLogger("wmhflow")


class _BridgeInput(BaseInterfaceInputSpec):
    image = File(exists=True, mandatory=True, desc="T1w of the other template, or an atlas")
    has_labels = traits.Bool(False, usedefault=True, desc="the image holds FreeSurfer's codes")
    template_t1w = File(exists=True, mandatory=True, desc="the program's template, skull-stripped")
    template_mask = File(exists=True, mandatory=True, desc="its brain")
    cortex = File(exists=True, mandatory=True, desc="the template's priors")
    deep_grey = File(exists=True, mandatory=True)
    csf = File(exists=True, mandatory=True)
    ventricles = File(exists=True, mandatory=True)
    infratentorial = File(exists=True, mandatory=True)
    seed = traits.Int(42, usedefault=True, desc="seed of everything random")


class _BridgeOutput(TraitedSpec):
    forward = File(exists=True, desc="points of the program's template to points of the other one")


class BridgeTemplates(SimpleInterface):
    """Register the image of another template to the program's own, or take it from the cache."""

    input_spec = _BridgeInput
    output_spec = _BridgeOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        out = Path(runtime.cwd) / "bridge.h5"
        kept = kept_bridge(Path(inputs.image), Path(inputs.template_t1w), inputs.seed)
        if is_whole(kept):
            shutil.copyfile(kept, out)
        else:
            register_bridge(inputs, out)
            keep(out, kept)
        self._results["forward"] = str(out)
        return runtime


def kept_bridge(image: Path, template_t1w: Path, seed: int) -> Path:
    """Return where the transform between two images is kept, for this version of the program."""
    told = hashlib.sha256(image.read_bytes())
    # not the file's bytes: a compressed file holds when it was written
    template = load_grid(template_t1w)
    told.update(template.data.tobytes() + template.affine.tobytes())
    made_by = {"wmhflow": wmhflow.__version__, "antspyx": software_versions()["antspyx"]}
    told.update(json.dumps([made_by, seed]).encode())
    return atlas_directory() / "bridges" / f"{told.hexdigest()[:20]}.h5"


def keep(made: Path, kept: Path) -> None:
    """Put a transform into the cache, whole or not at all; a read-only cache stays as it is."""
    try:
        write_bytes(kept, made.read_bytes())
    except OSError as error:
        # the next run makes it again: slower, and the same bytes
        log.warning("%s cannot be kept (%s): every run makes it anew.", kept, error.strerror)


def is_whole(kept: Path) -> bool:
    """Tell whether a transform is in the cache and can be read to its end."""
    import h5py

    try:
        with h5py.File(kept) as stored:
            return "TransformGroup" in stored
    except OSError:
        return False
