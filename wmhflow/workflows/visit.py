"""The graph of one visit, made from its plan; every condition was decided there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nipype import Node, Workflow
from nipype.interfaces.base import BaseInterface
from nipype.interfaces.utility import IdentityInterface, Merge

from wmhflow.bids.atlases import AtlasPlan
from wmhflow.bids.labels import (
    atlas_regions,
    label_images,
    table_regions,
    tabulated_images,
    zone_images,
)
from wmhflow.bids.outputs import (
    group_name,
    image_paths,
    map_groups,
    table_paths,
    transform_paths,
)
from wmhflow.bids.plan import Alignment, GivenImage, MapPlan, VisitPlan
from wmhflow.interfaces.anatomy import (
    CombineTissues,
    GivenMask,
    PrepareImage,
    TissuesFromParcellation,
    WarpPriors,
    WithoutInfarct,
)
from wmhflow.interfaces.atlases import LayAtlas, LobesFromAtlas, PointsInTemplate, WeightedVolumes
from wmhflow.interfaces.external import ExternalWMH
from wmhflow.interfaces.measures import (
    MaskQuality,
    Quality,
    SampleMaps,
    Volumes,
)
from wmhflow.interfaces.mirror import Asymmetry, MirrorPartition, SampleOpposites
from wmhflow.interfaces.partition import FinestPartition
from wmhflow.interfaces.profiles import Profiles
from wmhflow.interfaces.regions import (
    Bullseye,
    Distances,
    LesionClasses,
    Lesions,
    LoadCurves,
    Lobes,
    Shells,
    Zones,
)
from wmhflow.interfaces.registration import (
    ApplyTransforms,
    ConvertTransform,
    RigidRegistration,
    TemplateRegistration,
    TemplateRegistrationAgain,
)
from wmhflow.interfaces.sanity import CheckAnatomy, CheckBrain, CheckImage
from wmhflow.interfaces.segmentation import BrainExtraction, TissueSegmentation, WMHSegmentation
from wmhflow.interfaces.sinks import ImageSink, TableSink, TransformSink
from wmhflow.settings import Settings

LESION_PRIORS = ("csf", "cortex", "deep_grey", "white", "ventricles")
PRIORS = (*LESION_PRIORS, "infratentorial")
WHERE_ATLASES_LIE = ("mask_brain", "tissue_without_lesions", "mask_WMH", "mask_infarct")
# A volume of 256 cubed and its copy as bytes.
MEM_GB_PER_VOLUME = 0.04
TEMPLATE_FILES = ("t1w", "brain_mask", *PRIORS)


@dataclass
class _Graph:
    """A visit's graph while it grows.

    ``known`` says under a plain name who gives what: a node with the name of its output, or the
    path of a file that was given. ``facts`` are outputs whose numbers go to the QC table, with
    what is put before their names.
    """

    workflow: Workflow
    visit: VisitPlan
    settings: Settings
    known: dict[str, tuple[Node, str] | str] = field(default_factory=dict)
    facts: list[tuple[str, tuple[Node, str]]] = field(default_factory=list)

    def add(self, name: str, interface: BaseInterface, mem_gb: float = 0.5, **inputs: Any) -> Node:
        """Add a node; a text that names something known is fed from there."""
        node = Node(interface, name=name, mem_gb=mem_gb, n_procs=1)
        self.workflow.add_nodes([node])
        for trait, value in inputs.items():
            self.feed(node, trait, value)
        return node

    def feed(self, node: Node, trait: str, value: Any) -> None:
        """Set an input, or connect it to who gives it."""
        source = self.known.get(value, value) if isinstance(value, str) else value
        if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], Node):
            self.workflow.connect(source[0], source[1], node, trait)
        elif source is not None:
            node.inputs.trait_set(**{trait: source})

    def if_known(self, name: str) -> str | None:
        """Return a name, for an input that stays empty where nobody gives it."""
        return name if name in self.known else None

    def gather(self, name: str, sources: list[str]) -> tuple[Node, str]:
        """Join known outputs into one list."""
        node = Node(Merge(len(sources)), name=name, mem_gb=0.1, run_without_submitting=True)
        self.workflow.add_nodes([node])
        for number, source in enumerate(sources, start=1):
            self.feed(node, f"in{number}", source)
        return node, "out"

    @property
    def seed(self) -> int:
        """The seed that every random step starts from."""
        return self.settings.execution.random_seed

    @property
    def n_shells(self) -> int:
        """The number of outer shells."""
        regions = self.settings.regions
        return round(regions.shell_max / regions.shell_width)


def visit_name(visit: VisitPlan) -> str:
    """Name a visit's workflow."""
    return f"ses_{safe_name(visit.session)}_wf" if visit.session else "visit_wf"


