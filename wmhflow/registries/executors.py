"""The schedulers of clusters: how a script's header is written for each, and how each is asked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Executor:
    """What the registry says of a scheduler; ``data/executors.toml`` explains each field."""

    name: str
    directive: str
    one_ok: str
    one_any: str
    between_ids: str
    index: str
    job: str
    keeps_log: bool
    submit: tuple[str, ...]
    by_input: bool
    job_id: str
    cancel: tuple[str, ...]
    ask: tuple[str, ...]
    line: str
    most: int
    ask_most: tuple[str, ...]
    most_found: str
    most_less: int
    scratch: tuple[str, ...]
    job_name: str
    cancel_one: str
    late: str
    too_many: str
    header: Mapping[str, str]
    states: Mapping[str, tuple[str, ...]]
    overrules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    account: tuple[str, ...] = ()
    find: tuple[tuple[str, ...], ...] = ()
    found: str = ""
    none_known: str = ""
    stuck: str = ""
    unset: tuple[str, ...] = ()
    single: bool = True
    more_log: str = ""
    address_gb: float = 0.0
    plugin_args: tuple[str, ...] = ()
    ask_time: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    not_in_paths: str = ""
    signs: Mapping[str, str] = field(default_factory=dict)

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs without which nothing can be submitted, asked or cancelled."""
        return tuple(dict.fromkeys((self.submit[0], self.ask[0], self.cancel[0])))

    @property
    def tells_why(self) -> bool:
        """Whether it is told anywhere that a task lacked memory or time."""
        return bool(self.account or self.signs)

    def state_of(self, word: str) -> str:
        """Say what the scheduler's word for a state means; ``unknown`` if the registry lacks it.

        Examples
        --------
        >>> slurm = load_executors()["slurm"]
        >>> slurm.state_of("OUT_OF_MEMORY"), slurm.state_of("CANCELLED by 1000")
        ('memory', 'cancelled')
        """
        exact = [name for name, words in self.states.items() if word in words]
        begins = [name for name, words in self.states.items() if word.startswith(words)]
        return next(iter([*exact, *begins]), "unknown")


@cache
def load_executors() -> dict[str, Executor]:
    """Read the registry of schedulers, by name.

    Examples
    --------
    >>> load_executors()["slurm"].submit
    ('sbatch', '--parsable')
    """
    text = (files("wmhflow") / "data" / "executors.toml").read_text(encoding="utf-8")
    return {name: _executor(name, table) for name, table in tomllib.loads(text).items()}


def _executor(name: str, table: Mapping[str, object]) -> Executor:
    fields = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    for key in ("states", "overrules"):
        lists = table.get(key, {})
        if not isinstance(lists, dict):
            raise TypeError(f"data/executors.toml: [{name}] {key} is no table")
        fields[key] = {one: tuple(words) for one, words in lists.items()}
    return Executor(name=name, **fields)  # type: ignore[arg-type]


def executor_names() -> tuple[str, ...]:
    """List the schedulers' names.

    Examples
    --------
    >>> executor_names()
    ('slurm', 'sge', 'pbs', 'lsf')
    """
    return tuple(load_executors())
