"""How long a call takes, how much memory it wants, and the floor that memory sets."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPEATS = 5


def seconds(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the median time of several calls, after one that does not count."""
    call()
    return float(np.median([once(call) for _ in range(repeats)]))


def side_by_side(
    calls: Mapping[str, Callable[[], Any]], repeats: int = REPEATS
) -> dict[str, float]:
    """Return the median time of each call; they take turns, so that all meet the same machine."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(once(call))
    return {name: float(np.median(taken)) for name, taken in times.items()}


def once(call: Callable[[], Any]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def arrays_in(result: Any) -> list[NDArray]:
    """Return the arrays that a kernel gave back."""
    if isinstance(result, np.ndarray):
        return [result]
    if isinstance(result, Mapping):
        return [array for value in result.values() for array in arrays_in(value)]
    if isinstance(result, tuple | list):
        return [array for value in result for array in arrays_in(value)]
    if hasattr(result, "__dataclass_fields__"):
        return arrays_in([getattr(result, name) for name in result.__dataclass_fields__])
    return []


def copy_seconds(result: Any) -> float:
    """Return the time to copy a kernel's output once: no kernel can be faster."""
    arrays = arrays_in(result)

    def copy() -> None:
        for array in arrays:
            np.copyto(np.empty_like(array), array)

    return seconds(copy)


def extra_memory(call: Callable[[], Any]) -> tuple[int, int]:
    """Return the peak of what a call allocates beyond its output, and the output, in bytes.

    Counts what numpy allocates, which is every array of the size of an image; the compiled
    kernels themselves make a few rows and planes.
    """
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = call()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    output = sum(array.nbytes for array in arrays_in(result))
    return peak - output, output