def safe_name(label: str) -> str:
    """Return a label as nipype's names want it: BIDS allows a plus, nipype does not."""
    return re.sub(r"\W", "PLUS", label)


def bridged(visit: VisitPlan) -> list[AtlasPlan]:
    """List the atlases that lie on another template than the program's."""
    return [atlas for atlas in visit.laid_atlases if atlas.bridge is not None]


def bridge_name(atlas: AtlasPlan) -> str:
    """Name the transform from the program's template to an atlas's."""
    return f"bridge_{atlas.name}"


def init_visit_wf(visit: VisitPlan, settings: Settings) -> Workflow:
    """Build the graph that takes one visit from images to written tables.

    Parameters
    ----------
    visit
        The plan, without a problem.
    settings
        The run's settings.

    Returns
    -------
    Workflow
        Fewer than 60 nodes, one for each atlas and three for each of their templates. Its node
        ``template`` takes the template, its priors and the transforms to other templates, and its
        node ``finished`` gives what was written.
    """
    graph = _Graph(Workflow(name=visit_name(visit)), visit, settings)
    fields = [*TEMPLATE_FILES, *(bridge_name(atlas) for atlas in bridged(visit))]
    template = graph.add("template", IdentityInterface(fields), mem_gb=0.1)
    for name in fields:
        graph.known[f"template_{name}"] = (template, name)
    _add_reference(graph)
    _add_other_anatomical(graph)
    _add_infarct(graph)
    _add_given_wmh(graph)
    _add_external_wmh(graph)
    _add_given_tissues(graph)
    _add_template(graph)
    _add_computed_wmh(graph)
    _add_computed_tissues(graph)
    _add_checked_anatomy(graph)
    _add_atlases(graph)
    _add_regions(graph)
    _add_measures(graph)
    _add_maps(graph)
    _add_asymmetry(graph)
    _add_quality(graph)
    _add_sinks(graph)
    return graph.workflow


def _add_reference(graph: _Graph) -> None:
    source = str(graph.visit.reference_file.path)
    node = graph.add("reference", PrepareImage(), in_file=source)
    graph.facts.append(("reference_", (node, "facts")))
    graph.known["reference"] = _checked_image(graph, "reference", node, source)
    graph.known[f"preproc_{graph.visit.reference}"] = graph.known["reference"]


def _checked_image(graph: _Graph, name: str, prepared: Node, source: str) -> tuple[Node, str]:
    """Let a prepared image through only if its values can be those of a scan."""
    check = graph.add(
        f"checked_{name}", CheckImage(), mem_gb=1.0, in_file=(prepared, "out_file"), source=source
    )
    graph.facts.append((f"{name}_", (check, "facts")))
    return check, "out_file"


def _add_other_anatomical(graph: _Graph) -> None:
    """Bring the FLAIR (or T1w) that is not the reference to it."""
    other = graph.visit.other_anatomical
    if other is None:
        return
    prepared = graph.add("other_anatomical", PrepareImage(), in_file=str(other.path))
    graph.facts.append(("other_anatomical_", (prepared, "facts")))
    graph.known["other"] = _checked_image(graph, "other_anatomical", prepared, str(other.path))
    given = graph.visit.flair_alignment.transform
    if given is not None:
        _add_given_transform(graph, "other_transform", graph.visit.flair_alignment, "other")
        moved = graph.add(
            "other_in_reference",
            ApplyTransforms(),
            moving="other",
            reference="reference",
            transforms="other_transform",
        )
        output = (moved, "resampled")
    else:
        moved = graph.add(
            "other_registration",
            RigidRegistration(),
            mem_gb=2.0,
            fixed="reference",
            moving="other",
            seed=graph.seed,
            quality=graph.settings.anatomy.registration_qc,
            moving_name=str(other.path),
            fixed_name=str(graph.visit.reference_file.path),
        )
        graph.known["other_transform"] = (moved, "transform")
        graph.facts.append(("other_anatomical_registration_", (moved, "metrics")))
        output = (moved, "warped")
    graph.known["preproc_FLAIR" if graph.visit.reference == "T1w" else "preproc_T1w"] = output


