"""Work that is divided among threads: what comes back, and in which order."""

from __future__ import annotations

import threading

import pytest

from wmhflow.core.arrays.threads import LARGEST_IMAGE, over_items


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_results_come_in_the_order_of_the_items(
    monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    assert over_items(lambda number: number * number, range(40), 1) == [n * n for n in range(40)]
    assert over_items(str, [], 1) == []


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_first_error_in_the_order_of_the_items_is_raised(
    monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    with pytest.raises(ZeroDivisionError, match="zero"):
        over_items(lambda number: 1 // number, [2, 0, 1], 1)


@pytest.mark.parametrize(("threads", "n_voxels"), [("1", 1), ("2", LARGEST_IMAGE + 1)])
def test_images_are_gone_through_one_after_the_other_by_one_thread_or_if_they_are_large(
    monkeypatch: pytest.MonkeyPatch, threads: str, n_voxels: int
) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    own = threading.get_ident()
    assert set(over_items(lambda _: threading.get_ident(), range(4), n_voxels)) == {own}
