"""What a visit promises: every file that exists when its run has ended well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from wmhflow.bids.naming import TEMPLATE, derivative_path, visit_folder
from wmhflow.bids.writer import Column
from wmhflow.plan.visit import MapPlan, ParticipantPlan, VisitPlan
from wmhflow.products.columns import (
    ASYMMETRY,
    LESIONS,
    LOAD,
    MAPS,
    PENUMBRA,
    PROFILES,
    QC,
    VOLUMES,
    WEIGHTED,
    lesion_columns,
)
from wmhflow.products.rows import label_images

TABLES: dict[str, tuple[Column, ...]] = {
    "lesions": LESIONS,
    "volumes": VOLUMES,
    "weighted": WEIGHTED,
    "load": LOAD,
    "asymmetry": ASYMMETRY,
    "maps": MAPS,
    "profiles": PROFILES,
    "penumbra": PENUMBRA,
    "qc": QC,
}
ENDINGS = {
    "lesions": "lesions",
    "volumes": "desc-volumes_regions",
    "weighted": "desc-weighted_regions",
    "load": "desc-load_profiles",
    "asymmetry": "desc-asymmetry_regions",
    "maps": "desc-maps_regions",
    "profiles": "desc-maps_profiles",
    "penumbra": "desc-maps_penumbra",
    "qc": "desc-wmhflow_qc",
}
LONGEST_NAME = 60
MASKS = ("brain", "WMH", "ventricles", "NAWM")
DISTANCES = ("ventricles", "WMH", "cortex", "depth")


def image_paths(visit: VisitPlan) -> dict[str, PurePosixPath]:
    """Return the images that a visit promises, by a short key.

    Keys are ``preproc_<suffix>``, ``mask_<label>``, ``seg_<name>``, ``atlas_<name>`` (labels),
    ``atlasprob_<name>`` (a volume per region), ``distance_<desc>`` and ``probseg_WMH``.
    """
    reference = visit.reference

    def path(suffix: str, **entities: str) -> PurePosixPath:
        return derivative_path(visit.subject, visit.session, suffix, ".nii.gz", **entities)

    paths = {f"preproc_{reference}": path(reference, desc="preproc")}
    if visit.other_anatomical is not None:
        other = "FLAIR" if reference == "T1w" else "T1w"
        paths[f"preproc_{other}"] = path(other, space=reference, desc="preproc")
    for label in (*MASKS, "infarct") if visit.infarct else MASKS:
        paths[f"mask_{label}"] = path("mask", space=reference, label=label)
    if not visit.wmh_comes_first or (visit.wmh and visit.wmh.is_probability):
        paths["probseg_WMH"] = path("probseg", space=reference, label="WMH")
    for name in label_images(visit):
        paths[f"seg_{name}"] = path("dseg", space=reference, seg=name)
    for atlas in visit.atlases:
        if atlas.is_probabilistic:
            key, suffix = f"atlasprob_{atlas.name}", "probseg"
        else:
            key, suffix = f"atlas_{atlas.name}", "dseg"
        paths[key] = path(suffix, space=reference, atlas=atlas.name)
    for name in DISTANCES:
        paths[f"distance_{name}"] = path("distance", space=reference, desc=name)
    return paths


def transform_paths(visit: VisitPlan) -> dict[str, PurePosixPath]:
    """Return the transforms that a visit promises: keys ``forward``, ``inverse``, names of images.

    Transforms that were given are not written again.
    """
    reference = visit.reference

    def path(source: str, target: str, extension: str) -> PurePosixPath:
        return derivative_path(
            visit.subject,
            visit.session,
            "xfm",
            extension,
            from_=source,
            to=target,
            mode="image",
        )

    paths = {}
    if visit.template_transforms is None:
        paths["forward"] = path(reference, TEMPLATE, ".h5")
        paths["inverse"] = path(TEMPLATE, reference, ".h5")
    if visit.other_anatomical is not None and visit.flair_alignment.how == "register":
        other = "FLAIR" if reference == "T1w" else "T1w"
        paths[other] = path(other, reference, ".txt")
    for group in map_groups(visit):
        if group[0].alignment.how == "register":
            paths[group_name(group)] = path(group_name(group), reference, ".txt")
    return paths


def table_columns(kind: str, schemes: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of a table in a run with these zone schemes."""
    return lesion_columns(schemes) if kind == "lesions" else TABLES[kind]


