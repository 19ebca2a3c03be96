"""Writes ``Apptainer.def`` from the ``Dockerfile``, so that both make the same image.

Run it as ``python -m tools.definition``; a test fails where the two differ. Steps keep their order,
but for copied files, which Apptainer copies first: so the Dockerfile copies to ``/src`` alone.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
# wmhflow for Apptainer. Made from the Dockerfile by: python -m tools.definition
# Build:  apptainer build wmhflow.sif Apptainer.def
# For processors before 2013 and for ARM: --build-arg CPU=generic
"""
# Apptainer has a home and a working folder of its own.
HOST_SETS = {"HOME"}


@dataclass
class Stage:
    """A stage: what it starts from, its steps in order, and what the image says of itself."""

    base: str
    name: str
    arguments: dict[str, str] = field(default_factory=dict)
    copied: list[tuple[str, str]] = field(default_factory=list)
    taken: list[tuple[str, str, str]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    entry: list[str] = field(default_factory=list)


def instructions(text: str) -> list[tuple[str, str]]:
    """Split a Dockerfile into instructions; lines that go on stay as they are written."""
    found: list[tuple[str, str]] = []
    lines: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not (line.strip() or lines):
            continue
        lines.append(line)
        if not line.endswith("\\"):
            name, _, rest = "\n".join(lines).partition(" ")
            found.append((name.upper(), rest.strip()))
            lines = []
    return found


def read_stages(text: str) -> list[Stage]:
    """Read the stages of a Dockerfile.

    Raises
    ------
    ValueError
        At an instruction that is not known here, or one that Apptainer could not follow.
    """
    stages: list[Stage] = []
    for name, rest in instructions(text):
        if name == "FROM":
            base, _, stage = rest.partition(" AS ")
            stages.append(Stage(base, stage.strip() or "final"))
        else:
            _add(stages[-1], name, rest)
    return stages


def _add(stage: Stage, name: str, rest: str) -> None:
    if name == "RUN":
        stage.steps.append(f"(\n{rest}\n)")
    elif name == "ARG":
        key, _, value = rest.partition("=")
        stage.arguments[key] = value
        stage.steps.append(f'{key}="{{{{ {key} }}}}"')
    elif name == "ENV":
        made = _pairs(rest)
        stage.variables |= made
        stage.steps += [f'export {key}="{value}"' for key, value in made.items()]
    elif name == "LABEL":
        stage.labels |= _pairs(rest)
    elif name == "COPY":
        _copy(stage, rest.split())
    elif name == "ENTRYPOINT":
        stage.entry = re.findall(r'"([^"]*)"', rest)
    elif name != "WORKDIR":
        raise ValueError(f"Dockerfile: {name} is not known to tools/definition.py.")


def _copy(stage: Stage, words: Sequence[str]) -> None:
    if words[0].startswith("--from="):
        stage.taken.append((words[0].removeprefix("--from="), words[1], words[2]))
        return
    *sources, target = words
    if not target.startswith("/src/"):
        raise ValueError(f"Dockerfile: COPY to {target}; Apptainer copies first, so copy to /src.")
    for source in sources:
        stage.copied.append((source, target + (Path(source).name if target[-1] == "/" else "")))


def _pairs(text: str) -> dict[str, str]:
    words = shlex.split(text.replace("\\\n", " "))
    return dict(word.split("=", 1) for word in words)


def definition(text: str) -> str:
    """Write the definition file of the image that a Dockerfile makes.

    Parameters
    ----------
    text
        The Dockerfile.

    Returns
    -------
    str
        The definition, for Apptainer 1.2 or newer.
    """
    stages = read_stages(text)
    return HEADER + "\n".join(_written(stage, stage is stages[-1]) for stage in stages)


def _written(stage: Stage, is_last: bool) -> str:
    parts = [f"Bootstrap: docker\nFrom: {stage.base}\nStage: {stage.name}"]
    if stage.arguments:
        parts.append(_section("arguments", [f"{k}={v}" for k, v in stage.arguments.items()]))
    if stage.copied:
        parts.append(_section("files", [" ".join(pair) for pair in stage.copied]))
    for source, one, other in stage.taken:
        parts.append(_section(f"files from {source}", [f"{one} {other}"]))
    parts.append("%post\n" + "\n".join(stage.steps))
    if is_last:
        kept = {key: value for key, value in stage.variables.items() if key not in HOST_SETS}
        lines = [f'export {key}="{_filled(value)}"' for key, value in kept.items()]
        parts.append(_section("environment", lines))
        labels = [f"{key} {_filled(value)}" for key, value in stage.labels.items()]
        parts.append(_section("labels", labels))
        command = " ".join(map(shlex.quote, stage.entry))
        parts.append(_section("runscript", [f'exec {command} "$@"']))
        parts.append(_section("test", [f"{command} --version"]))
    return "\n\n".join(parts) + "\n"


def _section(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"%{name}", *(f"    {line}" for line in lines)])


def _filled(value: str) -> str:
    """Put Apptainer's places for arguments where the Dockerfile has its own."""
    return re.sub(r"\$\{(\w+)\}", r"{{ \1 }}", value)


def main() -> None:
    """Write the file."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (ROOT / "Apptainer.def").write_text(definition(text), encoding="utf-8")


if __name__ == "__main__":
    main()
