"""The graph of one visit, made from its plan; every condition was decided there."""

from __future__ import annotations

from nipype import Workflow
from nipype.interfaces.base import BaseInterface
from nipype.interfaces.utility import IdentityInterface

from wmhflow.interfaces.sinks import ImageSink, TableSink, TransformSink
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.outputs import image_paths, table_paths, transform_paths
from wmhflow.products.rows import label_images
from wmhflow.settings import Settings
from wmhflow.workflows.anatomy import TEMPLATE_FILES, add_anatomy
from wmhflow.workflows.graph import VisitGraph, bridge_name, bridged, safe_name
from wmhflow.workflows.measures import add_asymmetry, add_maps, add_measures, add_quality
from wmhflow.workflows.regions import add_atlases, add_regions

# A volume of 256 cubed and its copy as bytes.
MEM_GB_PER_VOLUME = 0.04


def visit_name(visit: VisitPlan) -> str:
    """Name a visit's workflow."""
    return f"ses_{safe_name(visit.session)}_wf" if visit.session else "visit_wf"


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
    graph = VisitGraph(Workflow(name=visit_name(visit)), visit, settings)
    fields = [*TEMPLATE_FILES, *(bridge_name(atlas) for atlas in bridged(visit))]
    template = graph.add("template", IdentityInterface(fields), mem_gb=0.1)
    for name in fields:
        graph.known[f"template_{name}"] = (template, name)
    add_anatomy(graph)
    add_atlases(graph)
    add_regions(graph)
    add_measures(graph)
    add_maps(graph)
    add_asymmetry(graph)
    add_quality(graph)
    _add_sinks(graph)
    return graph.workflow


def _add_sinks(graph: VisitGraph) -> None:
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
    graph: VisitGraph, name: str, interface: BaseInterface, keys: list[str], sources: list[str]
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