def _add_given_transform(graph: _Graph, name: str, alignment: Alignment, moving: str) -> None:
    """Make a given transform known by a name; one that is not ITK's is written as ITK's."""
    path = str(alignment.transform.path) if alignment.transform else ""
    graph.known[name] = path
    if alignment.convert:
        node = graph.add(name, ConvertTransform(), in_file=path, moving=moving, fixed="reference")
        graph.known[name] = (node, "transform")


def _transform_to_reference(graph: _Graph, given: GivenImage) -> str | None:
    return None if given.space == graph.visit.reference else "other_transform"


def _add_infarct(graph: _Graph) -> None:
    given = graph.visit.infarct
    if given is None:
        return
    node = graph.add(
        "given_infarct",
        GivenMask(),
        mem_gb=1.0,
        in_file=str(given.file.path),
        reference="reference",
        transforms=_transform_to_reference(graph, given),
        is_probability=given.is_probability,
        what="infarct",
    )
    graph.known["mask_infarct"] = (node, "mask")
    graph.facts.append(("", (node, "facts")))


def _keep_infarct_out(graph: _Graph) -> None:
    """Take infarcts out of WMH as soon as these are known."""
    if graph.visit.infarct is None:
        return
    node = graph.add(
        "wmh_without_infarct",
        WithoutInfarct(),
        mem_gb=1.0,
        wmh="mask_WMH",
        infarct="mask_infarct",
        probseg=graph.if_known("probseg_WMH"),
        with_rims=graph.visit.wmh is None,
    )
    graph.known["mask_WMH"] = (node, "wmh")
    if "probseg_WMH" in graph.known:
        graph.known["probseg_WMH"] = (node, "probseg")
    graph.facts.append(("", (node, "facts")))


def _add_given_wmh(graph: _Graph) -> None:
    given = graph.visit.wmh
    if given is None:
        return
    node = graph.add(
        "given_wmh",
        GivenMask(),
        mem_gb=1.0,
        in_file=str(given.file.path),
        reference="reference",
        transforms=_transform_to_reference(graph, given),
        is_probability=given.is_probability,
        fill_holes=graph.settings.anatomy.fill_holes,
    )
    graph.known["mask_WMH"] = (node, "mask")
    if given.is_probability:
        graph.known["probseg_WMH"] = (node, "probseg")
    graph.facts.append(("", (node, "facts")))
    _keep_infarct_out(graph)


def _add_external_wmh(graph: _Graph) -> None:
    """Let the user's program segment the images in their own spaces; check it as a given mask."""
    visit = graph.visit
    if visit.wmh_command is None:
        return
    own, other = ("t1w", "flair") if visit.reference == "T1w" else ("flair", "t1w")
    images = {own: "reference"} | ({other: "other"} if visit.other_anatomical else {})
    program = graph.add(
        "external_wmh",
        ExternalWMH(),
        mem_gb=4.0,
        command=visit.wmh_command,
        reference_name=visit.reference,
        other_transform="other_transform" if visit.other_anatomical else None,
        **images,
    )
    node = graph.add(
        "given_wmh",
        GivenMask(),
        mem_gb=1.0,
        in_file=(program, "mask"),
        reference="reference",
        transforms=(program, "transforms"),
        fill_holes=graph.settings.anatomy.fill_holes,
    )
    graph.known["mask_WMH"] = (node, "mask")
    graph.facts.append(("", (node, "facts")))
    _keep_infarct_out(graph)


def _add_given_tissues(graph: _Graph) -> None:
    given = graph.visit.parcellation
    if given is None:
        return
    node = graph.add(
        "given_tissues",
        TissuesFromParcellation(),
        mem_gb=2.0,
        in_file=str(given.file.path),
        reference="reference",
        transforms=_transform_to_reference(graph, given),
    )
    graph.known |= {
        "tissue_without_lesions": (node, "tissue"),
        "mask_ventricles": (node, "ventricles"),
        "mask_brain": (node, "brain_mask"),
        "hemispheres": (node, "hemispheres"),
        "cortex_lobes": (node, "cortex_lobes"),
    }
    graph.facts.append(("", (node, "facts")))


def _add_template(graph: _Graph) -> None:
    """Register the reference to the template, or take the given transforms."""
    if graph.visit.parcellation is None:
        brain = graph.add(
            "brain",
            BrainExtraction(),
            mem_gb=2.0,
            image="reference",
            template_t1w="template_t1w",
            template_mask="template_brain_mask",
            other=graph.if_known("other"),
            other_transform=graph.if_known("other_transform"),
            seed=graph.seed,
        )
        graph.known["mask_brain"] = (brain, "brain_mask")
    _add_checked_brain(graph)
    given = graph.visit.template_transforms
    if given is not None:
        graph.known |= {"forward": str(given[0].path), "inverse": str(given[1].path)}
        return
    first = _register_to_template(graph, "template_registration", TemplateRegistration())
    if graph.visit.wmh_comes_first:
        graph.facts.append(("template_registration_", (first, "metrics")))


