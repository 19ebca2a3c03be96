"""A graph of units does what its recipes say, and refuses keys that nobody or two make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nipype import Workflow

from tests.products.kinds import settings, visits
from tests.workflows.sums import add, no_step, write_line
from wmhflow.bids.query import FoundFile
from wmhflow.errors import ProductError
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.products.product import From, Place, Recipe, Work
from wmhflow.products.unit import Unit
from wmhflow.workflows.graph import ListOfNames, build_graph
from wmhflow.workflows.study import run_units

PLACE = Place("01")


def added(name: str, makes: str = "", **how: object) -> Recipe:
    return Recipe(name, add, {"total": Work(makes or name)}, **how)  # type: ignore[arg-type]


def unit(name: str, folders: tuple[str, ...], *recipes: Recipe) -> Unit:
    return Unit(name, folders, PLACE, recipes)


def run(folder: Path, *units: Unit) -> Path:
    workflow = Workflow("sums", base_dir=str(folder))
    build_graph(workflow, units)
    workflow.run("Linear")
    return folder / "sums"


def total(path: Path) -> int:
    return int(json.loads((path / "total.json").read_text())["is"])


def test_numbers_go_where_the_recipes_say_through_lists_files_and_units(tmp_path: Path) -> None:
    for name, number in (("found", 100), ("other", 1000)):
        (tmp_path / f"{name}.txt").write_text(str(number))
    file = FoundFile(tmp_path / "found.txt", {}, "raw", tmp_path)
    lists = {"parts": ["late", From("study", "shared"), None, From("study", "halved")]}
    done = run(
        tmp_path / "work",
        unit(
            "study",
            ("shared_wf",),
            added("shared", options={"more": 1}),
            Recipe("halved", add, {"half": Work("halved")}, options={"more": 40}),
        ),
        unit(
            "sub-01 ses-1",
            ("sub_01_wf", "ses_1_wf"),
            added("sum", takes=lists, beside={"file": file, "one": "late"}),
            added("late", options={"more": 3, "file": None}),
        ),
        unit(
            "sub-01",
            ("sub_01_wf",),
            added(
                "page",
                takes={"one": From("sub-01 ses-1", "sum"), "file": tmp_path / "other.txt"},
                beside={"parts": [None]},
            ),
        ),
    )
    assert total(done / "sub_01_wf" / "ses_1_wf" / "sum") == 3 + 1 + 20 + 100 + 3
    assert total(done / "sub_01_wf" / "page") == 127 + 1000


def test_a_step_waits_for_what_it_comes_after(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    lines = {word: {"log": str(log), "line": word} for word in ("first", "second", "third")}
    run(
        tmp_path / "work",
        unit(
            "sub-01",
            ("sub_01_wf",),
            Recipe("a", write_line, {"lines": Work("c")}, options=lines["third"], after="b"),
            Recipe("b", write_line, {"lines": Work("b")}, options=lines["second"], after="a"),
            Recipe("c", write_line, {"lines": Work("a")}, options=lines["first"]),
        ),
    )
    assert log.read_text() == "firstsecondthird"


def refused(*units: Unit) -> str:
    with pytest.raises(ProductError) as refusal:
        build_graph(Workflow("sums"), units)
    return str(refusal.value)


def test_what_nobody_makes_is_refused_by_the_names_of_unit_and_product() -> None:
    study = unit("study", ("shared_wf",), added("shared"))
    own = unit("sub-01", ("sub_01_wf",), added("sum", takes={"one": "gone"}))
    assert "sub-01" in refused(study, own)
    assert "gone" in refused(study, own)
    others = unit("sub-02", ("sub_02_wf",), added("sum", takes={"one": From("study", "gone")}))
    assert refused(study, others) == "sub-02 takes gone of study, which nobody makes"
    # a unit can be taken from when it is there
    later = unit("sub-02", ("sub_02_wf",), added("sum", takes={"one": From("study", "shared")}))
    assert "shared of study" in refused(later, study)


def test_what_is_made_twice_is_refused_by_the_names_of_unit_and_product() -> None:
    twice = unit("sub-01", ("sub_01_wf",), added("one", "sum"), added("two", "sum"))
    assert refused(twice) == "sub-01: one and two both make sum"
    once = unit("sub-01", ("sub_01_wf",), added("sum"))
    assert refused(once, once) == "sub-01: sum is made twice"
    elsewhere = unit("sub-01", ("elsewhere_wf",), added("other", "sum"))
    assert refused(once, elsewhere) == "sub-01: sum is made twice"


def test_a_function_that_states_no_needs_is_no_step() -> None:
    broken = Recipe("broken", no_step, {"lines": Work("x")}, options={"number": 1})
    with pytest.raises(TypeError, match="no_step is no step"):
        build_graph(Workflow("sums"), [unit("sub-01", ("sub_01_wf",), broken)])


@pytest.mark.parametrize("kind", visits())
def test_the_graph_of_every_kind_of_visit_has_a_node_per_recipe_with_what_it_needs(
    kind: str,
) -> None:
    plan = ParticipantPlan(visits()[kind].subject, (visits()[kind],))
    units = run_units([plan], settings(), plan.subject)
    workflow = Workflow("all")
    build_graph(workflow, units)
    for one in units:
        for recipe in one.recipes:
            node = workflow.get_node(".".join([*one.folders, recipe.name]))
            assert node.mem_gb == (recipe.mem_gb or recipe.function.needs.mem_gb)  # type: ignore[attr-defined]
            seconds = recipe.seconds or recipe.function.needs.seconds  # type: ignore[attr-defined]
            assert node.interface.seconds == seconds
            assert node.n_procs == recipe.function.needs.threads  # type: ignore[attr-defined]
            for name, value in recipe.options.items():
                assert value is None or getattr(node.inputs, name) == value


def test_a_list_of_files_is_the_same_list_whatever_the_files_hold(tmp_path: Path) -> None:
    """Who takes the list reads them, and a list that is read as well costs a scan's reading."""
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    seen = set()
    for path, content in ((one, "a"), (one, "b"), (other, "b")):
        path.write_text(content, encoding="utf-8")
        names = ListOfNames(2)
        names.inputs.trait_set(in1=str(one), in2=str(path))
        seen.add((names.inputs.get_hashval(hash_method="content")[1], path))
    assert len({key for key, path in seen if path == one}) == 1
    assert len({key for key, _ in seen}) == 2
