"""The part of a visit's graph from tissues and lesions to label images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nipype import Node

from wmhflow.interfaces.anatomy import CombineTissues
from wmhflow.interfaces.atlases import LayAtlas, LobesFromAtlas, PointsInTemplate
from wmhflow.interfaces.regions import (
    Bullseye,
    Distances,
    LesionClasses,
    Lesions,
    Lobes,
    Shells,
    Zones,
)
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.products.rows import zone_images
from wmhflow.workflows.graph import VisitGraph, bridge_name

WHERE_ATLASES_LIE = ("mask_brain", "tissue_without_lesions", "mask_WMH", "mask_infarct")


def add_atlases(graph: VisitGraph) -> None:
    """Lay atlases over the person, through the program's template and, if need be, their own."""
    places: dict[Path | None, tuple[Node, str]] = {}
    for atlas in graph.visit.laid_atlases:
        if atlas.bridge not in places:
            places[atlas.bridge] = _points_in_template(graph, atlas)
        laid = graph.add(
            f"atlas_{atlas.name}",
            LayAtlas(),
            mem_gb=4.0 if atlas.is_probabilistic else 2.0,
            atlas=atlas.given,
            sides_checked=atlas.sides_checked,
            image=str(atlas.path),
            points=places[atlas.bridge],
            threshold=graph.settings.regions.atlas_threshold,
        )
        # by the name that tables give it, as the program's own label images
        graph.known[f"seg_{atlas.name}"] = (laid, "labels")
        if atlas.is_probabilistic:
            graph.known[f"members_{atlas.name}"] = (laid, "members")
            graph.known[f"atlasprob_{atlas.name}"] = (laid, "steps")
        else:
            graph.known[f"atlas_{atlas.name}"] = (laid, "labels")


def _points_in_template(graph: VisitGraph, atlas: AtlasPlan) -> tuple[Node, str]:
    """Look up the brain, and lesions and tissue outside its mask, in the template of an atlas."""
    wanted = [name for name in WHERE_ATLASES_LIE if name in graph.known]
    over = [] if atlas.bridge is None else [f"template_{bridge_name(atlas)}"]
    points = graph.add(
        f"points_of_{atlas.name}",
        PointsInTemplate(),
        mem_gb=2.0,
        masks=graph.gather(f"voxels_for_{atlas.name}", wanted),
        transforms=graph.gather(f"way_to_{atlas.name}", ["inverse", *over]),
    )
    return points, "points"


def add_regions(graph: VisitGraph) -> None:
    """Add distances and everything that is made from them."""
    settings = graph.settings
    tissue = graph.add(
        "tissue_with_lesions",
        CombineTissues(),
        mem_gb=1.0,
        tissue="tissue_without_lesions",
        hemispheres="hemispheres",
        wmh="mask_WMH",
        infarct=graph.if_known("mask_infarct"),
        guard_mm=settings.anatomy.tissue_guard,
    )
    graph.known |= {"seg_tissue": (tissue, "tissue"), "mask_NAWM": (tissue, "nawm")}
    graph.facts.append(("", (tissue, "facts")))
    distances = graph.add(
        "distances",
        Distances(),
        mem_gb=2.0,
        tissue="seg_tissue",
        ventricles="mask_ventricles",
        wmh="mask_WMH",
    )
    for name, output in (("ventricles", "ventricles"), ("cortex", "cortex"), ("WMH", "wmh")):
        graph.known[f"distance_{name}"] = (distances, output)
    graph.known["distance_depth"] = (distances, "depth")
    _add_lobes(graph)
    _add_lesions(graph)
    shells = graph.add(
        "shells",
        Shells(),
        mem_gb=2.0,
        lesions="seg_lesions",
        nawm="mask_NAWM",
        tissue="seg_tissue",
        is_periventricular="is_periventricular",
        width_mm=settings.regions.shell_width,
        max_mm=settings.regions.shell_max,
    )
    graph.known |= {"seg_shells": (shells, "shells"), "shell_distances": (shells, "distances")}


def _add_lobes(graph: VisitGraph) -> None:
    """Divide white matter by lobe and depth, where there are lobes."""
    if graph.visit.lobes is None:
        return
    if graph.visit.lobes_atlas is not None:
        cortex = graph.add(
            "cortex_lobes",
            LobesFromAtlas(),
            mem_gb=2.0,
            codes=f"seg_{graph.visit.lobes_atlas.name}",
            tissue="seg_tissue",
        )
        graph.known["cortex_lobes"] = (cortex, "cortex_lobes")
    lobes = graph.add(
        "lobes", Lobes(), mem_gb=2.0, tissue="seg_tissue", cortex_lobes="cortex_lobes"
    )
    graph.known["seg_lobes"] = (lobes, "lobes")
    bullseye = graph.add(
        "bullseye",
        Bullseye(),
        mem_gb=1.0,
        depth="distance_depth",
        lobes="seg_lobes",
        layers=graph.settings.regions.bullseye_layers,
    )
    graph.known["seg_bullseye"] = (bullseye, "bullseye")


def _add_lesions(graph: VisitGraph) -> None:
    """Divide white matter into zones, number the lesions, and let every rule judge them."""
    near = {"ventricle_distance": "distance_ventricles", "cortex_distance": "distance_cortex"}
    schemes = zone_images(graph.visit.zones)
    for name, scheme in schemes.items():
        zones = graph.add(name, Zones(), mem_gb=1.0, tissue="seg_tissue", scheme=scheme, **near)
        graph.known[f"seg_{name}"] = (zones, "zones")
    every_zones = graph.gather("every_zones", [f"seg_{name}" for name in schemes])
    lesions = graph.add(
        "lesions",
        Lesions(),
        mem_gb=1.0,
        wmh="mask_WMH",
        tissue="seg_tissue",
        zones=every_zones,
        schemes=list(graph.visit.zones),
        lobes=graph.if_known("seg_lobes"),
        **_territories(graph),
        rule=graph.settings.regions.lesion_rule,
        **near,
    )
    graph.known |= {
        "seg_lesions": (lesions, "lesions"),
        "table_lesions": (lesions, "table"),
        "is_periventricular": (lesions, "is_periventricular"),
    }
    by_rule: dict[str, dict[str, Any]] = {
        "continuity": {"ventricle_distance": "distance_ventricles"}
    }
    for name, zone_name in zip(zone_images(graph.visit.zones, "majority"), schemes, strict=True):
        by_rule[name] = {"zones": f"seg_{zone_name}"}
    for name, rule in by_rule.items():
        classes = graph.add(
            name, LesionClasses(), lesions="seg_lesions", tissue="seg_tissue", **rule
        )
        graph.known[f"seg_{name}"] = (classes, "classes")


def _territories(graph: VisitGraph) -> dict[str, Any]:
    """Give the inputs that name the lesions' arterial territories, if an atlas was asked for."""
    atlas = graph.visit.territories
    if atlas is None:
        return {}
    ventricles = atlas.definition.ventricles if atlas.definition else ()
    names = {
        index: region.name for index, region in atlas.regions.items() if index not in ventricles
    }
    return {"territories": f"seg_{atlas.name}", "territory_names": names}
