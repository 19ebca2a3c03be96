"""Of two files that say the same counts what stands nearer to the image (BIDS inheritance)."""

from __future__ import annotations

from collections.abc import Mapping

from wmhflow.bids.query import FoundFile
from wmhflow.errors import InputError
from wmhflow.files.gradients import same_bvals
from wmhflow.registries.series import SeriesDefinition

# The files of a series, by parameter.
FoundSeries = Mapping[str, FoundFile | tuple[FoundFile, ...]]


def nearness(file: FoundFile) -> tuple[int, int]:
    """Return how near an inherited file stands: its folder's depth, then how much its name says.

    Examples
    --------
    >>> from pathlib import Path
    >>> root = Path("/d")
    >>> own = FoundFile(root / "sub-1" / "dwi" / "sub-1_dwi.bvec", {}, "d", root)
    >>> above = FoundFile(root / "dir-AP_dwi.b", {}, "d", root)
    >>> nearness(own) > nearness(above)
    True
    """
    return len(file.path.relative_to(file.root).parts), len(file.path.name.split("_"))


def what_stands_nearer(definition: SeriesDefinition, found: FoundSeries) -> FoundSeries | str:
    """Keep, of a table of gradients and what it stands for, the files that count.

    MRtrix's table holds directions and b-values, FSL has a file for each. The table counts unless
    the directions of the other kind stand nearer; then it has nothing to say of b-values either.

    Parameters
    ----------
    definition
        The series.
    found
        Its files, by parameter.

    Returns
    -------
    Mapping or str
        The files that count; the table by the parameters that it stands for, too. Or why nobody
        can tell: b-values that stand nearer than the table say another thing.
    """
    kept = dict(found)
    for parameter, wanted in definition.files.items():
        table = found.get(parameter)
        if not wanted.instead or not isinstance(table, FoundFile):
            continue
        directions, bvals = (found.get(name) for name in wanted.instead)
        if isinstance(directions, FoundFile) and nearness(directions) > nearness(table):
            del kept[parameter]
            continue
        kept.pop(wanted.instead[0], None)
        if isinstance(bvals, FoundFile) and nearness(bvals) > nearness(table):
            fault = _contradiction(table, bvals)
            if fault is not None:
                return fault
        else:
            kept[wanted.instead[1]] = table
    return kept


def _contradiction(table: FoundFile, bvals: FoundFile) -> str | None:
    """Say that b-values beside a table's are others; None if they are the same."""
    try:
        if same_bvals(table.path, bvals.path):
            return None
    except InputError as error:
        return str(error)
    return (
        f"{bvals.path} says other b-values than {table.path}, which alone says directions; give "
        "the directions that belong to these b-values beside them"
    )
