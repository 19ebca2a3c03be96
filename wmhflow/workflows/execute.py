"""Running a graph: nipype's configuration, its messages, and the list of what failed."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nipype import Workflow
from nipype import logging as nipype_logging

from wmhflow.errors import InputError
from wmhflow.files.children import deaf_to_terminals, keep_sockets_short
from wmhflow.files.messages import how_said
from wmhflow.files.space import is_full
from wmhflow.settings import Resources, Settings
from wmhflow.workflows.plugin import LONGEST_CHAIN, MESSAGES, Failure
from wmhflow.workflows.plugin_arguments import MULTIPROC
from wmhflow.workflows.plugins import PluginChoice, make_plugin, read_plugin

LOGGERS = ("nipype.workflow", "nipype.utils", "nipype.interface", "nipype.filemanip")
# what workers import once, before they are forked; ANTs only where a step calls it
PRELOADED, ANTS = "wmhflow.workflows.study", "ants"


def execute(
    workflow: Workflow,
    settings: Settings,
    resources: Resources,
    on_step: Callable[[Any, str], None],
    log_file: Path,
) -> list[Failure]:
    """Run a graph to its end, whatever fails on the way.

    Parameters
    ----------
    workflow
        The graph.
    settings
        The run's settings.
    resources
        How many steps may run at once, and their memory.
    on_step
        Called with a node and ``start``, ``end`` or ``exception``.
    log_file
        Where nipype's messages go.

    Returns
    -------
    list of Failure
        Empty if every step ended well.
    """
    _configure(workflow, settings)
    _send_messages_to(log_file, settings.reporting.verbose)
    if settings.reporting.write_graph:
        write_graph(workflow, log_file.with_suffix(".dot"))
    plugin = _make_plugin(settings, resources, on_step, _preloaded(workflow))
    try:
        workflow.run(plugin=plugin)
    except (RuntimeError, OSError) as error:
        # nipype raises the first failure again; one that no step explains is not to be hidden
        if not plugin.failures:
            raise RuntimeError(f"the graph could not be run: {error}") from error
    finally:
        plugin.close()
    return plugin.failures


def _configure(workflow: Workflow, settings: Settings) -> None:
    workflow.config["execution"].update(
        {
            "stop_on_first_crash": str(settings.execution.stop_on_first_crash).lower(),
            "crashfile_format": "txt",
            "hash_method": "content",
            "poll_sleep_duration": "0.05",
            "check_version": "false",
            # how long a file that a job wrote on another machine may take to be seen here
            "job_finished_timeout": "60",
            "remove_unnecessary_outputs": "false",
            "create_report": "false",
            "parameterize_dirs": "false",
        }
    )


def _send_messages_to(log_file: Path, verbose: int) -> None:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log_file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    for name in LOGGERS:
        logger = nipype_logging.getLogger(name) or logging.getLogger(name)
        logger.setLevel([logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)])
        logger.handlers = [handler]
        logger.propagate = False


def _preloaded(workflow: Workflow) -> list[str]:
    """List the modules that workers import before they begin."""
    nodes = map(workflow.get_node, workflow.list_node_names())
    calls = any(getattr(node.interface, "calls_ants", False) for node in nodes)
    return [PRELOADED, ANTS] if calls else [PRELOADED]


def _make_plugin(
    settings: Settings,
    resources: Resources,
    on_step: Callable[[Any, str], None],
    preloaded: list[str],
) -> Any:
    import multiprocessing
    from multiprocessing import forkserver

    arguments: dict[str, Any] = {
        "n_procs": resources.nprocs,
        "memory_gb": resources.mem_gb,
        "raise_insufficient": False,
        "status_callback": on_step,
        "scheduler": LONGEST_CHAIN,
        MESSAGES: (how_said(settings.reporting), settings.reporting.verbose),
    }
    path = settings.execution.use_plugin
    choice = read_plugin(path) if path else PluginChoice(MULTIPROC, {})
    keep_sockets_short()
    multiprocessing.set_forkserver_preload(preloaded)
    with deaf_to_terminals():
        # what workers are forked from, and what looks after their locks
        forkserver.ensure_running()
    try:
        return make_plugin(choice, arguments)
    except OSError as error:
        if is_full(error):
            raise
        raise InputError(
            f"No processes can be begun ({error.strerror or error}): they share locks in /dev/shm, "
            "which has to be there and be writable; mount one (docker run --tmpfs /dev/shm)."
        ) from error


def write_graph(workflow: Workflow, path: Path) -> None:
    """Write the graph's steps and what they pass on as a Graphviz DOT file."""
    import networkx as nx

    flat = nx.DiGraph()
    expanded = workflow._create_flat_graph()
    for node in expanded.nodes():
        flat.add_node(_dot_name(node.fullname))
    for giver, taker in expanded.edges():
        flat.add_edge(_dot_name(giver.fullname), _dot_name(taker.fullname))
    lines = [f'  "{node}";' for node in sorted(flat.nodes())]
    lines += [f'  "{giver}" -> "{taker}";' for giver, taker in sorted(flat.edges())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("digraph wmhflow {\n" + "\n".join(lines) + "\n}\n", encoding="utf-8")


def _dot_name(fullname: str) -> str:
    return re.sub(r"[^\w.]", "_", fullname)
