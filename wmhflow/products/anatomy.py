"""Products from the images of a visit to its tissues, lesions and the template's warp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wmhflow.bids.naming import TEMPLATE
from wmhflow.core.space.geometry import voxel_mm3
from wmhflow.core.tissue.brain import what_is_shown
from wmhflow.core.wmh.model import GIVEN_THRESHOLD, LesionModel
from wmhflow.files.images import load_volume
from wmhflow.files.template import PRIORS
from wmhflow.plan.others import SPACES
from wmhflow.plan.visit import Composed, Computed, Given, Source, how_wmh
from wmhflow.products.keys import TEMPLATE_PRODUCT, Visit
from wmhflow.products.maps import inverse_facts
from wmhflow.products.product import Facts, Image, Product, Recipe, Taken, Transform, Work
from wmhflow.steps.alignment import judge_alignment, judge_warp
from wmhflow.steps.composing import compose_fields
from wmhflow.steps.containers import image_facts
from wmhflow.steps.images import convert_transform, prepare_image, resample
from wmhflow.steps.lesions import bring_mask, find_lesions, keep_infarct_out
from wmhflow.steps.placement import judge_placement
from wmhflow.steps.programs import image_option, program_files, run_program, run_segmenter
from wmhflow.steps.registration import FirstWarp, align_rigidly, warp_again, warp_to_template
from wmhflow.steps.tissue import (
    check_anatomy,
    find_brain,
    label_tissues,
    read_parcellation,
    share_brain,
    warp_priors,
)

PREPROC = "{} on the reference grid, non-finite voxels set to 0"
BRAIN = "Brain"
WMH = "White matter hyperintensities"
WMH_PROBABILITY = "Probability of white matter hyperintensity"
VENTRICLES = "Lateral ventricles with inferior horns and choroid plexus"
INFARCT = "Infarcts and other lesions that are no WMH, kept out of WMH and NAWM"
# WMH before infarcts are taken out
WITH_INFARCT = "mask_with_infarct"
# the warp that precedes computed lesions, which is made anew after them
FIRST_WARP = {name: f"first_{name}" for name in FirstWarp._fields}


def anatomy(visit: Visit) -> Iterator[Recipe]:
    """Declare everything from the prepared images to checked tissues, lesions and the warp."""
    yield _reference(visit)
    yield from _other_anatomical(visit)
    yield from _infarct(visit)
    yield from _known_lesions(visit)
    yield from _brain(visit)
    yield from _first_warp(visit)
    yield from _computed_lesions(visit)
    yield from _computed_tissues(visit)
    yield _checked_tissues(visit)


def _preproc(visit: Visit, name: str) -> Image:
    """Declare an anatomical image on the reference grid."""
    moved = {} if name == visit.plan.reference else {"space": visit.plan.reference}
    return Image(
        f"preproc_{name}",
        name,
        moved | {"desc": "preproc"},
        PREPROC.format(name),
        "scan",
        measured={"SkullStripped": partial(shows_no_skull, visit.plan.anatomical[name].path)},
    )


def _path_of(visit: Visit, name: str) -> str:
    """Return how messages name the T1w or the FLAIR: as the user gave it."""
    file = visit.plan.anatomical.get(name)
    return str(file.path) if file else name


def _reference_path(visit: Visit) -> str:
    return _path_of(visit, visit.plan.reference)


def shows_no_skull(raw: Path) -> bool:
    """Tell whether an image, as it was given, shows a brain without its skull."""
    data, affine = load_volume(raw)
    return what_is_shown(np.nan_to_num(data, posinf=0, neginf=0), voxel_mm3(affine)).without_skull


def _reference(visit: Visit) -> Recipe:
    return Recipe(
        "reference",
        prepare_image,
        takes={"in_file": visit.plan.reference_file},
        options=visit.trusted,
        makes={
            "image": _preproc(visit, visit.plan.reference),
            "facts": Facts("reference_facts", "reference_"),
        },
    )


def _other_anatomical(visit: Visit) -> Iterator[Recipe]:
    """Bring the FLAIR (or T1w) that is not the reference to it."""
    other = visit.plan.other_anatomical
    if other is None:
        return
    yield Recipe(
        "other_anatomical",
        prepare_image,
        takes={"in_file": other},
        options=visit.trusted,
        makes={"image": Work("other"), "facts": Facts("other_facts", "other_anatomical_")},
    )
    given = visit.plan.other_transform
    if isinstance(given, Given):
        yield from converted(visit, "other_transform", given, "other")
        facts = Facts("other_alignment", "other_anatomical_registration_")
        yield from judged_alignment(
            visit, "other_judged", "other", str(other.path), given, visit.other_transform, facts
        )
    else:
        yield rigid(
            visit,
            "other_registration",
            "other",
            str(other.path),
            Transform("other_transform", visit.plan.other_name, visit.plan.reference, ".txt"),
            Facts("other_alignment", "other_anatomical_registration_"),
        )
    yield Recipe(
        "other_in_reference",
        resample,
        takes={"moving": "other", "transforms": [visit.other_transform]},
        beside={"space": visit.reference},
        makes={"image": _preproc(visit, visit.plan.other_name)},
    )


def converted(
    visit: Visit, key: str, given: Given, moving: Taken, what: str = "other_anatomical"
) -> Iterator[Recipe]:
    """Declare a given transform that has to be written as ITK's, if it has.

    Parameters
    ----------
    visit
        The visit.
    key
        Of the product.
    given
        The transform.
    moving
        The image that it moves.
    what
        What that is called in the QC table.
    """
    if given.bends and given.convert:
        yield Recipe(
            key,
            compose_fields,
            takes={"in_files": [given.file]},
            beside={"fixed": visit.reference},
            options={"inverted": [given.inverted]},
            makes={"transform": Work(key)} | inverse_facts([given], key, what),
        )
    elif given.convert:
        yield Recipe(
            key,
            convert_transform,
            takes={"in_file": given.file},
            beside={"moving": moving, "fixed": visit.reference},
            options=visit.trusted | ({"inverted": True} if given.inverted else {}),
            makes={"transform": Work(key)},
        )


def rigid(
    visit: Visit, name: str, moving: str, source: str, transform: Transform, facts: Facts
) -> Recipe:
    """Declare the alignment of an image to the reference, judged as the user asked."""
    return Recipe(
        name,
        align_rigidly,
        takes={"fixed": visit.reference, "moving": moving},
        options={
            "seed": visit.seed,
            "quality": visit.settings.anatomy.registration_qc,
            "moving_name": source,
            "fixed_name": _reference_path(visit),
            **visit.trusted,
        },
        makes={"transform": transform, "metrics": facts},
    )


def judged_alignment(
    visit: Visit,
    name: str,
    moving: str,
    source: str,
    given: Given | Composed | None,
    transform: Taken,
    facts: Facts,
) -> Iterator[Recipe]:
    """Declare the verdict on an alignment that is not made here, if the user wants one."""
    if visit.settings.anatomy.registration_qc == "off":
        return
    options: dict[str, Any] = {
        "seed": visit.seed,
        "quality": visit.settings.anatomy.registration_qc,
        "moving_name": source,
        "fixed_name": _reference_path(visit),
        **visit.trusted,
    }
    yield Recipe(
        name,
        judge_alignment,
        takes={"fixed": visit.reference, "moving": moving, "transform": transform},
        options=options | ({"given_name": given.named} if given else {}),
        makes={"metrics": facts},
    )


def _infarct(visit: Visit) -> Iterator[Recipe]:
    given = visit.plan.infarct
    if given is None:
        return
    yield Recipe(
        "given_infarct",
        bring_mask,
        takes={"in_file": given.file, "transforms": visit.to_reference(given)},
        beside={"space": visit.reference},
        options={"what": "infarct", **meaning_of(given)} | visit.trusted,
        makes={
            "mask": visit.image(
                "mask_infarct", "mask", INFARCT, "mask", {"Type": "Lesion"}, label="infarct"
            ),
            "facts": Facts("infarct_facts"),
        },
    )


def meaning_of(given: Given) -> dict[str, Any]:
    """State what the values of a given mask mean, as the step takes it that brings it."""
    labels = {"labels": list(given.labels), "others": list(given.others)} if given.labels else {}
    return {"is_probability": given.is_probability, **labels}


# ---- lesions -------------------------------------------------------------------------------------


def _lesion_images(visit: Visit) -> tuple[Product, Product]:
    """Declare mask and probability of WMH; infarcts, if there are any, are taken out of them."""
    threshold = {"threshold": value} if (value := _threshold(visit)) else {}
    told = {
        "source": how_wmh(visit.plan),
        "fill_holes": visit.settings.anatomy.fill_holes or not visit.plan.wmh_comes_first,
        **_program_told(visit.plan.wmh),
    }
    mask = visit.image(
        "mask_WMH", "mask", WMH, "mask", {"Type": "Lesion"}, told | threshold, label="WMH"
    )
    probability = visit.image(
        "probseg_WMH", "probseg", WMH_PROBABILITY, "probability", None, threshold, label="WMH"
    )
    return mask, probability


def _threshold(visit: Visit) -> float | None:
    """Give the probability that parts the mask from the rest, if there was a probability."""
    wmh = visit.plan.wmh
    if isinstance(wmh, Given):
        return GIVEN_THRESHOLD if wmh.is_probability else None
    if wmh.segmenter is not None:
        return wmh.segmenter.threshold
    return None if wmh.command else LesionModel().threshold


def _program_told(wmh: Source) -> dict[str, str]:
    """State by its name what of the registry found lesions, and the container image, if any did."""
    if isinstance(wmh, Given):
        return {}
    name = {"segmenter": wmh.segmenter.name} if wmh.segmenter else {}
    return name | ({"image": image_facts(wmh.image)["name"]} if wmh.image else {})


def _known_lesions(visit: Visit) -> Iterator[Recipe]:
    """Declare lesions that are given, or that the user's program finds in the images."""
    wmh, space = visit.plan.wmh, {"space": visit.reference}
    fill = {"fill": visit.settings.anatomy.fill_holes}
    if isinstance(wmh, Given):
        yield from _lesions(
            visit,
            Recipe(
                "given_wmh",
                bring_mask,
                takes={"in_file": wmh.file, "transforms": visit.to_reference(wmh)},
                beside=space,
                options=fill | meaning_of(wmh) | visit.trusted,
                makes={"facts": Facts("given_wmh_facts")},
            ),
            has_probability=wmh.is_probability,
        )
    elif wmh.command is not None:
        yield _program(visit, wmh)
        yield from _lesions(
            visit,
            Recipe(
                "given_wmh",
                bring_mask,
                takes={"in_file": "program_mask", "transforms": "program_transforms"},
                beside=space,
                options=fill,
                makes={"facts": Facts("given_wmh_facts")},
            ),
            has_probability=False,
        )


