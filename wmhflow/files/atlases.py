"""An atlas as it is used: its image, its regions, and the checks that both have to pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.checks.masks import whole_numbers
from wmhflow.core.checks.sides import centres_x, sides_on_the_wrong_side
from wmhflow.core.space.geometry import GeometryError, spacing_of
from wmhflow.errors import InputError, UsageError
from wmhflow.files.fetching import verify
from wmhflow.files.images import in_native_order, open_image, says_place
from wmhflow.files.streams import said_of
from wmhflow.labels.digits import LARGEST_LABEL
from wmhflow.labels.foreign import check_mutual, named_regions, read_label_table, swapped_name
from wmhflow.labels.freesurfer import load_freesurfer_codes
from wmhflow.labels.regions import Region
from wmhflow.registries.atlases import (
    AtlasDefinition,
    cached_path,
    load_atlases,
)

OTHER_IMAGES = (".img", ".hdr", ".mgz", ".mgh")
TABLE_ENDINGS = (".tsv", ".txt", ".xml", ".label", ".ctab", ".lut")
# What reaches further than an interpolation's overshoot is no share of 1, and a maximum of a few
# percent is no atlas.
PERCENT, PERCENT_FROM, OVERSHOOT = 100.0, 5.0, 1.05
VOLUMES = 4
# A header that is off by no more than this, in the same directions, is the published slip.
SLIP_MM = 2.0


@dataclass(frozen=True)
class Atlas:
    """An atlas: integers per voxel, or probabilities (0..1) with a volume per region.

    Region ``k`` of a probabilistic atlas is volume ``k - 1``.
    """

    name: str
    path: Path
    kind: str
    data: NDArray[Any]
    affine: NDArray[np.float64]
    regions: dict[int, Region]
    definition: AtlasDefinition | None = None
    notes: tuple[str, ...] = ()


def load_atlas(text: str, *, sides_checked: bool = False) -> Atlas:
    """Read an atlas and check that it can be what it says.

    Parameters
    ----------
    text
        ``NAME`` of the registry, ``NAME=PATH`` or ``PATH`` of an image with its label table beside
        it (the same name with .tsv, .txt, .xml, .label, .ctab or .lut).
    sides_checked
        The user vouches for the sides: they are not judged.

    Returns
    -------
    Atlas

    Raises
    ------
    UsageError
        If there is no such atlas.
    InputError
        If a file is missing or another than the registry's; if numbers, names or homologues are
        not sound; if labels have no name; if left does not lie at x < 0.
    """
    name, definition, path = _resolved(text)
    data, affine, is_placed = _read(path, definition.kind if definition else None)
    notes: list[str] = []
    affine, is_placed = _repaired(definition, data.shape, affine, is_placed, notes)
    if not is_placed:
        raise InputError(f"{path} does not say where it lies (no sform, no qform); set its affine.")
    regions = _regions(name, path, definition)
    check_mutual(regions, str(path))
    if data.ndim == VOLUMES:
        if set(regions) != set(range(1, data.shape[3] + 1)):
            raise InputError(
                f"{path} has {data.shape[3]} volumes and its table {len(regions)} regions; one of "
                "them is not this atlas's."
            )
        probabilities = _as_probabilities(path, data, definition)
        if not sides_checked:
            x = centres_x(probabilities, affine)
            sides = {"L": -1.0, "R": 1.0}
            _refuse_wrong_sides(
                name, path, regions,
                [i for i, one in regions.items() if x[i - 1] * sides.get(one.hemisphere, 0) < 0],
            )  # fmt: skip
        return Atlas(
            name, path, "probabilities", probabilities, affine, regions, definition, tuple(notes)
        )
    labels = _as_labels(path, data, definition)
    regions = _matched(path, labels, regions, definition, notes)
    if not sides_checked:
        hemispheres = {index: region.hemisphere for index, region in regions.items()}
        wrong = sides_on_the_wrong_side(labels, affine, hemispheres)
        _refuse_wrong_sides(name, path, regions, wrong)
    return Atlas(name, path, "labels", labels, affine, regions, definition, tuple(notes))


def _resolved(text: str) -> tuple[str, AtlasDefinition | None, Path]:
    known = load_atlases()
    name, equals, given = text.partition("=")
    if equals:
        if not (name.isascii() and name.isalnum()):
            raise UsageError(f"--atlas {text}: '{name}' is no name of letters and digits.")
        if not Path(given).is_file():
            what = (
                "is a folder, where an image is meant" if Path(given).is_dir() else "does not exist"
            )
            raise UsageError(f"--atlas {text}: {given} {what}; check the path.")
        return name, known.get(name), Path(given)
    if text in known:
        definition = known[text]
        path = cached_path(definition, definition.image)
        if not path.is_file():
            how = (
                f"run 'wmhflow atlas fetch {text}'"
                if definition.can_be_fetched
                else f"give your own copy as --atlas {text}=PATH"
            )
            raise InputError(f"The atlas {text} is not at {path}; {how}.")
        for entry in definition.files:
            verify(_existing(cached_path(definition, entry)), entry)
        return text, definition, path
    path = Path(text)
    if not path.is_file():
        raise UsageError(
            f"--atlas {text}: there is no such file, and no atlas of that name; known are "
            f"{', '.join(known)}."
        )
    return "".join(c for c in stem_of(path) if c.isalnum()), None, path


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path of the atlas.")
    return path


def stem_of(path: Path) -> str:
    """Return an image's name without its ending."""
    name = path.name.removesuffix(".gz")
    return Path(name).stem if name.endswith(OTHER_IMAGES) else name.removesuffix(".nii")


