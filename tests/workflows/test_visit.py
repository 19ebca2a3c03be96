"""The graph of a visit is small, states what it needs, and promises what its sinks write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from nipype.interfaces.base import isdefined

from tests.builders import made_atlases
from tests.runs import phantom_words
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.plan.visit import Computed, Given, VisitPlan
from wmhflow.products.outputs import image_paths, table_paths, transform_paths
from wmhflow.settings import Settings
from wmhflow.workflows.visit import init_visit_wf


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[VisitPlan]]:
    atlases = made_atlases(tmp_path_factory.mktemp("atlases"))
    settings = parse_settings([*phantom_words(Path("out"), Path("work")), *atlases])
    return settings, [visit for plan in make_plans(settings) for visit in plan.visits]


def test_fewer_than_60_nodes_and_some_for_atlases_that_state_their_needs(
    planned: tuple[Settings, list[VisitPlan]],
) -> None:
    settings, visits = planned
    for visit in visits:
        workflow = init_visit_wf(visit, settings)
        names = workflow.list_node_names()
        # two atlases on one template: one node each, three to get there, three for overlaps
        assert 20 < len(names) - 8 < 60
        for name in names:
            node = workflow.get_node(name)
            assert 0 < node.mem_gb <= 8
            assert node.n_procs == 1


def test_the_sinks_get_exactly_what_is_promised(
    planned: tuple[Settings, list[VisitPlan]],
) -> None:
    settings, visits = planned
    for visit in visits:
        workflow = init_visit_wf(visit, settings)
        for sink, paths in (
            ("image_sink", image_paths(visit)),
            ("table_sink", table_paths(visit)),
            ("transform_sink", transform_paths(visit)),
        ):
            assert sorted(workflow.get_node(sink).inputs.keys) == sorted(paths)


def with_infarct(visit: VisitPlan) -> VisitPlan:
    return replace(visit, infarct=Given(visit.reference_file, visit.reference))


def test_atlases_on_one_template_share_its_places_and_others_do_not(
    planned: tuple[Settings, list[VisitPlan]],
) -> None:
    settings, visits = planned
    for visit in visits:
        first, second = visit.atlases
        bridged = [
            replace(first, name=name, bridge=Path(f"{template}.nii.gz"))
            for name, template in (("third", "a"), ("fourth", "a"), ("fifth", "b"))
        ]
        workflow = init_visit_wf(replace(visit, atlases=(first, second, *bridged)), settings)
        givers = {
            name: source_of(workflow, f"atlas_{name}", "points")
            for name in (first.name, second.name, "third", "fourth", "fifth")
        }
        assert givers[first.name] == givers[second.name] == (f"points_of_{first.name}", "points")
        assert givers["third"] == givers["fourth"] == ("points_of_third", "points")
        assert givers["fifth"] == ("points_of_fifth", "points")
        assert source_of(workflow, "way_to_third", "in2") == ("template", "bridge_third")
        assert source_of(workflow, f"way_to_{first.name}", "in2") is None


def test_an_infarct_adds_no_sink_of_its_own(planned: tuple[Settings, list[VisitPlan]]) -> None:
    settings, visits = planned
    for visit in map(with_infarct, visits):
        workflow = init_visit_wf(visit, settings)
        assert len(workflow.list_node_names()) - 8 < 60
        assert sorted(workflow.get_node("image_sink").inputs.keys) == sorted(image_paths(visit))
        assert "mask_infarct" in image_paths(visit)


def source_of(workflow: object, node: str, trait: str) -> tuple[str, str] | None:
    """Say which node gives an input, and by which output."""
    for giver, taker, edge in workflow._graph.edges(data=True):
        for output, name in edge["connect"]:
            if (taker.name, name) == (node, trait):
                return giver.name, output
    return None


def test_infarcts_are_kept_from_registration_and_tissues(
    planned: tuple[Settings, list[VisitPlan]],
) -> None:
    settings, visits = planned
    for visit in visits:
        workflow = init_visit_wf(with_infarct(visit), settings)
        # WMH that are computed are not known yet when the registration begins
        known = ("wmh_without_infarct", "wmh")
        first = "template_registration"
        assert source_of(workflow, first, "wmh") == (
            known if isinstance(visit.wmh, Given) else None
        )
        assert source_of(workflow, first, "infarct") == ("given_infarct", "mask")
        if not isinstance(visit.wmh, Given):
            assert source_of(workflow, f"{first}_again", "wmh") == known
            assert source_of(workflow, f"{first}_again", "infarct") == ("given_infarct", "mask")
        if visit.parcellation is None:
            assert source_of(workflow, "tissues", "lesion_mask") == ("wmh_without_infarct", "wmh")
            assert source_of(workflow, "tissues", "infarct_mask") == ("given_infarct", "mask")
        # a mask by hand is cut along the infarct, a computed lesion goes with its rim
        node = workflow.get_node("wmh_without_infarct")
        assert node.inputs.with_rims == (not isinstance(visit.wmh, Given))
        without = ("wmh_without_infarct", "wmh")
        for node, trait in (
            ("tissue_with_lesions", "wmh"),
            ("distances", "wmh"),
            ("lesions", "wmh"),
        ):
            assert source_of(workflow, node, trait) == without
        assert source_of(workflow, "tissue_with_lesions", "infarct") == ("given_infarct", "mask")
        assert source_of(workflow, "partition", "infarct") == ("given_infarct", "mask")


def test_without_an_infarct_the_graph_is_as_ever(
    planned: tuple[Settings, list[VisitPlan]],
) -> None:
    settings, visits = planned
    for visit in visits:
        workflow = init_visit_wf(visit, settings)
        assert not [name for name in workflow.list_node_names() if "infarct" in name]
        known = ("given_wmh", "mask") if isinstance(visit.wmh, Given) else None
        assert source_of(workflow, "template_registration", "wmh") == known
        if not isinstance(visit.wmh, Given):
            # all but the search for WMH take the registration that knows them
            takers = {
                taker.name
                for giver, taker, _ in workflow._graph.edges(data=True)
                if giver.name == "template_registration"
            }
            assert takers == {"wmh", "template_registration_again"}


def test_a_transform_of_another_program_is_rewritten_before_use(
    planned: tuple[Settings, list[VisitPlan]],
) -> None:
    settings, visits = planned
    visit = next(visit for visit in visits if visit.other_anatomical)
    for convert in (True, False):
        given = Given(visit.reference_file, convert=convert)
        workflow = init_visit_wf(replace(visit, other_transform=given), settings)
        assert ("other_transform" in workflow.list_node_names()) == convert
        moved = workflow.get_node("other_in_reference").inputs.transforms
        assert isdefined(moved) != convert


def test_the_verdict_on_registrations_follows_the_settings(
    planned: tuple[Settings, list[VisitPlan]],
) -> None:
    settings, visits = planned
    visit = next(visit for visit in visits if visit.other_anatomical)
    visit = replace(visit, other_transform=Computed("register_rigid"))
    for wanted in ("flag", "fail", "off"):
        anatomy = replace(settings.anatomy, registration_qc=wanted)
        node = init_visit_wf(visit, replace(settings, anatomy=anatomy)).get_node(
            "other_registration"
        )
        assert node.inputs.quality == wanted
        assert node.inputs.fixed_name == str(visit.reference_file.path)
