"""DTI-ALPS, where a tensor is fitted here."""

from __future__ import annotations

from collections.abc import Iterator

from wmhflow.plan.visit import Computed
from wmhflow.products.keys import Visit
from wmhflow.products.maps import map_groups, transform_of
from wmhflow.products.product import Facts, Recipe
from wmhflow.products.tables import ALPS_TABLE
from wmhflow.steps.alps import measure_alps

TENSOR = "tensor"


def alps(visit: Visit) -> Iterator[Recipe]:
    """Declare the table of DTI-ALPS, if tensors are fitted.

    Parameters
    ----------
    visit
        The visit.
    """
    for group in map_groups(visit.plan):
        fitted = [
            entry for entry in group
            if isinstance(entry.values, Computed) and entry.values.step == TENSOR
        ]  # fmt: skip
        if not fitted:
            continue
        yield Recipe(
            "alps",
            measure_alps,
            takes={
                "tensors": f"{TENSOR}_tensors",
                "tensor_facts": f"facts_{TENSOR}",
                "wmh": "mask_WMH",
                "forward": visit.forward,
                "transform": transform_of(group),
            },
            beside={"tissue": "seg_tissue"},
            options={"seed": visit.seed},
            makes={"rows": ALPS_TABLE, "facts": Facts("alps_facts")},
        )
        return
