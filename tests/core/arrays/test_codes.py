"""Numbers in label images are what sorting finds, of any type, order and size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmhflow.core.arrays.codes import LARGEST_COUNTED, count_codes
from wmhflow.core.tissue.parcellation import recode, unknown_codes

TYPES = ("u1", "i1", "i2", ">i2", "u2", "i4", "u4", "i8", "u8")
CODES: dict[str, list[int]] = {
    "one": [0],
    "few": [0, 2, 41, 41, 99],
    "negative": [-3, 0, 2, 2],
    "at the bound": [0, LARGEST_COUNTED],
    "beyond it": [0, LARGEST_COUNTED + 1, 2**30],
}
TABLE = {2: 5, 41: 7}


def held(codes: list[int], kind: str) -> bool:
    limits = np.iinfo(kind)
    return limits.min <= min(codes) and max(codes) <= limits.max


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in CODES for kind in TYPES if held(CODES[name], kind)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_numbers_are_those_that_sorting_finds(name: str, kind: str, turned: bool) -> None:
    codes = np.array(CODES[name], kind).reshape(-1, 1, 1)
    if turned:
        codes = np.asfortranarray(codes.repeat(2, axis=1))[::-1]
    present, counts = count_codes(codes)
    expected = {
        int(code): int(n) for code, n in zip(*np.unique(codes, return_counts=True), strict=True)
    }
    assert dict(zip(present.tolist(), counts.tolist(), strict=True)) == expected
    assert present.tolist() == sorted(expected)
    recoded = [TABLE.get(int(code), 0) for code in codes.ravel()]
    assert recode(codes, TABLE).ravel().tolist() == recoded
    known = (0, *TABLE)
    unknown = {code: n for code, n in expected.items() if code not in known}
    assert unknown_codes(codes, TABLE) == unknown


def test_an_empty_image_holds_none() -> None:
    assert [part.tolist() for part in count_codes(np.zeros((0, 3, 3), np.int16))] == [[], []]


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=30))
def test_codes_are_those_of_a_set(codes: list[int]) -> None:
    assert set(count_codes(np.array(codes, np.int32))[0].tolist()) == set(codes)