def table_paths(visit: VisitPlan) -> dict[str, PurePosixPath]:
    """Return the tables that a visit promises, by the keys of :data:`TABLES`."""
    absent = set() if visit.maps else {"maps", "profiles", "penumbra"}
    if not any(atlas.is_probabilistic for atlas in visit.atlases):
        absent.add("weighted")
    kinds = [kind for kind in TABLES if kind not in absent]
    folder = visit_folder(visit.subject, visit.session) / "anat"
    start = "_".join(visit_folder(visit.subject, visit.session).parts)
    return {kind: folder / f"{start}_{ENDINGS[kind]}.tsv" for kind in kinds}


def map_groups(visit: VisitPlan) -> list[tuple[MapPlan, ...]]:
    """Gather maps that are aligned by the same file and stored on the same grid.

    They share one registration and one set of sampling weights.
    """
    groups: dict[Any, list[MapPlan]] = {}
    for entry in visit.maps:
        groups.setdefault(_group_key(entry), []).append(entry)
    return [tuple(group) for group in groups.values()]


def _group_key(entry: MapPlan) -> tuple[Any, ...]:
    import nibabel as nib

    image = nib.load(entry.file.path)
    grid = (image.shape, tuple(image.affine.round(5).ravel()))
    alignment = entry.alignment
    if alignment.how == "transform" and alignment.transform is not None:
        return ("transform", alignment.transform.path, grid)
    if alignment.how == "register":
        # maps of one scan move together, by their companion or by the first of them
        companion = alignment.companion.path if alignment.companion else None
        return ("register", companion, entry.file.dataset, entry.definition.transform_from, grid)
    return ("header", grid)


def group_name(group: tuple[MapPlan, ...]) -> str:
    """Name a group of maps after its members, in letters and digits."""
    names = [entry.name for entry in group]
    joined = "".join(names)
    return joined if len(joined) <= LONGEST_NAME else f"{names[0]}and{len(names) - 1}more"


def promised_files(visit: VisitPlan) -> list[PurePosixPath]:
    """List every file of one visit that must exist when the run has ended well.

    Images and tables come with their JSON files.
    """
    images = list(image_paths(visit).values())
    tables = list(table_paths(visit).values())
    sidecars = [json_path(path) for path in (*images, *tables)]
    look_up = [
        tsv_path(path)
        for key, path in image_paths(visit).items()
        if key == "seg_lesions" or key.startswith("atlas_")
    ]
    transforms = list(transform_paths(visit).values())
    return [*images, *tables, *sidecars, *look_up, *transforms]


def json_path(path: PurePosixPath) -> PurePosixPath:
    """Return the JSON file beside an image or a table."""
    return path.with_name(path.name.split(".", maxsplit=1)[0] + ".json")


def tsv_path(path: PurePosixPath) -> PurePosixPath:
    """Return the look-up table beside a label image."""
    return path.with_name(path.name.split(".", maxsplit=1)[0] + ".tsv")


def report_path(subject: str) -> PurePosixPath:
    """Return a person's report."""
    return PurePosixPath(f"sub-{subject}.html")


def record_path(subject: str, session: str | None) -> PurePosixPath:
    """Return where it is kept what a finished visit was made from."""
    name = f"ses-{session}_record.json" if session else "record.json"
    return PurePosixPath("logs") / f"sub-{subject}" / name


def missing_promises(output_dir: Path, participant: ParticipantPlan) -> list[PurePosixPath]:
    """List what a person's run promised and what does not exist."""
    promised = [path for visit in participant.visits for path in promised_files(visit)]
    promised.append(report_path(participant.subject))
    return [path for path in promised if not (output_dir / path).is_file()]


def columns_tables() -> str:
    """Return the columns of every table as Markdown for the documentation."""
    parts = []
    for key, columns in TABLES.items():
        rows = [f"| `{c.name}` | {c.kind} | {c.unit or ''} | {c.description} |" for c in columns]
        head = f"**`_{ENDINGS[key]}.tsv`**\n\n| column | kind | unit | meaning |\n"
        head += "| --- | --- | --- | --- |\n"
        parts.append(head + "\n".join(rows) + "\n")
    return "\n".join(parts)