def _read(path: Path, kind: str | None) -> tuple[NDArray[Any], NDArray[np.float64], bool]:
    """Return an atlas's voxels, its affine, and whether the header says where it lies."""
    with said_of(path):
        image = open_image(path)
        stored = image.get_data_dtype()
        if stored.kind not in "biuf":
            raise InputError(f"{path} holds no plain numbers ({stored}); an atlas has labels.")
        # many volumes in double precision would take gigabytes
        volumes = len(image.shape) == VOLUMES
        data = np.asanyarray(image.dataobj, dtype=np.float32 if volumes else None)
        data = in_native_order(data)
    try:
        spacing_of(image.affine)
    except GeometryError as error:
        raise InputError(f"{path}: {error}.") from None
    wanted = {None: (3, VOLUMES), "labels": (3,), "probabilities": (VOLUMES,)}[kind]
    if data.ndim not in wanted:
        raise InputError(
            f"{path} has {data.ndim} dimensions; an atlas of labels has 3, one of probabilities 4."
        )
    return data, np.asarray(image.affine, dtype=np.float64), says_place(image.header)


def _repaired(
    definition: AtlasDefinition | None,
    shape: tuple[int, ...],
    affine: NDArray[np.float64],
    is_placed: bool,
    notes: list[str],
) -> tuple[NDArray[np.float64], bool]:
    """Put right a header that the registry knows to be published wrong, and say so.

    That is one that says no place, or one a voxel off; any other is believed.
    """
    if definition is None or definition.header is None:
        return affine, is_placed
    if list(shape) != list(definition.header["shape"]):
        return affine, is_placed
    known = np.array(definition.header["affine"], dtype=np.float64)
    is_alike = np.allclose(affine[:3, :3], known[:3, :3], atol=1e-3)
    off_mm = np.abs(affine[:3, 3] - known[:3, 3]).max()
    slipped = is_alike and 1e-3 < off_mm <= SLIP_MM
    says_nothing = not is_placed or np.allclose(affine, np.eye(4))
    if not slipped and not says_nothing:
        return affine, is_placed
    notes.append("its header says no place, or a place a voxel off; it was put right")
    return known, True


def _as_labels(
    path: Path, data: NDArray[Any], definition: AtlasDefinition | None
) -> NDArray[np.int32]:
    values = whole_numbers(data) if np.isfinite(data).all() else None
    if values is None or not 0 <= values.min(initial=0) <= values.max(initial=0) <= LARGEST_LABEL:
        raise InputError(
            f"{path} holds other values than whole numbers from 0 to {LARGEST_LABEL}: it has no "
            "labels."
        )
    labels = values.astype(np.int32)
    if definition is None or definition.groups is None:
        return labels
    members = {member: number for number, part in definition.groups.items() for member in part}
    present = set(np.unique(labels).tolist()) - {0}
    if present == set(definition.groups):
        return labels
    if present != set(members):
        raise InputError(
            f"{path} is not the image that {definition.name} is made from "
            f"({definition.image.file}): its labels are others. Give it a name of its own."
        )
    group_of = np.zeros(max(members) + 1, dtype=np.int32)
    group_of[list(members)] = list(members.values())
    return group_of[labels]


