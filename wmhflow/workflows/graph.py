"""A visit's graph while it grows: who gives what, under plain names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from nipype import Node, Workflow
from nipype.interfaces.base import BaseInterface
from nipype.interfaces.utility import Merge

from wmhflow.labels.edges import shell_count
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.plan.visit import VisitPlan
from wmhflow.settings import Settings


@dataclass
class VisitGraph:
    """A visit's graph while it grows.

    ``known`` says under a plain name who gives what: a node with the name of its output, or the
    path of a file that was given. ``facts`` are outputs whose numbers go to the QC table, with
    what is put before their names.
    """

    workflow: Workflow
    visit: VisitPlan
    settings: Settings
    known: dict[str, tuple[Node, str] | str] = field(default_factory=dict)
    facts: list[tuple[str, tuple[Node, str]]] = field(default_factory=list)

    def add(self, name: str, interface: BaseInterface, mem_gb: float = 0.5, **inputs: Any) -> Node:
        """Add a node; a text that names something known is fed from there."""
        node = Node(interface, name=name, mem_gb=mem_gb, n_procs=1)
        self.workflow.add_nodes([node])
        for trait, value in inputs.items():
            self.feed(node, trait, value)
        return node

    def feed(self, node: Node, trait: str, value: Any) -> None:
        """Set an input, or connect it to who gives it."""
        source = self.known.get(value, value) if isinstance(value, str) else value
        if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], Node):
            self.workflow.connect(source[0], source[1], node, trait)
        elif source is not None:
            node.inputs.trait_set(**{trait: source})

    def if_known(self, name: str) -> str | None:
        """Return a name, for an input that stays empty where nobody gives it."""
        return name if name in self.known else None

    def gather(self, name: str, sources: list[str]) -> tuple[Node, str]:
        """Join known outputs into one list."""
        node = Node(Merge(len(sources)), name=name, mem_gb=0.1, run_without_submitting=True)
        self.workflow.add_nodes([node])
        for number, source in enumerate(sources, start=1):
            self.feed(node, f"in{number}", source)
        return node, "out"

    @property
    def seed(self) -> int:
        """The seed that every random step starts from."""
        return self.settings.execution.random_seed

    @property
    def n_shells(self) -> int:
        """The number of outer shells."""
        regions = self.settings.regions
        return shell_count(regions.shell_width, regions.shell_max)


def safe_name(label: str) -> str:
    """Return a label as nipype's names want it: BIDS allows a plus, nipype does not."""
    return re.sub(r"\W", "PLUS", label)


def bridged(visit: VisitPlan) -> list[AtlasPlan]:
    """List the atlases that lie on another template than the program's."""
    return [atlas for atlas in visit.laid_atlases if atlas.bridge is not None]


def bridge_name(atlas: AtlasPlan) -> str:
    """Name the transform from the program's template to an atlas's."""
    return f"bridge_{atlas.name}"
