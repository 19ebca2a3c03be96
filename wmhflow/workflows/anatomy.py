"""The part of a visit's graph from images to tissues, lesions and the template's warp."""

from __future__ import annotations

from typing import Any

from nipype import Node
from nipype.interfaces.base import BaseInterface

from wmhflow.interfaces.anatomy import (
    GivenMask,
    PrepareImage,
    TissuesFromParcellation,
    WarpPriors,
    WithoutInfarct,
)
from wmhflow.interfaces.external import ExternalWMH
from wmhflow.interfaces.registration import RigidRegistration
from wmhflow.interfaces.sanity import CheckAnatomy, CheckBrain, CheckImage
from wmhflow.interfaces.segmentation import BrainExtraction, TissueSegmentation, WMHSegmentation
from wmhflow.interfaces.transforms import ApplyTransforms, ConvertTransform
from wmhflow.interfaces.warp import TemplateRegistration, TemplateRegistrationAgain
from wmhflow.plan.visit import Computed, Given
from wmhflow.workflows.graph import VisitGraph

LESION_PRIORS = ("csf", "cortex", "deep_grey", "white", "ventricles")
PRIORS = (*LESION_PRIORS, "infratentorial")
TEMPLATE_FILES = ("t1w", "brain_mask", *PRIORS)


def add_anatomy(graph: VisitGraph) -> None:
    """Add everything from the prepared images to checked tissues, with lesions and the warp."""
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


def _add_reference(graph: VisitGraph) -> None:
    source = str(graph.visit.reference_file.path)
    node = graph.add("reference", PrepareImage(), in_file=source)
    graph.facts.append(("reference_", (node, "facts")))
    graph.known["reference"] = _checked_image(graph, "reference", node, source)
    graph.known[f"preproc_{graph.visit.reference}"] = graph.known["reference"]


def _checked_image(graph: VisitGraph, name: str, prepared: Node, source: str) -> tuple[Node, str]:
    """Let a prepared image through only if its values can be those of a scan."""
    check = graph.add(
        f"checked_{name}", CheckImage(), mem_gb=1.0, in_file=(prepared, "out_file"), source=source
    )
    graph.facts.append((f"{name}_", (check, "facts")))
    return check, "out_file"


def _images_by_kind(graph: VisitGraph) -> dict[str, str]:
    """Give the images in their own spaces as inputs of what segments them."""
    own, other = ("t1w", "flair") if graph.visit.reference == "T1w" else ("flair", "t1w")
    return {own: "reference"} | ({other: "other"} if graph.visit.other_anatomical else {})


def _add_other_anatomical(graph: VisitGraph) -> None:
    """Bring the FLAIR (or T1w) that is not the reference to it."""
    other = graph.visit.other_anatomical
    if other is None:
        return
    prepared = graph.add("other_anatomical", PrepareImage(), in_file=str(other.path))
    graph.facts.append(("other_anatomical_", (prepared, "facts")))
    graph.known["other"] = _checked_image(graph, "other_anatomical", prepared, str(other.path))
    given = graph.visit.other_transform
    if isinstance(given, Given):
        add_given_transform(graph, "other_transform", given, "other")
        moved = graph.add(
            "other_in_reference",
            ApplyTransforms(),
            moving="other",
            reference="reference",
            transforms="other_transform",
        )
        output = (moved, "resampled")
    else:
        moved = add_rigid(graph, "other_registration", "other", str(other.path))
        graph.known["other_transform"] = (moved, "transform")
        graph.facts.append(("other_anatomical_registration_", (moved, "metrics")))
        output = (moved, "warped")
    graph.known["preproc_FLAIR" if graph.visit.reference == "T1w" else "preproc_T1w"] = output


def add_rigid(graph: VisitGraph, name: str, moving: str, source: str) -> Node:
    """Align an image to the reference, judged as the user asked; messages name its source."""
    return graph.add(
        name,
        RigidRegistration(),
        mem_gb=2.0,
        fixed="reference",
        moving=moving,
        seed=graph.seed,
        quality=graph.settings.anatomy.registration_qc,
        moving_name=source,
        fixed_name=str(graph.visit.reference_file.path),
    )


def add_given_transform(graph: VisitGraph, name: str, given: Given, moving: str) -> None:
    """Make a given transform known by a name; one that is not ITK's is written as ITK's."""
    path = str(given.file.path)
    graph.known[name] = path
    if given.convert:
        node = graph.add(name, ConvertTransform(), in_file=path, moving=moving, fixed="reference")
        graph.known[name] = (node, "transform")


