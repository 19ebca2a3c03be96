"""The options of a run as a file that nobody changes: what every task of a submission reads."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wmhflow.bids.writer import write_text
from wmhflow.errors import UsageError
from wmhflow.plan.masks import with_whole_path
from wmhflow.registries.segmenters import find_segmenter
from wmhflow.settings import Execution, NamedPath, NamedTransform, Settings, iter_options

# The last line of the options: without it, a part of them is lost, and would be the defaults again.
END = "# end"
# What a task is told by its script, and what only whoever submits wants.
BY_SCRIPT = frozenset(
    (
        "participant_label",
        "clean_workdir",
        "nprocs",
        "mem_gb",
        "wait_minutes",
        "dry_run",
        # `wmhflow status` reads a task's log
        "quiet",
        "log_json",
    )
)
# Options whose values are pairs, and what stands between the two on the command line.
PAIRS = {"cross": ":", "units": "="}
# Options that name a file which is small and can change: a copy is read.
FILES = {"inputs": ("maps", "bids_filter_file"), "execution": ("use_plugin",)}


def freeze(settings: Settings, folder: Path) -> Settings:
    """Write the options of a run, and copies of the files that they name.

    Parameters
    ----------
    settings
        The run's settings.
    folder
        The submission's; it gets ``options.toml`` and ``files``.

    Returns
    -------
    Settings
        Those that ``options.toml`` holds: files are the copies, and every path is a whole one.

    Raises
    ------
    UsageError
        If a file cannot be read.
    """
    for group, names in FILES.items():
        owner = getattr(settings, group)
        for name in names:
            path = getattr(owner, name)
            if path is not None:
                copy = _copied(path, folder / "files" / name)
                owner = dataclasses.replace(owner, **{name: copy})
        settings = dataclasses.replace(settings, **{group: owner})
    settings = _with_whole_paths(settings)
    write_text(folder / "options.toml", options_toml(settings))
    return settings


def _with_whole_paths(settings: Settings) -> Settings:
    """Name the program of ``--wmh-command`` by its whole path: tasks run elsewhere."""
    anatomy = settings.anatomy
    command = anatomy.wmh_command
    if command is None or find_segmenter(command) or anatomy.segmenter_image is not None:
        return settings
    anatomy = dataclasses.replace(anatomy, wmh_command=with_whole_path(command))
    return dataclasses.replace(settings, anatomy=anatomy)


def use_copies(options: dict[str, dict[str, Any]], folder: Path) -> None:
    """Name the copies of a submission's files where they lie now: its folder may have been moved.

    Parameters
    ----------
    options
        As its ``options.toml`` holds them, by group and name.
    folder
        The submission's.
    """
    for group, names in FILES.items():
        for name in names:
            path = options.get(group, {}).get(name)
            if isinstance(path, Path):
                options[group][name] = folder / "files" / name / path.name


def is_whole(path: Path) -> bool:
    """Tell whether a file of options is there to its last line.

    Parameters
    ----------
    path
        What :func:`freeze` wrote.
    """
    try:
        return path.read_text(encoding="utf-8").rstrip().splitlines()[-1:] == [END]
    except (OSError, UnicodeDecodeError):
        return False


def _copied(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / path.name
    try:
        shutil.copyfile(path, copy)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; check the path.") from None
    return copy


def options_toml(settings: Settings) -> str:
    """Write the options that are not as by default as the file of ``--config-file``.

    Parameters
    ----------
    settings
        The run's settings; what differs from task to task is left out.
    """
    lines = [
        f"# The options of this submission, frozen when it was sent; the last line is '{END}'."
    ]
    groups: dict[str, list[str]] = {}
    for group, name, value in _chosen(settings):
        groups.setdefault(group, []).append(
            f"{name.replace('_', '-')} = {_text(group, name, value)}"
        )
    for group, entries in groups.items():
        lines += ["", f"[{group}]", *entries]
    return "\n".join([*lines, "", END, ""])


def _chosen(settings: Settings) -> Iterator[tuple[str, str, Any]]:
    for group, entry, _ in iter_options():
        value = getattr(getattr(settings, group), entry.name)
        if entry.name == "work_dir":
            is_chosen = has_work_dir(settings)
        else:
            is_chosen = entry.name not in BY_SCRIPT and value != entry.default
        if is_chosen:
            yield group, entry.name, value


def has_work_dir(settings: Settings) -> bool:
    """Tell whether a work folder was chosen."""
    return settings.execution.work_dir != Execution().work_dir.absolute()


def _text(group: str, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_text(group, name, one) for one in _parts(name, value)) + "]"
    # a string of JSON is one of TOML, but for a sign that JSON leaves as it is
    return json.dumps(_word(name, value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _word(name: str, value: Any) -> str:
    """Write a value as on the command line."""
    if isinstance(value, NamedPath):
        return f"{value.name}={value.path.absolute()}"
    if isinstance(value, NamedTransform):
        path = f"[{value.pattern},1]" if value.inverted else value.pattern
        return f"{value.name}={path}"
    if isinstance(value, Path):
        return str(value.absolute())
    if not isinstance(value, str):
        raise TypeError(f"{name}: no text is known for {value!r}")
    return value


def _parts(name: str, value: tuple[Any, ...]) -> tuple[Any, ...]:
    if name in PAIRS:
        return tuple(PAIRS[name].join(pair) for pair in value)
    if name == "atlas":
        return tuple(_atlas(text) for text in value)
    return value


def _atlas(text: str) -> str:
    name, equals, path = text.partition("=")
    return f"{name}={Path(path).absolute()}" if equals else text
