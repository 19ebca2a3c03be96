"""Which models a diffusion series can carry: its table of gradients is read when it is planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.core.diffusion.apparent import ADC_B, adc_volumes, check_even
from wmhflow.core.diffusion.gradients import (
    FSL,
    WORLD,
    Gradients,
    UnfitSeriesError,
    directions_by_volume,
)
from wmhflow.core.diffusion.selection import (
    Selection,
    check_directed,
    fraction_volumes,
    free_water_volumes,
    ivim_volumes,
    kurtosis_volumes,
    tensor_volumes,
)
from wmhflow.files.gradients import load_directions, load_gradients
from wmhflow.plan.computed import Fit, Judge
from wmhflow.plan.context import Planning
from wmhflow.plan.nearest import FoundSeries
from wmhflow.registries.series import load_series_definitions

SERIES = "diffusion"


def _judge(
    choose: Callable[[Gradients], Selection], planning: Planning, found: FoundSeries
) -> Fit | str:
    """Choose the volumes of a series for a model, or say why it cannot be fitted."""
    image, convention = _one(found, "image"), _convention(planning, found)
    facts = planning.series_facts(image)
    told = {name: _path(found, name) for name in ("bvec", "table")}
    gradients = load_gradients(
        image.path,
        facts.n_volumes,
        facts.affine,
        _one(found, "bval").path,
        told["bvec"],
        told["table"],
        convention,
    )
    try:
        chosen = choose(gradients)
    except UnfitSeriesError as error:
        return str(error)
    options = {"volumes": list(chosen.volumes), "convention": convention}
    return Fit(chosen.words, options, _told(chosen, convention))


def _judge_tensor(planning: Planning, found: FoundSeries) -> Fit | str:
    """Choose the volumes for a tensor, and how it is fitted."""
    how = planning.settings.inputs.tensor_fit
    fit = _judge(_robust_volumes if how == "robust" else tensor_volumes, planning, found)
    if isinstance(fit, str):
        return fit
    return replace(fit, options={**fit.options, "fit": how}, told={**fit.told, "fit": how})


def _robust_volumes(gradients: Gradients) -> Selection:
    check_directed(gradients)
    return tensor_volumes(gradients)


def _judge_ivim(planning: Planning, found: FoundSeries) -> Fit | str:
    """See whether a series has the b-values of an IVIM fit; its directions are averaged."""
    image = _one(found, "image")
    n_volumes = planning.series_facts(image).n_volumes
    told = [_path(found, name) for name in ("bvec", "table")]
    bvals, vectors = load_directions(_one(found, "bval").path, *told)
    if len(bvals) != n_volumes:
        return f"{image.path.name} has {n_volumes} volumes and {len(bvals)} b-values"
    try:
        chosen = ivim_volumes(bvals)
        if vectors is not None:
            check_even(chosen.shells, directions_by_volume(bvals, vectors, n_volumes))
    except UnfitSeriesError as error:
        return str(error)
    shells = [round(shell.b) for shell in chosen.shells]
    counts = [chosen.n_b0, *(len(shell.volumes) for shell in chosen.shells)]
    volumes = {"volumes": list(chosen.volumes)}
    return Fit(chosen.words, volumes, {"shells": shells, "n_volumes": counts})


def judge_trace(
    planning: Planning, found: FoundSeries, within: tuple[float, float] = ADC_B
) -> Fit | str:
    """See whether a series has volumes of one b whose mean is that of all directions.

    Parameters
    ----------
    planning
        The visit's.
    found
        The files of the series.
    within
        The b-values that will do, s/mm².
    """
    image, paths = _one(found, "image"), [_path(found, name) for name in ("bvec", "table")]
    n_volumes = planning.series_facts(image).n_volumes
    try:
        chosen, trace = adc_volumes(
            *load_directions(_one(found, "bval").path, *paths), n_volumes, within
        )
    except UnfitSeriesError as error:
        return str(error)
    words = f"{chosen.n_b0} without weighting, {trace.words}"
    told = {
        "shells": [round(trace.shell.b)],
        "n_volumes": [chosen.n_b0, len(trace.shell.volumes)],
        "n_directions": trace.n_directions,
    }
    return Fit(words, {"volumes": list(chosen.volumes)}, told)


def _told(chosen: Selection, convention: str) -> dict[str, Any]:
    return {
        "shells": [round(shell.b) for shell in chosen.shells],
        "n_volumes": [chosen.n_b0, *(len(shell.volumes) for shell in chosen.shells)],
        "n_directions": list(chosen.directions),
        "condition_number": round(chosen.condition, 3),
        "redundancy": chosen.redundancy,
        "gradient_convention": convention,
    }


def _one(found: FoundSeries, name: str) -> FoundFile:
    file = found[name]
    return file[0] if isinstance(file, tuple) else file


def _path(found: FoundSeries, name: str) -> Any:
    return _one(found, name).path if name in found else None


def _convention(planning: Planning, found: FoundSeries) -> str:
    """Find out along which axes the directions lie: by the table's kind, then by who wrote it."""
    if "table" in found:
        return WORLD
    known = {
        name.lower(): axes for name, axes in load_series_definitions()[SERIES].directions.items()
    }
    names = planning.spaces.programs(_one(found, "image"))
    return next((known[name.lower()] for name in names if name.lower() in known), FSL)


# By the step that the registry of maps names.
DIFFUSION_JUDGES: dict[str, Judge] = {
    "adc": judge_trace,
    "tensor": _judge_tensor,
    "kurtosis": partial(_judge, kurtosis_volumes),
    "free_water": partial(_judge, free_water_volumes),
    "ivim": _judge_ivim,
    "fractions": partial(_judge, fraction_volumes),
}
