"""Numbers in texts that others wrote, read as every program reads them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def plain_number(word: str) -> float:
    """Read a number.

    Python takes an underscore for nothing and digits of all scripts for digits, so that ``0_5`` is
    5: no program writes such, and none but Python reads it.

    Parameters
    ----------
    word
        As it is written.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> plain_number("-1.5e-3")
    -0.0015
    """
    if "_" in word or not word.isascii():
        raise ValueError(f"{word[:40]!r} is no number")
    return float(word)


def plain_numbers(words: Iterable[str]) -> NDArray[np.float64]:
    """Read several, as :func:`plain_number` does."""
    return np.array([plain_number(word) for word in words], np.float64)