def _program(visit: Visit, wmh: Computed) -> Recipe:
    """Declare the program that finds lesions, and the images that it reads."""
    known, reference = wmh.segmenter, visit.plan.reference
    images: dict[str, Taken] = dict(visit.in_own_space)
    transform = visit.other_transform
    how: dict[str, Any] = {"command": wmh.command}
    if known is not None:
        how = {"segmenter": known.running()}
        on_one_grid = known.space == "reference"
        images = {
            suffix.lower(): f"preproc_{suffix}" if on_one_grid else images[suffix.lower()]
            for suffix in known.reads
        }
        transform = None if known.space in {reference.lower(), "reference"} else transform
    if wmh.image is not None:
        how["image"] = image_option(wmh.image, image_facts(wmh.image))
    else:
        how["files"] = program_files(wmh.command_lines)
    return Recipe(
        "external_wmh",
        run_program if known is None else run_segmenter,
        takes={**images, "other_transform": transform},
        options=how | {"reference_name": reference},
        makes={"mask": Work("program_mask"), "transforms": Work("program_transforms")},
    )


def _lesions(visit: Visit, found: Recipe, *, has_probability: bool) -> Iterator[Recipe]:
    """Let a recipe make the mask of WMH, and take infarcts out of it, if there are any."""
    mask, probability = _lesion_images(visit)
    kept = {"probseg": probability} if has_probability else {}
    if visit.infarct is None:
        yield replace(found, makes={"mask": mask, **kept, **found.makes})
        return
    before = {"mask": Work(WITH_INFARCT), **{name: Work(f"{name}_with_infarct") for name in kept}}
    given = [
        one.file.path for one in (visit.plan.wmh, visit.plan.infarct) if isinstance(one, Given)
    ]
    yield replace(found, makes={**before, **found.makes})
    yield Recipe(
        "wmh_without_infarct",
        keep_infarct_out,
        takes={
            "wmh": WITH_INFARCT,
            "infarct": visit.infarct,
            "probseg": "probseg_with_infarct" if kept else None,
        },
        options={
            "with_rims": not isinstance(visit.plan.wmh, Given),
            "sources": [str(path) for path in given],
        },
        makes={"wmh": mask, **kept, "facts": Facts("without_infarct_facts")},
    )


