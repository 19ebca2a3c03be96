"""The image by which a group of maps is aligned, or by which their alignment is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.plan.visit import Given, MapPlan
from wmhflow.products.anatomy import rigid
from wmhflow.products.keys import Visit
from wmhflow.products.product import Facts, Recipe, Taken, Transform, Work
from wmhflow.steps.map_images import align_maps, choose_map_image


def given_files(group: tuple[MapPlan, ...]) -> list[FoundFile]:
    """List the files of a group's given maps."""
    return [entry.file for entry in group if isinstance(entry.values, Given)]


def map_image(
    visit: Visit, name: str, shown: Taken, source: str, files: Sequence[FoundFile]
) -> Recipe:
    """Declare the image that shows most of the anatomy, on the grid of a group of maps.

    Parameters
    ----------
    visit
        The visit.
    name
        Of the group.
    shown, source
        The image, and how messages name it.
    files
        Images on that grid, of which the first that shows something can stand for it.
    """
    spare = [str(file.path) for file in files if file != shown]
    options: dict[str, Any] = {"source": source, **visit.trusted}
    return Recipe(
        f"image_{name}",
        choose_map_image,
        takes={"in_file": shown},
        options=options | ({"spare": spare} if spare else {}),
        makes={"image": Work(f"image_{name}"), "source": Work(f"image_source_{name}")},
    )


def aligned_maps(visit: Visit, name: str) -> Recipe:
    """Declare the alignment of a group of maps by their image, judged as the user asked.

    Parameters
    ----------
    visit
        The visit.
    name
        Of the group.
    """
    transform = Transform(f"transform_{name}", name, visit.plan.reference, ".txt")
    facts = Facts(f"alignment_{name}", f"map_{name}_registration_")
    recipe = rigid(visit, f"registration_{name}", f"image_{name}", "", transform, facts)
    return named_by_image(replace(recipe, function=align_maps), name)


def named_by_image(recipe: Recipe, name: str) -> Recipe:
    """Let a recipe's messages name the image that was chosen for a group of maps.

    Parameters
    ----------
    recipe
        Of an alignment or a verdict on it.
    name
        Of the group.
    """
    options = {key: value for key, value in recipe.options.items() if key != "moving_name"}
    beside = {**recipe.beside, "moving_name": f"image_source_{name}"}
    return replace(recipe, options=options, beside=beside)
