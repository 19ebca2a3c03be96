"""Products of other lesions that are given: their masks, and tables of lesions beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wmhflow.plan.others import ACUTE, BLEED, OEDEMA, SPACES, diffusivity_of
from wmhflow.plan.visit import Given, MapPlan
from wmhflow.products.anatomy import WITH_INFARCT, meaning_of
from wmhflow.products.inputs import WITHOUT
from wmhflow.products.keys import Visit
from wmhflow.products.maps import group_of, transform_of, values_of
from wmhflow.products.product import Facts, Recipe, Taken
from wmhflow.products.regions import NEAR
from wmhflow.products.rows import zone_images
from wmhflow.products.tables import ACUTE_TABLE, ADJACENCY_TABLE, SPACES_TABLE
from wmhflow.steps.lesion_places import (
    judge_acute_placement,
    judge_spaces_placement,
    judge_two_lesions,
)
from wmhflow.steps.lesions import bring_mask
from wmhflow.steps.other_placement import judge_other_placement
from wmhflow.steps.others import judge_other_lesions, tabulate_acute, tabulate_adjacency

CAPTIONS = {
    ACUTE: "Acute lesions",
    BLEED: "Haemorrhage",
    OEDEMA: "Oedema around a haemorrhage",
    SPACES: "Perivascular spaces",
}
# Those that T1w or FLAIR show at any age: an acute lesion may be seen on neither.
SEEN = ("infarct", BLEED, OEDEMA)
# what was found out where a rule found the acute lesions
RULE_FACTS = "acute_rule_facts"
# label- of the written masks
WRITTEN = {ACUTE: "acute", BLEED: "haemorrhage", OEDEMA: "oedema", SPACES: "PVS"}


def other_lesions(visit: Visit) -> Iterator[Recipe]:
    """Declare masks of other lesions on the reference, and what lesions are beside them.

    Parameters
    ----------
    visit
        The visit.
    """
    for kind, given in visit.plan.others.items():
        yield Recipe(
            f"given_{kind}",
            bring_mask,
            takes={"in_file": given.file, "transforms": visit.to_reference(given)},
            beside={"space": visit.reference},
            options={"what": kind, **meaning_of(given)} | visit.trusted,
            makes={
                "mask": visit.image(
                    f"mask_{kind}", "mask", CAPTIONS[kind], "mask", {"Type": "Lesion"},
                    label=WRITTEN[kind],
                ),
                "facts": Facts(f"{kind}_given_facts"),
            },
        )  # fmt: skip
    yield from _judged(visit)
    if ACUTE in visit.plan.others:
        yield acute_table(visit)
    if SPACES in visit.plan.others:
        yield _adjacency(visit)


def _judged(visit: Visit) -> Iterator[Recipe]:
    """Declare the judgement on where masks of other lesions lie, those of infarcts among them."""
    given = dict(visit.plan.others)
    if visit.plan.infarct is not None:
        given["infarct"] = visit.plan.infarct
    if given:
        yield Recipe(
            "other_lesions",
            judge_other_lesions,
            beside={
                "masks": [f"mask_{kind}" for kind in given],
                "brain": "mask_brain",
                "tissue": "tissue_found",
                "hemispheres": "hemispheres",
            },
            options={"names": [*given], "sources": [str(one.file.path) for one in given.values()]},
            makes={"facts": Facts("other_lesions_facts")},
        )
    if visit.settings.anatomy.registration_qc == "off":
        return
    if visit.plan.infarct is not None and isinstance(visit.plan.wmh, Given):
        yield _two_lesions(visit, visit.plan.wmh, visit.plan.infarct)
    for kind, one in given.items():
        shown = diffusivity_of(visit.plan) if kind == ACUTE else None
        if kind in SEEN:
            yield _placement(visit, kind, one)
        elif kind == SPACES:
            yield _spaces_placement(visit, one)
        elif shown is not None:
            yield _acute_placement(visit, one, shown)


def _placement(visit: Visit, kind: str, given: Given) -> Recipe:
    """Declare the judgement of where a mask lies, as the user asked for alignments."""
    images = [f"preproc_{name}" for name in visit.plan.anatomical]
    return Recipe(
        f"placement_{kind}",
        judge_other_placement,
        beside={"images": images, **_laid(visit, given)},
        options={"what": kind, **_read_as(visit, given)},
        makes={"facts": Facts(f"placement_{kind}_facts")},
    )


def _spaces_placement(visit: Visit, given: Given) -> Recipe:
    """Declare the judgement of where perivascular spaces lie."""
    # fluid is dark on both, and the T1w shows it better
    name = "T1w" if "T1w" in visit.plan.anatomical else "FLAIR"
    return Recipe(
        f"placement_{SPACES}",
        judge_spaces_placement,
        beside={"image": f"preproc_{name}", **_laid(visit, given)},
        options={"image_name": name, **_read_as(visit, given)},
        makes={"facts": Facts(f"placement_{SPACES}_facts")},
    )


def _acute_placement(visit: Visit, given: Given, shown: MapPlan) -> Recipe:
    """Declare the judgement of where acute lesions lie, by a map that shows them."""
    group = group_of(visit.plan, shown)
    return Recipe(
        f"placement_{ACUTE}",
        judge_acute_placement,
        beside={
            "diffusivity": values_of(shown),
            "diffusivity_transform": transform_of(group) if group else None,
            "without": WITHOUT,
            **_laid(visit, given),
        },
        options={"map_name": shown.name, **_read_as(visit, given)},
        makes={"facts": Facts(f"placement_{ACUTE}_facts")},
    )


def _two_lesions(visit: Visit, wmh: Given, infarct: Given) -> Recipe:
    """Declare the judgement of whether WMH and infarcts are each other's."""
    return Recipe(
        "two_lesions",
        judge_two_lesions,
        beside={
            "wmh": WITH_INFARCT,
            "infarct": "mask_infarct",
            "tissue": "tissue_found",
            "hemispheres": "hemispheres",
        },
        options={
            "sources": list(dict.fromkeys(str(one.file.path) for one in (wmh, infarct))),
            "quality": visit.settings.anatomy.registration_qc,
        },
        makes={"facts": Facts("two_lesions_facts")},
    )


