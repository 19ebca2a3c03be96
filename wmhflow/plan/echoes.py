"""Whether maps can be computed from echoes and from pairs of images, by what their sidecars say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.bids.sidecars import read_sidecar
from wmhflow.core.susceptibility.limits import FIELD_T, LEAST_ECHOES
from wmhflow.plan.computed import Fit
from wmhflow.plan.context import Planning
from wmhflow.plan.nearest import FoundSeries
from wmhflow.plan.units import settle_unit
from wmhflow.registries.maps import load_maps
from wmhflow.registries.units import has_no_scale, is_arbitrary, is_untold

# The map that R1 is the reciprocal of.
GIVEN_TIME = "T1map"
# Settings that have to be one for a ratio of images with and without magnetisation transfer.
ALIKE = ("FlipAngle", "RepetitionTime", "RepetitionTimeExcitation", "EchoTime", "ReceiveGain")
# No scanner reads an echo sooner, s.
SHORTEST_S = 1e-5
# Two settings are one if they differ by less than this share.
SAME = 1e-3


def judge_decay(planning: Planning, found: FoundSeries) -> Fit | str:
    """Tell which echoes R2* is fitted to, or why it is not.

    Parameters
    ----------
    planning
        The visit's.
    found
        The series of echoes.
    """
    files = _files(found["magnitude"])
    if len(files) == 1 and planning.series_facts(files[0]).n_volumes > 1:
        return "its echoes are volumes of one file; give each as a file of its own (echo-1, echo-2)"
    times = _echo_times(files)
    if isinstance(times, str):
        return times
    return Fit(_described(times), {"echo_times_s": times}, {"EchoTime": times})


def judge_phase(planning: Planning, found: FoundSeries) -> Fit | str:
    """Tell from which echoes susceptibility is computed, or why it is not.

    Parameters
    ----------
    planning
        The visit's.
    found
        The series of echoes.
    """
    if "phase" not in found:
        return "there are no phase images (part-phase) of it"
    bright, phases = _files(found["magnitude"]), _files(found["phase"])
    if [file.get("echo") for file in bright] != [file.get("echo") for file in phases]:
        return f"there are {len(phases)} phase images and {len(bright)} magnitudes of its echoes"
    times = _echo_times(phases)
    if isinstance(times, str):
        return times
    told = [read_sidecar(file) for file in phases]
    fields = [one.get("MagneticFieldStrength") for one in told]
    strengths = {_number(one) for one in fields}
    units = {unit for one in told if (unit := _phase_unit(one.get("Units")))}
    fault = None
    if times != _echo_times(bright):
        fault = "its phase images and magnitudes have other echo times"
    elif wrong := [one for one in fields if one is not None and _number(one) is None]:
        fault = f"its MagneticFieldStrength is {wrong[0]!r}, where a number of tesla is meant"
    elif strengths == {None} or len(strengths) > 1:
        fault = (
            "its JSON files do not say the strength of the main field (MagneticFieldStrength, T)"
        )
    elif not FIELD_T[0] <= max(one or 0.0 for one in strengths) <= FIELD_T[1]:
        fault = (
            f"its JSON files state a main field of {max(one or 0.0 for one in strengths):g}, where "
            f"{FIELD_T[0]:g} to {FIELD_T[1]:g} T can be true"
        )
    elif len(units) > 1:
        fault = f"its phase images have other units ({', '.join(sorted(units))})"
    if fault is not None:
        return fault
    options: dict[str, Any] = {
        "echo_times_s": times,
        "field_strength_t": strengths.pop(),
        "phase_unit": units.pop() if units else None,
    }
    stated = {
        "EchoTime": times,
        "MagneticFieldStrength": options["field_strength_t"],
        "Unwrapping": "best path in three dimensions (doi:10.1364/AO.46.006623)",
        "EchoCombination": "weighted by the square of the magnitude, without a smooth offset",
        "BackgroundFieldAndInversion": "spheres of varying radius and total variation, solved "
        "together (doi:10.1002/nbm.3570)",
        "Reference": "mean of the brain; reference_offset_ppm is the mean of the fluid in the "
        "lateral ventricles, which is 0 in maps relative to it",
    }
    return Fit(_described(times), options, stated)


def _phase_unit(stated: object) -> str | None:
    """Return the unit that a phase's sidecar states; None if it says nothing, or arbitrary."""
    text = "" if stated is None else str(stated)
    if is_untold(text) or is_arbitrary(text) or has_no_scale(text):
        return None
    return text.strip(" \t()[]").lower()


