"""Steps that compute quantitative maps from what a scanner gave: a function and a row for each.

A map that may be computed says so in ``data/maps.toml``: ``computed`` names the step here, and what
it takes. That is single files, by parameter::

    computed = { step = "rate", files = { t1 = { suffix = "T1map" } } }

or a series of ``data/series.toml``, whose files are the step's parameters. Then the step may give
several maps, and ``gives`` says which field of what it gives this one is::

    computed = { step = "tensor", series = "diffusion", gives = "fa" }

It is computed where the map itself is not given and all of these files are there; what else a step
needs of a series, a row of ``JUDGES`` in ``plan/judges.py`` tells.

A step of a series may also take what the visit has anyway, by the parameters of ``VISIT_PARTS``
and ``SOURCE_PARTS``.
It states ``gives_maps``, so that images of which it cannot make the maps cost these alone.
Beside maps it may give ``facts``, which go to the QC table and to the JSON files of the maps; any
other field stays in the work folder for other steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wmhflow.steps.apparent import map_adc, trace_image
from wmhflow.steps.components import take_component
from wmhflow.steps.diffusion import average_b0, fit_tensors
from wmhflow.steps.diffusion_models import (
    divide_tissues,
    fit_free_waters,
    fit_ivims,
    fit_kurtoses,
)
from wmhflow.steps.echoes import first_echo, map_decay, map_susceptibility
from wmhflow.steps.ratios import (
    map_rate,
    map_t1_over_t2,
    map_transfer,
    relaxation_time,
    t2w_image,
    without_pulse,
)
from wmhflow.steps.uptake import map_uptake, mean_activity

# By the name that the registry of maps calls them: each takes paths, and gives a named tuple of
# maps on their own grid.
MAP_STEPS: dict[str, Callable[..., Any]] = {
    "adc": map_adc,
    "component": take_component,
    "decay": map_decay,
    "relaxation_rate": map_rate,
    "susceptibility": map_susceptibility,
    "t1_over_t2": map_t1_over_t2,
    "transfer": map_transfer,
    "uptake": map_uptake,
    "tensor": fit_tensors,
    "kurtosis": fit_kurtoses,
    "free_water": fit_free_waters,
    "ivim": fit_ivims,
    "fractions": divide_tissues,
}

# By the name that the registry of series calls them: each takes a series, and gives in `image` what
# shows the anatomy best, on the grid of the maps.
SHOWN_STEPS: dict[str, Callable[..., Any]] = {
    "first_echo": first_echo,
    "mean_activity": mean_activity,
    "mean_b0": average_b0,
    "relaxation_time": relaxation_time,
    "t2w_image": t2w_image,
    "trace_image": trace_image,
    "without_pulse": without_pulse,
}

# Parameters that a step of a series may have beside the series' files.
VISIT_PARTS = {"tissue": "seg_tissue", "wmh": "mask_WMH"}
# The same, where the map is made of it, so that it is one of its sources.
SOURCE_PARTS = {"t1w": "preproc_T1w"}
# The parameter that is fed with masks of infarcts and other lesions that are no WMH.
DAMAGED = "damaged"
# The parameter that is fed with what leads from the series to the reference.
TRANSFORM = "transform"
