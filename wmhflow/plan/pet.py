"""Whether an SUVR can be computed from a PET, by what its name, header and JSON file say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile
from wmhflow.bids.sidecars import read_sidecar
from wmhflow.plan.computed import Fit
from wmhflow.plan.context import Planning
from wmhflow.plan.nearest import FoundSeries
from wmhflow.registries.tracers import Tracer, find_tracer, load_references

BY_TRACER = "tracer"
# A frame that reaches out of a window by no more than this still lies in it, s.
ROUNDING_S = 1.0


# What a PET has in common with the raw one that it was made of.
SCAN = ("tracer", "reconstruction", "task", "run")


class Frames(NamedTuple):
    """The frames that are averaged: their numbers from 0, and seconds as the JSON file has them."""

    volumes: list[int]
    starts_s: list[float]
    durations_s: list[float]
    after_injection_min: tuple[float, float] | None


def judge_uptake(planning: Planning, found: FoundSeries) -> Fit | str:
    """Tell from which frames an SUVR is computed, and relative to which region, or why it is not.

    Parameters
    ----------
    planning
        The visit's.
    found
        The PET.
    """
    file = found["activity"]
    if not isinstance(file, FoundFile):
        return "it is more than one file"
    told = _raw_sidecar(planning, file) | read_sidecar(file)
    name = str(file.get("tracer") or told.get("TracerName") or "")
    tracer, other = find_tracer(name), find_tracer(str(told.get("TracerName") or name))
    if tracer is not None and other is not None and tracer is not other and tracer != other:
        return f"its name says {name}, and its JSON file {told['TracerName']} (TracerName)"
    chosen = planning.settings.inputs.suvr_reference
    if chosen == BY_TRACER and tracer is None:
        which = f"its tracer '{name}' is none" if name else "its name and JSON file tell no tracer"
        return (
            f"{which} of which a region of reference is known; choose one with --suvr-reference, "
            "or write TracerName into its JSON file"
        )
    if _is_uncorrected(file, told):
        return "it is not corrected for attenuation"
    reference = load_references()[tracer.reference if chosen == BY_TRACER and tracer else chosen]
    window = planning.settings.inputs.suvr_window or (tracer.window_min if tracer else None)
    frames = _frames(told, planning.series_facts(file).n_volumes, window)
    if isinstance(frames, str):
        return frames
    options: dict[str, Any] = {
        "name": f"SUVR{_label(file)}",
        "reference_name": reference.title,
        "volumes": frames.volumes,
        "starts_s": frames.starts_s,
        "durations_s": frames.durations_s,
    }
    described = f"{_described(frames)}, relative to the {reference.title}"
    return Fit(described, options, _stated(name, tracer, frames, reference.title))


def reference_of(options: Mapping[str, Any]) -> str:
    """Return the name of the region that the options of a fit are relative to."""
    title = options["reference_name"]
    return next(name for name, one in load_references().items() if one.title == title)


def _raw_sidecar(planning: Planning, file: FoundFile) -> dict[str, Any]:
    """Read what the raw PET's JSON file says that another was made of, if it is plain which.

    Not every program copies the times of frames.
    """
    if file.dataset == planning.query.raw.name:
        return {}
    raw = planning.of_visit(
        planning.query.raw_images(
            "series.pet", planning.subject, suffix="pet", extension=list(IMAGE_EXTENSIONS)
        )
    )
    same = [one for one in raw if all(one.get(name) == file.get(name) for name in SCAN)]
    return read_sidecar(same[0]) if len(same) == 1 else {}


def _label(file: FoundFile) -> str:
    return "".join(letter for letter in str(file.get("tracer") or "") if letter.isalnum())


def _is_uncorrected(file: FoundFile, told: Mapping[str, Any]) -> bool:
    is_denied = _denies(told.get("AttenuationCorrection"))
    return is_denied or str(file.get("reconstruction") or "").lower().startswith("nac")


def _frames(
    told: Mapping[str, Any], n_volumes: int, window_min: tuple[float, float] | None
) -> Frames | str:
    """Choose frames, or say why none can be."""
    starts = _numbers(told.get("FrameTimesStart"), n_volumes)
    lasting = _numbers(told.get("FrameDuration"), n_volumes)
    given = told.get("InjectionStart")
    injected = [0.0] if given is None else _numbers(given, 1)
    if injected is None:
        return f"its InjectionStart, {given!r}, is no number of seconds"
    if starts is not None and lasting is not None:
        if n_volumes > 1:
            return _chosen(told, starts, lasting, injected[0], window_min)
        return _static(starts, lasting, given, window_min)
    if n_volumes == 1:
        return Frames([], [], [], None)
    return (
        f"it has {n_volumes} frames, and its JSON file does not say of each when it begins "
        "and how long it lasts (FrameTimesStart, FrameDuration)"
    )


def _static(
    starts: list[float],
    lasting: list[float],
    injected: float | None,
    window_min: tuple[float, float] | None,
) -> Frames | str:
    """Take the one frame there is, unless it is known to lie outside of the tracer's time."""
    begin, end = _span(starts, lasting, [0], injected or 0.0)
    if injected is None or window_min is None:
        return Frames([], [], [], (begin, end))
    if end <= window_min[0] or begin >= window_min[1]:
        return (
            f"its one frame is from {begin:g} to {end:g} min after injection, and its uptake is "
            f"told between {window_min[0]:g} and {window_min[1]:g} min; correct FrameTimesStart "
            "and InjectionStart, or choose with --suvr-window"
        )
    return Frames([], [], [], (begin, end))


