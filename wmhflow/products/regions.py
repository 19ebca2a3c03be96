"""Products from tissues and lesions to label images: atlases, distances, zones, lobes, shells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from wmhflow.bids.naming import TEMPLATE
from wmhflow.files.checksums import checksum
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.products.columns import majority_columns
from wmhflow.products.keys import Visit
from wmhflow.products.look_up import look_up_table
from wmhflow.products.product import Facts, From, Image, Product, Recipe, Taken, Work
from wmhflow.products.rows import zone_images
from wmhflow.products.study import bridge_of
from wmhflow.products.tables import lesion_table
from wmhflow.registries.bibliography import bibliography
from wmhflow.steps.atlases import find_points, lay_atlas, lobes_from_atlas
from wmhflow.steps.infratentorial import find_infratentorial
from wmhflow.steps.lesions import classify_by_continuity, classify_by_majority, number_lesions
from wmhflow.steps.regions import (
    divide_into_bullseye,
    divide_into_lobes,
    divide_into_shells,
    divide_into_zones,
    measure_cortex_distance,
    measure_depth,
    measure_distance,
    measure_edge_distance,
)
from wmhflow.steps.tissue import find_nawm, put_lesions_in

CAPTIONS = {
    "NAWM": "Normal-appearing white matter",
    "tissue": "Tissue classes, by hemisphere, lesions included",
    "lesions": "One number per 26-connected lesion",
    "zones": "White matter by distance from ventricle and cortex",
    "shells": "Shells around (and inside) lesions, by class of the nearest lesion",
    "lobes": "Lobe of the nearest cortex of the same hemisphere",
    "bullseye": "White matter and deep nuclei by depth between ventricle and cortex, and by lobe",
    "continuity": "Lesions, whole: periventricular if any voxel lies within 3 mm of the ventricle",
    "majority": "Lesions, whole, as the zone that holds most of their voxels",
}
DISTANCES = {
    "ventricles": "Euclidean distance to the nearest voxel of the lateral ventricles",
    "WMH": "Signed Euclidean distance to the lesion edge, negative inside lesions",
    "cortex": "Euclidean distance to the nearest voxel of the cerebral cortex",
    "depth": "Ventricle distance / (ventricle distance + cortex distance)",
}
NOT_MEASURED = "; the largest number, outside of the brain, stands for no measurement"
NEAR = {"ventricle_distance": "distance_ventricles", "cortex_distance": "distance_cortex"}


def regions(visit: Visit) -> Iterator[Recipe]:
    """Declare atlases, distances, and everything that is made from them."""
    yield from _atlases(visit)
    yield from _tissues(visit)
    yield _infratentorial(visit)
    yield from _distances(visit)
    yield from _lobes(visit)
    yield from _zones(visit)
    yield _lesions(visit)
    yield from _lesion_classes(visit)
    yield _shells(visit)


def _seg(visit: Visit, name: str, caption: str, **parameters: Any) -> Image:
    """Declare a label image of the program's own."""
    look_up = "numbered" if name == "lesions" else None
    return visit.image(
        f"seg_{name}", "dseg", CAPTIONS[caption], parameters=parameters, look_up=look_up, seg=name
    )


# ---- atlases -------------------------------------------------------------------------------------


def _atlases(visit: Visit) -> Iterator[Recipe]:
    """Declare atlases laid over the person, through the program's template and their own."""
    looked_up: dict[Any, str] = {}
    for atlas in visit.plan.laid_atlases:
        if atlas.bridge not in looked_up:
            looked_up[atlas.bridge] = f"points_of_{atlas.name}"
            yield _points(visit, atlas)
        yield Recipe(
            f"atlas_{atlas.name}",
            lay_atlas,
            takes={"points": looked_up[atlas.bridge], "image": atlas.path, "table": atlas.table},
            options={
                "atlas": atlas.given,
                "sides_checked": atlas.sides_checked,
                "threshold": visit.settings.regions.atlas_threshold,
            },
            makes=_laid(visit, atlas),
            mem_gb=4.0 if atlas.is_probabilistic else None,
        )


def _points(visit: Visit, atlas: AtlasPlan) -> Recipe:
    """Look up the brain, and lesions and tissue outside its mask, in the template of an atlas."""
    masks: list[Taken] = ["mask_brain", "tissue_without_lesions", "mask_WMH", visit.infarct]
    over: list[From] = [] if atlas.bridge is None else [bridge_of(atlas)]
    return Recipe(
        f"points_of_{atlas.name}",
        find_points,
        takes={"transforms": [visit.inverse, *over], "masks": [one for one in masks if one]},
        makes={"points": Work(f"points_of_{atlas.name}")},
    )


