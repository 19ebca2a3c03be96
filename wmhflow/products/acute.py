"""Products of acute lesions that are looked for by a rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

from wmhflow.core.diffusion.acute import RULE
from wmhflow.plan.acute import adc_of
from wmhflow.plan.others import ACUTE, BLEED
from wmhflow.plan.visit import Computed, Given
from wmhflow.products.computed import shown_series
from wmhflow.products.keys import Visit
from wmhflow.products.maps import factor_of, group_of, series_image, transform_of, values_of
from wmhflow.products.measures import aligned_group
from wmhflow.products.others import CAPTIONS, RULE_FACTS, WRITTEN, acute_table, mask_of
from wmhflow.products.product import Facts, Recipe, Work
from wmhflow.registries.units import factor_between
from wmhflow.steps.acute import find_acute_lesions
from wmhflow.steps.apparent import average_weighted

IMAGE = "acute_image"


def acute_by_rule(visit: Visit) -> Iterator[Recipe]:
    """Declare the image of b about 1000, its place, the lesions that are bright on it, their table.

    Parameters
    ----------
    visit
        The visit.
    """
    entry, adc = visit.plan.acute_image, adc_of(visit.plan)
    if entry is None or adc is None or not isinstance(entry.values, Computed):
        return
    values = entry.values
    group = group_of(visit.plan, entry)
    if group is None:
        shown = {series_image(one.values) for one in visit.plan.maps
                 if isinstance(one.values, Computed)}  # fmt: skip
        if series_image(values) not in shown:
            yield from shown_series(visit, values)
        yield from aligned_group(visit, (entry,))
    if "volumes" in values.options:
        yield Recipe(
            IMAGE,
            average_weighted,
            takes={name: taken for name, taken in values.takes.items() if name != "mask"},
            options={"volumes": values.options["volumes"], **visit.trusted},
            makes={"image": Work(IMAGE)},
        )
    # a scanner's own trace is the image that shows the anatomy, too
    image = IMAGE if "volumes" in values.options else series_image(values)
    mask = visit.image(
        f"mask_{ACUTE}",
        "mask",
        CAPTIONS[ACUTE],
        "mask",
        {"Type": "Lesion"},
        {**asdict(RULE), **values.told},
        label=WRITTEN[ACUTE],
    )
    files = [values.files[0], *([adc.file] if isinstance(adc.values, Given) else [])]
    adc_group = group_of(visit.plan, adc)
    unit = adc.definition
    yield Recipe(
        "acute_rule",
        find_acute_lesions,
        takes={
            "dwi": image,
            "adc": values_of(adc),
            "nawm": "mask_NAWM",
            "haemorrhage": mask_of(visit, BLEED),
        },
        beside={
            "tissue": "seg_tissue",
            "brain": "mask_brain",
            "dwi_transform": transform_of(group or (entry,)),
            "adc_transform": transform_of(adc_group) if adc_group else None,
        },
        options={
            "adc_factor": factor_of(adc) * (factor_between(unit.unit, unit.own_unit) or 1.0),
            "source": " and ".join(str(file.path) for file in files),
            **visit.trusted,
        },
        makes={
            "mask": replace(mask, told_by=RULE_FACTS),
            "facts": Facts(RULE_FACTS, "acute_"),
        },
    )
    yield acute_table(visit)
