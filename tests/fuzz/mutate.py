"""How inputs are disturbed: bytes, numbers in text, and JSON."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

Random = np.random.Generator
_NUMBERS = "nan NaN inf -inf 1e300 -1e300 1e400 1e-300 0 -0.0 abc 1,5 1_0 0x10 1e --1 \u0661 null"
_MORE = "n/a 1.2.3 -1 1e6 65536 2147483648 -9223372036854775809 0.5"
_WORDS = ". .. ../.. / /etc/passwd ~ sub- ses- x= =x : n/a null true - * [ ( %s {0} {t1w} \\ '"
_OTHER_WORDS = '" \ufeff \u202e é 日本 😀 <b> $HOME CON'
# what stands where a number should stand, and where a word should
NUMBER_WORDS = (*_NUMBERS.split(), *_MORE.split(), "", "9" * 400)
WORDS = (
    *_WORDS.split(), *_OTHER_WORDS.split(), "", " ", "a" * 300, "\t", "\n", "\r", "\x00",
    "\x1b[31m", "a\tb", "a\nb",
)  # fmt: skip


def pick(rng: Random, options: Sequence[Any]) -> Any:
    """Choose one; numpy's own choice would turn what it chooses from into an array."""
    return options[int(rng.integers(len(options)))]


def other_number(rng: Random, text: str) -> str:
    """Return what shall stand in a number's place."""
    try:
        value = float(text)
    except ValueError:
        value = 1.0
    changed = (
        -value, value * 1000, value / 1000, value + 1, value + 0.01, value * (1 + 1e-4),
        float(rng.normal()), float(rng.normal() * 1e6),
    )  # fmt: skip
    return repr(pick(rng, changed)) if rng.random() < 0.4 else pick(rng, NUMBER_WORDS)


def disturbed_bytes(rng: Random, content: bytes) -> tuple[bytes, str]:
    """Flip, cut, insert, remove or repeat bytes; say what was done."""
    how = pick(rng, ("flip",) * 6 + ("flips", "cut", "cut", "insert", "remove", "repeat",
    "append",
                                     "zeros", "empty", "random"))  # fmt: skip
    at = int(rng.integers(max(1, len(content))))
    n = int(rng.integers(1, 64))
    some = rng.bytes(n)
    made = bytearray(content)
    if how in {"flip", "flips"} and made:
        for _ in range(1 if how == "flip" else n):
            bit = int(rng.integers(8 * len(made)))
            made[bit // 8] ^= 1 << bit % 8
            at = bit
    elif how == "cut":
        del made[at:]
    elif how == "insert":
        made[at:at] = some
    elif how == "remove":
        del made[at : at + n]
    elif how == "repeat":
        made[at:at] = made[at : at + n]
    elif how == "append":
        made += some
    elif how == "zeros":
        made[at : at + n] = bytes(n)
    elif how == "empty":
        made.clear()
    elif how == "random":
        made = bytearray(rng.bytes(n * 40))
    return bytes(made), f"{how} at {at}"


def disturbed_text(rng: Random, text: str) -> tuple[bytes, str]:
    """Disturb a text of lines and cells; say what was done."""
    if rng.random() < 0.3:
        return disturbed_bytes(rng, text.encode())
    lines = text.split("\n")
    at = int(rng.integers(len(lines)))
    separator = "\t" if "\t" in text else "|" if "|" in text else " "
    cells = lines[at].split(separator)
    cell = int(rng.integers(len(cells)))
    how = pick(rng, ("number", "word", "drop cell", "add cell", "drop line", "repeat line",
    "swap",
                     "quote", "utf-16", "bom", "crlf", "latin"))  # fmt: skip
    if how == "number":
        cells[cell] = other_number(rng, cells[cell])
    elif how == "word":
        cells[cell] = pick(rng, WORDS)
    elif how == "drop cell":
        del cells[cell]
    elif how == "add cell":
        cells.insert(cell, pick(rng, WORDS))
    elif how == "quote":
        cells[cell] = f'"{cells[cell]}'
    lines[at] = separator.join(cells)
    if how == "drop line":
        del lines[at]
    elif how == "repeat line":
        lines.insert(at, lines[at])
    elif how == "swap":
        other = int(rng.integers(len(lines)))
        lines[at], lines[other] = lines[other], lines[at]
    made = "\n".join(lines)
    if how == "utf-16":
        return made.encode("utf-16"), how
    if how == "latin":
        return (made + "é").encode("latin-1", errors="replace"), how
    made = "\ufeff" + made if how == "bom" else made
    made = made.replace("\n", "\r\n") if how == "crlf" else made
    return made.encode("utf-8", errors="surrogatepass"), f"{how}, line {at + 1}, cell {cell + 1}"


def other_value(rng: Random, value: Any) -> Any:
    """Return what shall stand in a JSON value's place: another type, or another of its type."""
    made = (
        None, True, False, 0, -1, 1.5, 10**30, -(10**400), float("nan"), float("inf"), "", [], {},
        [value], {"x": value}, [[]], [None], {"": None}, pick(rng, WORDS), pick(rng,
        NUMBER_WORDS),
        [pick(rng, WORDS)],
    )  # fmt: skip
    if isinstance(value, str) and rng.random() < 0.3:
        return value + pick(rng, WORDS)
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.3:
        return value + 1
    return pick(rng, made)


def places_in(content: Any, path: tuple = ()) -> list[tuple]:
    """List the places of all values in JSON, the outermost first."""
    found = [path]
    pairs = content.items() if isinstance(content, dict) else ()
    pairs = enumerate(content) if isinstance(content, list) else pairs
    for key, value in pairs:
        found += places_in(value, (*path, key))
    return found


def disturbed_json(rng: Random, content: Any, special: Sequence[Any] = ()) -> tuple[bytes, str]:
    """Disturb JSON, as values (``special`` ones as well) or as bytes; say what was done."""
    text = json.dumps(content, indent=2)
    how = pick(
        rng, ("value",) * 6 + ("key",) * 2 + ("remove", "bytes", "nested", "digits", "bytes")
    )
    if how == "bytes":
        return disturbed_bytes(rng, text.encode())
    if how == "nested":
        deep = int(rng.choice([900, 5000, 200_000]))
        return b"[" * deep + b"]" * deep if rng.random() < 0.5 else (
            b'{"a":' * deep + b"1" + b"}" * deep), f"nested {deep} deep"  # fmt: skip
    if how == "digits":
        return text.replace("1", "1" * 5000, 1).encode(), "a number of 5000 digits"
    made = copy.deepcopy(content)
    places = places_in(made)
    place = pick(rng, places[1:] or places)
    if not place:
        return json.dumps(other_value(rng, made)).encode(), "the whole"
    holder = made
    for key in place[:-1]:
        holder = holder[key]
    old = holder[place[-1]]
    if how == "remove":
        del holder[place[-1]]
    elif how == "key" and isinstance(holder, dict):
        del holder[place[-1]]
        words = [word for word in special if isinstance(word, str)] or WORDS
        holder[pick(rng, words)] = old
    else:
        use_special = special and rng.random() < 0.5
        holder[place[-1]] = pick(rng, special) if use_special else other_value(rng, old)
    return json.dumps(made, indent=2).encode(), f"{how} at {'/'.join(map(str, place))[:80]}"
