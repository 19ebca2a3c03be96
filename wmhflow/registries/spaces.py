"""What the labels of spaces mean, and which programs write for each other."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# The kinds of places that a label can mean; the first four are anatomical.
T1W, ANAT, ACPC, FLAIR, SCAN, OWN = "T1w", "anat", "ACPC", "FLAIR", "scan", "own"


@dataclass(frozen=True)
class Space:
    """One place: what it is called, its kind, and how the plan says it."""

    labels: tuple[str, ...]
    kind: str
    means: str


@dataclass(frozen=True)
class Family:
    """Programs that write for each other, and the kind of place that they call T1w."""

    programs: tuple[str, ...]
    t1w: str


@cache
def load_spaces() -> tuple[tuple[Space, ...], tuple[Family, ...]]:
    """Read the registry: spaces, and families of programs."""
    text = (files("wmhflow") / "data" / "spaces.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    spaces = (Space(tuple(row["labels"]), row["is"], row["means"]) for row in tables["space"])
    families = (Family(tuple(row["programs"]), row.get("T1w", T1W)) for row in tables["family"])
    return tuple(spaces), tuple(families)


@cache
def kind_of_space(label: str | None) -> str | None:
    """Return the kind of place that a label means; an image without one lies where its scan does.

    Examples
    --------
    >>> [kind_of_space(label) for label in ("T1wACPC", "dwiref", None, "MNI152NLin6Asym")]
    ['ACPC', 'scan', 'own', None]
    """
    if label is None:
        return OWN
    return next((space.kind for space in load_spaces()[0] if label in space.labels), None)


@cache
def labels_of(kind: str) -> tuple[str, ...]:
    """List what a kind of place is called.

    Examples
    --------
    >>> labels_of("FLAIR")
    ('FLAIR', 'flair')
    """
    found = (label for space in load_spaces()[0] if space.kind == kind for label in space.labels)
    return tuple(dict.fromkeys(found))


def same_scan(labels: Sequence[str]) -> frozenset[str]:
    """Add to names of a scan's place all others that mean the same; the first says which it is.

    Names of anatomical images are left out: a scan's place is not theirs.

    Examples
    --------
    >>> "dwiref" in same_scan(["dwi"]), "asl" in same_scan(["dce", "perf"])
    (True, False)
    >>> same_scan(["T1w"])
    frozenset()
    """
    return _same_scan(tuple(labels))


@cache
def _same_scan(labels: tuple[str, ...]) -> frozenset[str]:
    own = [label for label in labels if kind_of_space(label) in {None, SCAN}]
    scans = (space for space in load_spaces()[0] if space.kind == SCAN)
    rows = {label: scan.labels for scan in reversed([*scans]) for label in scan.labels}
    first = next((rows[label] for label in own if label in rows), ())
    return frozenset((*own, *first))


@cache
def family_of(program: str) -> Family | None:
    """Find the programs that write for a program and it for them.

    Examples
    --------
    >>> family_of("QSIRecon").t1w
    'ACPC'
    """

    def names(family: Family) -> set[str]:
        # qsiprep called itself so before it had capitals
        return {name.lower() for name in family.programs}

    return next((one for one in load_spaces()[1] if program.lower() in names(one)), None)


def spaces_table() -> str:
    """Return the registry as Markdown for the documentation."""
    lines = ["| label | the image lies |", "| --- | --- |"]
    lines += [
        f"| {', '.join(f'`{label}`' for label in space.labels)} | {space.means} |"
        for space in load_spaces()[0]
    ]
    lines.append("| none | where its scan does |")
    lines.append("| any other (templates, surfaces) | elsewhere: it is not used, which is said |")
    return "\n".join(lines) + "\n"
