"""Quantities: a number with a unit, compared after conversion. A table, no dependency. Source: SI brochure, 9th ed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from mindgpt_plugins.rewards.tolerance import EXACT, Tolerance

_NUMBER = re.compile(
    r"(?P<value>[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d{1,2}|\s*[x×*·]\s*10\s*\^?\s*\{?(?P<power>[-+]?\d{1,2})\}?)?)"
    r"\s*(?P<unit>.*)",
    re.IGNORECASE | re.DOTALL,
)
_FACTOR = re.compile(r"([a-zµμΩ°%$€£¥'\"]+)\s*(?:\^?\s*\{?([-+]?\d{1,2})\}?)?", re.IGNORECASE)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_PREFIXES = {
    "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "c": 1e-2, "d": 1e-1,
    "h": 1e2, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
}  # fmt: skip
_WORD_PREFIXES = {
    "nano": 1e-9, "micro": 1e-6, "milli": 1e-3, "centi": 1e-2, "deci": 1e-1, "kilo": 1e3, "mega": 1e6, "giga": 1e9,
}  # fmt: skip

# unit → (factor to the SI base, powers of metre, kilogram, second, ampere, kelvin, mole, candela, bit, currency)
_SI: dict[str, tuple[float, str]] = {
    "m": (1, "m"), "g": (1e-3, "kg"), "s": (1, "s"), "A": (1, "A"), "K": (1, "K"), "mol": (1, "mol"), "cd": (1, "cd"),
    "N": (1, "m kg s-2"), "J": (1, "m2 kg s-2"), "W": (1, "m2 kg s-3"), "Pa": (1, "m-1 kg s-2"), "Hz": (1, "s-1"),
    "V": (1, "m2 kg s-3 A-1"), "C": (1, "s A"), "F": (1, "m-2 kg-1 s4 A2"), "Ω": (1, "m2 kg s-3 A-2"),
    "T": (1, "kg s-2 A-1"), "L": (1e-3, "m3"), "l": (1e-3, "m3"), "B": (8, "bit"), "bit": (1, "bit"),
    "eV": (1.602176634e-19, "m2 kg s-2"), "cal": (4.184, "m2 kg s-2"), "bar": (1e5, "m-1 kg s-2"),
    "Wh": (3600, "m2 kg s-2"), "t": (1e3, "kg"),
}  # fmt: skip
_PLAIN: dict[str, tuple[float, str]] = {
    "min": (60, "s"), "h": (3600, "s"), "hr": (3600, "s"), "d": (86400, "s"), "day": (86400, "s"),
    "week": (604800, "s"), "year": (31557600, "s"), "yr": (31557600, "s"), "month": (2629800, "s"),
    "in": (0.0254, "m"), "inch": (0.0254, "m"), "inche": (0.0254, "m"), '"': (0.0254, "m"), "ft": (0.3048, "m"),
    "foot": (0.3048, "m"), "feet": (0.3048, "m"), "yd": (0.9144, "m"), "yard": (0.9144, "m"), "mi": (1609.344, "m"),
    "mile": (1609.344, "m"), "lb": (0.45359237, "kg"), "pound": (0.45359237, "kg"), "oz": (0.028349523125, "kg"),
    "ounce": (0.028349523125, "kg"), "ha": (1e4, "m2"), "hectare": (1e4, "m2"), "acre": (4046.8564224, "m2"),
    "gal": (3.785411784e-3, "m3"), "gallon": (3.785411784e-3, "m3"), "mph": (0.44704, "m s-1"),
    "kph": (1 / 3.6, "m s-1"), "kmh": (1 / 3.6, "m s-1"), "rpm": (1 / 60, "s-1"), "atm": (101325, "m-1 kg s-2"),
    "mmhg": (133.322387415, "m-1 kg s-2"), "psi": (6894.757293168, "m-1 kg s-2"), "%": (0.01, ""),
    "percent": (0.01, ""), "rad": (1, ""), "radian": (1, ""), "°": (math.pi / 180, ""), "deg": (math.pi / 180, ""),
    "degree": (math.pi / 180, ""), "tonne": (1e3, "kg"), "ton": (1e3, "kg"), "$": (1, "usd"), "usd": (1, "usd"),
    "dollar": (1, "usd"), "€": (1, "eur"), "eur": (1, "eur"), "euro": (1, "eur"), "£": (1, "gbp"), "gbp": (1, "gbp"),
    "¥": (1, "yen"), "ohm": (1, "m2 kg s-3 A-2"), "byte": (8, "bit"),
}  # fmt: skip
_WORDS = {
    "meter": "m", "metre": "m", "gram": "g", "second": "s", "sec": "s", "minute": "min", "hour": "h", "liter": "L",
    "litre": "L", "newton": "N", "joule": "J", "watt": "W", "pascal": "Pa", "hertz": "Hz", "volt": "V", "ampere": "A",
    "amp": "A", "kelvin": "K", "mole": "mol", "calorie": "cal", "coulomb": "C", "farad": "F", "tesla": "T",
}  # fmt: skip
# Temperatures have an offset; only alone, never inside a product.
_TEMPERATURES = {
    "°c": (1.0, 273.15), "degc": (1.0, 273.15), "celsius": (1.0, 273.15), "degreescelsius": (1.0, 273.15),
    "°f": (5 / 9, 459.67 * 5 / 9), "degf": (5 / 9, 459.67 * 5 / 9), "fahrenheit": (5 / 9, 459.67 * 5 / 9),
    "degreesfahrenheit": (5 / 9, 459.67 * 5 / 9),
}  # fmt: skip


@dataclass(frozen=True)
class Quantity:
    """A number in SI base units."""

    value: float
    dimension: tuple[tuple[str, int], ...]
    """Base unit → power, sorted, without zeros; empty for a bare number."""
    bare: float
    """The number as written, before conversion."""
    unit: str
    """The unit as written."""


def parse_quantity(text: str) -> Quantity | None:
    """The quantity a short answer states; None without a number or with a unit that is not in the table.

    Reads ``3.5 km/h``, ``9.81 m/s^2``, ``1.2e3 kg·m²``, ``$5``, ``20 °C``, ``40%``, ``5 × 10^-3 m``, ``12 inches``.
    """
    text = text.strip().strip(".").translate(_SUPERSCRIPTS)
    text = re.sub(r"\\(?:text|mathrm|,|;|!)|[{}]|\\", "", text) if "\\" in text else text
    currency = re.match(r"([$€£¥])\s*(.*)", text)
    if currency:
        text = currency[2] + currency[1]
    found = _NUMBER.match(text.strip())
    if found is None:
        return None
    number = re.split(r"\s*[x×*·]\s*10", found["value"], maxsplit=1)[0] if found["power"] else found["value"]
    bare = float(number.replace(",", "").strip()) * 10.0 ** int(found["power"] or 0)
    unit = found["unit"].strip()
    compact = unit.casefold().replace(" ", "")
    if compact in _TEMPERATURES:
        factor, offset = _TEMPERATURES[compact]
        return Quantity(bare * factor + offset, (("K", 1),), bare, unit)
    scale = parse_unit(unit)
    return None if scale is None else Quantity(bare * scale[0], scale[1], bare, unit)


def parse_unit(unit: str) -> tuple[float, tuple[tuple[str, int], ...]] | None:
    """Factor to SI and dimension of a product of units such as ``kg m/s^2``; None for one that is not known."""
    factor, powers = 1.0, dict[str, int]()
    unit = re.sub(r"\bper\b", "/", unit.strip())
    for place, part in enumerate(unit.split("/")):
        rest = re.sub(r"[*·⋅()\s]+", " ", part).strip()
        while rest:
            found = _FACTOR.match(rest)
            known = None if found is None else _single(found[1])
            if found is None or known is None:
                return None
            power = int(found[2] or 1) * (-1 if place else 1)
            try:
                factor *= known[0] ** power
            except OverflowError:
                return None
            for base in known[1].split():
                symbol, exponent = re.fullmatch(r"([A-Za-z]+?)(-?\d+)?", base).groups()  # type: ignore[union-attr]
                powers[symbol] = powers.get(symbol, 0) + int(exponent or 1) * power
            rest = rest[found.end() :].strip()
    return factor, tuple(sorted((symbol, power) for symbol, power in powers.items() if power))


def same_quantity(got: str, want: str, tolerance: Tolerance = EXACT, *, unit_optional: bool = False) -> bool:
    """Do two answers state the same quantity?

    Args:
        got: the reply's answer.
        want: the gold answer.
        tolerance: relative and absolute; the absolute one is in the gold answer's unit.
        unit_optional: a reply without a unit is taken to be in the gold answer's.

    Raises:
        ValueError: the gold answer is no quantity of the table.
    """
    gold, mine = parse_quantity(want), parse_quantity(got)
    if gold is None:
        raise ValueError(f"gold answer {want!r} is not a number with a unit of the table in {__name__}")
    if mine is None:
        return False
    if unit_optional and not mine.unit:
        return tolerance.close(mine.bare, gold.bare)
    if mine.dimension != gold.dimension:
        return False
    # In the gold answer's own unit, so that an absolute tolerance means what the row's author thinks.
    offset = next((o for name, (_, o) in _TEMPERATURES.items() if name == gold.unit.casefold().replace(" ", "")), 0.0)
    scale = (gold.value - offset) / gold.bare if gold.bare else _scale(gold.unit)
    return tolerance.close((mine.value - offset) / scale, gold.bare)


def _scale(unit: str) -> float:
    compact = unit.casefold().replace(" ", "")
    if compact in _TEMPERATURES:
        return _TEMPERATURES[compact][0]
    known = parse_unit(unit)
    return known[0] if known else 1.0


def _single(symbol: str) -> tuple[float, str] | None:
    """Factor and base units of one symbol: as it is, in lower case, without plural, with an SI prefix."""
    symbol = symbol.replace("µ", "u").replace("μ", "u")
    small = symbol.casefold()
    for name in dict.fromkeys((symbol, small, small.removesuffix("s"))):
        if name in _SI and (name == symbol or len(name) > 1):
            return _SI[name]
        if name in _PLAIN:
            return _PLAIN[name]
        if name in _WORDS:
            return _single(_WORDS[name])
    for prefix, factor in _PREFIXES.items():
        inner = symbol.removeprefix(prefix)
        if inner != symbol and inner in _SI:
            return factor * _SI[inner][0], _SI[inner][1]
    for prefix, factor in _WORD_PREFIXES.items():
        inner = small.removeprefix(prefix)
        if inner != small and (known := _single(inner)) is not None:
            return factor * known[0], known[1]
    return None
