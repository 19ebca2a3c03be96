"""Texts of units as programs write them, and the factor from one to another."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

# Every unit as a multiple of powers of mm, g, s, mmHg and mol.
_BASE: dict[str, tuple[float, str, int]] = {
    "m": (1e3, "mm", 1), "cm": (10.0, "mm", 1), "mm": (1.0, "mm", 1), "um": (1e-3, "mm", 1),
    "nm": (1e-6, "mm", 1),
    "L": (1e6, "mm", 3), "dL": (1e5, "mm", 3), "mL": (1e3, "mm", 3), "uL": (1.0, "mm", 3),
    "kg": (1e3, "g", 1), "g": (1.0, "g", 1), "mg": (1e-3, "g", 1),
    "h": (3600.0, "s", 1), "min": (60.0, "s", 1), "s": (1.0, "s", 1), "ms": (1e-3, "s", 1),
    "us": (1e-6, "s", 1),
    "mmHg": (1.0, "mmHg", 1), "Torr": (1.0, "mmHg", 1), "kPa": (7.500616827, "mmHg", 1),
    "mol": (1.0, "mol", 1), "mmol": (1e-3, "mol", 1), "umol": (1e-6, "mol", 1),
}  # fmt: skip
_PLAIN = {"%": 1e-2, "‰": 1e-3, "ppm": 1e-6, "ppb": 1e-9}
# Other spellings. Case tells m from M in few units only, and there nobody means the other.
_SPELLINGS = {
    "l": "L", "dl": "dL", "ml": "mL", "cc": "mL", "ul": "uL", "micron": "um", "microns": "um",
    "gr": "g", "gram": "g", "grams": "g", "hr": "h", "hour": "h", "hours": "h", "minute": "min",
    "minutes": "min", "mins": "min", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "msec": "ms", "msecs": "ms", "millisec": "ms", "millisecond": "ms", "milliseconds": "ms",
    "usec": "us", "microsecond": "us", "microseconds": "us", "permille": "‰", "pu": "%",
    "mmhg": "mmHg", "torr": "Torr", "Mol": "mol", "percent": "%", "percentage": "%", "pct": "%",
    "ppm": "ppm", "ppb": "ppb", "min": "min",
}  # fmt: skip
_SPELLINGS |= {
    f"{start}{name}{end}": f"{short}{symbol}"
    for start, short in (("", ""), ("milli", "m"), ("micro", "u"))
    for name, symbol in (("meter", "m"), ("metre", "m"), ("liter", "L"), ("litre", "L"),
                         ("gram", "g"), ("mole", "mol"))
    for end in ("", "s")
    if f"{short}{symbol}" in _BASE
}  # fmt: skip
# what is longer is a word
LONGEST_SYMBOL = 2
# Written otherwise as a whole, in any case where the case tells nothing.
_SPELT_OUT = {
    r"[Hh](?:z|ertz)": "s^-1", "kHz": "ms^-1", r"mM|(?i:millimolar)": "mmol/L", r"p\.\s*u\.?": "%",
    r"(?i:per\s+cent)": "%", r"(?i:per\s+mill?e?)": "‰",
    r"(?i:parts?\s+per\s+million|p\.p\.m\.?)": "ppm",
    r"(?i:parts?\s+per\s+billion|p\.p\.b\.?)": "ppb", r"mm\s*[Hh]g": "mmHg", "hg": "100 g",
    r"([A-Za-z]+)\s+(?i:squared|sq\.?)": r"\1^2",
    r"(?i:square|sq(?!uare)\.?)\s*([A-Za-z]+)": r"\1^2",
}  # fmt: skip
# What says that there is a scale from 0 to 1; and what says no more than that there is no unit.
_FRACTIONS = frozenset(
    ("1", "1.0", "fraction", "a fraction", "fractional", "volume fraction", "signal fraction",
     "ratio", "proportion", "decimal", "index", "au/au")
)  # fmt: skip
_NO_UNIT = frozenset(
    ("unitless", "unit less", "dimensionless", "dimension less", "non dimensional",
     "nondimensional", "adimensional", "no dimension", "none", "no unit", "no",
     "without unit", "scalar", "n.u.", "n.u", "-", "–", "—")
)  # fmt: skip
_ARBITRARY = frozenset(
    ("arbitrary", "arbitraryunits", "arbitraryunit", "arb", "arb.", "arb.units", "arb.u.", "a.u.",
     "a.u", "au", "i.u.", "iu", "institutionalunits", "relative", "normalized", "normalised")
)  # fmt: skip
_UNTOLD = frozenset(
    ("", "n/a", "na", "nan", "null", "unknown", "undefined", "unspecified", "not specified",
     "not stated", "tbd", "todo", "?")
)  # fmt: skip
# Words that say what is counted, and change no number.
_WORDS = re.compile(
    r"BOLD|signal|change|(?:\bof\s+)?(?:tissue|blood|brain)|units?\b|[Δδ∆](?:S\b)?|\bdelta\b"
    r"|\b(?:P?ET|Pa?)?CO2\b|\bSI\b|\bvol\.?(?=\s*%)",
    re.IGNORECASE,
)
_SIGNS = str.maketrans(
    {"µ": "u", "μ": "u", "·": " ", "⋅": " ", "∙": " ", "•": " ", "*": " ", "×": " ", "−": "-",
     "–": "-", "[": " ", "]": " ", "{": " ", "}": " ", "(": " ", ")": " ", "_": " ",
     "%": " % ", "‰": " ‰ "}
)  # fmt: skip
# How LaTeX, HTML and typesetters write the same.
_TYPESET = {
    "[\u2044\u2215\uff0f\u00f7]": "/", r"\\mu\s*|&(?:mu|micro);": "u", r"\\cdot|&middot;": "·",
    r"\\times|&times;": "×", r"<sup>(.*?)</sup>": r"^\1", r"\\%": "%", r"[$\\]": "",
}  # fmt: skip
# What is raised: after a digit 10 is (10³ is a thousand, and no 103), after a letter a unit.
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED_NUMBER = re.compile(r"(?<=\d)(?=[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹])")
# x between numbers, and a dot between units, multiply; a dot ends an abbreviation.
_TIMES = re.compile(
    r"(?<![A-Za-z])[xX](?![A-Za-z])|(?<!\d)\.(?!\d)|(?<=[A-Za-z])\.|(?<=\d)\.(?![\d.])"
)
# Some write 10e-3 for 10^-3, and others for 0.01.
_TWO_WAYS = re.compile(r"(?<![\d.])10(?:\.0*)?[eE][-+]?\d")
_ONE_E = re.compile(r"(?<![\d.A-Za-z])1(?:\.0*)?[eE]([-+]?)0*(\d+)(?![\d.])")
_POWER_OF_TEN = re.compile(r"(?<![\d.])10(?:\s*\^?\s*(-\s*\d+)|\^\+?(\d+))")
_TOKEN = re.compile(
    r"(/)|(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|([A-Za-z%‰.]+)((?:\s*\^\s*[-+]?|-|\+)?\d(?!\d))?"
)
# Said twice, as in "percent (%)" and "Hertz [Hz]"; the range of values says which.
_TWICE = re.compile(r"(.*[^\s([])\s*[(\[]([^()\[\]]+)[)\]]\s*")
_RANGE = re.compile(r"0(?:\.0*)?\s*(?:-|–|\.\.+|,|;|to)\s*(?:(1)|(100))(?:\.0*)?\s*(%?)")
# (100 g)^-1 is what chemists write as 100 g^-1
_COUNTED = ("g", "mL", "L")
ARBITRARY = "arbitrary"


@dataclass(frozen=True)
class Unit:
    """A unit as a factor and powers of base units; a fraction has no power and the factor 1."""

    factor: float
    powers: tuple[tuple[str, int], ...] = ()

    @property
    def reciprocal(self) -> tuple[tuple[str, int], ...]:
        """The powers of 1 / unit."""
        return tuple((name, -power) for name, power in self.powers)


def is_arbitrary(text: str) -> bool:
    """Tell whether a text says that there is no unit that could be converted.

    Examples
    --------
    >>> is_arbitrary("arbitrary units"), is_arbitrary("a.u."), is_arbitrary("1")
    (True, True, False)
    """
    return re.sub(r"[\s()\[\]]+", "", text).lower() in _ARBITRARY


def is_untold(text: str) -> bool:
    """Tell whether a text says nothing of a unit.

    Examples
    --------
    >>> is_untold("n/a"), is_untold("unknown"), is_untold("dimensionless")
    (True, True, False)
    """
    return _words_of(text) in _UNTOLD


def has_no_scale(text: str) -> bool:
    """Tell whether a text says that there is no unit, and not whether it is a fraction or percent.

    Examples
    --------
    >>> has_no_scale("dimensionless"), has_no_scale("[-]"), has_no_scale("fraction")
    (True, True, False)
    """
    return _words_of(text) in _NO_UNIT


def _words_of(text: str) -> str:
    """Write a text in small letters, without brackets, and hyphens within words as blanks."""
    plain = re.sub(r"[\s()\[\]]+", " ", text).strip().lower()
    return re.sub(r"(?<=[a-z])-(?=[a-z])", " ", plain).removesuffix(" units")


@lru_cache(maxsize=512)
def parse_unit(text: str) -> Unit:
    """Read a unit as programs write it.

    Parameters
    ----------
    text
        Such as ``mm^2/s``, ``µm²/ms``, ``mL 100 g-1 min-1``, ``10^-3 /min``, ``%``, ``1``,
        ``percent (%)``, ``[0-1]``.

    Returns
    -------
    Unit

    Raises
    ------
    ValueError
        If it is no unit that is known.

    Examples
    --------
    >>> parse_unit("mL/100 g/min") == parse_unit("ml·100g⁻¹·min⁻¹")
    True
    >>> parse_unit("%").factor
    0.01
    """
    words = _words_of(text)
    if words in _NO_UNIT or words in _FRACTIONS:
        return Unit(1.0)
    span = _RANGE.fullmatch(words)
    if span:
        return Unit(1e-2 if span[2] else 1.0) if bool(span[3]) <= bool(span[2]) else _refuse(text)
    said = _said_twice(text)
    if said is not None:
        return said
    try:
        return _read(text)
    except ValueError:
        # mM is no MM; but in capitals alone nothing tells one from the other
        if not text.isupper():
            raise
        return _read(text.lower())


def _refuse(text: str) -> Unit:
    raise ValueError(f"'{text}' is no unit that is known")


def _said_twice(text: str) -> Unit | None:
    """Read a unit that is said once more in brackets; None if it is not."""
    twice = _TWICE.fullmatch(text.strip())
    if twice is None:
        return None
    try:
        first, second = parse_unit(twice[1]), parse_unit(twice[2])
    except ValueError:
        return None
    if _words_of(twice[1]) in _FRACTIONS and not second.powers:
        # a ratio, and in brackets how it is counted
        return second
    return first if first == second else None


def _read(text: str) -> Unit:
    """Read a unit of numbers, names and powers."""
    plain = _plain(text)
    if not plain.strip() or _TWO_WAYS.search(plain):
        _refuse(text)
    factor, powers = 1.0, dict[str, int]()
    ten = _POWER_OF_TEN.search(plain)
    if ten:
        exponent = int(re.sub(r"\s", "", ten[1] or ten[2]))
        before = plain[: ten.start()].rstrip()
        is_divisor = before.endswith("/")
        if exponent > 0 and not is_divisor and re.search("[A-Za-z%‰]", before):
            # s x 10^3: thousands of seconds, or seconds of which the values were multiplied
            _refuse(text)
        factor *= 10.0 ** (-exponent if is_divisor else exponent)
        plain = f"{before.removesuffix('/') if is_divisor else before} {plain[ten.end() :]}"
    terms = _terms(plain, text)
    if all(not name and number != 1 for number, name, _ in terms) and not ten:
        _refuse(text)
    shares = [power > 0 for _, name, power in terms if name in _PLAIN]
    if len(set(shares)) < len(shares):
        # percent of percent is nobody's unit
        _refuse(text)
    for number, name, power in terms:
        factor *= number**power
        scale, base, of_base = _known(name, text)
        factor *= scale**power
        if base:
            powers[base] = powers.get(base, 0) + of_base * power
    return Unit(factor, tuple(sorted((base, n) for base, n in powers.items() if n)))


def _plain(text: str) -> str:
    """Write a unit with letters, digits, blanks, strokes and signs of powers alone."""
    plain = text.strip()
    for written, meant in _TYPESET.items():
        plain = re.sub(written, meant, plain)
    plain = re.sub(r"\b(milli|micro)[-\s]+", r"\1", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", " ", plain)
    plain = re.sub(r"(^|[\s*×xX(])\.(?=\d)", r"\g<1>0.", plain)
    for written, meant in _SPELT_OUT.items():
        plain = re.sub(rf"(?<![A-Za-z])(?:{written})(?![A-Za-z])", meant, plain)
    plain = _ONE_E.sub(r"10^\1\2", plain)
    plain = _RAISED_NUMBER.sub("^", plain.replace("**", "^")).translate(_RAISED)
    # a group is raised by what follows it
    plain = re.sub(r"\)\s*(?=[-−+]?\d)", ")^", _WORDS.sub(" ", plain)).translate(_SIGNS)
    plain = _TIMES.sub(" ", plain)
    return re.sub(r"\bper\b", "/", plain)


def _terms(plain: str, text: str) -> list[tuple[float, str, int]]:
    """Split a unit into numbers, names and powers; what follows a stroke divides.

    A number that follows something else, as in ``mL/g/min * 10`` and ``s * 1000``, is refused:
    nobody knows whether the unit is so much larger, or the values were made so.
    """
    unknown = ValueError(f"'{text}' is no unit that is known")
    terms: list[tuple[float, str, int]] = []
    sign, number, count, place = 1, None, None, 0
    is_stroke, is_plain, is_after = False, True, False
    for match in _TOKEN.finditer(plain):
        if plain[place : match.start()].strip():
            raise unknown
        place = match.end()
        stroke, digits, name, power = match.groups()
        name = _spelling(name or "")
        exponent = sign * int(re.sub(r"[\s^]", "", power or "1"))
        is_counted = count is not None and name in _COUNTED and exponent < 0
        if number is not None and not is_counted:
            if not is_plain or (is_after and number != 1):
                raise unknown
            terms.append((number, "", sign))
        if name:
            terms.append((count if count is not None and is_counted else 1.0, name, exponent))
        is_plain = sign > 0 or is_stroke if digits else True
        is_after = bool(digits) and not is_stroke and any(name for _, name, _ in terms)
        number, is_stroke = float(digits) if digits else None, bool(stroke)
        # 100 g^-1 is (100 g)^-1, and 1e-3 g^-1 is a thousandth of g^-1
        count = number if digits and digits.isdigit() else None
        sign = -1 if stroke else sign
    # what is left multiplies nothing, or divides by a number alone, as in percent/100
    is_open = number not in (None, 1.0) and (is_after or (sign < 0 and bool(terms)))
    if plain[place:].strip() or not is_plain or is_open:
        raise unknown
    return [*terms, (number, "", sign)] if number is not None else terms


def _spelling(name: str) -> str:
    """Return a unit's usual spelling; the case of whole words tells nothing."""
    plain = name if len(name) <= LONGEST_SYMBOL else name.lower()
    return _SPELLINGS.get(name, _SPELLINGS.get(plain, name))


