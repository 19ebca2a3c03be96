"""A graph runs by each plugin that a file can name; what cannot be used is refused."""

from __future__ import annotations

import inspect
import itertools
import json
import stat
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nipype import Node, Workflow
from nipype.pipeline.plugins import base

from tests.builders import ROOT
from tests.workflows.test_plugin import Step
from wmhflow.errors import MissingProgramError, UsageError
from wmhflow.settings import Execution, Reporting, Resources
from wmhflow.workflows.execute import execute
from wmhflow.workflows.plugin_arguments import known_arguments
from wmhflow.workflows.plugins import read_plugin, schedulers


def plugin_file(folder: Path, name: str, **arguments: Any) -> Path:
    path = folder / "plugin.json"
    path.write_text(json.dumps({"plugin": name, "plugin_args": arguments}), encoding="utf-8")
    return path


def run(folder: Path, plugin: Path, **visits: list[str]) -> tuple[list[Any], list[tuple[str, str]]]:
    """Run a chain of steps for every visit as the program does; return failures and what was told.

    Parameters
    ----------
    folder
        Where it works.
    plugin
        The file of ``--use-plugin``.
    **visits
        Names of the steps of each.
    """
    workflow = Workflow(name="wf", base_dir=str(folder / "work"))
    workflow.config["execution"]["crashdump_dir"] = str(folder)
    for name, steps in visits.items():
        own = Workflow(name=name)
        workflow.add_nodes([own])
        nodes = [Node(Step(what=what, number=i), name=f"step{i}") for i, what in enumerate(steps)]
        own.add_nodes(nodes)
        for one, other in itertools.pairwise(nodes):
            own.connect(one, "number", other, "number")
    settings: Any = SimpleNamespace(execution=Execution(use_plugin=plugin), reporting=Reporting())
    told: list[tuple[str, str]] = []
    failures = execute(
        workflow, settings, Resources(2, 1, 4.0),
        lambda node, status: told.append((node.fullname, status)), folder / "run.log",
    )  # fmt: skip
    return failures, told


def test_linear_runs_one_step_at_a_time_and_the_others_go_on(tmp_path: Path) -> None:
    # fork: the steps of another test module cannot be imported by a fresh process
    plugin = plugin_file(tmp_path, "Linear", mp_context="fork", n_procs=3)
    failures, told = run(tmp_path, plugin, one=["add", "fail", "add"], two=["add", "add"])
    assert [one.step for one in failures] == ["wf.one.step1"]
    assert "this step was asked to fail" in failures[0].reason
    begun = [name for name, status in told if status == "start"]
    assert sorted(begun) == [f"wf.{name}" for name in
                             ("one.step0", "one.step1", "two.step0", "two.step1")]  # fmt: skip
    # each one ended before the next began
    assert [status for _, status in told[::2]] == ["start"] * 4
    assert [name for name, _ in told[::2]] == [name for name, _ in told[1::2]]


PROGRAM = """#!{python}
import subprocess, sys
from pathlib import Path
calls = Path({calls!r})
with calls.open("a") as stream:
    print({name!r}, *sys.argv[1:], file=stream)
if {name!r} == "sbatch":
    subprocess.run(["sh", sys.argv[-1]], capture_output=True)
    print("Submitted batch job", len(calls.read_text().splitlines()))
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that stand for Slurm's: a job runs at once, and nothing is left in the queue."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    for name in ("sbatch", "squeue"):
        path = folder / name
        path.write_text(PROGRAM.format(python=sys.executable, calls=str(calls), name=name))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("LOGNAME", raising=False)
    return calls


@pytest.mark.slow
def test_slurm_gets_a_job_for_each_step(tmp_path: Path, slurm: Path) -> None:
    plugin = plugin_file(tmp_path, "SLURM", sbatch_args="--qos=long")
    failures, told = run(tmp_path, plugin, one=["add"])
    assert failures == []
    assert [name for name, status in told if status == "end"] == ["wf.one.step0"]
    sent = [line for line in slurm.read_text().splitlines() if line.startswith("sbatch")]
    assert len(sent) == 1
    assert "--qos=long" in sent[0]


def test_a_plugin_is_read_from_yaml_and_from_json(tmp_path: Path) -> None:
    (tmp_path / "plugin.yml").write_text("plugin: MultiProc\nplugin_args: {n_procs: 3}\n")
    assert read_plugin(tmp_path / "plugin.yml") == ("MultiProc", {"n_procs": 3})
    assert read_plugin(plugin_file(tmp_path, "Linear")) == ("Linear", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plugin: Quantum", "'Quantum' is none that can be used; MultiProc, Linear, SLURM"),
        ("plugin: SLURMGraph", "'SLURMGraph' does not say how its steps ended"),
        ("plugin: [1]", "is none that can be used"),
        ("plugin: 3", "'3' is none"),
        ("- 1", "names with values"),
        ("", "names with values"),
        ("a: [", "cannot be read as YAML"),
        ("plugin_args: [1]", "'plugin_args' must be names with values"),
        ("plugin_args: {1: 2}", "'plugin_args' must be names with values"),
        ("plugin_arg: {n_procs: 2}", "'plugin_arg' is neither"),
        ("plugin_args: {status_callback: 1}", "status_callback cannot be set"),
        (
            "plugin_args: {n_proc: 2}",
            "knows; it knows n_procs, memory_gb, max_jobs, raise_insufficient, mp_context, sched",
        ),
        ("plugin: Linear\nplugin_args: {sbatch_args: -x}", "'sbatch_args' in 'plugin_args' is not"),
        ("plugin_args: {messages: [json, 2]}", "'messages' in 'plugin_args' is nothing"),
        ("plugin_args: {mp_context: thread}", "mp_context: 'thread' is none of fork, spawn, fork"),
        ("plugin_args: {raise_insufficient: 1}", "raise_insufficient: '1' is none of true, false"),
        ("plugin_args: {scheduler: [tsort]}", "is none of tsort, mem_thread, longest_chain"),
        ("plugin_args: {max_jobs: 0}", "max_jobs: '0' cannot be meant"),
        (None, "does not exist"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "plugin.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="--use-plugin") as refused:
        read_plugin(path)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", schedulers())
def test_a_scheduler_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match=f"{name} needs {schedulers()[name][0]}"):
        read_plugin(plugin_file(tmp_path, name))


WRONG = {"max_tries": 0, "retry_timeout": -1, "max_jobs": "x"}


@pytest.mark.parametrize("name", schedulers())
def test_a_scheduler_takes_what_nipype_reads_for_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("wmhflow.workflows.plugins.shutil.which", lambda program: f"/bin/{program}")
    source = inspect.getsource(import_module(f"nipype.pipeline.plugins.{name.lower()}"))
    source += inspect.getsource(base)
    for key in known_arguments(name):
        assert f'"{key}"' in source, key
        right = 3 if key in WRONG else "x"
        assert read_plugin(plugin_file(tmp_path, name, **{key: right})).arguments == {key: right}
        with pytest.raises(UsageError, match=f"--use-plugin .*: {key}: "):
            read_plugin(plugin_file(tmp_path, name, **{key: WRONG.get(key, 5)}))
    others = {key for one in schedulers() for key in known_arguments(one)}
    others |= {"n_procs", "sbatch_arg", "max_jobname_len", ""}
    for key in others - set(known_arguments(name)):
        with pytest.raises(UsageError, match=f"'{key}' in 'plugin_args' .* {name} knows; it knows"):
            read_plugin(plugin_file(tmp_path, name, **{key: "x"}))