def judge_rate(planning: Planning, found: FoundSeries) -> Fit | str:
    """Tell in which unit a T1 is given; where that stays open, R1 is not computed from it.

    Parameters
    ----------
    planning
        The visit's.
    found
        The map of T1.
    """
    silent = replace(planning, decisions=[])
    (file,) = _files(found["time"])
    _, reading = settle_unit(silent, load_maps()[GIVEN_TIME], file)
    return Fit(
        f"T1 in {reading.unit}", {"seconds_per_unit": reading.factor}, {"UnitOfT1": reading.unit}
    )


def judge_transfer(planning: Planning, found: FoundSeries) -> Fit | str:
    """Tell whether two images differ in nothing but the pulse of magnetisation transfer.

    Parameters
    ----------
    planning
        The visit's.
    found
        The two images.
    """
    on, off = (read_sidecar(_files(found[name])[0]) for name in ("on", "off"))
    apart = [
        f"{name} {on[name]} and {off[name]}"
        for name in ALIKE
        if name in on and name in off and not _are_one(on[name], off[name])
    ]
    if apart:
        return f"the images with and without the pulse were not taken alike ({'; '.join(apart)})"
    return Fit("with and without the pulse")


def judge_t1_over_t2(planning: Planning, found: FoundSeries) -> Fit | str:
    """Tell whether a T2w image can be set against the T1w.

    Parameters
    ----------
    planning
        The visit's.
    found
        The T2w image.
    """
    t1w = planning.of_visit(planning.query.raw_images("t1w", planning.subject, suffix="T1w"))
    if not t1w or planning.settings.anatomy.reference == "FLAIR":
        return "the T1w has to be the reference, and is not"
    if "InversionTime" in read_sidecar(_files(found["image"])[0]):
        return "its JSON file states an InversionTime, so that it is a FLAIR and no T2w"
    far = planning.settings.regions.shell_max
    return Fit(
        f"beside the T1w, relative to white matter farther than {far:g} mm from WMH",
        {"far_mm": far},
        {
            "Relative": "to the median of white matter far from WMH, which is 1; times "
            "reference_ratio it is the ratio of the images. It compares places within a person: "
            "the transmitting coil's field, which differs with head and body size, is in it "
            "(doi:10.1016/j.neuroimage.2022.119360)",
            "BiasCorrection": "each image by itself (N4, doi:10.1109/TMI.2010.2046908)",
        },
    )


def _files(found: FoundFile | tuple[FoundFile, ...]) -> tuple[FoundFile, ...]:
    return found if isinstance(found, tuple) else (found,)


def _echo_times(files: Sequence[FoundFile]) -> list[float] | str:
    """Read echo times in s, or say why they cannot be used."""
    stated = [read_sidecar(file).get("EchoTime") for file in files]
    known = [time for one in stated if (time := _number(one)) is not None]
    if len(files) < LEAST_ECHOES:
        return f"it has {len(files)} echoes: at least {LEAST_ECHOES} are needed"
    wrong = [one for one in stated if one is not None and _number(one) is None]
    if wrong:
        return f"the EchoTime in its JSON files is {wrong[0]!r}, where a number of seconds is meant"
    if len(known) < len(files):
        return (
            f"{len(files) - len(known)} of its {len(files)} echoes have no EchoTime in JSON files"
        )
    if len(set(known)) < len(known):
        return f"two of its echoes have the same EchoTime ({known} s)"
    if not all(SHORTEST_S < time < 1 for time in known):
        return f"its echo times {known} are no seconds"
    return known


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _are_one(first: Any, second: Any) -> bool:
    a, b = _number(first), _number(second)
    if a is None or b is None:
        return bool(first == second)
    return abs(a - b) <= SAME * max(abs(a), abs(b))


def _described(times: Sequence[float]) -> str:
    in_ms = [f"{1000.0 * time:g}" for time in sorted(times)]
    return f"{len(times)} echoes, {in_ms[0]} to {in_ms[-1]} ms"
