"""Units of work: a visit, a person, a pair of visits, or a study, each with its recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, TypeVar

from wmhflow.bids.query import FoundFile
from wmhflow.errors import ProductError
from wmhflow.products.product import (
    Facts,
    From,
    Image,
    Page,
    Place,
    Product,
    Recipe,
    Table,
    Taken,
    Transform,
    Work,
    Written,
    parts_of,
)

Kind = TypeVar("Kind", Image, Table, Transform, Page, Facts, Work)


@dataclass(frozen=True)
class Unit:
    """Something that is processed as one: its place, and the recipes of its products, in order.

    Attributes
    ----------
    name
        How other units and messages name it, e.g. ``sub-01 ses-2``.
    folders
        Names of the workflows that hold its steps, outermost first.
    place
        Whose folder its products lie in.
    recipes
        How each product is made.
    space
        BIDS URI of the image whose grid its images lie on.
    inputs
        Every file that it reads.
    choices
        Gives whatever else its outputs depend on, by settings or by what was found.
    record
        Where it is noted that it is finished, relative to the output folder; None if it is made
        anew by every run.
    others
        Units whose written products it takes.
    """

    name: str
    folders: tuple[str, ...]
    place: Place
    recipes: tuple[Recipe, ...]
    space: str = ""
    inputs: tuple[FoundFile, ...] = ()
    choices: Callable[[], dict[str, Any]] = dict
    record: PurePosixPath | None = None
    others: tuple[Unit, ...] = ()

    @cached_property
    def makers(self) -> dict[str, Recipe]:
        """The recipe of every product, by key.

        Raises
        ------
        ProductError
            If two recipes make one product, or have one name.
        """
        names = [recipe.name for recipe in self.recipes]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ProductError(f"{self.name}: two steps are called {min(twice)}")
        makers: dict[str, Recipe] = {}
        for recipe in self.recipes:
            for product in recipe.makes.values():
                if product.key in makers:
                    raise ProductError(
                        f"{self.name}: {makers[product.key].name} and {recipe.name} both make "
                        f"{product.key}"
                    )
                makers[product.key] = recipe
        return makers

    @cached_property
    def products(self) -> dict[str, Product]:
        """Every product, by key."""
        return {
            product.key: product for recipe in self.recipes for product in recipe.makes.values()
        }

    def of(self, kind: type[Kind]) -> dict[str, Kind]:
        """Return the products of one kind, by key, in the order in which they are made."""
        return {key: one for key, one in self.products.items() if isinstance(one, kind)}

    @property
    def written(self) -> dict[str, Written]:
        """Every product that is written, by key."""
        kinds = (Image, Table, Transform, Page)
        return {key: one for key, one in self.products.items() if isinstance(one, kinds)}

    @property
    def files(self) -> list[PurePosixPath]:
        """Every file that exists when the unit has ended well, relative to the output folder."""
        return [path for one in self.written.values() for path in one.files(self.place)]

    def path(self, key: str) -> PurePosixPath:
        """Return where a written product lies, relative to the output folder."""
        return self.written[key].path(self.place)

    def sources(self, key: str) -> list[str]:
        """Return the BIDS URIs of a product's direct parents: what is written, or was given.

        Parameters
        ----------
        key
            Of a product; what stays in the work folder is followed to where it comes from.
        """
        found: list[str] = []
        for taken in self.makers[key].takes.values():
            for part in parts_of(taken):
                found += self._uris(part)
        return list(dict.fromkeys(found))

    def _uris(self, part: Taken) -> list[str]:
        if isinstance(part, FoundFile):
            return [part.uri]
        if isinstance(part, From):
            # what all persons of a run share is no unit of a person, and stays in the work folder
            return [
                uri
                for unit in self.others
                if unit.name == part.unit
                for uri in unit._uris(part.key)
            ]
        if not isinstance(part, str):
            # a plain path lies in no dataset
            return []
        product = self.product(part)
        if isinstance(product, Image | Table | Transform | Page):
            return [f"bids::{product.path(self.place).as_posix()}"]
        return self.sources(part)

    def product(self, key: str) -> Product:
        """Return a product by its key.

        Raises
        ------
        ProductError
            If no recipe makes it.
        """
        if key not in self.products:
            raise ProductError(f"{self.name}: no step makes {key}; {', '.join(self.products)}")
        return self.products[key]

    def check(self) -> None:
        """Refuse recipes that take what nobody makes, or that make something twice.

        Raises
        ------
        ProductError
            If there is one.
        """
        makers = self.makers
        for recipe in self.recipes:
            for taken in (*recipe.takes.values(), *recipe.beside.values(), recipe.after):
                for part in parts_of(taken):
                    if isinstance(part, str) and part not in makers:
                        raise ProductError(f"{self.name}: {recipe.name} takes {part}: not made")
