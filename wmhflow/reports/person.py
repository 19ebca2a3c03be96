"""A person's report: one HTML page with pictures and tables of every visit.

It is made from finished outputs alone (and, for the pictures of how maps are aligned, from the
maps themselves), so that it can be made anew at any time, and gives the same bytes each time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

import wmhflow
from wmhflow.bids.writer import read_table, write_bytes, write_text
from wmhflow.labels.digits import LOBES, layer_of
from wmhflow.products.methods import citation_files
from wmhflow.products.outputs import image_paths, report_path, table_paths
from wmhflow.reports import tables
from wmhflow.reports.atlases import SHOWN_REGIONS, atlas_picture, atlas_volumes
from wmhflow.reports.bullseye import BullseyePlot, bullseye_png, describe
from wmhflow.reports.figures import pretty_unit, profile_figure
from wmhflow.reports.pictures import Picture, Scene, all_pictures, load_scene, orientation_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path, PurePosixPath
    from typing import Any

    from wmhflow.plan.visit import MapPlan, ParticipantPlan, VisitPlan
    from wmhflow.reports.tables import SideVolumes, TableRow
    from wmhflow.settings import Settings

# Without these there is nothing to show of a visit.
NEEDED_TABLES = ("volumes", "lesions", "qc")


@dataclass(frozen=True)
class Shown:
    """A picture in the page: its address relative to the page, and what it shows."""

    href: str
    alt: str
    caption: str


@dataclass(frozen=True)
class MapPart:
    """What the page says of one map."""

    name: str
    description: str
    unit: str
    profile: Shown | None
    penumbra: list[TableRow]


@dataclass(frozen=True)
class VisitPart:
    """What the page says of one visit; with a ``problem``, nothing but that."""

    anchor: str
    title: str
    decisions: tuple[Any, ...] = ()
    problem: str | None = None
    reference: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    orientation: str = ""
    is_empty: bool = False
    masks: tuple[Shown, ...] = ()
    alignment: tuple[Shown, ...] = ()
    regions: tuple[Shown, ...] = ()
    volumes: tuple[tuple[str, list[SideVolumes]], ...] = ()
    lesions: tuple[TableRow, ...] = ()
    n_lesions: int = 0
    maps: tuple[MapPart, ...] = ()
    qc: tuple[TableRow, ...] = ()
    links: dict[str, str] | None = None

    @property
    def checks(self) -> tuple[TableRow, ...]:
        """The measures that a person should look at."""
        return tuple(row for row in self.qc if row["verdict"] == "check")


def write_report(settings: Settings, participant: ParticipantPlan) -> Path:
    """Write a person's page and its pictures.

    Parameters
    ----------
    settings
        The run's settings; finished outputs are read from its output folder.
    participant
        The person's plan.

    Returns
    -------
    Path
        The page. A visit without finished outputs is named in it with the reason.

    Raises
    ------
    InputError
        If an image or a transform cannot be read.
    """
    import matplotlib.style

    # a user's matplotlibrc must not change the pictures
    with matplotlib.style.context("default"):
        visits = [_visit_part(settings, visit) for visit in participant.reported]
    path = settings.output_dir / report_path(participant.subject)
    write_text(path, render(participant.subject, visits, _methods(settings)))
    return path


def render(subject: str, visits: Sequence[VisitPart], methods: str) -> str:
    """Fill the page's template; all text is escaped but the methods text, which is HTML already.

    Parameters
    ----------
    subject
        Label without ``sub-``.
    visits
        In the order of the page.
    methods
        HTML.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    source = (files("wmhflow") / "data" / "report.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return (
        environment.from_string(source).render(
            subject=subject,
            visits=visits,
            methods=Markup(methods),
            version=wmhflow.__version__,
            shown_lesions=tables.SHOWN_LESIONS,
        )
        + "\n"
    )


def _methods(settings: Settings) -> str:
    text = citation_files(settings)["CITATION.html"].replace("<h2>Methods</h2>\n", "")
    return text.replace("<h2>", "<h3>").replace("</h2>", "</h3>")


def _anchor(visit: VisitPlan) -> str:
    return f"ses-{visit.session}" if visit.session else "visit"


