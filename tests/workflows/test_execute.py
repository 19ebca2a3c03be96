"""What surrounds a run: the written graph, and the file of the plugin's arguments."""

from __future__ import annotations

import re
from pathlib import Path

from tests.runs import phantom_words
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.products.product import From, parts_of
from wmhflow.steps.alignment import judge_warp
from wmhflow.steps.kinds import needs_of
from wmhflow.steps.registration import warp_to_template
from wmhflow.workflows.execute import ANTS, PRELOADED, _preloaded, write_graph
from wmhflow.workflows.study import init_study_wf
from wmhflow.workflows.units import units_of


def test_the_written_graph_has_every_step_and_its_way(tmp_path: Path) -> None:
    words = [*phantom_words(tmp_path / "out", tmp_path / "work"), "--participant-label", "02"]
    settings = parse_settings(words)
    plans = list(make_plans(settings))
    workflow = init_study_wf(plans, settings, {"02": tmp_path})
    write_graph(workflow, tmp_path / "graph.dot")
    text = (tmp_path / "graph.dot").read_text()
    assert text.startswith("digraph")
    names = [name.rpartition(".")[2] for name in re.findall(r'^  "([^"]+)";$', text, re.MULTILINE)]
    arrows = re.findall(r'^  "([^"]+)" -> "([^"]+)";$', text, re.MULTILINE)
    drawn = {(start.rpartition(".")[2], end.rpartition(".")[2]) for start, end in arrows}
    for unit in units_of(plans[0], settings):
        for recipe in unit.recipes:
            assert names.count(recipe.name) == 1
            for parameter, taken in {**recipe.takes, **recipe.beside}.items():
                # of several things a node between the steps makes a list
                listed = isinstance(taken, list | tuple) and not isinstance(taken, From)
                taker = f"{recipe.name}_{parameter}" if listed else recipe.name
                keys = [part for part in parts_of(taken) if isinstance(part, str)]
                for key in keys:
                    assert (unit.makers[key].name, taker) in drawn


def test_ants_is_imported_beforehand_only_where_a_step_calls_it(tmp_path: Path) -> None:
    # the example has warps and an alignment; without the latter the other image is registered
    words = phantom_words(tmp_path / "out", tmp_path / "work")
    settings = parse_settings(words)
    plans = list(make_plans(settings))
    log_dirs = {plan.subject: tmp_path for plan in plans}
    found = _preloaded(init_study_wf(plans, settings, log_dirs))
    steps = [
        recipe.function for plan in plans for unit in units_of(plan, settings)
        for recipe in unit.recipes
    ]  # fmt: skip
    assert (ANTS in found) == any(needs_of(one).ants for one in steps)
    assert found[0] == PRELOADED
    assert needs_of(warp_to_template).ants
    assert not needs_of(judge_warp).ants
