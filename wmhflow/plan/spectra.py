"""Single voxels of spectroscopy: which there are, where they lie, and the values given for them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile
from wmhflow.bids.sidecars import read_sidecar
from wmhflow.errors import InputError
from wmhflow.files.forms import check_forms, trusted_affine
from wmhflow.files.images import read_box
from wmhflow.files.metabolites import OF_LCMODEL, read_metabolites, same_amounts
from wmhflow.plan.context import Planning
from wmhflow.plan.refusals import SPECTRA
from wmhflow.plan.routes import Edge, find_route
from wmhflow.plan.transforms import check_matrix
from wmhflow.plan.visit import PASSED, REFUSED, UNUSABLE, Given, SpectrumPlan, VisitPlan

SUFFIX, GRID_SUFFIX = "svs", "mrsi"
# How tables end that are read, in small or capital letters.
TABLES = (".table", ".coord", ".csv", ".tsv")
# How programs call tables that are not read.
OTHER_TABLES = (".txt", ".xls", ".xlsx", ".html")
# What the place of a voxel may be called in transforms.
PLACES = ("mrs", "svs")
# Edges of a voxel, mm: the shortest that is measured in a head, and what is longer than a head.
EDGES_MM = (2.0, 250.0)
# The sizes that a JSON file and a header state differ by rounding if it is no more than this share.
ROUNDING = 0.01
# What tables of a voxel have in common with it, and what tells which voxel it is.
OF_NAME = ("session", "acquisition", "nucleus", "volume", "task", "run", "echo", "inv", "direction")


def find_spectra(planning: Planning, visit: VisitPlan) -> tuple[SpectrumPlan, ...]:
    """Find the visit's voxels of spectroscopy; one that cannot be used is left out and said.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far.
    """
    found: dict[str, SpectrumPlan] = {}
    voxels = _images(planning, SUFFIX)
    for file in voxels:
        name = _name(file)
        what = f"mrs {name}"
        if name in found:
            first = found[name].file.named
            planning.say(what, PASSED, f"{file.named} is passed over: {first} is that voxel")
            continue
        try:
            found[name] = _planned(planning, visit, file, name, what)
        except InputError as error:
            planning.say(what, REFUSED, f"not used: {error}")
    for file in _images(planning, GRID_SUFFIX):
        why = "a grid of voxels (MRSI) is not read; give maps of it as maps (--maps)"
        planning.say(SPECTRA, UNUSABLE, f"{file.named} is not used: {why}")
    _say_strays(planning, voxels)
    return tuple(found[name] for name in sorted(found))


def _images(planning: Planning, suffix: str) -> list[FoundFile]:
    wanted: dict[str, Any] = {
        "suffix": suffix, "datatype": "mrs", "extension": list(IMAGE_EXTENSIONS)
    }  # fmt: skip
    raw = planning.query.raw_images("", planning.subject, **wanted)
    return planning.of_visit([*raw, *planning.query.derived("", planning.subject, **wanted)])


def _name(file: FoundFile) -> str:
    """Return what tells a voxel from others: the entities of its name but person and visit.

    Examples
    --------
    >>> from pathlib import Path
    >>> path = Path("sub-01_ses-1_acq-press_voi-frontal_svs.nii.gz")
    >>> _name(FoundFile(path, {}, "raw", Path(".")))
    'acq-press_voi-frontal'
    """
    *parts, _ = file.path.name.split(".", maxsplit=1)[0].split("_")
    own = [part for part in parts if not part.startswith(("sub-", "ses-", "space-", "desc-"))]
    return "_".join(own) or SUFFIX


def _planned(
    planning: Planning, visit: VisitPlan, file: FoundFile, name: str, what: str
) -> SpectrumPlan:
    told = read_sidecar(file)
    _check_box(planning, file, told, what)
    route = find_route(planning, visit, file, PLACES)
    # a box keeps its form through matrices alone
    legs, end = None if route.iterates else route.legs, route.end
    how = "by its header"
    if legs is None:
        legs, end, how = (), *_by_anatomical(visit, file, told)
        if route.unused:
            how += f" ({'; '.join(route.unused[:2])})"
    elif legs:
        how = "by " + " and then ".join(_said(leg) for leg in legs)
    for leg in legs:
        _check_leg(planning, leg)
    on = end != visit.reference
    if on:
        if isinstance(visit.other_transform, Given) and visit.other_transform.bends:
            raise InputError(
                f"{visit.other_transform.file.path} is not linear, so that {file.path} cannot "
                "follow it to the reference; give a linear transform."
            )
        how += f", then with the {end} to the {visit.reference}"
    tables = planning.of_visit(_tables(planning, file))
    values = _values(planning, tables, what)
    also = f"; values in {values.path.name}" if values else ""
    if not tables:
        also = "; no table of its values is given"
    planning.say(what, "found", f"{file.named}, aligned {how}{also}")
    given = tuple(Given(leg.file, inverted=leg.inverted) for leg in legs)
    return SpectrumPlan(name, file, given, on, values)


def _said(leg: Edge) -> str:
    return f"the inverse of {leg.file.named}" if leg.inverted else leg.file.named


def _check_leg(planning: Planning, leg: Edge) -> None:
    read = planning.transform(leg.file)
    if read.program != "ITK":
        raise InputError(
            f"{leg.file.path} is a transform of {read.program}, and a voxel of spectroscopy "
            "follows those of ITK alone; convert it."
        )
    if not read.is_linear:
        raise InputError(
            f"{leg.file.path} is not linear ({', '.join(read.parts)}), and a voxel of spectroscopy "
            "is a box, which only linear transforms keep; give the linear part alone."
        )
    check_matrix(leg.file.path, read.matrix)


def _check_box(
    planning: Planning, file: FoundFile, told: Mapping[str, Any], what: str
) -> NDArray[np.float64]:
    """Refuse what is no single voxel of a head, by header and JSON file."""
    shape, affine = read_box(file.path)
    grid = (*shape, 1, 1, 1)[:3]
    if grid != (1, 1, 1):
        raise InputError(
            f"{file.path} has {'×'.join(map(str, grid))} voxels where a single one is meant; a "
            "grid of voxels is an image _mrsi, which is not read."
        )
    trust = planning.settings.inputs.trust
    note = check_forms(file.path, trust)
    if note:
        planning.say(what, "note", note)
    box = trusted_affine(file.path, affine, trust)
    edges = np.linalg.norm(box[:3, :3], axis=0)
    if not (edges.min() >= EDGES_MM[0] and edges.max() <= EDGES_MM[1]):
        raise InputError(
            f"{file.path} is a voxel of {_sizes(edges)} mm by its affine, where edges of "
            f"{EDGES_MM[0]:g} to {EDGES_MM[1]:g} mm can be meant; write its place into the header "
            "as spec2nii does."
        )
    stated = told.get("AcquisitionVoxelSize")
    if isinstance(stated, list) and len(stated) == 3 and all(_is_number(one) for one in stated):
        apart = np.abs(np.sort(edges) / np.sort(np.abs(np.array(stated, np.float64))) - 1)
        if not apart.max() <= ROUNDING:
            raise InputError(
                f"{file.path} is a voxel of {_sizes(edges)} mm by its affine, and its JSON file "
                f"says {_sizes(stated)} mm (AcquisitionVoxelSize); correct the wrong one."
            )
    return box


def _is_number(value: Any) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and math.isfinite(value) and value != 0


def _sizes(edges: Sequence[float] | NDArray[np.float64]) -> str:
    return "×".join(f"{edge:.4g}" for edge in edges)


def _by_anatomical(visit: VisitPlan, file: FoundFile, told: Mapping[str, Any]) -> tuple[str, str]:
    """Tell with which image a voxel was planned, and so lies by its header, and how it is said.

    Raises
    ------
    InputError
        If it is an image of another person or visit.
    """
    named = told.get("AnatomicalImage")
    names = [str(one) for one in (named if isinstance(named, list) else [named]) if one]
    for suffix, image in visit.anatomical.items():
        if any(re.split(r"[:/]", one)[-1] == image.path.name for one in names):
            return suffix, f"by its header with the {suffix} that it was planned on"
    for name in names:
        parts = re.split(r"[:/]", name)[-1].split("_")
        own = [part for part in file.path.name.split("_") if part.startswith(("sub-", "ses-"))]
        if parts[: len(own)] != own:
            raise InputError(
                f"{file.path} was planned on {name} (AnatomicalImage), which is of another person "
                "or visit; give the transform that leads to the reference (from-mrs_to-T1w)."
            )
    if names:
        return visit.reference, f"by its header; {names[0]} (AnatomicalImage) is not registered"
    return visit.reference, "by its header, whose place nothing judges"


def _values(planning: Planning, tables: Sequence[FoundFile], what: str) -> FoundFile | None:
    """Take the table of a voxel's metabolites; one that cannot be read is left out and said."""
    tables = list(_without_copies(planning, tables, what))
    if not tables:
        return None
    if len(tables) > 1:
        names = " and ".join(one.named for one in tables[:3])
        planning.say(what, REFUSED, f"{len(tables)} tables answer for its values ({names}); keep "
                     "one")  # fmt: skip
        return None
    try:
        read_metabolites(tables[0].path)
    except InputError as error:
        planning.say(what, REFUSED, f"its values are not used: {error}")
        return None
    return tables[0]


