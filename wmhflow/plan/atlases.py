"""Which atlases are laid over every person of a run, and by which template."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wmhflow.bids.naming import TEMPLATE
from wmhflow.errors import InputError, UsageError
from wmhflow.files.atlases import Atlas, load_atlas, stem_of, table_of
from wmhflow.files.fetching import how_to_get, verify
from wmhflow.files.images import read_header
from wmhflow.labels.regions import Region
from wmhflow.plan.atlas_place import check_one_size, check_place
from wmhflow.registries.atlases import (
    AtlasDefinition,
    TemplateDefinition,
    cached_path,
    load_atlases,
    load_templates,
)
from wmhflow.settings import Regions

log = logging.getLogger("wmhflow")
# Label images and files of the program's own, whose names an atlas cannot have.
OWN_NAMES = re.compile(
    r"tissue|lesions|zones.*|continuity|majority.*|shells|lobes|bullseye|WMH|NAWM|infarct"
)
# The atlas that gives lobes where no parcellation does.
LOBES_ATLAS = "dkt31"


@dataclass(frozen=True)
class AtlasPlan:
    """An atlas that is laid over every person of a run.

    Attributes
    ----------
    name, kind, path, regions, definition
        As of :class:`Atlas`.
    given
        What :func:`load_atlas` takes.
    sides_checked
        The user vouches for the sides.
    template
        How the template is called that it lies on.
    bridge
        The image that is registered to the program's template; None if it lies on that.
    by_labels
        That image is the atlas itself, whose labels are an anatomy.
    table
        The file that names its regions, if there is one.
    notes
        What was found and mended in it.
    """

    name: str
    given: str
    path: Path
    kind: str
    regions: Mapping[int, Region]
    template: str
    bridge: Path | None
    by_labels: bool = False
    sides_checked: bool = False
    definition: AtlasDefinition | None = None
    table: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_probabilistic(self) -> bool:
        """Whether its regions may overlap."""
        return self.kind == "probabilities"

    @property
    def files(self) -> dict[str, Path]:
        """Every file that its regions in a person depend on, by what it is."""
        found = {"image": self.path, "table": self.table, "bridge": self.bridge}
        return {role: path for role, path in found.items() if path is not None}


class PlannedAtlases:
    """The atlases of a run: those asked for, and the one that lobes may come from."""

    def __init__(self, regions: Regions) -> None:
        self.regions = regions
        self._check_names()
        self.asked = tuple(self._planned(text) for text in regions.atlas)

    @cached_property
    def for_lobes(self) -> AtlasPlan | None:
        """The atlas that gives lobes where no parcellation does, if it is at hand.

        Raises
        ------
        InputError
            If it is there and cannot be used.
        """
        asked = [atlas for atlas in self.asked if atlas.name == LOBES_ATLAS]
        if asked:
            return asked[0]
        definition = load_atlases()[LOBES_ATLAS]
        if not cached_path(definition, definition.image).is_file():
            return None
        return self._planned(LOBES_ATLAS)

    def _check_names(self) -> None:
        names = [text.partition("=")[0] for text in self.regions.atlas]
        for name in names:
            if OWN_NAMES.fullmatch(name):
                raise UsageError(
                    f"--atlas {name}: this is the name of a label image of the program's own; "
                    "give the atlas another one, as NAME=PATH."
                )
        for given in self.regions.atlas_template:
            if given.name not in names:
                raise UsageError(
                    f"--atlas-template {given.name}={given.path}: no --atlas is called "
                    f"{given.name}."
                )

    def _planned(self, text: str) -> AtlasPlan:
        name, equals, given = text.partition("=")
        absolute = f"{name}={Path(given).absolute()}" if equals else text
        checked = self.regions.atlas_sides_checked
        atlas = load_atlas(absolute, sides_checked=checked)
        template, bridge, by_labels = self._bridge(atlas)
        check_place(atlas)
        table = table_of(atlas.path, atlas.definition)
        return AtlasPlan(
            atlas.name, absolute, atlas.path, atlas.kind, atlas.regions, template, bridge,
            by_labels, checked, atlas.definition, table, atlas.notes,
        )  # fmt: skip

    def _bridge(self, atlas: Atlas) -> tuple[str, Path | None, bool]:
        """Say on which template an atlas lies, and which image leads from there to the program's.

        Two templates that are both called MNI152 are two brains, and are never taken for one.
        """
        for given in self.regions.atlas_template:
            if given.name == atlas.name:
                _say_other_template(atlas, str(given.path))
                return _given_template(atlas.name, given.path)
        definition = atlas.definition
        if definition is not None and definition.bridge == "labels":
            return definition.template, atlas.path, True
        told = _named_template(atlas.path)
        named = definition.template if definition else told
        if told in {TEMPLATE, *load_templates()} and told != named:
            raise UsageError(
                f"--atlas {atlas.name}: {atlas.path.name} says that it lies on {told}, where the "
                f"registry knows {atlas.name} on {named}; say which with --atlas-template."
            )
        if named == TEMPLATE:
            return TEMPLATE, None, False
        known = load_templates()
        if named not in known:
            raise UsageError(
                f"--atlas {atlas.name}: on which template does {atlas.path.name} lie? Say so with "
                f"--atlas-template {atlas.name}=IMAGE (that template's T1w), or "
                f"{atlas.name}={TEMPLATE} if it is this one."
            )
        return named, _there(atlas.name, known[named]), False


def _say_other_template(atlas: Atlas, said: str) -> None:
    """Warn where the file's name says another known template than the option."""
    told = _named_template(atlas.path)
    if told in {TEMPLATE, *load_templates()} and said in {TEMPLATE, *load_templates()} - {told}:
        log.warning(
            "--atlas-template %s=%s: the name of %s says that it lies on %s; the option is "
            "followed. Two templates that are called MNI152 are two brains.",
            atlas.name, said, atlas.path.name, told,
        )  # fmt: skip


def _given_template(name: str, path: Path) -> tuple[str, Path | None, bool]:
    if str(path) == TEMPLATE:
        return TEMPLATE, None, False
    known = load_templates()
    if str(path) in known:
        template = known[str(path)]
        return template.name, _there(name, template), False
    if not path.is_file():
        raise UsageError(
            f"--atlas-template {name}={path}: there is no such image; give the T1w of the template "
            f"that {name} lies on, {TEMPLATE}, or one of {', '.join(known)}."
        )
    try:
        read_header(path)
        check_one_size(path)
    except InputError as error:
        raise InputError(f"--atlas-template {name}: {error}") from None
    return stem_of(path), path.absolute(), False


def _there(name: str, template: TemplateDefinition) -> Path:
    """Return where the image of a known template lies, verified.

    Raises
    ------
    InputError
        If it is not there; it says how to get it.
    """
    if not template.path.is_file():
        raise InputError(
            f"The atlas {name} lies on the template {template.name}, whose image "
            f"{how_to_get(template)}."
        )
    verify(template.path, template.image)
    return template.path


def _named_template(path: Path) -> str | None:
    """Read the template from a file's name, as BIDS writes it.

    Examples
    --------
    >>> _named_template(Path("tpl-MNI152Lin_res-1_atlas-Mine_dseg.nii.gz"))
    'MNI152Lin'
    """
    found = re.search(r"(?:^|_)(?:tpl|space)-([a-zA-Z0-9]+)_", path.name)
    return found[1] if found else None
