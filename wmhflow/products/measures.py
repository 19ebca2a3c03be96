"""Products from label images and maps to tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wmhflow.ants.priors import LESION_PRIORS
from wmhflow.labels.edges import shell_count
from wmhflow.plan.visit import Composed, Computed, Given, MapPlan
from wmhflow.products.alps import alps
from wmhflow.products.anatomy import converted, judged_alignment
from wmhflow.products.brought import brought_maps, is_brought, map_options, sampled_of
from wmhflow.products.computed import computed_maps, fitted_maps
from wmhflow.products.contrasts import contrasts
from wmhflow.products.dictionary import describing
from wmhflow.products.inputs import WITHOUT
from wmhflow.products.keys import TEMPLATE_PRODUCT, Visit
from wmhflow.products.lesion_maps import lesion_table, mirrored_lesions
from wmhflow.products.map_images import (
    aligned_maps,
    given_files,
    map_image,
    named_by_image,
)
from wmhflow.products.maps import (
    composed,
    group_name,
    map_groups,
    sampling_seconds,
    shown_of,
    transform_of,
)
from wmhflow.products.product import Facts, Recipe, Taken, Work
from wmhflow.products.regions import NEAR
from wmhflow.products.relations import relating
from wmhflow.products.rows import atlas_regions, table_regions, tabulated_images
from wmhflow.products.spectra import spectra
from wmhflow.products.tables import (
    ASYMMETRY_TABLE,
    CURVES_TABLE,
    LOAD_TABLE,
    MAPS_TABLE,
    PENUMBRA_TABLE,
    PROFILES_TABLE,
    QC_TABLE,
    VOLUMES_TABLE,
    WEIGHTED_TABLE,
)
from wmhflow.steps.atlases import weigh_volumes
from wmhflow.steps.images import find_intracranial
from wmhflow.steps.lesions import judge_lesions, judge_lesions_by_priors
from wmhflow.steps.measures import (
    arrange_profiles,
    gather_quality,
    measure_load,
    measure_volumes,
)
from wmhflow.steps.mirror import compare_sides, mirror_partition
from wmhflow.steps.partition import FinestPartition, divide_finest
from wmhflow.steps.purity import Purity
from wmhflow.steps.sampling import sample_maps

PARTITION = {name: name for name in FinestPartition._fields}


def measures(visit: Visit) -> Iterator[Recipe]:
    """Declare the partition of the reference grid, and every table that is measured on it."""
    yield _partition(visit)
    yield from _weighted(visit)
    yield from _volumes(visit)
    yield _load()
    yield from _maps(visit)
    yield _asymmetry(visit)
    yield from spectra(visit)


def _partition(visit: Visit) -> Recipe:
    names = list(tabulated_images(visit.plan))
    overlapping = [atlas.name for atlas in visit.plan.atlases if atlas.is_probabilistic]
    options: dict[str, Any] = {
        "names": names,
        "regions": table_regions(visit.plan, visit.settings),
    }
    return Recipe(
        "partition",
        divide_finest,
        takes={
            "images": [f"seg_{name}" for name in names],
            "wmh": "mask_WMH",
            "nawm": "mask_NAWM",
            "infarct": visit.infarct,
            "members": [f"members_{name}" for name in overlapping] or None,
        },
        options=options | ({"overlapping": overlapping} if overlapping else {}),
        makes={name: Work(name) for name in PARTITION},
    )


def _weighted(visit: Visit) -> Iterator[Recipe]:
    """Declare the measures of regions that overlap, if an atlas has such."""
    atlases = [atlas for atlas in visit.plan.atlases if atlas.is_probabilistic]
    if atlases:
        regions = [[one.described for one in atlas_regions(atlas)] for atlas in atlases]
        yield Recipe(
            "weighted",
            weigh_volumes,
            takes={"steps": [f"atlasprob_{atlas.name}" for atlas in atlases], "wmh": "mask_WMH"},
            options={"regions": regions},
            makes={"rows": WEIGHTED_TABLE},
        )


def _volumes(visit: Visit) -> Iterator[Recipe]:
    yield Recipe(
        "intracranial",
        find_intracranial,
        takes={"template": TEMPLATE_PRODUCT, "inverse": visit.inverse},
        beside={"space": visit.reference},
        makes={"mask": Work("intracranial")},
    )
    yield Recipe(
        "volumes",
        measure_volumes,
        takes={**PARTITION, "lesions": "seg_lesions", "intracranial": "intracranial"},
        makes={"rows": VOLUMES_TABLE, "facts": Facts("volume_facts")},
    )


def _load() -> Recipe:
    return Recipe(
        "load",
        measure_load,
        takes={
            "tissue": "seg_tissue",
            "wmh": "mask_WMH",
            "depth": "distance_depth",
            **NEAR,
        },
        makes={"table": LOAD_TABLE},
    )


def _mirror(visit: Visit) -> Recipe:
    return Recipe(
        "mirror",
        mirror_partition,
        takes={
            "labels": "labels",
            "columns": "columns",
            "forward": visit.forward,
            "inverse": visit.inverse,
        },
        makes={"own": Work("own"), "opposite": Work("opposite")},
    )


# ---- maps ----------------------------------------------------------------------------------------


def _maps(visit: Visit) -> Iterator[Recipe]:
    """Declare every group of maps that share a grid, and what all of them tell."""
    yield from computed_maps(visit)
    groups = map_groups(visit.plan)
    if not groups:
        return
    # lesions are compared by homologues, and only maps by opposite places
    yield _mirror(visit)
    yield mirrored_lesions(visit)
    for group in groups:
        yield from _map_group(visit, group)
    regions = visit.settings.regions
    yield Recipe(
        "profiles",
        arrange_profiles,
        takes={
            **{
                kind: [f"{kind}_{group_name(group)}" for group in groups]
                for kind in ("rows", "penumbra", "curves")
            },
            "distances": "shell_distances",
        },
        options={
            "names": [entry.name for entry in visit.plan.maps],
            "width_mm": regions.shell_width,
            "n_shells": shell_count(regions.shell_width, regions.shell_max),
        },
        makes={
            "maps": describing(MAPS_TABLE, visit.plan.maps),
            "profiles": describing(PROFILES_TABLE, visit.plan.maps),
            "penumbra": describing(PENUMBRA_TABLE, visit.plan.maps),
            "curves": describing(CURVES_TABLE, visit.plan.maps),
        },
    )
    yield lesion_table(visit, groups)
    yield contrasts(visit, groups)


def _map_group(visit: Visit, group: tuple[MapPlan, ...]) -> Iterator[Recipe]:
    yield from aligned_group(visit, group)
    yield from fitted_maps(visit, group)
    yield from alps(visit, group)
    yield from brought_maps(visit, group)
    yield _samples(visit, group, group_name(group))


def aligned_group(visit: Visit, group: tuple[MapPlan, ...]) -> Iterator[Recipe]:
    """Declare what brings a group of maps to the reference, and the verdict on that.

    Parameters
    ----------
    visit
        The visit.
    group
        Maps that are aligned together.
    """
    name, aligned = group_name(group), group[0].transform
    transform = transform_of(group)
    if isinstance(aligned, Given):
        yield from converted(visit, f"transform_{name}", aligned, group[0].file)
    elif isinstance(aligned, Composed):
        yield composed(visit, f"transform_{name}", aligned, name, group[0].file)
    if isinstance(aligned, Computed):
        yield from _registered_group(visit, group, name, aligned)
    else:
        yield from _judged_group(visit, group, name, transform)


def _registered_group(
    visit: Visit, group: tuple[MapPlan, ...], name: str, aligned: Computed
) -> Iterator[Recipe]:
    """Declare the alignment of maps by an image on their grid."""
    moved = next(iter(aligned.files), None)
    files = [moved] if moved else given_files(group)
    shown = moved or shown_of(group[0])
    yield map_image(visit, name, shown, str((moved or group[0].file).path), files)
    yield aligned_maps(visit, name)


def _judged_group(
    visit: Visit, group: tuple[MapPlan, ...], name: str, transform: Taken
) -> Iterator[Recipe]:
    """Declare the verdict on how given maps lie, by the image that shows most of the anatomy."""
    if visit.settings.anatomy.registration_qc == "off":
        return
    shown = next((entry.shown_by for entry in group if entry.shown_by), None)
    files = [*([shown] if shown else []), *given_files(group)]
    source = str((shown or group[0].file).path)
    yield map_image(visit, name, shown or shown_of(group[0]), source, files)
    aligned = group[0].transform
    for recipe in judged_alignment(
        visit,
        f"judged_{name}",
        f"image_{name}",
        source,
        None if isinstance(aligned, Computed) else aligned,
        transform,
        Facts(f"alignment_{name}", f"map_{name}_registration_"),
    ):
        yield named_by_image(recipe, name)


def _samples(visit: Visit, group: tuple[MapPlan, ...], name: str) -> Recipe:
    """Declare the samples of maps on one grid: regions, opposite places, and each lesion."""
    regions = visit.settings.regions
    kinds = ("rows", "penumbra", "curves", "opposites", "lesions")
    return Recipe(
        f"sampling_{name}",
        sample_maps,
        takes={
            "maps": [sampled_of(entry) for entry in group],
            "transform": None if is_brought(group[0]) else transform_of(group),
            "without": WITHOUT,
            **PARTITION,
            "distance": "distance_WMH",
            "own": "own",
            "opposite": "opposite",
            "lesions": "seg_lesions",
            "lesion_opposites": "lesion_opposites",
            "tissue": "seg_tissue",
        },
        options={
            "options": [map_options(entry) for entry in group],
            "zeros": visit.settings.inputs.zeros,
            "purity": Purity(visit.settings.inputs.min_purity, visit.settings.inputs.max_csf),
            **visit.trusted,
            "n_shells": shell_count(regions.shell_width, regions.shell_max),
            "seed": visit.seed,
        },
        makes={
            **{kind: Work(f"{kind}_{name}") for kind in kinds},
            "facts": Facts(f"sampling_{name}"),
        },
        mem_gb=1.5 + 0.3 * len(group),
        seconds=sampling_seconds(group),
    )


def _asymmetry(visit: Visit) -> Recipe:
    groups = map_groups(visit.plan)
    return Recipe(
        "asymmetry",
        compare_sides,
        takes={
            "volumes": "table_volumes",
            "regions": "regions",
            "maps": [f"opposites_{group_name(group)}" for group in groups] or None,
        },
        makes={"table": describing(ASYMMETRY_TABLE, visit.plan.maps)},
    )


# ---- quality -------------------------------------------------------------------------------------


def quality(visit: Visit, facts: list[Facts]) -> Iterator[Recipe]:
    """Declare the verdict on the lesions, and the table of all that the steps counted.

    Parameters
    ----------
    visit
        The visit.
    facts
        What other recipes make for the table, in its order.
    """
    judged: dict[str, Taken] = {
        "lesions": "seg_lesions",
        "brain_mask": "mask_brain",
        "nawm": "mask_NAWM",
        "flair": "preproc_FLAIR" if "FLAIR" in visit.plan.anatomical else None,
    }
    # tissues that were computed around a mask agree with it, right or wrong
    function: Callable[..., Any] = judge_lesions
    told: dict[str, Taken] = {"tissue": "tissue_without_lesions"}
    if visit.plan.parcellation is None:
        function = judge_lesions_by_priors
        told = {name: f"warped_{name}" for name in LESION_PRIORS}
    own = Facts("lesion_quality")
    yield Recipe("mask_quality", function, takes=judged | told, makes={"facts": own})
    gathered = [own, *facts]
    yield Recipe(
        "quality",
        gather_quality,
        takes={"facts": [one.key for one in gathered], "volumes": "table_volumes"},
        options={"prefixes": [one.prefix for one in gathered], **relating(visit.plan.maps)},
        makes={"rows": QC_TABLE},
    )
