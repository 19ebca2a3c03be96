"""What the plugins that run a graph know among ``plugin_args``; anything else is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wmhflow.errors import UsageError
from wmhflow.registries.executors import load_executors
from wmhflow.settings import MEMORY_GB, PROCESSORS, Bounds
from wmhflow.workflows.plugin import LONGEST_CHAIN

MULTIPROC, LINEAR = "MultiProc", "Linear"
# These come from the program.
OWN_ARGUMENTS = ("status_callback",)
# the numbers that plugins read, bounded as the options that mean the same
PLUGIN_NUMBERS = {
    "n_procs": PROCESSORS,
    "memory_gb": MEMORY_GB,
    "max_jobs": Bounds(int, 1, 1_000_000),
}
SCHEDULER_NUMBERS = {"max_tries": Bounds(int, 1, 1000), "retry_timeout": Bounds(float, 0, 86_400)}
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "raise_insufficient": (True, False),
    "mp_context": ("fork", "spawn", "forkserver"),
    "scheduler": ("tsort", "mem_thread", LONGEST_CHAIN),
}


def known_arguments(plugin: str) -> tuple[str, ...]:
    """List what a plugin reads of ``plugin_args``.

    Parameters
    ----------
    plugin
        Its name, as nipype calls it.

    Examples
    --------
    >>> known_arguments("LSF")
    ('bsub_args', 'template', 'max_tries', 'retry_timeout', 'max_jobs')
    """
    if plugin in (MULTIPROC, LINEAR):
        return (*PLUGIN_NUMBERS, *CHOICES)
    return load_executors()[plugin.lower()].plugin_args


def checked_arguments(plugin: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as a plugin takes them, if it knows all of them.

    Parameters
    ----------
    plugin
        Its name.
    arguments
        Names and values of ``plugin_args``.

    Raises
    ------
    UsageError
        If one cannot be set, is not known, or has a value that cannot be meant.
    """
    own = [key for key in OWN_ARGUMENTS if key in arguments]
    if own:
        raise UsageError(f"{own[0]} cannot be set.")
    known = known_arguments(plugin)
    unknown = [key for key in arguments if key not in known]
    if unknown:
        raise UsageError(
            f"'{unknown[0][:40]}' in 'plugin_args' is nothing that {plugin} knows; it knows "
            f"{', '.join(known)}."
        )
    return {key: _checked(key, value) for key, value in arguments.items()}


def _checked(key: str, value: Any) -> Any:
    bounds = {**PLUGIN_NUMBERS, **SCHEDULER_NUMBERS}.get(key)
    if bounds is not None:
        try:
            return bounds(str(value))
        except ValueError as error:
            raise UsageError(f"{key}: {error}.") from None
    if key in CHOICES:
        if not any(value is one or (type(one) is str and value == one) for one in CHOICES[key]):
            can = ", ".join(str(one).lower() for one in CHOICES[key])
            raise UsageError(f"{key}: {str(value)[:40]!r} is none of {can}.")
    elif not isinstance(value, str):
        raise UsageError(f"{key}: it has to be a text.")
    return value
