"""``wmhflow atlas``: what atlases there are, fetching and checking them, masks laid on them."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wmhflow
from wmhflow.errors import InputError, UsageError
from wmhflow.registries.reading import path_of
from wmhflow.settings import LEVELS, SHARE, Regions

HELP = "What atlases there are, fetching and checking them, and masks laid on them."


def is_atlas_command(arguments: Sequence[str]) -> bool:
    """Tell ``wmhflow atlas ACTION`` from a dataset that is called atlas.

    Examples
    --------
    >>> is_atlas_command(["atlas", "list"]), is_atlas_command(["atlas", "out", "participant"])
    (True, False)
    """
    return bool(arguments) and arguments[0] == "atlas" and not set(LEVELS) & set(arguments[2:3])


def run_atlas(arguments: Sequence[str]) -> int:
    """Run ``wmhflow atlas``.

    Parameters
    ----------
    arguments
        The words after ``atlas``.

    Returns
    -------
    int
        0.

    Raises
    ------
    UsageError, InputError
        With one sentence that says what is wrong.
    """
    given = vars(_parser().parse_args(arguments))
    from wmhflow.cli.image import folder_in_image
    from wmhflow.cli.resources import prepare_folders

    prepare_folders(folder_in_image())
    return given.pop("run")(**given)


def _parser() -> argparse.ArgumentParser:
    from wmhflow.cli.parser import OneSentenceParser, with_reason

    parser = OneSentenceParser(prog="wmhflow atlas", description=HELP, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"wmhflow {wmhflow.__version__}")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="the atlases known by name, and where they are")
    listed.set_defaults(run=_list)
    fetched = actions.add_parser("fetch", help="get atlases and verify them")
    fetched.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="as 'list' names it; an atlas brings its template's image with it",
    )
    fetched.set_defaults(run=_fetch)
    checked = actions.add_parser("check", help="read atlases and check labels, names and sides")
    checked.add_argument("atlases", nargs="+", metavar="ATLAS", help="NAME, NAME=PATH or PATH")
    _add_sides(checked)
    checked.set_defaults(run=_check)
    laid = actions.add_parser(
        "overlap", help="a table of masks in an atlas's space: a row per mask, columns per region"
    )
    laid.add_argument(
        "masks", nargs="+", type=with_reason(path_of), metavar="MASK", help="in the atlas's space"
    )
    laid.add_argument("--atlas", required=True, metavar="ATLAS", help="NAME, NAME=PATH or PATH")
    laid.add_argument(
        "--out", type=with_reason(path_of), metavar="FILE", help="instead of the standard output"
    )
    laid.add_argument(
        "--threshold", type=with_reason(SHARE), metavar="P",
        help="from which a voxel of a probabilistic atlas belongs to a region "
        f"(default {Regions().atlas_threshold:g}; {SHARE})",
    )  # fmt: skip
    _add_sides(laid)
    laid.set_defaults(run=_overlap)
    return parser


def _add_sides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--atlas-sides-checked", action="store_true", dest="sides_checked",
        help="left was checked to be left: regions on the other side are not refused",
    )  # fmt: skip


def _list() -> int:
    from wmhflow.registries.atlases import (
        atlas_directory,
        cached_path,
        load_atlases,
        load_templates,
    )
    from wmhflow.registries.bibliography import bibliography

    print(f"Atlases are kept in {atlas_directory()}.")
    for name, entry in load_atlases().items():
        there = all(cached_path(entry, part).is_file() for part in entry.files)
        state = "there" if there else "can be fetched" if entry.can_be_fetched else "your own copy"
        doi = bibliography()[entry.citation]["doi"]
        print(f"{name:14} {entry.kind:13} {state:14} {entry.title}. {entry.licence}. doi:{doi}")
    print("Templates that they lie on; --atlas needs the image of an atlas's template once:")
    for name, template in load_templates().items():
        can = "can be fetched" if template.image.address else "your own copy"
        print(f"{name:28} {'there' if template.path.is_file() else can:14} {template.title}.")
    return 0


def _fetch(names: Sequence[str]) -> int:
    from wmhflow.files.fetching import fetch, fetch_template, how_to_get
    from wmhflow.registries.atlases import load_atlases, load_templates

    known, templates = load_atlases(), load_templates()
    unknown = [name for name in names if name not in {**known, **templates}]
    if unknown:
        raise UsageError(
            f"There is no atlas '{unknown[0]}'; known are {', '.join([*known, *templates])}."
        )
    for name in names:
        if name in templates:
            print(f"{name}: {fetch_template(templates[name])}.")
            continue
        paths = fetch(known[name])
        print(f"{name}: {paths[0].parent}. Licence: {known[name].licence}.")
        template = templates.get(known[name].template)
        if template is None:
            # it is registered by its own labels
            continue
        if template.image.address:
            print(f"{name} lies on {template.name}: {fetch_template(template)}.")
        elif not template.path.is_file():
            print(
                f"{name} lies on {template.name}. To lay it over persons (--atlas) the image of "
                f"that template is needed, which {how_to_get(template)}."
            )
    return 0


def _check(atlases: Sequence[str], *, sides_checked: bool) -> int:
    from wmhflow.files.atlases import load_atlas

    for text in atlases:
        atlas = load_atlas(text, sides_checked=sides_checked)
        sides = [region.hemisphere for region in atlas.regions.values()]
        counts = ", ".join(f"{sides.count(side)} {side}" for side in "LRB")
        unpaired = sum(
            region.homologue is None and region.hemisphere != "B"
            for region in atlas.regions.values()
        )
        notes = "".join(f" Note: {note}." for note in atlas.notes)
        print(
            f"{atlas.name}: {len(sides)} regions ({counts}), {unpaired} sided ones without a "
            f"homologue; {atlas.kind}.{notes}"
        )
    return 0


def _overlap(
    masks: Sequence[Path],
    atlas: str,
    out: Path | None,
    threshold: float | None,
    *,
    sides_checked: bool,
) -> int:
    from wmhflow.files.atlases import load_atlas

    unusable = [path for path in masks if re.search(r"[\t\r\n]", str(path))]
    if unusable:
        raise UsageError(f"The name {str(unusable[0])!r} would break a table; rename the file.")
    if out is not None and out in masks:
        raise UsageError(f"--out {out} is one of the masks; give another file.")
    loaded = load_atlas(atlas, sides_checked=sides_checked)
    if threshold is not None and loaded.kind == "labels":
        raise UsageError(f"--threshold is for probabilities, and {loaded.name} has labels.")
    rows, failed = [], False
    for path in masks:
        try:
            rows.append(overlap_row(path, loaded, threshold or Regions().atlas_threshold))
        except InputError as error:
            print(f"wmhflow: {error}", file=sys.stderr)
            failed = True
    if rows:
        _write(rows, out)
    return 1 if failed else 0


def _write(rows: Sequence[dict[str, Any]], out: Path | None) -> None:
    from wmhflow.bids.writer import write_text

    lines = ["\t".join(rows[0]), *("\t".join(map(_cell, row.values())) for row in rows)]
    text = "\n".join(lines) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        write_text(out, text)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written: {error.strerror or error}.") from None


def overlap_row(path: Path, atlas: Any, threshold: float) -> dict[str, Any]:
    """Tabulate one mask in every region of an atlas.

    Parameters
    ----------
    path
        The mask.
    atlas
        A loaded atlas.
    threshold
        For probabilities.

    Returns
    -------
    dict
        ``mask`` (its path), ``volume_mm3``, ``outside_mm3`` (in no region), and per region
        ``<index>_<abbreviation>`` (the share of it that the mask covers) with ``…_mm3``; for
        probabilities also ``…_weighted`` and ``…_weighted_mm3``, and no ``outside_mm3``: their
        regions overlap.

    Raises
    ------
    InputError
        If the mask cannot be read, holds probabilities, or has voxels and lies in no region.
    """
    import numpy as np

    from wmhflow.files.values import read_lesions

    mask = read_lesions(path, union=True, most_mm3=np.inf)
    if mask.reading.is_graded:
        raise InputError(f"{path} holds shares and no mask; cut it at a threshold first.")
    values, affine = mask.share, mask.affine
    if atlas.kind == "labels":
        cells, covered = _label_cells(values, affine, atlas)
    else:
        cells, covered = _probability_cells(values, affine, atlas, threshold)
    if values.any() and not covered:
        raise InputError(f"{path} lies in no region of {atlas.name}; is it in the atlas's space?")
    return {"mask": str(path)} | cells


def _column_names(atlas: Any) -> dict[int, str]:
    return {index: f"{index}_{region.abbreviation}" for index, region in atlas.regions.items()}


def _label_cells(values: Any, affine: Any, atlas: Any) -> tuple[dict[str, float], bool]:
    """Return the cells of a row, and whether the mask covers anything."""
    from wmhflow.core.measure.overlap import label_overlap

    names = _column_names(atlas)
    found = label_overlap(values, affine, atlas.data, atlas.affine, list(atlas.regions))
    cells = {"volume_mm3": found.mask_mm3, "outside_mm3": found.outside_mm3}
    cells |= {names[index]: found.fraction(index) for index in names}
    cells |= {f"{names[i]}_mm3": found.overlap_mm3[i] for i in names}
    return cells, any(found.overlap_mm3.values())


def _probability_cells(
    values: Any, affine: Any, atlas: Any, threshold: float
) -> tuple[dict[str, float], bool]:
    """Return the cells of a row, and whether the mask covers anything."""
    from wmhflow.core.measure.overlap import probability_overlap

    pairs = probability_overlap(values, affine, atlas.data, atlas.affine, threshold)
    cells = {"volume_mm3": pairs[0][0].mask_mm3}
    for (by_threshold, weighted), name in zip(pairs, _column_names(atlas).values(), strict=True):
        cells |= {name: by_threshold.fraction(1), f"{name}_mm3": by_threshold.overlap_mm3[1]}
        cells |= {
            f"{name}_weighted": weighted.fraction(1),
            f"{name}_weighted_mm3": weighted.overlap_mm3[1],
        }
    return cells, any(weighted.overlap_mm3[1] for _, weighted in pairs)


def _cell(value: Any) -> str:
    """Write a cell with all of its digits; a region without volume has no share."""
    if isinstance(value, float):
        return "n/a" if math.isnan(value) else repr(value)
    return str(value)
