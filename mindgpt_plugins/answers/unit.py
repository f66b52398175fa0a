"""Answers of type ``unit``: a number with its unit, compared after conversion.

Compound quantities (``2 h 30 min``, ``5 ft 6 in``, ``5'6"``) are sums. All of a text must be number and unit; only what
it is a quantity *of*, and words such as ``long``, may follow. Source: ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.literals import Literal, read_literal, read_sign
from mindgpt_plugins.answers.number import LONGEST, parse_number, tidy_number
from mindgpt_plugins.answers.numerals import Value
from mindgpt_plugins.answers.phrases import changes_number
from mindgpt_plugins.answers.tolerance import EXACT, Tolerance
from mindgpt_plugins.answers.unit_table import CURRENCY_SIGNS, Unit, parse_unit

_BARE = Unit(1.0, ())
_JOIN = re.compile(r"\s*(?:,|and\b|und\b|et\b|y\b|e\b)?\s*(?=[\d.])")
_OF = re.compile(
    r"\s+(?:of|de|von|di)\s+[^\d]+$|\s+(?:long|wide|high|tall|deep|thick|old|away|apart|in total|total|each"
    r"|altogether)$"
)
_NEXT = re.compile(
    r"(?<=[^\W\d_\"'.])\s*(?:,|\b(?:and|und|et|y)\b)?\s*(?=\d)|(?<=['\"])\s*(?=\d)|(?<=[a-z]\.)\s+(?=\d)"
)
_ONE = re.compile(r"an?\s+", re.IGNORECASE)
_MOST_PARTS = 5


@dataclass(frozen=True)
class Quantity:
    """A number with a unit."""

    value: float
    """In SI base units."""
    dimension: tuple[tuple[str, int], ...]
    """Base unit → power, sorted, without zeros; empty for a bare number."""
    bare: Value
    """As written, before conversion; of a compound, in its first unit."""
    unit: Unit
    written: str
    """The unit as written; empty for a bare number."""
    others: tuple[Value, ...] = ()
    """Bare values under readings that were not taken."""


def parse_gold_quantity(gold: str) -> Quantity:
    """Read a gold answer of type ``unit``.

    Raises:
        GoldError: it is no quantity of the table.
    """
    found = parse_quantity(gold)
    if found is None:
        raise GoldError(
            f"gold answer {gold!r} is not a number with a unit of the table in mindgpt_plugins.answers.unit_table; "
            "write one (3.5 km/h, $5, 20 °C), or use the type text"
        )
    return found


@lru_cache(maxsize=8192)
def parse_quantity(text: str) -> Quantity | None:
    """Read the quantity that a short answer states; None without a number, or with something else beside it.

    Reads ``3.5 km/h``, ``9.81 m/s^2``, ``1.2e3 kg·m²``, ``$5``, ``20 °C``, ``40%``, ``5 × 10^-3 m``, ``2 h 30 min``.
    """
    if len(text) > LONGEST:
        return None
    text = tidy_number(text)
    money = parse_number(text)
    if money and money.unit and money.unit.dimension and len(money.unit.dimension[0][0]) == 3:
        return _made(Literal(money.value, 0, money.others), money.unit, "currency")
    if any(sign in text for sign in CURRENCY_SIGNS):
        return None
    one = _ONE.match(text)
    if one and (unit := parse_unit(text[one.end() :])) is not None and unit.dimension:
        return _made(Literal(1, 0), unit, text[one.end() :])
    sign, place = read_sign(text)
    parts: list[tuple[Literal, Unit, str]] = []
    rest = text[place:]
    while rest and len(parts) < _MOST_PARTS:
        literal = read_literal(rest)
        if literal is None:
            return None
        part = _unit_at(rest[literal.end :], bool(parts), parts[-1][1] if parts else None)
        if part is None:
            return None
        unit, written, rest = part
        parts.append((literal, unit, written))
    if not parts or rest:
        return None
    if len(parts) == 1:
        literal, unit, written = parts[0]
        return _made(Literal(sign * literal.value, 0, tuple(sign * o for o in literal.others)), unit, written)
    return _sum(sign, parts)


def _made(literal: Literal, unit: Unit, written: str) -> Quantity | None:
    try:
        value = float(literal.value) * unit.factor + unit.offset
    except OverflowError:
        return None
    return Quantity(value, unit.dimension, literal.value, unit, written, literal.others)


def _unit_at(text: str, inner: bool, before: Unit | None) -> tuple[Unit, str, str] | None:
    """The unit at the start of ``text``, as written, and the rest from the next number on."""
    if not text.strip():
        return (_BARE, "", "") if not inner else None
    if text[0] in "+-/:!=<>±^":
        return None
    whole = parse_unit(text)
    if whole is not None:
        return whole, text.strip(), ""
    of = _OF.search(text)
    if of and not changes_number(of.group()) and (whole := parse_unit(text[: of.start()])) is not None:
        return whole, text[: of.start()].strip(), ""
    for split in _NEXT.finditer(text):
        word = text[: split.start()].strip().rstrip(",")
        unit = parse_unit(word)
        if word == "m" and before is not None and before.dimension == (("s", 1),):
            unit = parse_unit("min")  # 2h 30m 10s
        if unit is not None and unit.dimension and not unit.offset:
            return unit, word, text[split.end() :]
    if text.strip() == "m" and before is not None and before.dimension == (("s", 1),):
        return Unit(60.0, before.dimension), "min", ""
    return None


def _sum(sign: int, parts: list[tuple[Literal, Unit, str]]) -> Quantity | None:
    """2 h 30 min: one dimension, each unit smaller than the one before, and less than one of it."""
    first = parts[0][1]
    total: Value = 0
    for place, (literal, unit, written) in enumerate(parts):
        if written == "m" and unit.dimension == (("m", 1),) and first.dimension == (("s", 1),):
            unit = Unit(60.0, first.dimension)  # 2h 30m
        if unit.dimension != first.dimension or literal.value < 0:
            return None
        if place and unit.factor >= parts[place - 1][1].factor:
            return None
        share = unit.factor / first.factor
        if place and float(literal.value) * unit.factor >= parts[place - 1][1].factor * (1 + 1e-9):
            return None
        total += float(literal.value) * share
    return _made(Literal(sign * total, 0), first, parts[0][2])


def compare_quantities(
    got: Quantity, want: Quantity, tolerance: Tolerance = EXACT, *, unit_optional: bool = False
) -> tuple[bool, bool]:
    """Do two answers state the same quantity, and if not, would they under another reading?

    Args:
        got: the reply's.
        want: the gold one.
        tolerance: relative and absolute; the absolute one is in the gold answer's unit.
        unit_optional: a reply without a unit is taken to be in the gold answer's.
    """
    if unit_optional and not got.written:
        return tolerance.close(got.bare, want.bare), False
    if got.dimension != want.dimension or bool(_is_angle(got)) != bool(_is_angle(want)):
        return False, False
    if got.unit == want.unit:
        right = tolerance.close(got.bare, want.bare, noise=1e-12 if isinstance(got.bare, float) else 0.0)
    else:
        # In the gold answer's own unit, so that an absolute tolerance means what the row's author thinks.
        noise = 1e-9 if want.unit.offset or got.unit.offset else 0.0
        mine = (got.value - want.unit.offset) / want.unit.factor
        right = tolerance.close(mine, want.bare, noise=noise)
    if right:
        return True, False
    pairs = ((a, b) for a in (got.bare, *got.others) for b in (want.bare, *want.others))
    return False, any(
        tolerance.close((float(a) * got.unit.factor + got.unit.offset - want.unit.offset) / want.unit.factor, b)
        for a, b in pairs
    )


def _is_angle(quantity: Quantity) -> bool:
    """45° is no share, though both have no dimension: 0.785 is not 45°, and 40 % is 0.4."""
    return not quantity.dimension and quantity.written.casefold().rstrip("s") in (
        "°",
        "deg",
        "degree",
        "rad",
        "radian",
        "grad",
    )


def has_same_units(a: str, b: str) -> bool:
    """Are two texts that differ in case only still the same when they are quantities (``5 mW`` is not ``5 MW``)?"""
    one, two = parse_quantity(a), parse_quantity(b)
    if one is None or two is None or not one.written or not two.written:
        return True
    return compare_quantities(one, two)[0]
