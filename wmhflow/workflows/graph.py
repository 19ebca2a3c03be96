"""From units to a nipype graph: a node per recipe, an edge per thing taken; nothing is decided."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nipype import Node, Workflow
from nipype.interfaces.utility import Merge
from nipype.interfaces.utility.base import MergeInputSpec

from wmhflow.bids.query import FoundFile
from wmhflow.errors import ProductError
from wmhflow.products.product import From, Recipe, Taken
from wmhflow.products.unit import Unit
from wmhflow.steps.adapter import AFTER, interface_of, is_intact
from wmhflow.steps.kinds import needs_of

log = logging.getLogger("wmhflow")
NEVER_READ = ("_node.pklz", "_inputs.pklz")


class Output(NamedTuple):
    """What gives a product: a node in nested workflows, outermost first, and one of its outputs."""

    folders: tuple[Workflow, ...]
    node: Node
    name: str


class LeanNode(Node):
    """A step that leaves only what somebody reads in its folder.

    Half of the files of a work folder were pickles of the step and of its inputs, which nothing
    reads again: file systems of clusters allow so many files, and look each of them up.
    """

    def run(self, updatehash: bool = False) -> Any:
        """Run the step, and remove nipype's notes that nothing reads."""
        try:
            return super().run(updatehash)
        finally:
            for name in NEVER_READ:
                Path(self.output_dir(), name).unlink(missing_ok=True)


class WatchedNode(LeanNode):
    """A step that runs again where the files that it made are not what they were.

    Nipype looks at what a step reads alone: a damaged file of the work folder would be the next
    step's input.
    """

    def is_cached(self, rm_outdated: bool = False) -> tuple[bool, bool]:
        """Tell whether the step ran before, and whether it did so with the same inputs."""
        cached, updated = super().is_cached(rm_outdated)
        if cached and not (is_intact(Path(self.output_dir())) and self._has_result()):
            return False, False
        return cached, updated

    def _has_result(self) -> bool:
        try:
            return self.result is not None
        except Exception:  # noqa: BLE001 - a damaged pickle can raise anything
            log.debug("%s: its result cannot be read; it runs again", self.fullname)
            return False


class _NamesSpec(MergeInputSpec):
    """Names of files as they are: nipype would read all files to know whether a list is new."""

    def _get_sorteddict(
        self,
        objekt: Any,
        dictwithhash: bool = False,
        hash_method: str | None = None,
        hash_files: bool = True,
    ) -> Any:
        return super()._get_sorteddict(objekt, dictwithhash, hash_method, hash_files=False)


class ListOfNames(Merge):
    """Makes a list of what several steps gave; who takes it looks at what the files hold."""

    input_spec = _NamesSpec
    # a chain of steps is no longer for the lists in it
    seconds = 0.0


class Graph:
    """A graph while it is made: who gives what, by the unit's name and the product's key.

    Parameters
    ----------
    workflow
        What holds the workflows of all units.
    """

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self._outputs: dict[tuple[str, str], Output] = {}
        self._folders: dict[tuple[str, ...], tuple[Workflow, ...]] = {(): (workflow,)}

    def add(self, unit: Unit) -> None:
        """Add the steps of a unit, after those of the units that it takes from.

        Raises
        ------
        ProductError
            If something is made twice, or taken and made by nobody.
        """
        unit.check()
        for key in unit.makers:
            if (unit.name, key) in self._outputs:
                raise ProductError(f"{unit.name}: {key} is made twice")
        folders = self._folders_of(unit.folders)
        made: list[tuple[Recipe, Node]] = []
        for recipe in unit.recipes:
            node = _node(recipe)
            folders[-1].add_nodes([node])
            made.append((recipe, node))
            for name, product in recipe.makes.items():
                self._outputs[unit.name, product.key] = Output(folders, node, name)
        for recipe, node in made:
            for parameter, taken in {**recipe.takes, **recipe.beside, AFTER: recipe.after}.items():
                self._feed(unit, folders, node, parameter, taken)

    def _folders_of(self, names: tuple[str, ...]) -> tuple[Workflow, ...]:
        """Return the nested workflows of these names; what is not there yet is made."""
        if names not in self._folders:
            outer = self._folders_of(names[:-1])
            inner = Workflow(name=names[-1])
            outer[-1].add_nodes([inner])
            self._folders[names] = (*outer, inner)
        return self._folders[names]

    def _feed(
        self, unit: Unit, folders: tuple[Workflow, ...], node: Node, parameter: str, taken: Taken
    ) -> None:
        """Set an input, or connect it to who gives it; of several things a list is made."""
        if taken is None:
            return
        if isinstance(taken, FoundFile):
            node.inputs.trait_set(**{parameter: str(taken.path)})
        elif isinstance(taken, Path):
            node.inputs.trait_set(**{parameter: str(taken)})
        elif isinstance(taken, From | str):
            self._connect(self._output(unit, taken), folders, node, parameter)
        else:
            self._feed_list(unit, folders, node, parameter, taken)

    def _feed_list(
        self,
        unit: Unit,
        folders: tuple[Workflow, ...],
        node: Node,
        parameter: str,
        taken: Sequence[Taken],
    ) -> None:
        parts = [part for part in taken if part is not None]
        if not parts:
            return
        merge = LeanNode(ListOfNames(len(parts)), name=f"{node.name}_{parameter}", mem_gb=0.1)
        merge.run_without_submitting = True
        folders[-1].add_nodes([merge])
        for number, part in enumerate(parts, start=1):
            self._feed(unit, folders, merge, f"in{number}", part)
        folders[-1].connect(merge, "out", node, parameter)

    def _output(self, unit: Unit, taken: From | str) -> Output:
        place = (taken.unit, taken.key) if isinstance(taken, From) else (unit.name, taken)
        if place not in self._outputs:
            raise ProductError(f"{unit.name} takes {place[1]} of {place[0]}, which nobody makes")
        return self._outputs[place]

    def _connect(
        self, output: Output, folders: tuple[Workflow, ...], node: Node, parameter: str
    ) -> None:
        """Connect two nodes in the innermost workflow that holds both."""
        shared = [one for one, other in zip(output.folders, folders, strict=False) if one is other]
        giver = _seen_from(len(shared), output.folders, output.node, output.name)
        taker = _seen_from(len(shared), folders, node, parameter)
        shared[-1].connect(*giver, *taker)


def _seen_from(depth: int, folders: tuple[Workflow, ...], node: Node, name: str) -> tuple[Any, str]:
    """Name a node's input or output as the workflow at this depth names it."""
    if len(folders) == depth:
        return node, name
    inner = [folder.name for folder in folders[depth + 1 :]]
    return folders[depth], ".".join([*inner, node.name, name])


def _node(recipe: Recipe) -> Node:
    """Make the node of a recipe, with its fixed values."""
    needs = needs_of(recipe.function)
    mem_gb = recipe.mem_gb or needs.mem_gb
    interface = interface_of(recipe.function)
    interface.seconds = recipe.seconds or needs.seconds
    node = WatchedNode(interface, name=recipe.name, mem_gb=mem_gb, n_procs=needs.threads)
    values = {name: value for name, value in recipe.options.items() if value is not None}
    node.inputs.trait_set(**values)
    return node


def build_graph(workflow: Workflow, units: Iterable[Unit]) -> Graph:
    """Make the graph of units, of which later ones may take from earlier ones.

    Parameters
    ----------
    workflow
        What shall hold their steps.
    units
        In order.

    Returns
    -------
    Graph
    """
    graph = Graph(workflow)
    for unit in units:
        graph.add(unit)
    return graph
