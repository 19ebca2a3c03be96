"""FreeSurfer's codes: tissue, side and lobe of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from wmhflow.labels.digits import CORTEX
from wmhflow.registries.reading import _rows

# What the names of left and right codes differ in.
SIDED = (("Left-", "Right-"), ("ctx-lh-", "ctx-rh-"), ("wm-lh-", "wm-rh-"))


@dataclass(frozen=True)
class FreeSurferCode:
    """What a FreeSurfer label number means for this program."""

    code: int
    name: str
    tissue: int
    hemisphere: str
    lobe: int


@cache
def load_freesurfer_codes() -> dict[int, FreeSurferCode]:
    """Read how FreeSurfer's codes (aseg, Desikan-Killiany, DKT) map to tissues and lobes."""
    codes = {}
    for row in _rows("freesurfer.tsv"):
        code = int(row["code"])
        codes[code] = FreeSurferCode(
            code, row["name"], int(row["tissue"]), row["hemisphere"], int(row["lobe"])
        )
    return codes


@cache
def homologous_codes() -> tuple[tuple[int, int], ...]:
    """Return the pairs of codes of one structure on the left and on the right.

    Examples
    --------
    >>> [(2, 41) in homologous_codes(), (1028, 2028) in homologous_codes()]
    [True, True]
    """
    by_name = {entry.name: code for code, entry in load_freesurfer_codes().items()}
    return tuple(
        (code, by_name[homologue])
        for name, code in by_name.items()
        for left, right in SIDED
        if name.startswith(left) and (homologue := right + name.removeprefix(left)) in by_name
    )


def cortical_codes() -> list[int]:
    """Return the codes of parcels of the cortex, from which white matter takes its lobe."""
    return [
        c for c, entry in load_freesurfer_codes().items() if entry.tissue == CORTEX and entry.lobe
    ]