def _known(name: str, text: str) -> tuple[float, str, int]:
    if not name:
        return 1.0, "", 0
    if name in _PLAIN:
        return _PLAIN[name], "", 0
    if name not in _BASE:
        raise ValueError(f"'{text}' is no unit that is known")
    scale, base, power = _BASE[name]
    return scale, base, power


def factor_between(one: str, other: str) -> float | None:
    """Return what values in one unit are multiplied by to be in another.

    Parameters
    ----------
    one, other
        Texts of units.

    Returns
    -------
    float or None
        None if the two measure different things, or one of them is not known.

    Examples
    --------
    >>> factor_between("um^2/ms", "mm^2/s"), factor_between("ppb", "ppm")
    (0.001, 0.001)
    >>> factor_between("s", "1/s") is None
    True
    """
    if one == other:
        return 1.0
    try:
        first, second = parse_unit(one), parse_unit(other)
    except ValueError:
        return None
    if first.powers != second.powers:
        return None
    return _tidy(first.factor / second.factor)


def is_reciprocal(one: str, other: str) -> bool:
    """Tell whether one unit measures the reciprocal of another, as s does of 1/s.

    Examples
    --------
    >>> is_reciprocal("ms", "1/s"), is_reciprocal("1", "%")
    (True, False)
    """
    try:
        first, second = parse_unit(one), parse_unit(other)
    except ValueError:
        return False
    return bool(first.powers) and first.powers == second.reciprocal


def reciprocal_factor(one: str, other: str) -> float:
    """Return what 1 / value is multiplied by, for values in `one`, to be in `other`.

    Examples
    --------
    >>> reciprocal_factor("ms", "1/s")
    1000.0
    """
    return _tidy(1 / (parse_unit(one).factor * parse_unit(other).factor))


def _tidy(factor: float) -> float:
    """Return a factor without what rounding left: 0.001 rather than 0.0010000000000000002."""
    tidy = float(f"{factor:.12g}")
    return tidy if math.isfinite(tidy) else factor