def _visit_part(settings: Settings, visit: VisitPlan) -> VisitPart:
    title = f"Visit ses-{visit.session}" if visit.session else "Visit"
    needed = []
    if visit.problem is None:
        needed = [*image_paths(visit, settings).values()]
        needed += [table_paths(visit, settings)[key] for key in NEEDED_TABLES]
    missing = [path for path in needed if not (settings.output_dir / path).is_file()]
    problem = visit.problem
    if problem is None and missing:
        problem = f"The visit is not finished: {missing[0].name} does not exist."
    if problem is not None:
        return VisitPart(_anchor(visit), title, visit.decisions, problem)
    return _finished_part(settings, visit, title)


def _finished_part(settings: Settings, visit: VisitPlan, title: str) -> VisitPart:
    rows = {
        key: read_table(settings.output_dir / path)
        for key, path in table_paths(visit, settings).items()
        if (settings.output_dir / path).is_file()
    }
    scene = load_scene(settings, visit)
    shown: dict[str, list[Shown]] = {"masks": [], "alignment": [], "regions": []}
    for picture in all_pictures(settings, visit, scene):
        shown[picture.section].append(_save(settings, visit, picture))
    if visit.lobes:
        plots = list(_bullseye_plots(visit, rows))
        shown["regions"].append(_save(settings, visit, _bullseye_picture(plots)))
    for atlas in visit.atlases:
        picture = atlas_picture(settings, visit, scene, atlas, rows["volumes"])
        shown["regions"].append(_save(settings, visit, picture))
    return VisitPart(
        _anchor(visit),
        title,
        visit.decisions,
        reference=visit.reference,
        facts=_facts(visit, scene, rows),
        orientation=orientation_text(scene),
        is_empty=not scene.wmh.any(),
        masks=tuple(shown["masks"]),
        alignment=tuple(shown["alignment"]),
        regions=tuple(shown["regions"]),
        volumes=(*_volumes(rows["volumes"]), *_atlas_tables(visit, rows["volumes"])),
        lesions=tuple(tables.largest_lesions(rows["lesions"])),
        n_lesions=len(rows["lesions"]),
        maps=tuple(_map_parts(settings, visit, rows)),
        qc=tuple(tables.quality_rows(rows["qc"])),
        links={key: quote(path.as_posix()) for key, path in table_paths(visit, settings).items()},
    )


def _facts(
    visit: VisitPlan, scene: Scene, rows: dict[str, list[TableRow]]
) -> tuple[tuple[str, str], ...]:
    quality = {row["metric"]: row["value"] for row in rows["qc"]}
    volume = rows["volumes"]
    voxel = " × ".join(f"{edge:.3g}" for edge in scene.reference.spacing)
    return (
        ("WMH volume", f"{_ml(tables.total_volume_mm3(volume, tables.WMH_NAME))}"),
        ("Lesions", str(len(rows["lesions"]))),
        ("Lateral ventricles", f"{_ml(tables.total_volume_mm3(volume, tables.VENTRICLE_NAME))}"),
        ("Brain", f"{_ml(tables.number(quality.get('brain_volume_mm3')))}"),
        ("Reference", f"{visit.reference}, voxels {voxel} mm"),
        ("Maps", ", ".join(entry.name for entry in visit.maps) or "none"),
    )


def _ml(mm3: float) -> str:
    text = tables.millilitres(mm3)
    return text if text == tables.MISSING else f"{text} mL"


def _volumes(rows: Sequence[TableRow]) -> tuple[tuple[str, list[SideVolumes]], ...]:
    parts = [(tables.VOLUME_TITLES[seg], tables.volume_rows(rows, seg)) for seg in ("zones",)]
    parts += [
        (tables.VOLUME_TITLES[seg], tables.volume_rows(rows, seg))
        for seg in tables.VOLUME_SEGS
        if seg != "zones"
    ]
    return tuple((title, part) for title, part in parts if part)


def _atlas_tables(
    visit: VisitPlan, rows: Sequence[TableRow]
) -> Iterable[tuple[str, list[SideVolumes]]]:
    """Tabulate the regions of every atlas that hold lesions."""
    for atlas in visit.atlases:
        part = atlas_volumes(rows, atlas)
        if part:
            most = (
                f"the {SHOWN_REGIONS} with most WMH" if len(part) == SHOWN_REGIONS else "with WMH"
            )
            yield f"Atlas {atlas.name}, regions {most}", part