def _laid(visit: Visit, atlas: AtlasPlan) -> dict[str, Product]:
    """Declare what laying an atlas gives; one that only lobes need is not written."""
    name, labels = atlas.name, Work(f"seg_{atlas.name}")
    if atlas not in visit.plan.atlases:
        return {"labels": labels}
    title = atlas.definition.title if atlas.definition else atlas.path.name
    if atlas.is_probabilistic:
        names = [region.abbreviation for region in atlas.regions.values()]
        steps = visit.image(
            f"atlasprob_{name}",
            "probseg",
            f"Probability of every region of an atlas, a volume each, in the brain: {title}",
            "probabilities",
            {"LabelMap": names},
            {"interpolation": "linear", "threshold": visit.settings.regions.atlas_threshold},
            {"Atlas": partial(atlas_facts, atlas)},
            atlas=name,
        )
        return {"labels": labels, "members": Work(f"members_{name}"), "steps": steps}
    image = visit.image(
        f"seg_{name}",
        "dseg",
        f"Regions of an atlas in the brain: {title}",
        parameters={"interpolation": "nearest neighbour"},
        measured={"Atlas": partial(atlas_facts, atlas)},
        look_up=look_up_table(atlas.regions.values()),
        atlas=name,
    )
    return {"labels": image}


def atlas_facts(atlas: AtlasPlan) -> dict[str, Any]:
    """State what an atlas is, where it comes from, and how it came here."""
    facts: dict[str, Any] = {
        "Name": atlas.name,
        "File": atlas.path.name,
        "SHA256": checksum(atlas.path),
        "Template": atlas.template,
    }
    if atlas.definition:
        facts["License"] = atlas.definition.licence
        facts["ReferencesAndLinks"] = [f"doi:{bibliography()[atlas.definition.citation]['doi']}"]
    if atlas.bridge is not None:
        facts["RegisteredTo"] = TEMPLATE
        facts["RegisteredBy"] = "its own labels" if atlas.by_labels else atlas.bridge.name
    if atlas.notes:
        facts["Notes"] = list(atlas.notes)
    return facts


def lobes_facts(atlas: AtlasPlan) -> dict[str, Any]:
    """State from which atlas the cortex took its lobes."""
    return {"cortex": f"nearest parcel of {atlas.name}", "Atlas": atlas_facts(atlas)}


# ---- distances and what they divide --------------------------------------------------------------


def _tissues(visit: Visit) -> Iterator[Recipe]:
    yield Recipe(
        "tissue_with_lesions",
        put_lesions_in,
        takes={
            "tissue": "tissue_without_lesions",
            "hemispheres": "hemispheres",
            "wmh": "mask_WMH",
        },
        makes={"tissue": _seg(visit, "tissue", "tissue")},
    )
    guard = visit.settings.anatomy.tissue_guard
    nawm = visit.image(
        "mask_NAWM",
        "mask",
        CAPTIONS["NAWM"],
        "mask",
        {"Type": "ROI"},
        {"tissue_guard_mm": guard or "smallest voxel edge"},
        label="NAWM",
    )
    yield Recipe(
        "nawm",
        find_nawm,
        takes={"tissue": "seg_tissue", "infarct": visit.infarct},
        options={"guard_mm": guard},
        makes={"nawm": nawm, "facts": Facts("nawm_facts")},
    )


def _infratentorial(visit: Visit) -> Recipe:
    """Declare where cerebellum and brain stem are, and how much of the WMH they hold."""
    # computed tissues call lesions white matter wherever they lie
    is_computed = visit.plan.parcellation is None
    return Recipe(
        "infratentorial",
        find_infratentorial,
        takes={
            "tissue": "tissue_without_lesions",
            "wmh": "mask_WMH",
            "placed": "warped_infratentorial" if is_computed else None,
        },
        makes={"infratentorial": Work("infratentorial"), "facts": Facts("infratentorial_facts")},
    )


def _distances(visit: Visit) -> Iterator[Recipe]:
    made: dict[str, tuple[Any, dict[str, Taken]]] = {
        "ventricles": (measure_distance, {"target": "mask_ventricles"}),
        "WMH": (measure_edge_distance, {"target": "mask_WMH"}),
        "cortex": (measure_cortex_distance, {"tissue": "seg_tissue"}),
        "depth": (measure_depth, dict(NEAR)),
    }
    for name, (function, takes) in made.items():
        unit = {"Units": "arbitrary" if name == "depth" else "mm"}
        image = visit.image(
            f"distance_{name}",
            "distance",
            DISTANCES[name] + NOT_MEASURED,
            "depth" if name == "depth" else "distance",
            unit,
            desc=name,
        )
        kept = replace(image, in_brain=True)
        beside = {"tissue": "seg_tissue"} if "target" in takes else {}
        yield Recipe(
            f"distance_{name}", function, takes=takes, beside=beside, makes={"distance": kept}
        )


