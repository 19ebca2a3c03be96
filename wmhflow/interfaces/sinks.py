"""Interfaces that write a visit's promised files, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.bids.writer import dictionary_of, table_text, write_bytes, write_json, write_text
from wmhflow.core.regions.lookup import as_volumes
from wmhflow.core.regions.probabilities import STEPS
from wmhflow.core.space.geometry import voxel_mm3
from wmhflow.core.tissue.brain import what_is_shown
from wmhflow.files.images import image_bytes, load_volume, make_image, smallest_label_type
from wmhflow.interfaces._files import load, load_columns, load_json
from wmhflow.products.columns import names
from wmhflow.products.dataset import look_up_table
from wmhflow.products.outputs import (
    image_paths,
    json_path,
    table_columns,
    table_paths,
    transform_paths,
    tsv_path,
)
from wmhflow.products.sidecars import image_sidecar


class _SinkInput(BaseInterfaceInputSpec):
    visit = traits.Any(mandatory=True, desc="the visit's plan")
    settings = traits.Any(mandatory=True, desc="the run's settings")
    keys = traits.List(traits.Str, mandatory=True, desc="what each work file is")
    files = traits.List(traits.Str, mandatory=True, desc="work files")


class _SinkOutput(TraitedSpec):
    out_files = traits.List(traits.Str, desc="what exists now")


class ImageSink(SimpleInterface):
    """Write the images of a visit, with sidecars and look-up tables of lesions and atlases."""

    # the output folder may have changed since; files with equal bytes are not written again
    _always_run = True
    input_spec = _SinkInput
    output_spec = _SinkOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        out, paths = inputs.settings.output_dir, image_paths(inputs.visit)
        works = dict(zip(inputs.keys, inputs.files, strict=True))
        remove_leftovers(out / paths["seg_lesions"].parent)
        written = []
        for key, work in works.items():
            raw = inputs.visit.anatomical.get(key.removeprefix("preproc_"))
            stripped = raw is not None and is_skull_stripped(raw.path)
            content = image_sidecar(inputs.visit, inputs.settings, key, skull_stripped=stripped)
            write_bytes(out / paths[key], image_bytes(final_image(key, work)))
            write_json(out / json_path(paths[key]), content)
            written.append(str(out / paths[key]))
        self._write_lesion_names(out / tsv_path(paths["seg_lesions"]), works["seg_lesions"])
        for atlas in inputs.visit.atlases:
            if not atlas.is_probabilistic:
                table = look_up_table(atlas.regions.values())
                write_text(out / tsv_path(paths[f"atlas_{atlas.name}"]), table)
        self._results["out_files"] = written
        return runtime

    def _write_lesion_names(self, path: Path, work: str) -> None:
        count = int(load(work)[0].max(initial=0))
        rows = [{"index": i, "name": f"lesion {i}"} for i in range(1, count + 1)]
        write_text(path, table_text(["index", "name"], rows))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a run that was killed while it wrote."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def final_image(key: str, work: str) -> nib.Nifti1Image:
    """Give a work image the type that it has on disk."""
    kind = key.partition("_")[0]
    if kind == "atlasprob":
        steps, mask, affine = load_columns(work)
        image = make_image(as_volumes(steps, mask), affine, np.uint8)
        image.header.set_slope_inter(1 / STEPS, 0)
        return image
    data, affine = load(work)
    if kind in ("seg", "atlas"):
        labels = np.rint(data).astype(np.int64)
        return make_image(labels, affine, smallest_label_type(labels))
    if kind == "mask":
        return make_image(data != 0, affine)
    return make_image(data, affine, np.float32)


def is_skull_stripped(raw: Path) -> bool:
    """Tell whether an image, as it was given, shows a brain without its skull."""
    data, affine, _ = load_volume(raw)
    return what_is_shown(np.nan_to_num(data, posinf=0, neginf=0), voxel_mm3(affine)).without_skull


class TransformSink(SimpleInterface):
    """Write the transforms of a visit."""

    # the output folder may have changed since; files with equal bytes are not written again
    _always_run = True
    input_spec = _SinkInput
    output_spec = _SinkOutput

    def _run_interface(self, runtime: Any) -> Any:
        out, paths = self.inputs.settings.output_dir, transform_paths(self.inputs.visit)
        for key, work in zip(self.inputs.keys, self.inputs.files, strict=True):
            write_bytes(out / paths[key], Path(work).read_bytes())
        self._results["out_files"] = [str(out / paths[key]) for key in self.inputs.keys]
        return runtime


class TableSink(SimpleInterface):
    """Write the tables of a visit, with their data dictionaries."""

    # the output folder may have changed since; files with equal bytes are not written again
    _always_run = True
    input_spec = _SinkInput
    output_spec = _SinkOutput

    def _run_interface(self, runtime: Any) -> Any:
        out, paths = self.inputs.settings.output_dir, table_paths(self.inputs.visit)
        for key, work in zip(self.inputs.keys, self.inputs.files, strict=True):
            columns = table_columns(key, self.inputs.visit.zones)
            write_text(out / paths[key], table_text(names(columns), load_json(work)))
            write_json(out / json_path(paths[key]), dictionary_of(columns))
        self._results["out_files"] = [str(out / paths[key]) for key in self.inputs.keys]
        return runtime