def _register_to_template(
    graph: _Graph, name: str, interface: BaseInterface, **inputs: Any
) -> Node:
    """Register the reference to the template, with what is known of lesions so far."""
    node = graph.add(
        name,
        interface,
        mem_gb=3.0,
        reference="reference",
        brain_mask="mask_brain",
        template="template_t1w",
        template_mask="template_brain_mask",
        wmh=graph.if_known("mask_WMH"),
        infarct=graph.if_known("mask_infarct"),
        seed=graph.seed,
        **inputs,
    )
    graph.known |= {"forward": (node, "forward"), "inverse": (node, "inverse")}
    return node


def _add_checked_brain(graph: _Graph) -> None:
    """Let a brain mask through only if it can be that of a whole brain."""
    given = graph.visit.parcellation
    check = graph.add(
        "checked_brain",
        CheckBrain(),
        mem_gb=1.0,
        brain_mask="mask_brain",
        reference="reference",
        source=str(given.file.path if given else graph.visit.reference_file.path),
    )
    graph.known["mask_brain"] = (check, "brain_mask")
    graph.facts.append(("brain_", (check, "facts")))


def _add_checked_anatomy(graph: _Graph) -> None:
    """Let tissues through only if the images can be what their names say."""
    visit = graph.visit
    check = graph.add(
        "checked_anatomy",
        CheckAnatomy(),
        mem_gb=1.5,
        tissue="tissue_without_lesions",
        brain_mask="mask_brain",
        reference="reference",
        forward="forward",
        template="template_t1w",
        template_mask="template_brain_mask",
        source=str(visit.reference_file.path),
        needs_flair=not visit.wmh_comes_first or visit.wmh_command is not None,
        **{name.lower(): f"preproc_{name}" for name in visit.anatomical},
        **{f"{name.lower()}_source": str(file.path) for name, file in visit.anatomical.items()},
    )
    graph.known["tissue_without_lesions"] = (check, "tissue")
    graph.facts.append(("", (check, "facts")))


def _add_computed_tissues(graph: _Graph) -> None:
    if graph.visit.parcellation is not None:
        return
    warped = graph.add(
        "warped_priors",
        WarpPriors(),
        mem_gb=2.0,
        brain_mask="mask_brain",
        inverse="inverse",
        **{name: f"template_{name}" for name in PRIORS},
    )
    for name in PRIORS:
        graph.known[f"warped_{name}"] = (warped, name)
    node = graph.add(
        "tissues",
        TissueSegmentation(),
        mem_gb=3.0,
        image="reference",
        brain_mask="mask_brain",
        lesion_mask="mask_WMH",
        infarct_mask=graph.if_known("mask_infarct"),
        seed=graph.seed,
        hemispheres=(warped, "hemispheres"),
        **{name: f"warped_{name}" for name in PRIORS},
    )
    graph.known |= {
        "tissue_without_lesions": (node, "tissue"),
        "mask_ventricles": (node, "ventricles"),
        "hemispheres": (warped, "hemispheres"),
    }


def _add_computed_wmh(graph: _Graph) -> None:
    """Segment WMH in the FLAIR's own space, before the tissues, which take lesions as known."""
    visit = graph.visit
    if visit.wmh_comes_first:
        return
    own, other = ("t1w", "flair") if visit.reference == "T1w" else ("flair", "t1w")
    images = {own: "reference"} | ({other: "other"} if visit.other_anatomical else {})
    node = graph.add(
        "wmh",
        WMHSegmentation(),
        mem_gb=3.0,
        reference="reference",
        reference_name=visit.reference,
        other_transform="other_transform" if visit.other_anatomical else None,
        brain_mask="mask_brain",
        inverse="inverse",
        **images,
        **{name: f"template_{name}" for name in LESION_PRIORS},
    )
    graph.known |= {"mask_WMH": (node, "mask"), "probseg_WMH": (node, "probseg")}
    graph.facts.append(("wmh_", (node, "numbers")))
    _keep_infarct_out(graph)
    if visit.template_transforms is None:
        first = graph.workflow.get_node("template_registration")
        again = _register_to_template(
            graph,
            "template_registration_again",
            TemplateRegistrationAgain(),
            forward="forward",
            inverse="inverse",
            affine=(first, "affine"),
            metrics=(first, "metrics"),
        )
        graph.facts.append(("template_registration_", (again, "metrics")))


