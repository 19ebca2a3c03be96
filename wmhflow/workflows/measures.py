"""The part of a visit's graph from label images and maps to tables."""

from __future__ import annotations

from typing import Any

from nipype import Node

from wmhflow.interfaces.anatomy import PrepareImage
from wmhflow.interfaces.atlases import WeightedVolumes
from wmhflow.interfaces.measures import MaskQuality, Quality, SampleMaps, Volumes
from wmhflow.interfaces.mirror import Asymmetry, MirrorPartition, SampleOpposites
from wmhflow.interfaces.partition import FinestPartition
from wmhflow.interfaces.profiles import Profiles
from wmhflow.interfaces.regions import LoadCurves
from wmhflow.interfaces.transforms import ApplyTransforms
from wmhflow.plan.visit import Given, MapPlan
from wmhflow.products.outputs import group_name, map_groups
from wmhflow.products.rows import atlas_regions, table_regions, tabulated_images
from wmhflow.workflows.anatomy import LESION_PRIORS, add_given_transform, add_rigid
from wmhflow.workflows.graph import VisitGraph


def add_measures(graph: VisitGraph) -> None:
    """Measure volumes and load, and set the sides beside each other."""
    names = list(tabulated_images(graph.visit))
    found = graph.add(
        "partition",
        FinestPartition(),
        mem_gb=2.0,
        names=names,
        images=graph.gather("every_labels", [f"seg_{name}" for name in names]),
        regions=[region.as_dict() for region in table_regions(graph.visit, graph.settings)],
        wmh="mask_WMH",
        nawm="mask_NAWM",
        infarct=graph.if_known("mask_infarct"),
    )
    for output in ("labels", "columns", "regions"):
        graph.known[output] = (found, output)
    _add_overlapping(graph, found)
    intracranial = graph.add(
        "intracranial",
        ApplyTransforms(),
        mem_gb=2.0,
        moving="template_brain_mask",
        reference="reference",
        transforms="inverse",
        interpolation="nearest",
    )
    volumes = graph.add(
        "volumes",
        Volumes(),
        mem_gb=1.0,
        labels="labels",
        columns="columns",
        regions="regions",
        lesions="seg_lesions",
        intracranial=(intracranial, "resampled"),
    )
    graph.known["table_volumes"] = (volumes, "rows")
    graph.facts.append(("", (volumes, "facts")))
    load = graph.add(
        "load",
        LoadCurves(),
        mem_gb=2.0,
        tissue="seg_tissue",
        wmh="mask_WMH",
        depth="distance_depth",
        ventricle_distance="distance_ventricles",
        cortex_distance="distance_cortex",
    )
    graph.known["table_load"] = (load, "table")
    mirror = graph.add(
        "mirror",
        MirrorPartition(),
        mem_gb=2.0,
        labels="labels",
        columns="columns",
        forward="forward",
        inverse="inverse",
    )
    graph.known |= {"own": (mirror, "own"), "opposite": (mirror, "opposite")}


def _add_overlapping(graph: VisitGraph, partition: Node) -> None:
    """Tell the partition which numbers hold which regions that overlap, and weigh these."""
    atlases = [atlas for atlas in graph.visit.atlases if atlas.is_probabilistic]
    if not atlases:
        return
    names = [atlas.name for atlas in atlases]
    graph.feed(partition, "overlapping", names)
    members = graph.gather("every_member", [f"members_{name}" for name in names])
    graph.feed(partition, "members", members)
    weighted = graph.add(
        "weighted",
        WeightedVolumes(),
        mem_gb=2.0,
        steps=graph.gather("every_steps", [f"atlasprob_{name}" for name in names]),
        regions=[[one.described for one in atlas_regions(atlas)] for atlas in atlases],
        wmh="mask_WMH",
    )
    graph.known["table_weighted"] = (weighted, "rows")


