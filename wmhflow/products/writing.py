"""What writes the products of a unit, and what the JSON file beside every image says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wmhflow.files.versions import software_versions
from wmhflow.products.product import From, Image, Recipe, Table, Transform, Work
from wmhflow.products.unit import Unit
from wmhflow.settings import Settings
from wmhflow.steps.outputs import (
    ImageTarget,
    TableTarget,
    write_images,
    write_tables,
    write_transforms,
)

# the order of a sidecar's fields; others than these come first of all, after the description
FIELDS = (
    *("Description", "Atlas", "LabelMap", "Sources", "SkullStripped", "Type", "SpatialReference"),
    *("Units", "Parameters", "RandomSeed", "ProcessingSoftware"),
)
WRITTEN_TABLES, WRITTEN_TRANSFORMS = "written_tables", "written_transforms"
# What is written by itself: scans are there while a registration keeps one processor busy, and
# distances take as long to compress as all label images together.
GROUPS = {"scan": "scan", "distance": "distance", "depth": "distance"}
MEM_GB_PER_VOLUME = 0.04


def with_writing(unit: Unit, settings: Settings) -> Unit:
    """Add to a unit what writes its images, tables and transforms.

    Parameters
    ----------
    unit
        The recipes of all that is to be written.
    settings
        The run's settings.
    """
    return replace(unit, recipes=(*unit.recipes, *_writing(unit, settings)))


def _writing(unit: Unit, settings: Settings) -> Iterator[Recipe]:
    images, tables, transforms = unit.of(Image), unit.of(Table), unit.of(Transform)
    out, place = settings.output_dir, unit.place
    for name, group in _image_groups(images).items():
        # volumes of probabilities are made of columns where they are written
        n_volumes = sum(len(image.more.get("LabelMap", ())) for image in group.values())
        told = list(dict.fromkeys(one.told_by for one in group.values() if one.told_by))
        targets = [_image_target(unit, image, told, settings) for image in group.values()]
        mem_gb = 1 + MEM_GB_PER_VOLUME * n_volumes
        sink = _sink(f"{name}_sink", write_images, group, targets, f"written_{name}s", mem_gb)
        if told:
            sink = replace(sink, takes={**sink.takes, "facts": told})
        if any(image.in_brain for image in group.values()):
            sink = replace(sink, beside={"tissue": "seg_tissue"})
        yield sink
    if tables:
        rows = [TableTarget(out / table.path(place), table.columns) for table in tables.values()]
        yield _sink("table_sink", write_tables, tables, rows, WRITTEN_TABLES)
    if transforms:
        paths = [str(out / transform.path(place)) for transform in transforms.values()]
        yield _sink("transform_sink", write_transforms, transforms, paths, WRITTEN_TRANSFORMS)


def _image_groups(images: Mapping[str, Image]) -> dict[str, dict[str, Image]]:
    """Divide images by when they are there: scans long before the rest, which are two halves."""
    groups: dict[str, dict[str, Image]] = {}
    for key, image in images.items():
        group = GROUPS.get(image.kind, "image")
        groups.setdefault(group, {})[key] = image
    return groups


def _image_target(
    unit: Unit, image: Image, facts: Sequence[str], settings: Settings
) -> ImageTarget:
    path = settings.output_dir / image.path(unit.place)
    told = sidecar(unit, image, settings)
    number = None if image.told_by is None else facts.index(image.told_by)
    return ImageTarget(
        path, image.kind, told, image.measured, image.look_up, number, image.in_brain
    )


def _sink(
    name: str, function: Any, keys: Any, targets: list[Any], key: str, mem_gb: float | None = None
) -> Recipe:
    return Recipe(
        name,
        function,
        takes={"files": list(keys)},
        options={"targets": targets},
        makes={"written": Work(key)},
        mem_gb=mem_gb,
    )


def written_by(unit: Unit) -> list[From]:
    """Name what says that all of a unit is written, for other units that show it."""
    tables = [From(unit.name, WRITTEN_TABLES)] if unit.of(Table) else []
    return [*written_images(unit), *tables]


def written_images(unit: Unit) -> list[From]:
    """Name what says that a unit's images and transforms are written, its tables perhaps not.

    Parameters
    ----------
    unit
        The unit.
    """
    keys = [f"written_{name}s" for name in _image_groups(unit.of(Image))]
    keys += [WRITTEN_TRANSFORMS] if unit.of(Transform) else []
    return [From(unit.name, key) for key in keys]


def sidecar(unit: Unit, image: Image, settings: Settings) -> dict[str, Any]:
    """Describe an image: what it shows, its direct parents, how and with what it was made.

    Parameters
    ----------
    unit
        The unit that it belongs to.
    image
        The image.
    settings
        The run's settings.

    Returns
    -------
    dict
        The content of the JSON file. Fields that only the image tells are None.
    """
    content = {
        "Description": image.caption,
        "Sources": unit.sources(image.key),
        "SpatialReference": unit.space,
        "Parameters": dict(image.parameters),
        "RandomSeed": settings.execution.random_seed,
        "ProcessingSoftware": software_versions(),
        **image.more,
        **dict.fromkeys(image.measured),
    }
    return {name: content[name] for name in FIELDS if name in content}
