"""Which steps can be applied to which series, and on which part of it: a row for each."""

from __future__ import annotations

from collections.abc import Mapping

from wmhflow.plan.computed import Judge
from wmhflow.plan.diffusion import DIFFUSION_JUDGES

# By the step that the registry of maps names. A step that is not here takes every series.
JUDGES: Mapping[str, Judge] = {**DIFFUSION_JUDGES}
