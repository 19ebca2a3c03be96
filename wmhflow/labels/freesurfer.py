"""FreeSurfer's codes: tissue, side and lobe of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from wmhflow.labels.digits import CORTEX
from wmhflow.registries.reading import _rows


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


def cortical_codes() -> list[int]:
    """Return the codes of parcels of the cortex, from which white matter takes its lobe."""
    return [
        c for c, entry in load_freesurfer_codes().items() if entry.tissue == CORTEX and entry.lobe
    ]