def _without_copies(
    planning: Planning, tables: Sequence[FoundFile], what: str
) -> Iterator[FoundFile]:
    """Pass over what LCModel writes again: a ``.coord`` or ``.csv`` of its ``.table``'s amounts."""
    ordered = sorted(tables, key=lambda file: TABLES.index(_ending(file)))
    for place, file in enumerate(ordered):
        first = ordered[0]
        if place and _ending(first) in OF_LCMODEL and same_amounts(first.path, file.path):
            planning.say(what, PASSED, f"{file.named} is passed over: {first.named} says the same")
        else:
            yield file


def _ending(file: FoundFile) -> str:
    return str(file.get("extension")).lower()


def _tables(planning: Planning, file: FoundFile) -> Iterator[FoundFile]:
    own = [file.get(entity) for entity in OF_NAME]
    for other in _of_spectra(planning):
        is_table = other.get("suffix") == SUFFIX and _ending(other) in TABLES
        if is_table and [other.get(entity) for entity in OF_NAME] == own:
            yield other


def _of_spectra(planning: Planning) -> Iterator[FoundFile]:
    """Go through the person's files of spectroscopy, of all datasets."""
    for dataset in (planning.query.raw, *planning.query.derivatives):
        for file in dataset.of(planning.subject):
            if file.get("suffix") == SUFFIX or file.get("datatype") == "mrs":
                yield file


