"""The ways of running a graph that ``--use-plugin`` can ask for: nipype's, made to say what failed.

MultiProc is the usual one (:mod:`wmhflow.workflows.plugin`). Linear is that with one process: in
the program's own, numeric libraries would take as many threads as they like, and give other last
digits. SLURM, SGE, PBS and LSF send each step to the scheduler as a job of its own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from wmhflow.errors import MissingProgramError, UsageError
from wmhflow.registries.executors import load_executors
from wmhflow.workflows.plugin import RecordsFailures, ResilientMultiProcPlugin
from wmhflow.workflows.plugin_arguments import LINEAR, MULTIPROC, checked_arguments


class PluginChoice(NamedTuple):
    """A plugin's name, as nipype calls it, and what it is told."""

    name: str
    arguments: dict[str, Any]


def read_plugin(path: Path) -> PluginChoice:
    """Read the file of ``--use-plugin``, and check that what it names can be used here.

    Parameters
    ----------
    path
        YAML or JSON, with ``plugin`` and ``plugin_args`` as nipype has them.

    Raises
    ------
    UsageError
        If it cannot be read, or names a plugin that is not known, or one that does not say how
        steps ended, or something that the plugin does not know.
    MissingProgramError
        If the scheduler's programs are not there.
    """
    content = _content(path)
    if not isinstance(content, Mapping):
        raise UsageError(f"--use-plugin {path}: it has to be names with values, such as 'plugin'.")
    name, arguments = content.get("plugin", MULTIPROC), content.get("plugin_args") or {}
    unknown = [str(key) for key in content if key not in ("plugin", "plugin_args")]
    if unknown:
        raise UsageError(
            f"--use-plugin {path}: '{unknown[0]}' is neither 'plugin' nor 'plugin_args'."
        )
    if not isinstance(arguments, dict) or not all(isinstance(key, str) for key in arguments):
        raise UsageError(f"--use-plugin {path}: 'plugin_args' must be names with values.")
    _check_name(path, name)
    try:
        return PluginChoice(name, checked_arguments(name, arguments))
    except UsageError as error:
        raise UsageError(f"--use-plugin {path}: {error}") from None


def _content(path: Path) -> Any:
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise UsageError(f"--use-plugin {path} does not exist.") from None
    except RecursionError:
        raise UsageError(f"--use-plugin {path} cannot be read as YAML: it is too deep.") from None
    except (yaml.YAMLError, OSError, ValueError) as error:
        why = " ".join(str(error).split())
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise UsageError(f"--use-plugin {path} cannot be read as {kind}: {why}.") from None


def schedulers() -> dict[str, tuple[str, ...]]:
    """List nipype's plugins that send each step to a scheduler, with the programs they call.

    Examples
    --------
    >>> schedulers()["SLURM"]
    ('sbatch', 'squeue')
    """
    return {name.upper(): (one.submit[0], one.ask[0]) for name, one in load_executors().items()}


def _check_name(path: Path, name: Any) -> None:
    sent = schedulers()
    if name not in (MULTIPROC, LINEAR, *sent):
        can = ", ".join((MULTIPROC, LINEAR, *sent))
        why = "is none that can be used"
        if str(name).removesuffix("Graph") in sent:
            why = "does not say how its steps ended, so it cannot be used"
        raise UsageError(
            f"--use-plugin {path}: '{str(name)[:40]}' {why}; {can} can, and 'wmhflow submit' sends "
            "whole persons to a cluster."
        )
    missing = [program for program in sent.get(name, ()) if shutil.which(program) is None]
    if missing:
        raise MissingProgramError(
            f"--use-plugin {path}: {name} needs {missing[0]}, which is not on PATH; run this where "
            "jobs can be sent from."
        )


def make_plugin(choice: PluginChoice, usual: Mapping[str, Any]) -> Any:
    """Make the plugin that was chosen.

    Parameters
    ----------
    choice
        What :func:`read_plugin` gave.
    usual
        What MultiProc is told; the callback is for all.

    Returns
    -------
    nipype plugin
        With ``failures``, and ``close``.
    """
    if choice.name == MULTIPROC:
        return ResilientMultiProcPlugin({**usual, **choice.arguments})
    if choice.name == LINEAR:
        return ResilientMultiProcPlugin({**usual, **choice.arguments, "n_procs": 1})
    arguments = {"status_callback": usual["status_callback"], **choice.arguments}
    # its jobs are named after whoever sends them
    os.environ.setdefault("LOGNAME", f"uid{os.getuid()}")
    module = import_module(f"nipype.pipeline.plugins.{choice.name.lower()}")
    base = getattr(module, f"{choice.name}Plugin")
    kind = type(f"Recording{choice.name}Plugin", (RecordsFailures, base), {})
    return kind(plugin_args=arguments)
