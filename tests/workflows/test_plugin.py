"""A killed worker ends the run in seconds, says so, and harms nobody else's steps."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from nipype import Node, Workflow
from nipype.interfaces.base import BaseInterfaceInputSpec, SimpleInterface, TraitedSpec, traits

from wmhflow.workflows.plugin import (
    KILLED,
    LONGEST_CHAIN,
    ResilientMultiProcPlugin,
    longest_chains,
)


class _In(BaseInterfaceInputSpec):
    what = traits.Str(mandatory=True)
    number = traits.Int(0, usedefault=True)


class _Out(TraitedSpec):
    number = traits.Int()


class Step(SimpleInterface):
    """Adds one; or kills its own process, or fails."""

    input_spec = _In
    output_spec = _Out

    def _run_interface(self, runtime: Any) -> Any:
        if self.inputs.what == "die":
            time.sleep(1)  # so that another step runs beside it
            os.kill(os.getpid(), signal.SIGKILL)
        if self.inputs.what == "fail":
            raise ValueError("this step was asked to fail")
        if self.inputs.what == "slow":
            time.sleep(2)
        self._results["number"] = self.inputs.number + 1
        return runtime


def run(tmp_path: Path, **persons: list[str]) -> ResilientMultiProcPlugin:
    """Run one chain of steps per person on two processes."""
    workflow = Workflow(name="test_wf", base_dir=str(tmp_path))
    workflow.config["execution"].update(
        {"crashfile_format": "txt", "poll_sleep_duration": "0.05", "crashdump_dir": str(tmp_path)}
    )
    for person, steps in persons.items():
        own = Workflow(name=person)
        workflow.add_nodes([own])
        nodes = [Node(Step(what=what), name=f"{person}_{i}") for i, what in enumerate(steps)]
        own.add_nodes(nodes)
        for one, next_one in itertools.pairwise(nodes):
            own.connect(one, "number", next_one, "number")
    # fork: the interface of this test module cannot be imported by a fresh process
    plugin = ResilientMultiProcPlugin({"n_procs": 2, "memory_gb": 4, "mp_context": "fork"})
    try:
        workflow.run(plugin=plugin)
    except RuntimeError:
        assert plugin.failures
    finally:
        plugin.close()
    return plugin


def finished(tmp_path: Path, node: str) -> bool:
    person = node.partition("_")[0]
    return (tmp_path / "test_wf" / person / node / f"result_{node}.pklz").is_file()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_killed_worker_fails_its_own_step_only(tmp_path: Path) -> None:
    started = time.monotonic()
    plugin = run(tmp_path, bad=["add", "die", "add"], good=["slow", "slow", "add"])
    assert time.monotonic() - started < 30
    assert [failure.step.split(".")[-1] for failure in plugin.failures] == ["bad_1"]
    assert KILLED in plugin.failures[0].reason
    assert finished(tmp_path, "good_2")
    assert not finished(tmp_path, "bad_2")


@pytest.mark.slow
def test_after_a_run_that_was_interrupted_another_one_begins() -> None:
    for _ in range(2):
        plugin = ResilientMultiProcPlugin({"n_procs": 1, "memory_gb": 1})
        forkserver.ensure_running()
        # it never ran its graph to the end, so that all it began is ended
        plugin.close()
    ResilientMultiProcPlugin({"n_procs": 1, "memory_gb": 1}).close()


def test_an_ordinary_failure_stops_its_own_chain_only(tmp_path: Path) -> None:
    plugin = run(tmp_path, bad=["fail", "add"], good=["add", "add"])
    assert "this step was asked to fail" in plugin.failures[0].reason
    assert finished(tmp_path, "good_1")
    assert not finished(tmp_path, "bad_1")
    (crash,) = tmp_path.glob("crash-*.txt")
    assert "ValueError" in crash.read_text()


def test_a_run_without_failures_has_none(tmp_path: Path) -> None:
    assert run(tmp_path, good=["add", "add"]).failures == []


@pytest.mark.slow
def test_the_program_itself_idles_while_its_steps_run(tmp_path: Path) -> None:
    started = time.process_time()
    run(tmp_path, one=["slow", "slow"])
    # four seconds of steps, and a free processor to fill
    assert time.process_time() - started < 1.5
    assert gc.get_freeze_count() == 0


class LongStep(Step):
    """A step that says of itself that it takes long."""

    seconds = 60.0


def begun(tmp_path: Path, n_procs: int) -> list[str]:
    """Run a graph of two short steps and a chain; return the steps in the order they began in."""
    workflow = Workflow(name="order_wf", base_dir=str(tmp_path))
    workflow.config["execution"]["poll_sleep_duration"] = "0.05"
    # in the order of names and of memory the chain would begin last
    short = [Node(Step(what="add"), name=f"a_{i}", mem_gb=0.1) for i in range(2)]
    head = Node(Step(what="add"), name="x_head", mem_gb=1)
    tail = Node(LongStep(what="add"), name="y_tail", mem_gb=1)
    workflow.add_nodes([*short, head, tail])
    workflow.connect(head, "number", tail, "number")
    order: list[str] = []

    def note(node: Node, status: str) -> None:
        if status == "start":
            order.append(node.name)

    plugin = ResilientMultiProcPlugin(
        {
            "n_procs": n_procs,
            "memory_gb": 4,
            "mp_context": "fork",
            "scheduler": LONGEST_CHAIN,
            "status_callback": note,
        }
    )
    try:
        workflow.run(plugin=plugin)
    finally:
        plugin.close()
    return order


def test_the_step_that_the_longest_chain_waits_for_begins_first(tmp_path: Path) -> None:
    assert begun(tmp_path, 1) == ["x_head", "y_tail", "a_0", "a_1"]
    assert begun(tmp_path / "two", 2)[0] == "x_head"


def test_a_chain_is_as_long_as_the_longest_way_to_its_end() -> None:
    # 0 leads to 1 and 2, both lead to 3; 4 stands alone
    assert longest_chains([1, 10, 2, 3, 8], [[1, 2], [3], [3], [], []]) == [14, 13, 5, 3, 8]
    assert longest_chains([], []) == []
