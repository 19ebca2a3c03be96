"""Steps that lay atlases over a person, and measure what overlaps in them."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import wmhflow
from wmhflow.ants.bridge import register_bridge
from wmhflow.ants.transforms import map_points
from wmhflow.bids.writer import write_bytes
from wmhflow.core.regions.lobes import lay_lobes
from wmhflow.core.regions.lookup import as_volumes, labels_at, steps_at, voxels_of
from wmhflow.core.regions.probabilities import overlapping_labels, weighted_volumes
from wmhflow.core.space.geometry import spacing_of, voxel_mm3, world_coordinates
from wmhflow.core.tissue.parcellation import recode
from wmhflow.errors import InputError
from wmhflow.files.atlases import Atlas, load_atlas
from wmhflow.files.images import load_grid
from wmhflow.files.template import Template
from wmhflow.files.versions import software_versions
from wmhflow.labels.freesurfer import load_freesurfer_codes
from wmhflow.registries.atlases import atlas_directory
from wmhflow.steps.kinds import Columns, Folder, LabelImage, MaskImage, Rows, Table, about, step

log = logging.getLogger("wmhflow")
# Of the brain of the program's template; others differ by less than a fifth.
TEMPLATE_BRAIN_MM3 = 1.9e6
# An atlas that fills so much of a brain may reach beyond it, as one of whole heads does; of another
# at least this share has to lie inside.
FILLED, MOST_BESIDE = 0.9, 0.5


class Bridge(NamedTuple):
    """Points of the program's template to points of another one."""

    forward: Path


@step(mem_gb=3.0, seconds=60, ants=True)
def bridge_templates(
    image: Path, template: Template, has_labels: bool, seed: int, folder: Folder
) -> Bridge:
    """Register the image of another template to the program's own, or take it from the cache.

    Parameters
    ----------
    image
        T1w of the other template, or an atlas.
    template
        The program's template.
    has_labels
        Whether the image holds FreeSurfer's codes.
    seed
        Seed of everything random.
    folder
        Where the transform is written.
    """
    out = folder / "bridge.h5"
    kept = kept_bridge(image, template, seed)
    if is_whole(kept):
        shutil.copyfile(kept, out)
    else:
        moving = load_grid(image)
        with about(str(image)):
            register_bridge(moving, template, seed, out, has_labels=has_labels, name=str(image))
        keep(out, kept)
    return Bridge(out)


def kept_bridge(image: Path, template: Template, seed: int) -> Path:
    """Return where the transform between two images is kept, for this version of the program."""
    told = hashlib.sha256(image.read_bytes())
    # not the file's bytes: a compressed file holds when it was written
    goal = template.grid("t1w")
    told.update(goal.data.tobytes() + goal.affine.tobytes())
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


class Points(NamedTuple):
    """Where each voxel lies in a template, RAS mm."""

    points: Columns


@step(mem_gb=2.0, ants=True)
def find_points(masks: list[MaskImage], transforms: list[Path]) -> Points:
    """Find the place of every voxel of the brain in a template, once for all atlases on it.

    Parameters
    ----------
    masks
        Voxels of any of them are looked up.
    transforms
        Points of the person to points of the template.
    """
    mask, affine = np.any([image.data for image in masks], axis=0), masks[0].affine
    centres = world_coordinates(voxels_of(mask), affine)
    points = map_points(centres, [str(path) for path in transforms], 0).astype(np.float32)
    return Points(Columns(points, mask, affine))


class LaidAtlas(NamedTuple):
    """An atlas on the reference grid.

    ``labels`` are the atlas's numbers, or one per combination of its regions; then ``members`` are
    the combinations that hold each region, and ``steps`` the probabilities, a column per region.
    """

    labels: LabelImage
    members: Table | None
    steps: Columns | None