def _computed_lesions(visit: Visit) -> Iterator[Recipe]:
    """Declare WMH found in the FLAIR, before the tissues, which take lesions as known."""
    if visit.plan.wmh_comes_first:
        return
    warp_is_made = isinstance(visit.plan.forward, Computed)
    yield from _lesions(
        visit,
        Recipe(
            "wmh",
            find_lesions,
            takes={
                **visit.in_own_space,
                "brain_mask": "mask_brain",
                "inverse": FIRST_WARP["inverse"] if warp_is_made else visit.inverse,
                "other_transform": visit.other_transform,
                "template": TEMPLATE_PRODUCT,
            },
            beside={"reference": visit.reference},
            options={
                "reference_name": visit.plan.reference,
                "source": _path_of(visit, "FLAIR"),
            },
            makes={"facts": Facts("wmh_facts", "wmh_")},
        ),
        has_probability=True,
    )
    if warp_is_made:
        yield Recipe(
            "template_registration_again",
            warp_again,
            takes=_warped(visit) | FIRST_WARP | {"wmh": "mask_WMH"},
            options={"seed": visit.seed, "source": _reference_path(visit)},
            makes=_warps(visit),
        )


# ---- brain, template and tissues -----------------------------------------------------------------


def _brain(visit: Visit) -> Iterator[Recipe]:
    """Declare the brain; a parcellation gives the tissues with it."""
    given = visit.plan.parcellation
    brain = visit.image("mask_brain", "mask", BRAIN, "mask", {"Type": "Brain"}, label="brain")
    if given is None:
        yield from _found_brain(visit, brain)
        return
    yield Recipe(
        "given_tissues",
        read_parcellation,
        takes={"in_file": given.file, "transforms": visit.to_reference(given)},
        beside={"reference": visit.reference},
        options=visit.trusted,
        makes={
            "tissue": Work("tissue_found"),
            "ventricles": _ventricles(visit),
            "brain_mask": brain,
            "hemispheres": Work("hemispheres"),
            "cortex_lobes": Work("cortex_lobes"),
            "facts": Facts("parcellation_facts"),
        },
    )