def _lobes(visit: Visit) -> Iterator[Recipe]:
    """Declare white matter by lobe and depth, where there are lobes."""
    if visit.plan.lobes is None:
        return
    atlas, cortex = visit.plan.lobes_atlas, "cortex_lobes"
    image = _seg(visit, "lobes", "lobes")
    if atlas is not None:
        cortex = "cortex_lobes_by_atlas"
        image = replace(image, measured={"Parameters": partial(lobes_facts, atlas)})
        yield Recipe(
            "cortex_lobes",
            lobes_from_atlas,
            takes={"codes": f"seg_{atlas.name}", "tissue": "seg_tissue"},
            makes={"cortex_lobes": Work(cortex)},
        )
    yield Recipe(
        "lobes",
        divide_into_lobes,
        takes={"tissue": "seg_tissue", "cortex_lobes": cortex},
        makes={"lobes": image},
    )
    layers = visit.settings.regions.bullseye_layers
    yield Recipe(
        "bullseye",
        divide_into_bullseye,
        takes={"depth": "distance_depth", "lobes": "seg_lobes"},
        options={"layers": layers},
        makes={"bullseye": _seg(visit, "bullseye", "bullseye", layers=layers)},
    )


def _zones(visit: Visit) -> Iterator[Recipe]:
    for name, scheme in zone_images(visit.plan.zones).items():
        yield Recipe(
            name,
            divide_into_zones,
            takes={"tissue": "seg_tissue", **NEAR},
            options={"scheme": scheme},
            makes={"zones": _seg(visit, name, "zones", scheme=scheme)},
        )


def _lesions(visit: Visit) -> Recipe:
    """Declare the numbered lesions, and their table."""
    schemes, atlas = visit.plan.zones, visit.plan.territories
    options: dict[str, Any] = {
        "columns": majority_columns(schemes),
        "rule": visit.settings.regions.lesion_rule,
    }
    if atlas is not None:
        ventricles = atlas.definition.ventricles if atlas.definition else ()
        options["territory_names"] = {
            index: region.name for index, region in atlas.regions.items() if index not in ventricles
        }
    return Recipe(
        "lesions",
        number_lesions,
        takes={"wmh": "mask_WMH"},
        beside={
            "tissue": "seg_tissue",
            "zones": [f"seg_{name}" for name in zone_images(schemes)],
            "lobes": "seg_lobes" if visit.plan.lobes is not None else None,
            "territories": f"seg_{atlas.name}" if atlas is not None else None,
            "infratentorial": "infratentorial",
            **NEAR,
        },
        options=options,
        makes={
            "lesions": _seg(visit, "lesions", "lesions"),
            "table": lesion_table(schemes),
            "is_periventricular": Work("is_periventricular"),
        },
    )


def _lesion_classes(visit: Visit) -> Iterator[Recipe]:
    whole = {"lesions": "seg_lesions", "tissue": "seg_tissue"}
    yield Recipe(
        "continuity",
        classify_by_continuity,
        takes=whole | {"ventricle_distance": "distance_ventricles"},
        makes={"classes": _seg(visit, "continuity", "continuity")},
    )
    schemes, zones = visit.plan.zones, list(zone_images(visit.plan.zones))
    for (name, scheme), zone_name in zip(
        zone_images(schemes, "majority").items(), zones, strict=True
    ):
        yield Recipe(
            name,
            classify_by_majority,
            takes=whole | {"zones": f"seg_{zone_name}"},
            makes={"classes": _seg(visit, name, "majority", scheme=scheme)},
        )


def _shells(visit: Visit) -> Recipe:
    options = visit.settings.regions
    size = {"width_mm": options.shell_width, "max_mm": options.shell_max}
    image = _seg(visit, "shells", "shells", **size, lesion_rule=options.lesion_rule)
    distances = {"distances": Work("shell_distances")} if visit.plan.maps else {}
    return Recipe(
        "shells",
        divide_into_shells,
        takes={
            "lesions": "seg_lesions",
            "nawm": "mask_NAWM",
            "tissue": "seg_tissue",
            "is_periventricular": "is_periventricular",
        },
        options=size,
        makes={"shells": image, **distances},
    )