def _add_atlases(graph: _Graph) -> None:
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


def _points_in_template(graph: _Graph, atlas: AtlasPlan) -> tuple[Node, str]:
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


def _add_regions(graph: _Graph) -> None:
    """Distances and everything that is made from them."""
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


def _add_lobes(graph: _Graph) -> None:
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


def _add_lesions(graph: _Graph) -> None:
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


def _territories(graph: _Graph) -> dict[str, Any]:
    """Give the inputs that name the lesions' arterial territories, if an atlas was asked for."""
    atlas = graph.visit.territories
    if atlas is None:
        return {}
    ventricles = atlas.definition.ventricles if atlas.definition else ()
    names = {
        index: region.name for index, region in atlas.regions.items() if index not in ventricles
    }
    return {"territories": f"seg_{atlas.name}", "territory_names": names}


def _add_measures(graph: _Graph) -> None:
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


def _add_overlapping(graph: _Graph, partition: Node) -> None:
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


def _add_asymmetry(graph: _Graph) -> None:
    """Set each side beside the other, by load and by every map."""
    names = [f"opposites_{group_name(group)}" for group in map_groups(graph.visit)]
    node = graph.add("asymmetry", Asymmetry(), volumes="table_volumes", regions="regions")
    if names:
        rows = graph.gather("rows_of_opposites", names)
        graph.workflow.connect(rows[0], rows[1], node, "maps")
    graph.known["table_asymmetry"] = (node, "table")


def _add_maps(graph: _Graph) -> None:
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


def _add_map_group(graph: _Graph, group: tuple[MapPlan, ...]) -> None:
    name, alignment = group_name(group), group[0].alignment
    transform = None if alignment.how == "header" else f"transform_{name}"
    if alignment.how == "transform":
        _add_given_transform(graph, f"transform_{name}", alignment, str(group[0].file.path))
    elif alignment.how == "register":
        moved = alignment.companion or group[0].file
        prepared = graph.add(f"image_{name}", PrepareImage(), in_file=str(moved.path))
        graph.known[f"image_{name}"] = (prepared, "out_file")
        registration = graph.add(
            f"registration_{name}",
            RigidRegistration(),
            mem_gb=2.0,
            fixed="reference",
            moving=f"image_{name}",
            seed=graph.seed,
            quality=graph.settings.anatomy.registration_qc,
            moving_name=str(moved.path),
            fixed_name=str(graph.visit.reference_file.path),
        )
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


def _add_quality(graph: _Graph) -> None:
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


def _add_sinks(graph: _Graph) -> None:
    """Write what is promised: images, tables, and transforms that were computed."""
    visit = graph.visit
    images = [key for key in graph.known if key.split("_")[0] in ("preproc", "mask", "probseg")]
    images += [f"seg_{name}" for name in label_images(visit)]
    images += [key for key in image_paths(visit) if key.startswith("atlas")]
    images += [f"distance_{name}" for name in ("ventricles", "WMH", "cortex", "depth")]
    _add_sink(graph, "image_sink", ImageSink(), images, images)
    tables = list(table_paths(visit))
    _add_sink(graph, "table_sink", TableSink(), tables, [f"table_{key}" for key in tables])
    sinks = ["image_sink", "table_sink"]
    transforms = list(transform_paths(visit))
    if transforms:
        other = {"FLAIR": "other_transform", "T1w": "other_transform"}
        own = {"forward": "forward", "inverse": "inverse"} | other
        sources = [own.get(key, f"transform_{key}") for key in transforms]
        _add_sink(graph, "transform_sink", TransformSink(), transforms, sources)
        sinks.append("transform_sink")
    graph.gather("finished", [f"{name}_files" for name in sinks])


def _add_sink(
    graph: _Graph, name: str, interface: BaseInterface, keys: list[str], sources: list[str]
) -> None:
    files = graph.gather(f"files_of_{name}", sources)
    # volumes of probabilities are made of columns where they are written
    n_volumes = sum(len(atlas.regions) for atlas in graph.visit.atlases if atlas.is_probabilistic)
    sink = graph.add(
        name,
        interface,
        mem_gb=1.0 + MEM_GB_PER_VOLUME * n_volumes,
        visit=graph.visit,
        settings=graph.settings,
        keys=keys,
    )
    graph.workflow.connect(files[0], files[1], sink, "files")
    graph.known[f"{name}_files"] = (sink, "out_files")