def _found_brain(visit: Visit, brain: Image) -> Iterator[Recipe]:
    """Declare the brain of the reference, which needs not wait for the other image's alignment."""
    made: dict[str, Product] = {"brain_mask": brain, "facts": Facts("brain_facts")}
    source = _reference_path(visit)
    yield Recipe(
        "brain",
        find_brain,
        takes={"image": visit.reference, "template": TEMPLATE_PRODUCT},
        options={"seed": visit.seed, "source": source, "check": not visit.has_other},
        makes={"brain_mask": Work("brain_alone")} if visit.has_other else made,
    )
    if visit.has_other:
        yield Recipe(
            "shared_brain",
            share_brain,
            takes={
                "image": visit.reference,
                "brain_mask": "brain_alone",
                "other": "other",
                "other_transform": visit.other_transform,
            },
            options={"source": source},
            makes=made,
        )


def _ventricles(visit: Visit) -> Image:
    return visit.image(
        "mask_ventricles", "mask", VENTRICLES, "mask", {"Type": "ROI"}, label="ventricles"
    )


def _warped(visit: Visit) -> dict[str, Taken]:
    """Return what every registration to the template takes."""
    return {
        "reference": visit.reference,
        "brain_mask": "mask_brain",
        "template": TEMPLATE_PRODUCT,
        "infarct": visit.infarct,
    }


def _warps(visit: Visit) -> dict[str, Product]:
    reference = visit.plan.reference
    return {
        "forward": Transform("forward", reference, TEMPLATE, ".h5"),
        "inverse": Transform("inverse", TEMPLATE, reference, ".h5"),
        "metrics": Facts("template_registration", "template_registration_"),
    }


def _first_warp(visit: Visit) -> Iterator[Recipe]:
    """Declare the warp to the template; what precedes computed lesions is made anew after them."""
    for key, given in (("forward", visit.plan.forward), ("inverse", visit.plan.inverse)):
        if isinstance(given, Given):
            yield from converted(visit, key, given, visit.reference, "template")
    if isinstance(visit.plan.forward, Given):
        if visit.settings.anatomy.registration_qc != "off":
            yield _judged_warp(visit)
        return
    known = visit.plan.wmh_comes_first
    first = {name: Work(key) for name, key in FIRST_WARP.items()}
    yield Recipe(
        "template_registration",
        warp_to_template,
        takes=_warped(visit) | {"wmh": "mask_WMH" if known else None},
        options={"seed": visit.seed, "source": _reference_path(visit)},
        makes=_warps(visit) if known else first,
    )


