"""What surrounds a run: the written graph, and the file of the plugin's arguments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.runs import phantom_words
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.errors import UsageError
from wmhflow.products.product import parts_of
from wmhflow.workflows.execute import _plugin_arguments, write_graph
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
    nodes = re.findall(r'^  "([^"]+)";$', text, re.MULTILINE)
    edges = re.findall(r'^  "([^"]+)" -> "([^"]+)";$', text, re.MULTILINE)
    names = [short_name(node) for node in nodes]
    drawn = {(short_name(giver), short_name(taker)) for giver, taker in edges}
    for unit in units_of(plans[0], settings):
        for recipe in unit.recipes:
            assert names.count(recipe.name) == 1
            for parameter, taken in {**recipe.takes, **recipe.beside}.items():
                # of several things a node between the steps makes a list
                taker = f"{recipe.name}_{parameter}" if isinstance(taken, list) else recipe.name
                for key in parts_of(taken):
                    if isinstance(key, str):
                        assert (unit.makers[key].name, taker) in drawn


def short_name(node: str) -> str:
    return node.rpartition(".")[2]


def test_plugin_arguments_are_read(tmp_path: Path) -> None:
    path = tmp_path / "plugin.yml"
    path.write_text("plugin: MultiProc\nplugin_args: {n_procs: 3}\n")
    assert _plugin_arguments(path) == {"n_procs": 3}


@pytest.mark.parametrize("text", ["plugin: SLURM", "- 1", "a: [", "plugin_args: [1]", None])
def test_another_plugin_or_no_yaml_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "plugin.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="--use-plugin"):
        _plugin_arguments(path)