def _transform_to_reference(graph: VisitGraph, given: Given) -> str | None:
    return None if given.space == graph.visit.reference else "other_transform"


def _add_infarct(graph: VisitGraph) -> None:
    given = graph.visit.infarct
    if given is None:
        return
    _add_given_mask(
        graph,
        "infarct",
        in_file=str(given.file.path),
        transforms=_transform_to_reference(graph, given),
        is_probability=given.is_probability,
        what="infarct",
    )


def _add_given_mask(graph: VisitGraph, name: str, **inputs: Any) -> Node:
    """Bring a mask that the program did not make to the reference, and check it."""
    node = graph.add(
        f"given_{name.lower()}", GivenMask(), mem_gb=1.0, reference="reference", **inputs
    )
    graph.known[f"mask_{name}"] = (node, "mask")
    graph.facts.append(("", (node, "facts")))
    return node


def _keep_infarct_out(graph: VisitGraph) -> None:
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
        with_rims=not isinstance(graph.visit.wmh, Given),
    )
    graph.known["mask_WMH"] = (node, "wmh")
    if "probseg_WMH" in graph.known:
        graph.known["probseg_WMH"] = (node, "probseg")
    graph.facts.append(("", (node, "facts")))


def _add_given_wmh(graph: VisitGraph) -> None:
    given = graph.visit.wmh
    if not isinstance(given, Given):
        return
    node = _add_given_mask(
        graph,
        "WMH",
        in_file=str(given.file.path),
        transforms=_transform_to_reference(graph, given),
        is_probability=given.is_probability,
        fill_holes=graph.settings.anatomy.fill_holes,
    )
    if given.is_probability:
        graph.known["probseg_WMH"] = (node, "probseg")
    _keep_infarct_out(graph)


def _add_external_wmh(graph: VisitGraph) -> None:
    """Let the user's program segment the images in their own spaces; check it as a given mask."""
    visit = graph.visit
    if isinstance(visit.wmh, Given) or visit.wmh.command is None:
        return
    program = graph.add(
        "external_wmh",
        ExternalWMH(),
        mem_gb=4.0,
        command=visit.wmh.command,
        reference_name=visit.reference,
        other_transform="other_transform" if visit.other_anatomical else None,
        **_images_by_kind(graph),
    )
    _add_given_mask(
        graph,
        "WMH",
        in_file=(program, "mask"),
        transforms=(program, "transforms"),
        fill_holes=graph.settings.anatomy.fill_holes,
    )
    _keep_infarct_out(graph)


def _add_given_tissues(graph: VisitGraph) -> None:
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


def _add_template(graph: VisitGraph) -> None:
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
    forward, inverse = graph.visit.forward, graph.visit.inverse
    if isinstance(forward, Given) and isinstance(inverse, Given):
        graph.known |= {"forward": str(forward.file.path), "inverse": str(inverse.file.path)}
        return
    first = _register_to_template(graph, "template_registration", TemplateRegistration())
    if graph.visit.wmh_comes_first:
        graph.facts.append(("template_registration_", (first, "metrics")))


def _register_to_template(
    graph: VisitGraph, name: str, interface: BaseInterface, **inputs: Any
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


def _add_checked_brain(graph: VisitGraph) -> None:
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


def _add_checked_anatomy(graph: VisitGraph) -> None:
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
        needs_flair=not isinstance(visit.wmh, Given),
        **{name.lower(): f"preproc_{name}" for name in visit.anatomical},
        **{f"{name.lower()}_source": str(file.path) for name, file in visit.anatomical.items()},
    )
    graph.known["tissue_without_lesions"] = (check, "tissue")
    graph.facts.append(("", (check, "facts")))


def _add_computed_tissues(graph: VisitGraph) -> None:
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


def _add_computed_wmh(graph: VisitGraph) -> None:
    """Segment WMH in the FLAIR's own space, before the tissues, which take lesions as known."""
    visit = graph.visit
    if visit.wmh_comes_first:
        return
    node = graph.add(
        "wmh",
        WMHSegmentation(),
        mem_gb=3.0,
        reference="reference",
        reference_name=visit.reference,
        other_transform="other_transform" if visit.other_anatomical else None,
        brain_mask="mask_brain",
        inverse="inverse",
        **_images_by_kind(graph),
        **{name: f"template_{name}" for name in LESION_PRIORS},
    )
    graph.known |= {"mask_WMH": (node, "mask"), "probseg_WMH": (node, "probseg")}
    graph.facts.append(("wmh_", (node, "numbers")))
    _keep_infarct_out(graph)
    if isinstance(visit.forward, Computed):
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
