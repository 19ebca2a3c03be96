"""The graph of a visit is small, states what it needs, and promises what its sinks write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import phantom_words
from wmhflow.bids.outputs import image_paths, table_paths, transform_paths
from wmhflow.bids.plan import VisitPlan
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.settings import Settings
from wmhflow.workflows.visit import init_visit_wf


@pytest.fixture(scope="module")
def planned() -> tuple[Settings, list[VisitPlan]]:
    settings = parse_settings(phantom_words(Path("out"), Path("work")))
    return settings, [visit for plan in make_plans(settings) for visit in plan.visits]


def test_fewer_than_60_nodes_that_state_their_needs(
    planned: tuple[Settings, list[VisitPlan]],
) -> None:
    settings, visits = planned
    for visit in visits:
        workflow = init_visit_wf(visit, settings)
        names = workflow.list_node_names()
        assert 20 < len(names) < 60
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
