"""Interfaces that let nothing through that cannot be a brain's image.

Each hands on what it was given, so that whatever comes later waits for the check.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.ants.transforms import apply_transforms
from wmhflow.core.checks import sanity
from wmhflow.core.space.geometry import spacing_of
from wmhflow.errors import InputError
from wmhflow.interfaces._files import load, load_labels, load_mask


class _ImageInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="finite 3D image")
    source = traits.Str(mandatory=True, desc="the file that a message names")


class _ImageOutput(TraitedSpec):
    out_file = File(exists=True, desc="the same image")
    facts = traits.Dict(desc="what its values tell")


class CheckImage(SimpleInterface):
    """Refuse an image of noise, a mask, or a field with next to nothing in it."""

    input_spec = _ImageInput
    output_spec = _ImageOutput

    def _run_interface(self, runtime: Any) -> Any:
        values, affine = load(self.inputs.in_file)
        facts = sanity.value_facts(values, spacing_of(affine))
        refuse(self.inputs.source, sanity.value_finding(facts))
        self._results["out_file"] = self.inputs.in_file
        self._results["facts"] = facts
        return runtime


class _BrainInput(BaseInterfaceInputSpec):
    brain_mask = File(exists=True, mandatory=True, desc="brain on the reference grid")
    reference = File(exists=True, mandatory=True, desc="image with that grid")
    source = traits.Str(mandatory=True, desc="the file that a message names")


class _BrainOutput(TraitedSpec):
    brain_mask = File(exists=True, desc="the same mask")
    facts = traits.Dict(desc="how much of the brain is cut off")


class CheckBrain(SimpleInterface):
    """Refuse an image whose brain is far too small, far too large, or blank."""

    input_spec = _BrainInput
    output_spec = _BrainOutput

    def _run_interface(self, runtime: Any) -> Any:
        brain, affine = load_mask(self.inputs.brain_mask)
        values, _ = load(self.inputs.reference)
        facts = sanity.brain_facts(brain, values, spacing_of(affine))
        refuse(self.inputs.source, sanity.brain_finding(facts))
        self._results["brain_mask"] = self.inputs.brain_mask
        self._results["facts"] = {"cut_share": facts["cut_share"]}
        return runtime


class _AnatomyInput(BaseInterfaceInputSpec):
    tissue = File(exists=True, mandatory=True, desc="tissues on the reference grid")
    brain_mask = File(exists=True, mandatory=True, desc="brain on the reference grid")
    reference = File(exists=True, mandatory=True, desc="image with that grid")
    forward = File(exists=True, mandatory=True, desc="transform from the reference to the template")
    template = File(exists=True, mandatory=True, desc="skull-stripped template")
    template_mask = File(exists=True, mandatory=True, desc="its brain")
    t1w = File(exists=True, desc="T1w on the reference grid")
    flair = File(exists=True, desc="FLAIR on the reference grid")
    source = traits.Str(mandatory=True, desc="the reference that a message names")
    t1w_source = traits.Str("", usedefault=True, desc="the T1w that a message names")
    flair_source = traits.Str("", usedefault=True, desc="the FLAIR that a message names")
    needs_flair = traits.Bool(desc="whether lesions will be looked for in the FLAIR")


class _AnatomyOutput(TraitedSpec):
    tissue = File(exists=True, desc="the same tissues")
    facts = traits.Dict(desc="contrast of each image, and likeness to the template")


class CheckAnatomy(SimpleInterface):
    """Refuse what the template does not explain, and images that are not what their names say."""

    input_spec = _AnatomyInput
    output_spec = _AnatomyOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        ratio = self._likeness(runtime.cwd)
        refuse(inputs.source, sanity.likeness_finding(ratio))
        tissue, affine = load_labels(inputs.tissue)
        paths = {"T1w": inputs.t1w, "FLAIR": inputs.flair}
        images = {name: load(path)[0] for name, path in paths.items() if path}
        found = {
            name: sanity.contrast_facts(values, tissue, spacing_of(affine))
            for name, values in images.items()
        }
        sources = {"T1w": inputs.t1w_source, "FLAIR": inputs.flair_source}
        for name, finding in sanity.contrast_findings(found, inputs.needs_flair).items():
            refuse(sources[name], finding)
        facts = {f"{name}_{key}": v for name, group in found.items() for key, v in group.items()}
        if len(images) == 2:
            brain, _ = load_mask(inputs.brain_mask)
            pair = sanity.pair_facts(images["T1w"][brain], images["FLAIR"][brain], found)
            refuse(inputs.flair_source, sanity.pair_finding(pair, inputs.needs_flair))
            facts |= pair
        self._results["tissue"] = inputs.tissue
        self._results["facts"] = facts | {"template_likeness": ratio}
        return runtime

    def _likeness(self, folder: str) -> float | None:
        inputs = self.inputs
        placed = apply_transforms(
            inputs.reference, inputs.template, [inputs.forward], Path(folder) / "in_template.nii"
        )
        template, _ = load(inputs.template)
        mask, _ = load_mask(inputs.template_mask)
        return sanity.likeness(template, np.asarray(load(placed)[0]), mask)


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