def _bullseye_plots(visit: VisitPlan, rows: dict[str, list[TableRow]]) -> Iterable[BullseyePlot]:
    """Plot WMH's share of each cell, and the mean of each map in all of its tissue."""
    load = tables.bullseye_values(rows["volumes"], "wmh_fraction")
    # of the outputs: a report that is made anew may be asked for with other settings
    n_layers = max(layer_of(cell) for cell in load)
    yield BullseyePlot("WMH volume fraction", "", load, n_layers, starts_at_zero=True)
    for entry in visit.maps:
        own = [
            row
            for row in rows.get("maps", [])
            if (row["map"], row["tissue"]) == (entry.name, "all")
        ]
        values = tables.bullseye_values(own, "mean")
        yield BullseyePlot(entry.name, entry.definition.unit, values, n_layers)


def _bullseye_picture(plots: Sequence[BullseyePlot]) -> Picture:
    from wmhflow.labels.regions import load_regions

    abbreviations = {k: load_regions("lobes")[k].abbreviation for k in LOBES}
    return Picture(
        "regions",
        "bullseye",
        "plot",
        bullseye_png(plots, abbreviations),
        " ".join(describe(plot) for plot in plots),
        "Bullseye: rings are layers of equal depth from ventricles (centre) to cortex (rim), and "
        "wedges lobes (FL frontal, PL parietal, TL temporal, OL occipital), basal ganglia and "
        "thalamus (BGT) and corpus callosum (CC); left is left. First the share of each cell that "
        "is WMH, then the mean of each map in it, lesions included. Hatched: no value.",
    )


def _map_parts(
    settings: Settings, visit: VisitPlan, rows: dict[str, list[TableRow]]
) -> Iterable[MapPart]:
    penumbrae = rows.get("penumbra", [])
    for entry in visit.maps:
        picture = _profile_picture(entry, rows.get("profiles", []), penumbrae)
        yield MapPart(
            entry.name,
            entry.definition.description,
            pretty_unit(entry.definition.unit),
            _save(settings, visit, picture) if picture else None,
            tables.penumbra_rows(penumbrae, entry.name),
        )


def _profile_picture(
    entry: MapPlan, profiles: Sequence[TableRow], penumbrae: Sequence[TableRow]
) -> Picture | None:
    """Draw a map's profile; None where no shell has a value (an empty lesion mask)."""
    points = tables.profile_points(profiles, entry.name)
    if all(math.isnan(point.mean) for part in points.values() for point in part):
        return None
    widths = tables.penumbra_widths(penumbrae, entry.name)
    dotted = " Dotted lines: penumbra width of the lesions in that colour." if widths else ""
    return Picture(
        "maps",
        f"profile{entry.name}",
        "profile",
        profile_figure(entry.name, entry.definition.unit, points, widths),
        f"{entry.name} against the distance from the lesion edge",
        f"Mean {entry.name} with its 95 % confidence interval (SD / √ effective n; neighbouring "
        "voxels are alike, so the true interval is wider) in each shell, at the shell's mean "
        "distance. Left of the red line lies the inside of the lesions. Squares at “beyond”: white "
        "matter outside the last shell, nearest to lesions of that class; grey band: its mean ± "
        f"SD for all lesions.{dotted}",
    )


def _save(settings: Settings, visit: VisitPlan, picture: Picture) -> Shown:
    path = figure_path(visit, picture)
    write_bytes(settings.output_dir / path, picture.png)
    return Shown(quote(path.as_posix()), picture.alt, picture.caption)


def figure_path(visit: VisitPlan, picture: Picture) -> PurePosixPath:
    """Return where a picture lies, relative to the output folder.

    Parameters
    ----------
    visit
        Whose picture it is.
    picture
        Named in its ``desc`` and suffix.
    """
    folder = report_path(visit.subject).with_suffix("") / "figures"
    session = f"_ses-{visit.session}" if visit.session else ""
    return folder / f"sub-{visit.subject}{session}_desc-{picture.desc}_{picture.suffix}.png"
