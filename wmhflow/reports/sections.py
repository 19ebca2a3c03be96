"""Every section of a visit, in the order of the page: a new one is a function, a row, a template.

A function gives the values that the section's template asks for; the section's pictures follow
below what the template says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wmhflow.plan.refusals import left_out
from wmhflow.reports import tables
from wmhflow.reports.atlas_regions import SHOWN_REGIONS, atlas_volumes
from wmhflow.reports.beside import ACUTE_MASK, acute_values, spectra_values
from wmhflow.reports.context import VisitContext
from wmhflow.reports.drawing.common import pretty_unit
from wmhflow.reports.page import SectionPart
from wmhflow.reports.unmarked import unmarked_values

if TYPE_CHECKING:
    from wmhflow.reports.page import Shown
    from wmhflow.reports.tables import SideVolumes, TableRow

Values = Mapping[str, Any]
# tables that say why values are missing: what they are about, and the column that names which
WITH_REASONS = {"alps": ("DTI-ALPS", "hemisphere"), "mrs": ("spectroscopy", "voxel")}


@dataclass(frozen=True)
class MapPart:
    """What the page says of one map, beside its pictures."""

    name: str
    description: str
    unit: str
    has_profile: bool
    penumbra: list[TableRow]


def _summary(context: VisitContext) -> Values:
    quality = tables.quality_rows(context.table("qc"))
    return {
        "anchor": context.anchor,
        "facts": _facts(context),
        "is_empty": not context.scene.has_wmh,
        "checks": [row for row in quality if row["verdict"] == "check"],
        "left_out": left_out(context.visit),
        "missing": [
            f"{what}, {reason}"
            for table, (what, of) in WITH_REASONS.items()
            for reason in tables.reasons_of(context.table(table), of)
        ],
        "decisions_made": context.visit.decisions,
    }


def _facts(context: VisitContext) -> tuple[tuple[str, str], ...]:
    quality = {row["metric"]: row["value"] for row in context.table("qc")}
    volumes, visit = context.table("volumes"), context.visit
    voxel = " × ".join(f"{edge:.3g}" for edge in context.scene.reference.spacing)
    return (
        ("WMH volume", _ml(tables.total_volume_mm3(volumes, tables.WMH_NAME))),
        ("Lesions", str(len(context.table("lesions")))),
        ("Lateral ventricles", _ml(tables.total_volume_mm3(volumes, tables.VENTRICLE_NAME))),
        ("Brain mask, fluid in it included", _ml(tables.number(quality.get("brain_volume_mm3")))),
        ("Reference", f"{visit.reference}, voxels {voxel} mm"),
        ("Maps", ", ".join(entry.name for entry in visit.maps) or "none"),
    )


def _ml(mm3: float) -> str:
    text = tables.millilitres(mm3)
    return text if text == tables.MISSING else f"{text} mL"


def _orientation(context: VisitContext) -> Values:
    return {"orientation": context.scene.orientation}


def _masks(context: VisitContext) -> Values:
    return {**_orientation(context), **unmarked_values(context.unmarked, context.scene)}


def _volumes(context: VisitContext) -> Values:
    rows = context.table("volumes")
    parts = [(title, tables.volume_rows(rows, seg)) for seg, title in tables.VOLUME_TITLES.items()]
    parts += _atlas_tables(context)
    return {"links": context.links, "volumes": [(title, part) for title, part in parts if part]}


def _atlas_tables(context: VisitContext) -> Iterator[tuple[str, list[SideVolumes]]]:
    """Tabulate the regions of every atlas that hold lesions."""
    for atlas in context.visit.atlases:
        part = atlas_volumes(context.table("volumes"), atlas)
        all_named = len(part) < SHOWN_REGIONS
        most = "with WMH" if all_named else f"the {SHOWN_REGIONS} with most WMH"
        yield f"Atlas {atlas.name}, regions {most}", part


def _lesions(context: VisitContext) -> Values:
    rows = context.table("lesions")
    shown = tables.largest_lesions(rows)
    return {
        "links": context.links,
        "lesions": shown,
        "filled": tables.filled_columns(shown),
        "n_lesions": len(rows),
        "shown_lesions": tables.SHOWN_LESIONS,
    }


def _maps(context: VisitContext) -> Values:
    profiles, penumbrae = context.table("profiles"), context.table("penumbra")
    parts = [
        MapPart(
            entry.name,
            entry.definition.description,
            pretty_unit(entry.definition.unit),
            tables.has_profile(profiles, entry.name),
            tables.penumbra_rows(penumbrae, entry.name),
        )
        for entry in context.visit.maps
    ]
    return {"links": context.links, "maps": parts}


def _quality(context: VisitContext) -> Values:
    return {"links": context.links, "qc": tables.quality_rows(context.table("qc"))}


def _always(context: VisitContext) -> bool:
    return True


def _only_with_pictures(context: VisitContext) -> bool:
    return False


@dataclass(frozen=True)
class Section:
    """A row of the table of sections.

    Parameters
    ----------
    key
        What pictures are assigned to, and the end of the section's anchor.
    title
        Its heading.
    template
        A file among the templates.
    values
        Gives what the template asks for; the template finds the section's pictures beside that.
    exists
        Whether a finished visit has it even without a picture; with one, it always has it.
    has_heading
        False for the one right below the visit's title.
    """

    key: str
    title: str
    template: str
    values: Callable[[VisitContext], Values]
    exists: Callable[[VisitContext], bool] = _always
    has_heading: bool = True

    def part(self, context: VisitContext, pictures: tuple[Shown, ...]) -> SectionPart | None:
        """Gather what the page says in this section; None if the visit has no such section.

        Parameters
        ----------
        context
            A finished visit.
        pictures
            Those of this section.
        """
        if not (pictures or self.exists(context)):
            return None
        return SectionPart(
            self.title,
            f"{context.anchor}-{self.key}" if self.has_heading else context.anchor,
            self.template,
            self.values(context),
            pictures,
            self.has_heading,
        )


SECTIONS: tuple[Section, ...] = (
    Section("summary", "Summary", "summary.html.j2", _summary, has_heading=False),
    Section("masks", "Masks", "masks.html.j2", _masks),
    Section("regions", "Regions", "regions.html.j2", _orientation, _only_with_pictures),
    Section("alignment", "Alignment", "alignment.html.j2", _orientation),
    Section("volumes", "Volumes", "volumes.html.j2", _volumes),
    Section("lesions", "Lesions", "lesions.html.j2", _lesions),
    Section(
        "acute",
        "Acute lesions",
        "acute.html.j2",
        acute_values,
        lambda context: context.has_image(ACUTE_MASK),
    ),
    Section("maps", "Maps", "maps.html.j2", _maps, lambda context: bool(context.visit.maps)),
    Section(
        "spectra",
        "Spectroscopy",
        "spectra.html.j2",
        spectra_values,
        lambda context: bool(context.visit.spectra),
    ),
    Section("quality", "Quality", "quality.html.j2", _quality),
)