@step(mem_gb=2.0)
def lay_atlas(
    atlas: str,
    sides_checked: bool,
    image: Path,
    points: Columns,
    threshold: float,
    table: Path | None = None,
) -> LaidAtlas:
    """Bring an atlas to the reference grid, once; 0 where no place was looked up.

    Parameters
    ----------
    atlas
        ``NAME``, or ``NAME=PATH``.
    sides_checked
        Whether the user vouches for its sides.
    image
        The atlas's image: another one is another step.
    points
        Places of voxels in the atlas's template.
    threshold
        From which a probability makes a region.
    table
        The file that names its regions, if there is one: another one is another step, too.

    Raises
    ------
    InputError
        If no region reaches the brain.
    """
    given = load_atlas(atlas, sides_checked=sides_checked)
    places, mask, affine = points
    members: dict[str, Any] | None = None
    steps: Columns | None = None
    if given.kind == "labels":
        found = labels_at(places, given.data, given.affine)
    else:
        values = steps_at(places, given.data, given.affine)
        found, holders = overlapping_labels(values, threshold)
        members = {str(label): numbers for label, numbers in holders.items()}
        steps = Columns(values, mask, affine)
    _check_lies_on_brain(given, found, threshold)
    if not found.any():
        raise InputError(
            f"No region of the atlas {given.name} reaches the person's brain; is the template "
            "the right one (--atlas-template), and the threshold of probabilities "
            "(--atlas-threshold)?"
        )
    labels = as_volumes(found, mask).astype(np.int32)
    return LaidAtlas(LabelImage(labels, affine), members, steps)


def _fills_a_side(labelled: NDArray[np.bool_]) -> bool:
    """Tell whether an atlas divides all of its grid, or half of it, rather than a brain."""
    sides = (np.moveaxis(labelled, axis, 0)[end] for axis in range(3) for end in (0, -1))
    return any(np.count_nonzero(side) > side.size / 2 for side in sides)


def _check_lies_on_brain(given: Atlas, found: NDArray[np.integer], threshold: float) -> None:
    """Refuse an atlas that lies beside the brain: most of it outside, and not because it is larger.

    Parameters
    ----------
    given
        The atlas.
    found : ndarray of shape (n,)
        What it says at each place of the brain; 0 is nothing.
    threshold
        From which a probability makes a region.

    Raises
    ------
    InputError
        If more than half of it lies outside the brain, which it does not fill.
    """
    seen = float(np.count_nonzero(found)) / max(found.size, 1)
    inside_mm3 = seen * TEMPLATE_BRAIN_MM3
    is_labels = given.kind == "labels"
    labelled = given.data > 0 if is_labels else np.any(given.data >= threshold, axis=3)
    whole_mm3 = float(np.count_nonzero(labelled) * voxel_mm3(given.affine))
    is_beside = 0 < seen < FILLED and inside_mm3 < MOST_BESIDE * whole_mm3
    if is_beside and not _fills_a_side(labelled):
        raise InputError(
            f"{100.0 * (1 - inside_mm3 / whole_mm3):.0f} % of the atlas {given.name} "
            f"({given.path}) lies outside the brain, of which it leaves {100.0 * (1 - seen):.0f} % "
            "free: it does not lie on its template; look at its affine and at --atlas-template."
        )


class Weighted(NamedTuple):
    """Rows of the table of weighted volumes."""

    rows: Rows


@step(mem_gb=2.0)
def weigh_volumes(
    steps: list[Columns], regions: list[list[dict[str, object]]], wmh: MaskImage
) -> Weighted:
    """Measure WMH in regions that may overlap, weighted by probability.

    Parameters
    ----------
    steps
        Probabilities, per atlas.
    regions
        The cells that begin each region's row, per atlas.
    wmh
        Lesions.
    """
    table: list[dict[str, Any]] = []
    for (values, mask, _), described in zip(steps, regions, strict=True):
        inside = wmh.data[tuple(voxels_of(mask).T)]
        measured = weighted_volumes(values, inside, voxel_mm3(wmh.affine))
        table += [{**cells, **row} for cells, row in zip(described, measured, strict=True)]
    return Weighted(table)


class CortexLobes(NamedTuple):
    """Lobe of the person's cortex and deep nuclei."""

    cortex_lobes: LabelImage


@step(mem_gb=2.0)
def lobes_from_atlas(codes: LabelImage, tissue: LabelImage) -> CortexLobes:
    """Give the person's own cortex and deep nuclei the lobes of an atlas laid over them.

    Parameters
    ----------
    codes
        An atlas with FreeSurfer's codes, laid over.
    tissue
        The person's tissues.
    """
    known = load_freesurfer_codes()
    lobes = recode(codes.data, {code: entry.lobe for code, entry in known.items()})
    classes = recode(codes.data, {code: entry.tissue for code, entry in known.items()})
    sides = {code: entry.hemisphere == "R" for code, entry in known.items()}
    right = recode(codes.data, sides) > 0
    laid = lay_lobes(lobes, classes, right, tissue.data, spacing_of(tissue.affine))
    return CortexLobes(LabelImage(laid, tissue.affine))
