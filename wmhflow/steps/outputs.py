"""Steps that write what is promised, whole or not at all: images, tables, transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from wmhflow.bids.writer import (
    Column,
    dictionary_of,
    table_text,
    write_bytes,
    write_json,
    write_text,
)
from wmhflow.core.arrays.threads import thread_count
from wmhflow.core.regions.lookup import as_volumes
from wmhflow.core.regions.probabilities import STEPS
from wmhflow.files.images import (
    PACKING,
    PACKING_SCAN,
    image_bytes,
    make_image,
    map_image,
    smallest_label_type,
)
from wmhflow.steps.kinds import LabelImage, load_columns, load_json, step

# What is written in 16 bits is off by half of this at most: in mm, and in shares of the way from
# the ventricle to the cortex.
COARSEST_STEPS = {"distance": 0.01, "depth": 1e-4}
# A probability is off by less than this, a power of two, and stays on its side of a threshold: in
# single precision most of its image is noise below a thousandth.
PROBABILITY_STEP = 2.0**-13
# The largest number stands for no measurement outside of the brain.
MOST_STEPS = 2**15 - 1
# What is bright in a scan has so many steps, a tenth of what its noise is and less: finer ones are
# noise that cannot be compressed. It has at least the second number, or a few voxels far brighter
# would leave the brain with hardly any; the brain is at least a tenth of what is not 0.
STEPS_OF_SCAN, LEAST_STEPS_OF_SCAN, BRIGHT_PERCENTILE = 1000, 500, 90.0


@dataclass(frozen=True)
class ImageTarget:
    """Where an image is written, how it is stored, and what its JSON file says.

    ``measured`` are fields of the JSON file, present in ``sidecar`` in their place, that have
    to be found out; ``look_up`` is the text of the table beside it, or ``numbered``. ``facts`` is
    the number of the facts that are added to its parameters. ``in_brain``: outside of the brain
    nothing was measured.
    """

    path: Path
    kind: str
    sidecar: Mapping[str, Any]
    measured: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    look_up: str | None = None
    facts: int | None = None
    in_brain: bool = False


@dataclass(frozen=True)
class TableTarget:
    """Where a table is written, and its columns."""

    path: Path
    columns: tuple[Column, ...]


class WrittenFiles(NamedTuple):
    """What exists now."""

    written: list[str]


@step(mem_gb=1.0, seconds=2.0, always=True)
def write_images(
    files: list[Path],
    targets: list[ImageTarget],
    facts: list[dict[str, Any]] | None = None,
    tissue: LabelImage | None = None,
) -> WrittenFiles:
    """Write images with their sidecars and look-up tables.

    Parameters
    ----------
    files, targets
        Work files, and what becomes of each.
    facts
        What steps found out about images, which the targets name by number.
    tissue
        seg-tissue, for images that are limited to the brain.
    """
    brain = None if tissue is None else tissue.data > 0
    targets = [_with_facts(target, facts or []) for target in targets]
    # compression is most of the work, and lets other threads run
    with ThreadPoolExecutor(thread_count()) as pool:
        written = list(pool.map(partial(_write_image, brain=brain), files, targets))
    return WrittenFiles(written)


def _with_facts(target: ImageTarget, facts: Sequence[Any]) -> ImageTarget:
    """Add what was found out about an image to its parameters."""
    if target.facts is None:
        return target
    parameters = {**target.sidecar.get("Parameters", {}), **facts[target.facts]}
    return replace(target, sidecar={**target.sidecar, "Parameters": parameters})


def _write_image(work: Path, target: ImageTarget, brain: NDArray[np.bool_] | None = None) -> str:
    """Write an image with what belongs to it."""
    found = {name: tell() for name, tell in target.measured.items()}
    sidecar = {name: found.get(name, value) for name, value in target.sidecar.items()}
    threshold = target.sidecar.get("Parameters", {}).get("threshold")
    image = final_image(target.kind, work, brain if target.in_brain else None, threshold)
    packing = PACKING_SCAN if target.kind == "scan" else PACKING
    write_bytes(target.path, image_bytes(image, packing))
    start = target.path.name.split(".", maxsplit=1)[0]
    write_json(target.path.with_name(f"{start}.json"), sidecar)
    if target.look_up is not None:
        text = lesion_names(image) if target.look_up == "numbered" else target.look_up
        write_text(target.path.with_name(f"{start}.tsv"), text)
    return str(target.path)


def lesion_names(image: nib.Nifti1Image) -> str:
    """Write the look-up table of numbered lesions."""
    count = int(np.asanyarray(image.dataobj).max(initial=0))
    rows = [{"index": i, "name": f"lesion {i}"} for i in range(1, count + 1)]
    return table_text(["index", "name"], rows)


def final_image(
    kind: str,
    work: Path,
    brain: NDArray[np.bool_] | None = None,
    threshold: float | None = None,
) -> nib.Nifti1Image:
    """Give a work image the type that it has on disk.

    Parameters
    ----------
    kind
        ``labels``, ``mask``, ``probabilities``, ``scalars`` (single precision), or what 16 bits can
        hold: ``scan``, ``distance``, ``depth`` or ``probability``.
    work
        The work file.
    brain
        Where a distance or depth was measured; everywhere by default. What lies outside is written
        as the largest number of 16 bits, in single precision as infinity.
    threshold
        The probability that parts a mask from the rest: what reaches it does so on disk, and what
        does not stays below.
    """
    if kind == "probabilities":
        steps, mask, affine = load_columns(work)
        image = make_image(as_volumes(steps, mask), affine, np.uint8)
        image.header.set_slope_inter(1 / STEPS, 0)
        return image
    data, affine = map_image(work)
    if kind == "labels":
        whole = data if data.dtype.kind in "iu" else np.rint(data)
        return make_image(whole, affine, smallest_label_type(data))
    if kind == "mask":
        return make_image(data != 0, affine)
    if kind == "probability":
        return _probability(data, affine, threshold)
    step = COARSEST_STEPS.get(kind)
    if kind == "scan":
        step = _scan_step(data)
    if step is not None and brain is not None:
        return _in_brain(data, affine, step, brain)
    return make_image(data, affine, np.float32) if step is None else _in_steps(data, affine, step)


def _probability(
    data: NDArray[Any], affine: NDArray[np.float64], threshold: float | None
) -> nib.Nifti1Image:
    """Make an image of 16 bits of numbers from 0 to 1, of single precision if there are others."""
    if not (data.min(initial=0) >= 0 and data.max(initial=0) <= 1):
        return make_image(data, affine, np.float32)
    scaled = data / np.float32(PROBABILITY_STEP)
    if threshold is None:
        steps = np.rint(scaled)
    else:
        steps = np.where(data >= np.float32(threshold), np.ceil(scaled), np.floor(scaled))
    image = make_image(steps, affine, np.int16)
    image.header.set_slope_inter(PROBABILITY_STEP, 0)
    return image


def _scan_step(data: NDArray[Any]) -> float | None:
    """Return the step that lets 16 bits hold a scan, None if the step would be seen."""
    values = np.abs(data[data != 0])
    most = float(values.max(initial=0))
    if not 0 < most < np.inf:
        return None
    if most <= MOST_STEPS and np.array_equal(values, np.rint(values)):
        # as scanners write them, so that nothing is lost
        return 1.0
    bright = float(np.percentile(values, BRIGHT_PERCENTILE))
    step = max(most / MOST_STEPS, bright / STEPS_OF_SCAN)
    return step if step * LEAST_STEPS_OF_SCAN < bright else None


def _in_steps(data: NDArray[Any], affine: NDArray[np.float64], step: float) -> nib.Nifti1Image:
    """Make an image of 16 bits, 0 being 0; of single precision if 16 bits do not hold it."""
    if not np.abs(data).max(initial=0) < (MOST_STEPS + 0.5) * step:
        return make_image(data, affine, np.float32)
    image = make_image(np.rint(data / np.float32(step)), affine, np.int16)
    image.header.set_slope_inter(step, 0)
    return image


def _in_brain(
    data: NDArray[Any], affine: NDArray[np.float64], step: float, brain: NDArray[np.bool_]
) -> nib.Nifti1Image:
    """Make an image as :func:`_in_steps` does, of what lies in the brain."""
    inside = data[brain]
    if not np.abs(inside).max(initial=0) < (MOST_STEPS - 0.5) * step:
        return make_image(np.where(brain, data, np.inf), affine, np.float32)
    steps = np.full(data.shape, MOST_STEPS, np.int16, order="F")
    steps[brain] = np.rint(inside / np.float32(step))
    image = make_image(steps, affine)
    image.header.set_slope_inter(step, 0)
    return image


@step(mem_gb=0.5, always=True)
def write_tables(files: list[Path], targets: list[TableTarget]) -> WrittenFiles:
    """Write tables with their data dictionaries.

    Parameters
    ----------
    files, targets
        Rows, and where and with which columns they are written.
    """
    for work, target in zip(files, targets, strict=True):
        names, rows = [column.name for column in target.columns], load_json(work)
        write_text(target.path, table_text(names, rows))
        measures = [row[one.name] for one in target.columns if one.holds_measures for row in rows]
        write_json(target.path.with_suffix(".json"), dictionary_of(target.columns, measures))
    return WrittenFiles([str(target.path) for target in targets])


@step(mem_gb=0.5, always=True)
def write_transforms(files: list[Path], targets: list[str]) -> WrittenFiles:
    """Write transforms as they are.

    Parameters
    ----------
    files, targets
        Work files, and where they are written.
    """
    for work, target in zip(files, targets, strict=True):
        write_bytes(Path(target), work.read_bytes())
    return WrittenFiles(targets)
