"""The unit of a visit: every recipe, in the order in which it is carried out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from wmhflow.core.diffusion.acute import RULE
from wmhflow.files.checksums import checksum
from wmhflow.plan.refusals import left_out_measures
from wmhflow.plan.visit import Composed, Given, MapPlan, Source, VisitPlan, how_wmh
from wmhflow.products.acute import acute_by_rule
from wmhflow.products.anatomy import anatomy, placement
from wmhflow.products.inputs import judged_first, refusals_of
from wmhflow.products.keys import Visit
from wmhflow.products.measures import measures, quality
from wmhflow.products.others import other_lesions
from wmhflow.products.product import Facts, Place, Recipe
from wmhflow.products.record import visit_record_path
from wmhflow.products.regions import regions
from wmhflow.products.unit import Unit
from wmhflow.settings import Settings
from wmhflow.steps.containers import image_facts
from wmhflow.steps.programs import program_files


def visit_unit(plan: VisitPlan, settings: Settings) -> Unit:
    """Declare everything about one visit: what is made of it, from what, and what is written.

    Parameters
    ----------
    plan
        The visit's plan, without a problem.
    settings
        The run's settings.
    """
    folders = (person_folder(plan.subject), visit_folder_name(plan.session))
    place = Place(plan.subject, plan.session)
    return Unit(
        plan.label,
        folders,
        place,
        tuple(judged_first(plan, _recipes(Visit(plan, settings)))),
        plan.reference_file.uri,
        plan.sources,
        partial(visit_choices, plan, settings),
        visit_record_path(place),
    )


def _recipes(visit: Visit) -> Iterator[Recipe]:
    found = [*anatomy(visit), *regions(visit), *other_lesions(visit), *placement(visit)]
    found += [*measures(visit), *acute_by_rule(visit)]
    yield from found
    made = [product for recipe in found for product in recipe.makes.values()]
    judged = refusals_of(visit.plan)
    yield from quality(visit, [*judged, *(one for one in made if isinstance(one, Facts))])


def visit_choices(visit: VisitPlan, settings: Settings) -> dict[str, Any]:
    """State what a visit's outputs depend on beside its files: settings, maps, atlases.

    Parameters
    ----------
    visit
        The plan.
    settings
        The run's settings.
    """
    anatomy, regions = settings.anatomy, settings.regions
    return {
        "settings": {
            "reference": visit.reference,
            "wmh": how_wmh(visit),
            **_program(visit),
            "registration_qc": anatomy.registration_qc,
            "zeros": settings.inputs.zeros,
            "min_purity": settings.inputs.min_purity,
            "max_csf": settings.inputs.max_csf,
            "trust": settings.inputs.trust,
            "wmh_labels": list(anatomy.wmh_labels),
            "fill_holes": anatomy.fill_holes,
            "tissue_guard": anatomy.tissue_guard,
            "zones": list(regions.zones),
            "bullseye_layers": regions.bullseye_layers,
            "cross": [list(pair) for pair in regions.cross],
            "lesion_rule": regions.lesion_rule,
            "shell_width": regions.shell_width,
            "shell_max": regions.shell_max,
            "remote_mm": regions.remote_mm,
            "acute_source": anatomy.acute_source,
            **_acute_rule(visit),
            "lobes": visit.lobes,
            "atlases": [atlas.name for atlas in visit.atlases],
            "atlas_threshold": regions.atlas_threshold,
            "random_seed": settings.execution.random_seed,
        },
        "parts": {
            **{suffix: [file.uri] for suffix, file in visit.anatomical.items()},
            **{name: _uris(source) for name, source in visit.parts.items()},
        },
        "maps": {
            entry.name: {
                "file": entry.file.uri,
                "transform": _uris(entry.transform),
                "unit": entry.definition.unit,
                "description": entry.definition.description,
                "valid_range": list(entry.definition.valid_range),
                "alignment": entry.how,
                "can_be_zero": entry.definition.can_be_zero,
                "arbitrary_zero": entry.definition.arbitrary_zero,
                "plausible": entry.definition.plausible and list(entry.definition.plausible),
                "in_fluid": entry.definition.in_fluid,
                "free_water": entry.definition.free_water,
                **_how_read(entry),
                **_how_computed(entry),
            }
            for entry in visit.maps
        },
        **_spectra(visit),
        **_left_out(visit),
        "atlases": {
            atlas.name: {
                "template": atlas.template,
                "by_labels": atlas.by_labels,
                "files": {role: checksum(path) for role, path in atlas.files.items()},
            }
            for atlas in visit.laid_atlases
        },
    }


def _spectra(visit: VisitPlan) -> dict[str, Any]:
    """State the voxels of spectroscopy, and what leads them to the reference; none if none are."""
    if not visit.spectra:
        return {}
    return {
        "spectra": {
            one.name: {
                "file": one.file.uri,
                "transform": [uri for leg in one.legs for uri in _uris(leg)],
                "through_other": one.through_other,
                "values": one.values.uri if one.values else None,
            }
            for one in visit.spectra
        }
    }


def _left_out(visit: VisitPlan) -> dict[str, Any]:
    """State what was refused or passed over, of which the table of quality tells; none if none."""
    measures = left_out_measures(visit)
    return {"left_out": measures} if measures else {}


def _program(visit: VisitPlan) -> dict[str, Any]:
    """State what of the registry finds lesions, and in which container image, if any does."""
    if isinstance(visit.wmh, Given):
        return {}
    known = {"segmenter": visit.wmh.segmenter.running()} if visit.wmh.segmenter else {}
    if visit.wmh.image:
        return known | {"segmenter_image": image_facts(visit.wmh.image)}
    held = program_files(visit.wmh.command_lines)
    return known | ({"program_files": held} if held else {})


def _acute_rule(visit: VisitPlan) -> dict[str, Any]:
    """State where acute lesions are looked for, and the numbers of the rule, if they are."""
    entry = visit.acute_image
    if entry is None or isinstance(entry.values, Given):
        return {}
    files = {"files": [file.uri for file in entry.values.files], "options": entry.values.options}
    return {"acute": {**asdict(RULE), **files, "transform": _uris(entry.transform)}}


def _uris(source: Source | Composed | None) -> list[str]:
    """Name what a part comes from, and which transforms of it are inverted."""
    if source is None:
        return []
    if isinstance(source, Composed):
        return [uri for leg in source.legs for uri in _uris(leg)]
    uris = [file.uri for file in source.files]
    return [f"{uri} inverted" for uri in uris] if getattr(source, "inverted", False) else uris


def _how_read(entry: MapPlan) -> dict[str, Any]:
    """State the unit of a given map's file, and what its values are multiplied by."""
    how = entry.read_as
    return {} if how is None else {"unit_of_file": how.unit, "factor": how.factor}


def _how_computed(entry: MapPlan) -> dict[str, Any]:
    """State the step that computes a map and what each of its parameters is fed with."""
    how, values = entry.definition.computed, entry.values
    if how is None or isinstance(values, Given):
        return {}
    uris = {
        name: [file.uri for file in taken] if isinstance(taken, tuple) else taken.uri
        for name, taken in values.takes.items()
    }
    return {"computed": {"step": how.step, "files": uris, "options": dict(values.options)}}


def safe_name(label: str) -> str:
    """Return a label as nipype's names want it: BIDS allows a plus and no underscore.

    Examples
    --------
    >>> safe_name("a+b")
    'a_b'
    """
    return re.sub(r"\W", "_", label)


def person_folder(subject: str) -> str:
    """Name the workflow of a person."""
    return f"sub_{safe_name(subject)}_wf"


def visit_folder_name(session: str | None) -> str:
    """Name the workflow of a visit."""
    return f"ses_{safe_name(session)}_wf" if session else "visit_wf"
