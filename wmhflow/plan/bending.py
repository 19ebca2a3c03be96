"""Transforms of maps that are not linear: which can be followed, and what is said of others."""

from __future__ import annotations

from collections.abc import Sequence

from wmhflow.errors import InputError
from wmhflow.files.composites import FIELD_ENDINGS
from wmhflow.plan.context import Planning
from wmhflow.plan.routes import Edge
from wmhflow.plan.transforms import check_inverse, check_matrix
from wmhflow.plan.visit import Composed


def bent_chain(planning: Planning, edges: Sequence[Edge]) -> list[Edge]:
    """List the transforms of a way that are not linear.

    Parameters
    ----------
    planning
        The visit's.
    edges
        The way.
    """
    return [edge for edge in edges if not planning.transform(edge.file).is_linear]


def in_words(planning: Planning, edges: Sequence[Edge]) -> str:
    """Say which transforms of a way are not linear, and of what each consists.

    Parameters
    ----------
    planning
        The visit's.
    edges
        Those that are not linear.
    """
    return " and ".join(
        f"{edge.file.path} is not linear ({', '.join(planning.transform(edge.file).parts)})"
        for edge in edges
    )


def check_bent_chain(planning: Planning, composed: Composed) -> None:
    """Refuse a chain with fields of displacements that cannot be made one transform.

    Parameters
    ----------
    planning
        The visit's.
    composed
        The chain.

    Raises
    ------
    InputError
        If one is none of ITK's, bends and is not kept in a file that holds a field, or is a matrix
        that brings no two heads together.
    """
    for leg in composed.legs:
        read = planning.transform(leg.file)
        if read.program != "ITK":
            raise InputError(
                f"{leg.file.path} is a transform of {read.program}, one of those that follow one "
                f"another ({composed.named}); there only those of ITK can be read: convert it."
            )
        if not leg.bends:
            check_matrix(leg.file.path, read.matrix)
        elif leg.inverted:
            check_inverse(read)
        elif not leg.file.path.name.endswith(FIELD_ENDINGS):
            raise InputError(
                f"{leg.file.path} is not linear ({', '.join(read.parts)}), and only fields of "
                f"displacements in {' or '.join(FIELD_ENDINGS)} can be followed "
                f"({composed.named}); give it so, give the linear part alone, or the map resampled "
                "to the reference."
            )