def _chosen(
    told: Mapping[str, Any],
    starts: list[float],
    lasting: list[float],
    since: float,
    window_min: tuple[float, float] | None,
) -> Frames | str:
    """Choose the frames that lie wholly within the tracer's time."""
    n_volumes, fault = len(starts), _fault(told, starts, lasting)
    if fault is not None or window_min is None:
        return fault or (
            f"it has {n_volumes} frames, and its tracer tells not which to average; "
            "choose with --suvr-window"
        )
    low, high = (60.0 * edge for edge in window_min)
    inside = [
        number
        for number, (start, last) in enumerate(zip(starts, lasting, strict=True))
        if start - since >= low - ROUNDING_S and start - since + last <= high + ROUNDING_S
    ]
    if not inside:
        begin, end = _span(starts, lasting, range(n_volumes), since)
        return (
            f"none of its {n_volumes} frames, {begin:g} to {end:g} min after injection, lies "
            f"wholly within {window_min[0]:g} to {window_min[1]:g} min; choose with --suvr-window"
        )
    return Frames(
        inside,
        [starts[number] for number in inside],
        [lasting[number] for number in inside],
        _span(starts, lasting, inside, since),
    )


def _fault(
    told: Mapping[str, Any], starts: Sequence[float], lasting: Sequence[float]
) -> str | None:
    """Say why frames cannot be averaged."""
    ends = [start + last for start, last in zip(starts, lasting, strict=True)]
    if min(lasting) <= 0 or any(
        later < end - ROUNDING_S for end, later in zip(ends, starts[1:], strict=False)
    ):
        return (
            "its frames last no time, or do not follow each other (FrameTimesStart and "
            "FrameDuration, in seconds)"
        )
    if _denies(told.get("ImageDecayCorrected")):
        return "its frames are not corrected for decay, so that they cannot be averaged"
    return None


def _denies(value: Any) -> bool:
    """Tell whether a field says no, in whichever type."""
    words = value if isinstance(value, list) else [value]
    return any(
        one is not None and str(one).strip().lower() in {"false", "no", "none", "0"}
        for one in words
    )


def _numbers(value: Any, count: int) -> list[float] | None:
    """Return a list of so many finite numbers; None if it is anything else."""
    listed = value if isinstance(value, list) else [value]
    if len(listed) != count or not all(
        isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one)
        for one in listed
    ):
        return None
    return [float(one) for one in listed]


def _span(
    starts: Sequence[float], lasting: Sequence[float], which: Sequence[int], since: float
) -> tuple[float, float]:
    """Return from when to when frames reach, minutes after injection."""
    ends = [starts[number] + lasting[number] for number in which]
    return (min(starts[one] for one in which) - since) / 60.0, (max(ends) - since) / 60.0


def _described(frames: Frames) -> str:
    when = ""
    if frames.after_injection_min is not None:
        low, high = frames.after_injection_min
        when = f", {low:g} to {high:g} min after injection"
    if not frames.volumes:
        return f"one static image{when}"
    return f"the mean of {len(frames.volumes)} frames{when}"


def _stated(name: str, tracer: Tracer | None, frames: Frames, reference: str) -> dict[str, Any]:
    """Say in the map's JSON file what it was computed from."""
    stated: dict[str, Any] = {
        "ReferenceRegion": f"{reference}, without its border of one voxel, WMH, infarcts and bleeds"
    }
    if name:
        stated["TracerName"] = name
    if frames.volumes:
        stated["Frames"] = [number + 1 for number in frames.volumes]
    if frames.after_injection_min is not None:
        stated["MinutesAfterInjection"] = list(frames.after_injection_min)
    if tracer is not None and tracer.source:
        stated["ReferenceSource"] = tracer.source
    return stated
