"""DTI-ALPS, where a tensor is fitted here."""

from __future__ import annotations

from collections.abc import Iterator

from wmhflow.plan.visit import Computed, MapPlan
from wmhflow.products.keys import Visit
from wmhflow.products.maps import map_groups, transform_of
from wmhflow.products.product import Facts, Recipe
from wmhflow.products.tables import ALPS_TABLE
from wmhflow.steps.alps import measure_alps

TENSOR = "tensor"


def alps(visit: Visit, group: tuple[MapPlan, ...]) -> Iterator[Recipe]:
    """Declare the table of DTI-ALPS, if this is the first group of maps of a tensor.

    Parameters
    ----------
    visit
        The visit.
    group
        Maps that are aligned together.
    """
    fitted = [one for one in map_groups(visit.plan) if any(map(_is_of_tensor, one))]
    if not fitted or fitted[0] != group:
        return
    series = next(entry for entry in group if _is_of_tensor(entry))
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
        options={"seed": visit.seed, "source": str(series.file.path)},
        makes={"rows": ALPS_TABLE, "facts": Facts("alps_facts")},
    )


def _is_of_tensor(entry: MapPlan) -> bool:
    return isinstance(entry.values, Computed) and entry.values.step == TENSOR
