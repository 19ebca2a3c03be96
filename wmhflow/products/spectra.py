"""Tables of single voxels of spectroscopy: what tissue they hold, and their metabolites."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wmhflow.plan.visit import SpectrumPlan
from wmhflow.products.keys import Visit
from wmhflow.products.product import Facts, Recipe, Taken, Work
from wmhflow.products.tables import METABOLITES_TABLE, SPECTRA_TABLE
from wmhflow.steps.partition import FinestPartition
from wmhflow.steps.spectra import gather_voxels, join_voxel


def spectra(visit: Visit) -> Iterator[Recipe]:
    """Declare the tables of the voxels, if there are any; that of metabolites if any are given.

    Parameters
    ----------
    visit
        The visit.
    """
    voxels = visit.plan.spectra
    if not voxels:
        return
    for voxel in voxels:
        yield _joined(visit, voxel)
    keys = [_key(voxel) for voxel in voxels]
    makes = {"table": SPECTRA_TABLE}
    if any(voxel.values for voxel in voxels):
        makes["metabolites"] = METABOLITES_TABLE
    yield Recipe(
        "spectra",
        gather_voxels,
        takes={
            "rows": [f"rows_{key}" for key in keys],
            "metabolites": [f"metabolites_{key}" for key in keys],
        },
        makes=makes,
    )


def _joined(visit: Visit, voxel: SpectrumPlan) -> Recipe:
    key = _key(voxel)
    transforms: list[Taken] = [leg.file for leg in voxel.legs]
    if voxel.through_other:
        transforms.append(visit.other_transform)
    return Recipe(
        f"join_{key}",
        join_voxel,
        takes={
            "in_file": voxel.file,
            "values": voxel.values,
            "transforms": transforms or None,
            **{name: name for name in FinestPartition._fields},
        },
        options={"name": voxel.name, "inverted": [leg.inverted for leg in voxel.legs]}
        | visit.trusted,
        makes={
            "regions_rows": Work(f"rows_{key}"),
            "metabolite_rows": Work(f"metabolites_{key}"),
            "facts": Facts(f"facts_{key}", f"{key}_"),
        },
    )


def _key(voxel: SpectrumPlan) -> str:
    return f"mrs_{re.sub(r'[^A-Za-z0-9]+', '_', voxel.name)}"
