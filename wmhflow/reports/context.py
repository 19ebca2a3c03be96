"""A visit as the report sees it: its plan, and what its run wrote, read once and when asked for.

Where the files of a visit lie is known here alone; pictures and sections ask by key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from wmhflow.bids.query import FoundFile
from wmhflow.bids.writer import read_table
from wmhflow.files.places import placed_box
from wmhflow.plan.judging_maps import unusable_maps
from wmhflow.plan.visit import Composed, Given
from wmhflow.products.keys import Visit
from wmhflow.products.maps import group_name, map_groups
from wmhflow.products.product import Image, Table, page_path
from wmhflow.products.visit import visit_unit
from wmhflow.reports.scene import Scene, load_ras, load_scene
from wmhflow.reports.unmarked import spots_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from wmhflow.core.wmh.unmarked import BrightSpot
    from wmhflow.plan.visit import MapPlan, VisitPlan
    from wmhflow.products.unit import Unit
    from wmhflow.reports.tables import TableRow
    from wmhflow.settings import Settings

# Without these there is nothing to show of a visit.
NEEDED_TABLES = ("volumes", "lesions", "qc")


@dataclass(frozen=True)
class AlignedMap:
    """A map, the transform that leads to the reference (None: the header does), and how."""

    plan: MapPlan
    path: Path
    transform: Path | None
    how: str
    bends: bool = False


@dataclass(frozen=True)
class PlacedVoxel:
    """A voxel of spectroscopy, and its box: from a cube of edge 1 around 0 to the reference, mm."""

    name: str
    box: NDArray[np.float64]


@dataclass(frozen=True)
class VisitContext:
    """One visit of a person, for pictures and sections.

    Parameters
    ----------
    settings
        The run's settings; finished outputs are read from its output folder.
    visit
        The plan.
    """

    settings: Settings
    visit: VisitPlan
    _read: dict[str, list[TableRow]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def title(self) -> str:
        """How the page names the visit."""
        return f"Visit ses-{self.visit.session}" if self.visit.session else "Visit"

    @property
    def anchor(self) -> str:
        """Where the visit begins in the page."""
        return f"ses-{self.visit.session}" if self.visit.session else "visit"

    @cached_property
    def unit(self) -> Unit:
        """What the visit promises, and where it lies."""
        return visit_unit(self.visit, self.settings)

    @cached_property
    def _tables(self) -> dict[str, PurePosixPath]:
        """Where the tables lie, by what follows ``table_`` in their key."""
        return {key.removeprefix("table_"): self.unit.path(key) for key in self.unit.of(Table)}

    @cached_property
    def problem(self) -> str | None:
        """Why there is nothing to show but this; None for a finished visit."""
        if self.visit.problem is not None:
            return self.visit.problem
        needed = [*self.unit.of(Image), *(f"table_{key}" for key in NEEDED_TABLES)]
        paths = [self.unit.path(key) for key in needed]
        missing = [path for path in paths if not self._written(path).is_file()]
        return f"The visit is not finished: {missing[0].name} does not exist." if missing else None

    @cached_property
    def scene(self) -> Scene:
        """The visit's images."""
        return load_scene(self.visit, self.image)

    @cached_property
    def unmarked(self) -> list[BrightSpot] | None:
        """Bright spots that the WMH mask does not hold; None if they could not be looked for."""
        return spots_of(self.scene)

    def image(self, key: str) -> Path:
        """Return the file of an image that the visit promises."""
        return self._written(self.unit.path(key))

    def has_image(self, key: str) -> bool:
        """Tell whether the visit promises an image of that key."""
        return key in self.unit.of(Image)

    def mask(self, key: str) -> NDArray[np.bool_]:
        """Return a mask that the visit promises, in the order right, front, up."""
        return np.asarray(load_ras(self.image(key)).data > 0)

    def table(self, key: str) -> list[TableRow]:
        """Return the rows of a table; none if the visit has no such table."""
        if key not in self._read:
            path = self._tables.get(key)
            exists = path is not None and self._written(path).is_file()
            self._read[key] = read_table(self._written(path)) if path and exists else []
        return self._read[key]

    @property
    def has_lobes(self) -> bool:
        """Whether lobes and the bullseye are known."""
        return bool(self.visit.lobes)

    @property
    def links(self) -> dict[str, str]:
        """The addresses of the tables, relative to the page."""
        return {key: quote(path.as_posix()) for key, path in self._tables.items()}

    @property
    def template_transform(self) -> Path:
        """The transform that brings the template to the reference, given or computed."""
        if isinstance(self.visit.inverse, Given):
            return self.visit.inverse.file.path
        return self._written(self.unit.path("inverse"))

    def aligned_maps(self) -> Iterator[AlignedMap]:
        """Go through the maps, those on one grid together, with what leads to the reference.

        Those that cannot be used are left out: there is nothing to see.
        """
        lost = unusable_maps(self.visit)
        for group in map_groups(self.visit):
            for entry in (one for one in group if one.name not in lost):
                image = self._values_of(entry)
                if isinstance(entry.transform, Given):
                    path = entry.transform.file.path
                    yield AlignedMap(entry, image, path, f"aligned by {path.name}")
                elif isinstance(entry.transform, Composed):
                    path = self._written(self.unit.path(f"transform_{group_name(group)}"))
                    how = f"aligned by {path.name}, composed"
                    yield AlignedMap(entry, image, path, how, entry.transform.bends)
                elif entry.transform is not None:
                    path = self._written(self.unit.path(f"transform_{group_name(group)}"))
                    yield AlignedMap(entry, image, path, "registered rigidly")
                else:
                    yield AlignedMap(entry, image, None, "aligned by its header")

    def voxels(self) -> Iterator[PlacedVoxel]:
        """Go through the voxels of spectroscopy, brought to the reference."""
        other = Visit(self.visit, self.settings).other_transform
        for voxel in self.visit.spectra:
            transforms = [leg.file.path for leg in voxel.legs]
            if voxel.through_other:
                # a given one, or the product of that name
                key = other if isinstance(other, str) else None
                given = other.path if isinstance(other, FoundFile) else None
                path = self._written(self.unit.path(key)) if key else given
                transforms += [path] if path else []
            inverted = [leg.inverted for leg in voxel.legs]
            trust = self.settings.inputs.trust
            box = placed_box(voxel.file.path, transforms, inverted, trust)
            yield PlacedVoxel(voxel.name, box)

    def _values_of(self, entry: MapPlan) -> Path:
        """Return the image of a map: the file that was found, or what was computed."""
        if isinstance(entry.values, Given):
            return entry.file.path
        return self.image(f"map_{entry.name}")

    def figure_path(self, desc: str, suffix: str) -> PurePosixPath:
        """Return where a picture lies, relative to the output folder.

        Parameters
        ----------
        desc, suffix
            What the picture is called.
        """
        subject, session = self.visit.subject, self.visit.session
        folder = page_path(subject).with_suffix("") / "figures"
        middle = f"_ses-{session}" if session else ""
        return folder / f"sub-{subject}{middle}_desc-{desc}_{suffix}.png"

    def _written(self, path: PurePosixPath) -> Path:
        return self.settings.output_dir / path