def _as_probabilities(
    path: Path, data: NDArray[Any], definition: AtlasDefinition | None
) -> NDArray[np.float32]:
    values = np.nan_to_num(np.asarray(data, dtype=np.float32), copy=False)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > PERCENT:
        raise InputError(f"{path} has values from {low:g} to {high:g}: these are no probabilities.")
    is_percent = high > PERCENT_FROM if definition is None else definition.is_percent
    if definition is not None and is_percent and high <= OVERSHOOT:
        raise InputError(
            f"{path} reaches {high:g}, where {definition.name} has percent; give the published "
            "file, or give this one a name of its own."
        )
    if not is_percent and high > OVERSHOOT:
        raise InputError(
            f"{path} reaches {high:g}, which is neither a share (0 to 1) nor percent; rescale it."
        )
    if is_percent:
        values /= np.float32(PERCENT)
    return np.minimum(values, np.float32(1), out=values)


def _regions(name: str, path: Path, definition: AtlasDefinition | None) -> dict[int, Region]:
    if definition and definition.codes:
        return freesurfer_regions(name)
    if definition and definition.names:
        return named_regions(definition.names, name)
    table = table_of(path, definition)
    if table is None:
        raise InputError(
            f"{path} has no label table beside it; put one there, called "
            f"{stem_of(path)} with one of {', '.join(TABLE_ENDINGS)}."
        )
    return read_label_table(table, name, definition.repairs if definition else None)


def table_of(path: Path, definition: AtlasDefinition | None) -> Path | None:
    """Find the table that names the labels; None where the registry does, or there is none."""
    if definition and (definition.codes or definition.names):
        return None
    beside = [path.with_name(stem_of(path) + ending) for ending in TABLE_ENDINGS]
    if definition and definition.table:
        # FSL keeps its tables one folder above its images
        table = definition.table.file
        beside = [path.with_name(table), path.parent.parent / table, *beside]
    found = list(dict.fromkeys(table for table in beside if table.is_file()))
    if len(found) > 1 and not (definition and definition.table):
        raise InputError(f"{found[0]} and {found[1]} both name the labels of {path}; remove one.")
    return found[0] if found else None


def _matched(
    path: Path,
    labels: NDArray[np.int32],
    regions: dict[int, Region],
    definition: AtlasDefinition | None,
    notes: list[str],
) -> dict[int, Region]:
    """Refuse labels without a name; leave out names without a label, and say so."""
    present = {int(number) for number in np.unique(labels)} - {0}
    if not present:
        raise InputError(f"{path} holds no label.")
    nameless = sorted(present - set(regions))
    if nameless:
        shown = ", ".join(map(str, nameless[:5])) + (" …" if len(nameless) > 5 else "")
        raise InputError(f"{path} has labels that its table does not name: {shown}; mend it.")
    absent = [index for index in regions if index not in present]
    if definition is not None and not definition.codes and len(absent) > len(present):
        raise InputError(
            f"{path} has {len(present)} of the {len(regions)} regions of {definition.name}: it is "
            "another image; give it a name of its own."
        )
    if absent:
        notes.append(f"{len(absent)} of {len(regions)} regions of the table have no voxel")
    return {index: region for index, region in regions.items() if index in present}


def _refuse_wrong_sides(
    name: str, path: Path, regions: dict[int, Region], wrong: list[int]
) -> None:
    if not wrong:
        return
    first = regions[wrong[0]]
    raise InputError(
        f"The atlas {name} ({path}) has {len(wrong)} regions on the other side of x = 0 than "
        f"their names say, such as {first.index} ({first.name!r}): names or affine are wrong. "
        "If it was checked and left is left, add --atlas-sides-checked."
    )


def freesurfer_regions(seg: str) -> dict[int, Region]:
    """Name regions by FreeSurfer's codes, left and right as homologues."""
    codes = load_freesurfer_codes()
    by_name = {entry.name for entry in codes.values()}
    return {
        code: Region(
            seg,
            code,
            entry.name,
            entry.name,
            entry.hemisphere,
            other if (other := swapped_name(entry.name)) in by_name else None,
            (),
            f"#{(code * 2654435761) % 0xFFFFFF:06x}",
        )
        for code, entry in codes.items()
    }
