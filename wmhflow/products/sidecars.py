"""The JSON file beside every image: direct sources, parameters, seed and versions."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any

import wmhflow
from wmhflow.bids.naming import TEMPLATE
from wmhflow.core.wmh.model import GIVEN_THRESHOLD, LesionModel
from wmhflow.files.checksums import checksum
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.plan.visit import Given, VisitPlan, how_wmh
from wmhflow.products.outputs import image_paths, transform_paths
from wmhflow.products.rows import zone_images
from wmhflow.registries.bibliography import bibliography
from wmhflow.settings import Settings

PACKAGES = ("antspyx", "nilearn", "numba", "numpy", "scipy", "nibabel", "nipype", "pybids")
CAPTIONS = {
    "brain": "Brain",
    "WMH": "White matter hyperintensities",
    "ventricles": "Lateral ventricles with inferior horns and choroid plexus",
    "NAWM": "Normal-appearing white matter",
    "infarct": "Infarcts and other lesions that are no WMH, kept out of WMH and NAWM",
    "tissue": "Tissue classes, by hemisphere, lesions included",
    "lesions": "One number per 26-connected lesion",
    "zones": "White matter by distance from ventricle and cortex",
    "shells": "Shells around (and inside) lesions, by class of the nearest lesion",
    "lobes": "Lobe of the nearest cortex of the same hemisphere",
    "bullseye": "White matter and deep nuclei by depth between ventricle and cortex, and by lobe",
    "continuity": "Lesions, whole: periventricular if any voxel lies within 3 mm of the ventricle",
    "majority": "Lesions, whole, as the zone that holds most of their voxels",
}
DISTANCE_CAPTIONS = {
    "ventricles": "Euclidean distance to the nearest voxel of the lateral ventricles",
    "WMH": "Signed Euclidean distance to the lesion edge, negative inside lesions",
    "cortex": "Euclidean distance to the nearest voxel of the cerebral cortex",
    "depth": "Ventricle distance / (ventricle distance + cortex distance)",
}


@cache
def software_versions() -> dict[str, str]:
    """Return the versions of the program and of the libraries that its numbers depend on."""
    versions = {"wmhflow": wmhflow.__version__}
    return versions | {name: metadata.version(name) for name in PACKAGES}


def image_sidecar(
    visit: VisitPlan, settings: Settings, key: str, *, skull_stripped: bool
) -> dict[str, Any]:
    """Describe one output image.

    Parameters
    ----------
    visit
        The visit's plan.
    settings
        The run's settings.
    key
        As in :func:`wmhflow.products.outputs.image_paths`.
    skull_stripped
        Whether the raw anatomical images hold the brain alone.

    Returns
    -------
    dict
        The content of the JSON file.
    """
    kind, _, name = key.partition("_")
    atlas = next((one for one in visit.atlases if one.name == name), None)
    laid = atlas if kind in ("atlas", "atlasprob") else None
    content: dict[str, Any] = {
        "Description": _atlas_caption(laid) if laid else _description(kind, name)
    }
    if laid:
        content |= _atlas_facts(laid)
    content["Sources"] = _sources(visit, key)
    if kind == "preproc":
        content["SkullStripped"] = skull_stripped
    if kind == "mask":
        content["Type"] = {"brain": "Brain", "WMH": "Lesion", "infarct": "Lesion"}.get(name, "ROI")
    content["SpatialReference"] = f"bids:raw:{_relative(visit)}"
    if kind == "distance":
        content["Units"] = "arbitrary" if name == "depth" else "mm"
    content["Parameters"] = _parameters(visit, settings, key)
    content["RandomSeed"] = settings.execution.random_seed
    content["ProcessingSoftware"] = software_versions()
    return content


def _atlas_caption(atlas: AtlasPlan) -> str:
    title = atlas.definition.title if atlas.definition else atlas.path.name
    if atlas.is_probabilistic:
        return f"Probability of every region of an atlas, a volume each, in the brain: {title}"
    return f"Regions of an atlas in the brain: {title}"


def _atlas_facts(atlas: AtlasPlan) -> dict[str, Any]:
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
    content: dict[str, Any] = {"Atlas": facts}
    if atlas.is_probabilistic:
        content["LabelMap"] = [region.abbreviation for region in atlas.regions.values()]
    return content


def _relative(visit: VisitPlan) -> str:
    file = visit.reference_file
    return file.path.relative_to(file.root).as_posix()


def _description(kind: str, name: str) -> str:
    if kind == "preproc":
        return f"{name} in single precision on the reference grid, non-finite voxels set to 0"
    if kind == "distance":
        return DISTANCE_CAPTIONS[name]
    if kind == "probseg":
        return "Probability of white matter hyperintensity"
    for image in ("zones", "majority"):
        if name.startswith(image):
            return CAPTIONS[image]
    return CAPTIONS[name]


def _own(path: PurePosixPath) -> str:
    return f"bids::{path.as_posix()}"


def _sources(visit: VisitPlan, key: str) -> list[str]:
    images = {name: _own(path) for name, path in image_paths(visit).items()}
    transforms = {name: _own(path) for name, path in transform_paths(visit).items()}
    reference = images[f"preproc_{visit.reference}"]
    prior = transforms.get("inverse") or (
        visit.inverse.file.uri if isinstance(visit.inverse, Given) else reference
    )
    tissue, mask = images["seg_tissue"], images["mask_WMH"]
    if key.startswith("atlas"):
        return [prior, images["mask_brain"], tissue]
    parcellation = [visit.parcellation.file.uri] if visit.parcellation else []
    infarct = [images["mask_infarct"]] if visit.infarct else []
    lobes = images.get("seg_lobes")
    fixed = {
        f"preproc_{visit.reference}": [visit.reference_file.uri],
        "mask_brain": parcellation or [reference],
        "mask_ventricles": parcellation or [reference, prior],
        "mask_NAWM": [tissue, *infarct],
        "seg_tissue": [*(parcellation or [reference, prior, *infarct]), mask],
        "seg_lesions": [mask],
        "seg_continuity": [images["seg_lesions"], images["distance_ventricles"]],
        "seg_shells": [images["seg_lesions"], images["mask_NAWM"], tissue],
        "seg_lobes": [tissue, *(parcellation if visit.lobes == "parcellation" else [prior])],
        "seg_bullseye": [images["distance_depth"], *([lobes] if lobes else [])],
        "distance_ventricles": [images["mask_ventricles"]],
        "distance_WMH": [mask],
        "distance_cortex": [tissue],
        "distance_depth": [images["distance_ventricles"], images["distance_cortex"]],
    }
    for zones, majority in zip(
        zone_images(visit.zones), zone_images(visit.zones, "majority"), strict=True
    ):
        near = [images["distance_ventricles"], images["distance_cortex"]]
        fixed[f"seg_{zones}"] = [tissue, *near]
        fixed[f"seg_{majority}"] = [images["seg_lesions"], images[f"seg_{zones}"]]
    if key in fixed:
        return fixed[key]
    if key.startswith("preproc"):
        return _other_anatomical_sources(visit, transforms)
    if key == "mask_infarct" and visit.infarct:
        return _given_sources(visit, visit.infarct, transforms)
    sources = _wmh_sources(visit, images, transforms)
    if not visit.wmh_comes_first:
        # a computed warp that is written may have been made anew with these WMH
        sources += (
            [prior] if isinstance(visit.inverse, Given) else [reference, images["mask_brain"]]
        )
    return list(dict.fromkeys([*sources, *infarct]))


def _other_anatomical_sources(visit: VisitPlan, transforms: dict[str, str]) -> list[str]:
    other = visit.other_anatomical
    sources = [other.uri] if other else []
    return sources + _anatomical_transform(visit, transforms)


def _anatomical_transform(visit: VisitPlan, transforms: dict[str, str]) -> list[str]:
    if isinstance(visit.other_transform, Given):
        return [visit.other_transform.file.uri]
    name = "FLAIR" if visit.reference == "T1w" else "T1w"
    return [transforms[name]] if name in transforms else []


def _wmh_sources(visit: VisitPlan, images: dict[str, str], transforms: dict[str, str]) -> list[str]:
    if isinstance(visit.wmh, Given):
        return _given_sources(visit, visit.wmh, transforms)
    files = [file.uri for file in (visit.t1w, visit.flair) if file is not None]
    brain = [] if visit.wmh.command else [images["mask_brain"]]
    return [*files, *brain, *_anatomical_transform(visit, transforms)]


def _given_sources(visit: VisitPlan, given: Given, transforms: dict[str, str]) -> list[str]:
    moved = given.space != visit.reference
    return [given.file.uri, *(_anatomical_transform(visit, transforms) if moved else [])]


def _parameters(visit: VisitPlan, settings: Settings, key: str) -> dict[str, Any]:
    anatomy, regions = settings.anatomy, settings.regions
    guard = anatomy.tissue_guard
    threshold = {"threshold": value} if (value := _wmh_threshold(visit)) else {}
    chosen: dict[str, dict[str, Any]] = {
        "mask_WMH": {
            "source": how_wmh(visit),
            "fill_holes": anatomy.fill_holes or not visit.wmh_comes_first,
            **threshold,
        },
        "probseg_WMH": threshold,
        "mask_NAWM": {"tissue_guard_mm": guard or "smallest voxel edge"},
        "seg_lobes": _lobes_parameters(visit),
        "seg_bullseye": {"layers": regions.bullseye_layers},
        "seg_shells": {
            "width_mm": regions.shell_width,
            "max_mm": regions.shell_max,
            "lesion_rule": regions.lesion_rule,
        },
    }
    for atlas in visit.atlases:
        chosen[f"atlas_{atlas.name}"] = {"interpolation": "nearest neighbour"}
        chosen[f"atlasprob_{atlas.name}"] = {
            "interpolation": "linear",
            "threshold": regions.atlas_threshold,
        }
    for kind in ("zones", "majority"):
        for name, scheme in zone_images(regions.zones, kind).items():
            chosen[f"seg_{name}"] = {"scheme": scheme}
    return chosen.get(key, {})


def _lobes_parameters(visit: VisitPlan) -> dict[str, Any]:
    """Say which atlas the lobes come from, if they do."""
    atlas = visit.lobes_atlas
    return (
        {} if atlas is None else {"cortex": f"nearest parcel of {atlas.name}"} | _atlas_facts(atlas)
    )


def _wmh_threshold(visit: VisitPlan) -> float | None:
    """Give the probability that parts the mask from the rest, if there was a probability."""
    if isinstance(visit.wmh, Given):
        return GIVEN_THRESHOLD if visit.wmh.is_probability else None
    return None if visit.wmh.command else LesionModel().threshold
