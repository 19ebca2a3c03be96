"""Runs a kernel over ranges of one axis, on as many threads as the process may use.

The kernels release the interpreter's lock and each range writes its own part of the output, so
results are the same, bit for bit, for any number of threads. Plain threads are used rather than
numba's own pool, because that pool does not survive the forks that workflow engines make.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# A range smaller than this costs less to compute than to hand to a thread.
SMALLEST_TASK = 1 << 15
RANGES_PER_THREAD = 4
# Images of more voxels are not gone through at the same time.
LARGEST_IMAGE = 1 << 22


def thread_count() -> int:
    """Return the number of threads: the allowed processors, or fewer if the environment says so."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        # OpenMP allows a number for each level of nesting; the first is this one's.
        value = os.environ.get(name, "").partition(",")[0].strip()
        if value.isdecimal() and int(value) > 0:
            return min(allowed, int(value))
    return allowed


def over_ranges(kernel: Callable[[int, int], Result], length: int, work: int) -> list[Result]:
    """Call `kernel(start, stop)` for ranges that cover `length` and return the results in order.

    Parameters
    ----------
    kernel : callable
        Releases the interpreter's lock and touches nothing that another range writes.
    length : int
        Length of the divided axis.
    work : int
        Number of voxels in all, which decides whether threads are worth their start.
    """
    threads = min(thread_count(), length, max(1, work // SMALLEST_TASK))
    if threads <= 1:
        return [kernel(0, length)] if length else []
    pieces = min(length, threads * RANGES_PER_THREAD)
    edges = [length * piece // pieces for piece in range(pieces + 1)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(kernel, edges[:-1], edges[1:]))


def over_items(
    function: Callable[[Item], Result], items: Iterable[Item], n_voxels: int
) -> list[Result]:
    """Call `function` of each item, on as many threads as there may be, and return the results.

    For work that takes some time at kernels, at numpy or at compressed files, as these let other
    threads run.

    Parameters
    ----------
    function : callable
        Touches nothing that a call for another item writes.
    items : iterable
        What it is called with, one at a time.
    n_voxels : int
        How many voxels each call goes through: calls for large images follow each other, as each
        takes several times the image's own memory.

    Returns
    -------
    list
        The results in the order of the items. The first error in this order is raised.

    Examples
    --------
    >>> over_items(abs, [-3, 2, -1], n_voxels=1)
    [3, 2, 1]
    """
    waiting = list(items)
    threads = min(thread_count(), len(waiting)) if n_voxels <= LARGEST_IMAGE else 1
    if threads <= 1:
        return [function(item) for item in waiting]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, waiting))
