"""Which steps can be applied to which series, and on which part of it: a row for each."""

from __future__ import annotations

from collections.abc import Mapping

from wmhflow.plan.computed import Judge
from wmhflow.plan.diffusion import DIFFUSION_JUDGES
from wmhflow.plan.echoes import (
    judge_decay,
    judge_phase,
    judge_rate,
    judge_t1_over_t2,
    judge_transfer,
)
from wmhflow.plan.pet import judge_uptake

# By the step that the registry of maps names. A step that is not here takes every series.
JUDGES: Mapping[str, Judge] = {
    **DIFFUSION_JUDGES,
    "decay": judge_decay,
    "relaxation_rate": judge_rate,
    "susceptibility": judge_phase,
    "t1_over_t2": judge_t1_over_t2,
    "transfer": judge_transfer,
    "uptake": judge_uptake,
}