def _laid(visit: Visit, given: Given) -> dict[str, Taken]:
    """Return what tells where a mask lies by its name, and where it could lie."""
    return {
        "in_file": given.file,
        "tissue": "tissue_found",
        "inverse": visit.inverse,
        "other_transform": visit.other_transform,
    }


def _read_as(visit: Visit, given: Given) -> dict[str, Any]:
    """Return how a mask is read, and what a bad place leads to."""
    return {
        "natives": {name: str(file.path) for name, file in visit.plan.anatomical.items()},
        "reference_name": visit.plan.reference,
        "space": given.space,
        "quality": visit.settings.anatomy.registration_qc,
        **meaning_of(given),
        **visit.trusted,
    }


def mask_of(visit: Visit, kind: str) -> str | None:
    """Name the mask of other lesions on the reference, if one is given."""
    return f"mask_{kind}" if kind in visit.plan.others else None


def acute_table(visit: Visit) -> Recipe:
    """Declare the table of acute lesions, given or found by a rule.

    Parameters
    ----------
    visit
        The visit.
    """
    atlas = visit.plan.territories
    options: dict[str, Any] = {"remote_mm": visit.settings.regions.remote_mm}
    if atlas is not None:
        ventricles = atlas.definition.ventricles if atlas.definition else ()
        options["territory_names"] = {
            index: region.name for index, region in atlas.regions.items() if index not in ventricles
        }
    return Recipe(
        "acute_lesions",
        tabulate_acute,
        takes={
            "acute": f"mask_{ACUTE}",
            "wmh": "mask_WMH",
            "haemorrhage": mask_of(visit, BLEED),
            "oedema": mask_of(visit, OEDEMA),
        },
        beside={
            "tissue": "seg_tissue",
            "zones": f"seg_{next(iter(zone_images(visit.plan.zones)))}",
            "depth": "distance_depth",
            "rule": RULE_FACTS if visit.plan.acute_image is not None else None,
            "territories": f"seg_{atlas.name}" if atlas is not None else None,
            **NEAR,
        },
        options=options,
        makes={"table": ACUTE_TABLE, "facts": Facts("acute_facts", "acute_")},
    )


def _adjacency(visit: Visit) -> Recipe:
    return Recipe(
        "perivascular_lesions",
        tabulate_adjacency,
        takes={
            "spaces": f"mask_{SPACES}",
            "lesions": "seg_lesions",
            "is_periventricular": "is_periventricular",
        },
        beside={"tissue": "seg_tissue", "ventricle_distance": "distance_ventricles"},
        options={"seed": visit.seed},
        makes={"table": SPACES_TABLE, "summary": ADJACENCY_TABLE},
    )