def add_maps(graph: VisitGraph) -> None:
    """Align and sample every group of maps that share a grid."""
    groups = map_groups(graph.visit)
    if not groups:
        return
    for group in groups:
        _add_map_group(graph, group)
    rows = graph.gather("rows_of_maps", [f"rows_{group_name(group)}" for group in groups])
    profiles = graph.add(
        "profiles",
        Profiles(),
        names=[entry.name for entry in graph.visit.maps],
        distances="shell_distances",
        width_mm=graph.settings.regions.shell_width,
        n_shells=graph.n_shells,
    )
    graph.workflow.connect(rows[0], rows[1], profiles, "rows")
    graph.known |= {
        "table_maps": (profiles, "maps"),
        "table_profiles": (profiles, "profiles"),
        "table_penumbra": (profiles, "penumbra"),
    }


def _add_map_group(graph: VisitGraph, group: tuple[MapPlan, ...]) -> None:
    name, aligned = group_name(group), group[0].transform
    transform = None if aligned is None else f"transform_{name}"
    if isinstance(aligned, Given):
        add_given_transform(graph, f"transform_{name}", aligned, str(group[0].file.path))
    elif aligned is not None:
        moved = next(iter(aligned.files), group[0].file)
        prepared = graph.add(f"image_{name}", PrepareImage(), in_file=str(moved.path))
        graph.known[f"image_{name}"] = (prepared, "out_file")
        registration = add_rigid(graph, f"registration_{name}", f"image_{name}", str(moved.path))
        graph.known[f"transform_{name}"] = (registration, "transform")
        graph.facts.append((f"map_{name}_registration_", (registration, "metrics")))
    ranges = [entry.definition.valid_range for entry in group]
    sampled: dict[str, Any] = {
        "mem_gb": 1.5 + 0.3 * len(group),
        "columns": "columns",
        "regions": "regions",
        "maps": [str(entry.file.path) for entry in group],
        "names": [entry.name for entry in group],
        "units": [entry.definition.unit for entry in group],
        "lows": [low for low, _ in ranges],
        "highs": [high for _, high in ranges],
        "transform": transform,
    }
    sampling = graph.add(f"sampling_{name}", SampleMaps(), labels="labels", **sampled)
    opposites = graph.add(
        f"opposites_{name}", SampleOpposites(), own="own", opposite="opposite", **sampled
    )
    graph.known[f"opposites_{name}"] = (opposites, "rows")
    graph.known[f"rows_{name}"] = (sampling, "rows")
    graph.facts.append(("", (sampling, "facts")))


def add_asymmetry(graph: VisitGraph) -> None:
    """Set each side beside the other, by load and by every map."""
    names = [f"opposites_{group_name(group)}" for group in map_groups(graph.visit)]
    node = graph.add("asymmetry", Asymmetry(), volumes="table_volumes", regions="regions")
    if names:
        rows = graph.gather("rows_of_opposites", names)
        graph.workflow.connect(rows[0], rows[1], node, "maps")
    graph.known["table_asymmetry"] = (node, "table")


def add_quality(graph: VisitGraph) -> None:
    """Judge the masks, and gather every number of the QC table."""
    told = graph.visit.parcellation is None
    priors = {name: f"warped_{name}" for name in LESION_PRIORS}
    measured = graph.add(
        "mask_quality",
        MaskQuality(),
        mem_gb=2.0,
        lesions="seg_lesions",
        brain_mask="mask_brain",
        nawm="mask_NAWM",
        flair=graph.if_known("preproc_FLAIR"),
        # tissues that were computed around a mask agree with it, right or wrong
        **(priors if told else {"tissue": "tissue_without_lesions"}),
    )
    graph.facts.insert(0, ("", (measured, "facts")))
    for number, (_, output) in enumerate(graph.facts):
        graph.known[f"facts_{number}"] = output
    facts = graph.gather("facts", [f"facts_{number}" for number in range(len(graph.facts))])
    quality = graph.add(
        "quality",
        Quality(),
        prefixes=[prefix for prefix, _ in graph.facts],
        volumes="table_volumes",
    )
    graph.workflow.connect(facts[0], facts[1], quality, "facts")
    graph.known["table_qc"] = (quality, "rows")
