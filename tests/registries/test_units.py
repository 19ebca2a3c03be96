"""Texts of units as programs write them are read as what they mean."""

from __future__ import annotations

import random

import pytest

from wmhflow.registries.units import (
    factor_between,
    has_no_scale,
    is_arbitrary,
    is_reciprocal,
    is_untold,
    parse_unit,
    reciprocal_factor,
)

SAME = [
    ("mm^2/s", "mm2/s", "mm²/sec", "mm^2 s^-1", "mm²·s⁻¹", "mm**2/s", "mm².s⁻¹", "mm^2.s^-1"),
    ("um^2/ms", "μm²/ms", "µm^2/ms", "10^-3 mm^2/s", "×10⁻³ mm²/s", "1e-3 mm2/s", "micron^2/ms",
     "1 x 10^-3 mm2/s", "1×10⁻³ mm²/s", "mm^2/s x 10^-3", "10*-3 mm2/s", "0.001 mm²/s"),
    ("mL/100g/min", "mL/100 g/min", "ml/100g/min", "mL 100 g-1 min-1", "mL·100g⁻¹·min⁻¹",
     "mL/(100 g·min)", "ml per 100 g per min", "ml.100g-1.min-1", "mL·(100 g)−1·min−1",
     "mL/100gr/Min"),
    ("ppm", "PPM", "10^-6", "parts per million"),
    ("ppb", "10^-9", "1e-3 ppm", "Parts per billion"),
    ("%", "percent", "Percent", "PERCENT", "per cent", "p.u.", "p.u", "10^-2", "[%]"),
    ("1", "fraction", "unitless", "dimensionless", "ratio", "(none)", "no unit"),
    ("1/s", "s^-1", "s-1", "Hz", "Hertz", "/s", "1/sec", "per second"),
    ("1/min", "min⁻¹", "min-1", "/min", "per min"),
    ("10^-3/min", "×10⁻³ min⁻¹", "10-3 min-1", "1e-3 1/min", "0.001 1/min", "10^-3 x 1/min"),
    ("1000/s", "10³/s", "10^3 s⁻¹", "1000 1/s", "1/ms", "100 * 10 1/s"),
    ("10^-3/g", "1e-3 g^-1", "0.001 g⁻¹", "1e-3 × g**-1"),
    ("mm^2/s", "mm^{2}.s^{-1}", "mm^(2).s^(-1)"),
    ("ms", "msec", "milliseconds", "Milliseconds", "10^-3 s"),
    ("%/mmHg", "%/mm Hg", "%/Torr", "%BOLD/mmHg", "% BOLD/mmHg", "%ΔBOLD/mmHg",
     "percent signal change/mmHg"),
    ("mmol/L", "mM", "millimolar", "mmol/litre", "mol/m^3"),
    # as they are typeset, and spelt out
    ("mm^2/s", "$mm^2/s$", "mm\\^2/s", "mm<sup>2</sup>/s", "mm^2\u2044s", "mm²\u2215s", "MM^2/S",
     "sq mm/s", "square millimetres per second", "mm squared per second"),
    ("um^2/ms", "\\mu m^2/ms", "&mu;m^2/ms", "micrometer^2/ms", "mm^2/s * 1e-3", "mm²/s (1e-3)",
     ".001 mm^2/s", "m^2/s × 1e-9"),
    ("mL/100g/min", "mL/hg/min", "mL·hg⁻¹·min⁻¹", "ml/100g-min", "ML/100G/MIN",
     "millilitres/100 grams/minute", "ml/min/100 g of tissue"),
    ("ppm", "p.p.m.", "1e-6", "ppm SI", "parts-per-million", "part per million"),
    ("1/s", "HZ", "S^-1"),
    ("ms", "MS", "msecs", "milli-seconds"),
    ("%/mmHg", "%/mmHg CO2", "%BOLD/mmHg PETCO2", "%ΔS/mmHg", "%mmHg^-1", "delta %BOLD/mm hg"),
    # said once more in brackets, or by the range of values
    ("%", "percent (%)", "% (percent)", "ratio (%)", "fraction [%]", "% (0-100)", "[0-100]",
     "0 to 100 %", "vol%", "1e-2"),
    ("1", "fraction (0-1)", "[0-1]", "[0, 1]", "0..1", "0.0 - 1.0", "volume fraction", "[-]",
     "non-dimensional", "dimensionless units"),
    ("1/s", "Hertz (Hz)", "1/s [Hz]", "s^-1 (1/s)"),
    ("ms", "milliseconds (ms)", "ms [milliseconds]"),
    ("ppb", "parts per billion (ppb)", "ppb (parts per billion)"),
    ("‰", "per mille", "per mil", "permille", "1e-3"),
]  # fmt: skip