def _judged_warp(visit: Visit) -> Recipe:
    """Declare the verdict on the transforms to the template that were given."""
    return Recipe(
        "template_judged",
        judge_warp,
        takes={
            "reference": visit.reference,
            "brain_mask": "mask_brain",
            "template": TEMPLATE_PRODUCT,
            "forward": visit.forward,
            "inverse": visit.inverse,
        },
        options={
            "seed": visit.seed,
            "quality": visit.settings.anatomy.registration_qc,
            "source": _reference_path(visit),
        },
        makes={"metrics": Facts("template_registration", "template_registration_")},
    )


def _computed_tissues(visit: Visit) -> Iterator[Recipe]:
    if visit.plan.parcellation is not None:
        return
    yield Recipe(
        "warped_priors",
        warp_priors,
        takes={
            "brain_mask": "mask_brain",
            "inverse": visit.inverse,
            "template": TEMPLATE_PRODUCT,
        },
        makes={name: Work(f"warped_{name}") for name in PRIORS}
        | {"hemispheres": Work("hemispheres")},
    )
    yield Recipe(
        "tissues",
        label_tissues,
        takes={
            "image": visit.reference,
            "brain_mask": "mask_brain",
            "lesion_mask": "mask_WMH",
            "infarct_mask": visit.infarct,
            "hemispheres": "hemispheres",
            **{name: f"warped_{name}" for name in PRIORS},
        },
        options={"source": _reference_path(visit)},
        makes={"tissue": Work("tissue_found"), "ventricles": _ventricles(visit)},
    )


def placement(visit: Visit) -> Iterator[Recipe]:
    """Declare the judgement of where a given mask lies, as the user asked for alignments.

    Masks of other lesions are laid over before: they may be as bright.

    Parameters
    ----------
    visit
        The visit.
    """
    wmh, quality = visit.plan.wmh, visit.settings.anatomy.registration_qc
    if not isinstance(wmh, Given) or quality == "off":
        return
    anatomical = visit.plan.anatomical
    shown = "FLAIR" if "FLAIR" in anatomical else "T1w"
    elsewhere = [kind for kind in visit.plan.others if kind != SPACES]
    elsewhere += ["infarct"] if visit.plan.infarct is not None else []
    yield Recipe(
        "placement",
        judge_placement,
        takes={
            "in_file": wmh.file,
            "image": f"preproc_{shown}",
            "tissue": "tissue_found",
            "inverse": visit.inverse,
            "other_transform": visit.other_transform,
        },
        beside={"elsewhere": [f"mask_{kind}" for kind in elsewhere]} if elsewhere else {},
        options={
            "natives": {name: str(file.path) for name, file in anatomical.items()},
            "reference_name": visit.plan.reference,
            "space": wmh.space,
            "quality": quality,
            "is_flair": shown == "FLAIR",
            **meaning_of(wmh),
            **visit.trusted,
        },
        makes={"facts": Facts("placement_facts")},
    )


def _checked_tissues(visit: Visit) -> Recipe:
    """Declare tissues that are let through only if the images can be what their names say."""
    anatomical, forward = visit.plan.anatomical, visit.plan.forward
    given = {"given_forward": str(forward.file.path)} if isinstance(forward, Given) else {}
    both = visit.plan.other_anatomical is not None
    other = {"other": "other", "other_transform": visit.other_transform} if both else {}
    return Recipe(
        "checked_anatomy",
        check_anatomy,
        takes={"tissue": "tissue_found"},
        beside={
            "brain_mask": "mask_brain",
            "reference": visit.reference,
            "forward": visit.forward,
            "template": TEMPLATE_PRODUCT,
            **{name.lower(): f"preproc_{name}" for name in anatomical},
            **other,
        },
        options={
            "sources": {name: str(file.path) for name, file in anatomical.items()},
            "reference_name": visit.plan.reference,
            "needs_flair": not isinstance(visit.plan.wmh, Given),
            **given,
        },
        makes={"tissue": Work("tissue_without_lesions"), "facts": Facts("anatomy_facts")},
    )