def _say_strays(planning: Planning, voxels: Sequence[FoundFile]) -> None:
    """Say which tables belong to no voxel, and which files are none that is read.

    A table that is called as one of a voxel was meant, so that it is refused.
    """
    own = {table.path for file in voxels for table in _tables(planning, file)}
    strays = [
        file
        for file in _of_spectra(planning)
        if file.path not in own and file.path.suffix.lower() in (*TABLES, *OTHER_TABLES)
    ]
    there = " and ".join(file.path.name for file in voxels[:3])
    for file in planning.of_visit(strays):
        if file.get("suffix") != SUFFIX:
            why = (
                f"a table of metabolites is called as its voxel, and ends in _{SUFFIX}.tsv, .csv, "
                ".table or .coord"
            )
            planning.say(SPECTRA, "note", f"{file.named} is not used: {why}")
        elif file.path.suffix.lower() in TABLES:
            names = f"those of this visit are {there}" if voxels else "this visit has none"
            planning.say(
                SPECTRA, REFUSED,
                f"the table {file.named} belongs to no voxel of spectroscopy: {names}; give it the "
                f"name of its voxel (…_{SUFFIX}.nii.gz), with the same acq-, voi- and run-.",
            )  # fmt: skip
        else:
            planning.say(
                SPECTRA, REFUSED,
                f"the table {file.named} is not read: give LCModel's .table or .coord, or a .csv "
                "or .tsv of FSL-MRS, LCModel, TARQUIN, spant or Osprey; of any other program, such "
                "as jMRUI or Gannet, write a .tsv with the columns metabolite and value.",
            )  # fmt: skip