@pytest.mark.parametrize("spellings", SAME, ids=lambda names: names[0])
def test_spellings_of_one_unit(spellings: tuple[str, ...]) -> None:
    factors = {text: factor_between(text, spellings[0]) for text in spellings}
    assert factors == dict.fromkeys(spellings, 1.0)


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("um^2/ms", "mm^2/s", 1e-3),
        ("m^2/s", "mm^2/s", 1e6),
        ("um^2/s", "mm^2/s", 1e-6),
        ("ppb", "ppm", 1e-3),
        ("ms", "s", 1e-3),
        ("1/ms", "1/s", 1e3),
        ("%", "1", 1e-2),
        ("mL/g/min", "mL/100g/min", 100.0),
        ("mL/100g/min", "mL/g/min", 0.01),
        ("1/s", "1/min", 60.0),
        ("10^-3/min", "1/min", 1e-3),
        ("10^-3", "1", 1e-3),
        ("1/Torr", "1/kPa", 7.500616827),
    ],
)
def test_factors(one: str, other: str, factor: float) -> None:
    assert factor_between(one, other) == factor
    back = factor_between(other, one)
    assert back is not None
    assert back * factor == pytest.approx(1, rel=1e-11)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s", "1/s"),
        ("mm^2/s", "1"),
        ("ml/100ml/min", "mL/100g/min"),
        ("mmol/kg", "mmol/L"),
        ("Klingon", "1"),
        ("", "1"),
        ("mm^2 s^-", "mm^2/s"),
        # of which nobody knows whether the number divides or multiplies
        ("1/min*1000", "1/min"),
        ("mL/100g/min x 10", "mL/100g/min"),
        ("mL/min/g 100", "mL/100g/min"),
        # 10^-3 to some, and 0.01 to others
        ("10e-3 1/min", "1/min"),
        ("10E-6 mm²/s", "mm^2/s"),
        # thousands of seconds, or seconds times 1000
        ("s*1000", "s"),
        ("s x 10^3", "s"),
        ("mm^2/s x 10^3", "mm^2/s"),
        ("ppm*1000", "ppm"),
        ("% * 10", "%"),
        ("percent/100", "1"),
        ("mL/min/100", "mL/100g/min"),
        # percent of percent
        ("% percent", "%"),
        ("ppm %", "ppm"),
        ("ppm (ppb)", "ppm"),
        ("s (ms)", "s"),
        ("fraction (0-100)%%", "1"),
        ("0-1 %", "%"),
        ("cgs ppm", "ppm"),
    ],
)
def test_what_measures_something_else_has_no_factor(one: str, other: str) -> None:
    assert factor_between(one, other) is None


@pytest.mark.parametrize("text", ["", "   ", "BOLD", "Gy!", "mm^2/s;drop", "²"])
def test_what_is_no_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no unit that is known"):
        parse_unit(text)


def test_reciprocals() -> None:
    assert is_reciprocal("s", "1/s")
    assert is_reciprocal("ms", "1/s")
    assert not is_reciprocal("1", "1")
    assert not is_reciprocal("no unit", "1")
    # 50 ms are 20 per second
    assert reciprocal_factor("ms", "1/s") / 50 == pytest.approx(20)


@pytest.mark.parametrize(
    "text", ["arbitrary", "Arbitrary Units", "a.u.", "AU", "arb. units", "(a.u.)"]
)
def test_arbitrary_units(text: str) -> None:
    assert is_arbitrary(text)


@pytest.mark.parametrize("text", ["n/a", "N/A", "", " ", "unknown", "null", "?", "Not specified"])
def test_texts_that_say_nothing(text: str) -> None:
    assert is_untold(text)
    assert not has_no_scale(text)


@pytest.mark.parametrize("text", ["unitless", "Dimensionless", "[-]", "-", "none", "no units"])
def test_texts_that_do_not_say_whether_it_is_percent(text: str) -> None:
    assert has_no_scale(text)
    assert not is_untold(text)
    assert not has_no_scale("fraction")


# each with what it is in mm, g and s
BASES = {"mm": 1.0, "um": 1e-3, "s": 1.0, "ms": 1e-3, "min": 60.0, "g": 1.0, "kg": 1e3, "mL": 1e3}
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
POWERS = ("^%d", "%d", "**%d", "^(%d)", "^{%d}", None)
TENS = ("10^%d", "1e%d", "10**%d", "x10^%d", "1 x 10^%d", None)


def written(draw: random.Random) -> tuple[str, float]:
    """Write a unit in one of the ways of programs and people, and say how large it is."""

    def raised(name: str, power: int) -> str:
        how = draw.choice(POWERS)
        if power == 1:
            return name
        return name + (how % power if how else str(power).translate(RAISED))

    some = [(name, draw.choice([1, 2, -1, -2])) for name in draw.sample(list(BASES), 3)]
    size = 1.0
    for name, power in some:
        size *= BASES[name] ** power
    between = draw.choice(["*", " ", "·", "."])
    above = between.join(raised(*one) for one in some if one[1] > 0)
    below = [(name, -power) for name, power in some if power < 0]
    if draw.random() < 0.5:
        text = between.join(raised(*one) for one in some)
    else:
        text = "/".join([above or "1", *(raised(*one) for one in below)])
    if draw.random() < 0.5:
        ten, power = draw.choice(TENS), draw.choice([-9, -6, -3, 3])
        start = ten % power if ten else f"10{str(power).translate(RAISED)}"
        text, size = f"{start}{draw.choice([' ', '*', '·', ' × '])}{text}", size * 10.0**power
    return text, size


def test_a_unit_is_as_large_however_it_is_written() -> None:
    draw = random.Random(20)
    for text, size in (written(draw) for _ in range(2000)):
        assert parse_unit(text).factor == pytest.approx(size, rel=1e-9), text
