"""Answers of type ``number``: one number, however it is written, with at most a unit or what is counted after it.

``5``, ``five``, ``−5``, ``1,234``, ``3 million``, ``2 1/2``, ``12 m²``, ``5 red cars`` and ``there are 5`` are numbers;
``2 or 3``, ``10-20``, ``12:30``, ``not 5``, ``more than 5``, ``5th`` and ``many`` are none. Source: ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mindgpt_plugins.answers.characters import fold_characters
from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.literals import Literal, read_literal, read_sign
from mindgpt_plugins.answers.numerals import Value, is_letter
from mindgpt_plugins.answers.phrases import changes_number, strip_lead, strip_reason
from mindgpt_plugins.answers.tolerance import EXACT, Tolerance
from mindgpt_plugins.answers.unit_table import CURRENCY_SIGNS, Unit, parse_unit
from mindgpt_plugins.answers.wrappers import simplify_latex, strip_brackets, strip_wrapping

_CURRENCY = re.compile(
    rf"(us\$|a\$|c\$|r\$|[{re.escape(CURRENCY_SIGNS)}]|(?:usd|eur|gbp|jpy|cny|rmb|inr|chf|krw|rub|aud|cad|rs\.?)(?=[\s\d]))\s*",
    re.IGNORECASE,
)
#: A money amount's own scale: $5m, €3 B.
_MONEY_SCALE = re.compile(r"\s?(m|b|k|t)(?![\w^/])", re.IGNORECASE)
_MONEY_SCALES = {"m": 10**6, "b": 10**9, "k": 10**3, "t": 10**12}
_ORDINAL = re.compile(r"(?:st|nd|rd|th|\.?º|ª)(?!\w)|番目")
_DECADE = re.compile(r"\d{2,3}0'?s(?!\w)")
_FORMULA = re.compile(r"[A-Z][A-Za-z]{0,9}\d{0,2}(?:[A-Z][a-z]?\d{0,2})*[-+]?")
_PARENTHESIS = re.compile(r"\s*[(（]([^()（）]*)[)）]")
_MOST_WORDS = 8
LONGEST = 300
"""Characters; what is longer is no short answer."""


@dataclass(frozen=True)
class Number:
    """What an answer says.

    Attributes:
        value: the number; a percentage counts in per cent.
        unit: after (or before) it, when the table knows it.
        noun: what is counted, folded; empty when there is a unit or nothing.
        others: values under readings that were not taken.
    """

    value: Value
    unit: Unit | None = None
    noun: str = ""
    others: tuple[Value, ...] = ()


def parse_gold_number(gold: str) -> Number:
    """Read a gold answer of type ``number``.

    Raises:
        GoldError: it is no number.
    """
    found = parse_number(gold)
    if found is None:
        raise GoldError(
            f"gold answer {gold!r} of answer_type 'number' is no number; write one (12, 3.5, 3/4, 12 cm), or use the "
            "type text, or unit for quantities"
        )
    return found


@lru_cache(maxsize=8192)
def parse_number(text: str) -> Number | None:
    """Read the one number that a short answer states; None when it states none, several, or something else."""
    if len(text) > LONGEST:
        return None
    return _read(tidy_number(text))


def tidy_number(text: str) -> str:
    """Fold characters and take off wrappers, reasons and introducing words, for the parsers of numbers."""
    text = strip_wrapping(simplify_latex(strip_wrapping(fold_characters(text))))
    text = strip_brackets(text.replace("—", "-") if text.startswith("—") else text)
    text = strip_reason(strip_lead(text))
    while text and text[-1] in ".,;:":
        text = text[:-1].rstrip()
    return strip_wrapping(text)


def _read(text: str) -> Number | None:
    if text.startswith("百分之"):
        return _percent_word(text)
    sign, place = read_sign(text)
    currency = _CURRENCY.match(text, place)
    unit = None
    if currency:
        unit = parse_unit(currency[1].rstrip("."))
        more, place = read_sign(text, currency.end())
        sign *= more
    literal = read_literal(text, place)
    if literal is None:
        return None
    if currency and (scale := _MONEY_SCALE.match(text, literal.end)) and literal.digits:
        literal = Literal(literal.value * _MONEY_SCALES[scale[1].lower()], scale.end())
    rest = text[literal.end :]
    again = _PARENTHESIS.match(rest)
    if (
        again
        and (other := read_literal(again[1].strip()))
        and other.end == len(again[1].strip())
        and other.value == literal.value
    ):
        rest = rest[again.end() :]  # three (3) dogs
    if literal.digits and _DECADE.match(text):
        return None
    if literal.digits and place == literal.end - 1 and rest.startswith("."):
        return None  # 5.red
    noun = _after(rest, literal)
    if noun is None:
        return None
    if noun and unit is None:
        unit = parse_unit(noun) or _unit_of(noun)
        noun = "" if unit else noun
    elif noun and parse_unit(noun) not in (None, unit):
        return None  # $5 kg
    return Number(sign * literal.value, unit, noun.casefold(), tuple(sign * other for other in literal.others))


def _percent_word(text: str) -> Number | None:
    """百分之五十 is 50 %."""
    inner = read_literal(text, 3)
    return Number(inner.value, parse_unit("%")) if inner and inner.end == len(text) else None


def _unit_of(noun: str) -> Unit | None:
    """The unit of ``g of CO2`` and ``metres tall``."""
    head, _, rest = noun.partition(" of ")
    if rest and (unit := parse_unit(head)):
        return unit
    head, _, rest = noun.rpartition(" ")
    if head and rest.lower() in (
        "tall",
        "long",
        "wide",
        "high",
        "deep",
        "thick",
        "old",
        "away",
        "each",
        "total",
        "long",
        "heavy",
        "ago",
        "approximately",
        "approx",
        "lang",
        "hoch",
        "breit",
    ):
        return parse_unit(head)
    return None


def _after(rest: str, literal: Literal) -> str | None:
    """What follows the number when it is a unit or a noun phrase; None when it makes the number another one."""
    text = rest.strip()
    while (found := _PARENTHESIS.fullmatch(text)) or (found := re.fullmatch(r"(.*?)\s*[(（]([^()（）]*)[)）]", text)):
        inner = found[found.lastindex or 1].strip()
        text = found[1].strip() if found.lastindex == 2 else ""
        other = read_literal(inner.lower())
        same = other is not None and other.end == len(inner) and other.value == literal.value
        if not same and (changes_number(inner) or any(c.isdigit() for c in inner)):
            return None
    text = text.rstrip(".,;: ")
    if not text:
        return ""
    if literal.digits and _ORDINAL.match(rest):
        return None
    if rest[:1] in "+-/:!^=<>±×÷&|" or text[0] in "+-/:!^=<>±×÷&|,;)(]":
        return None
    if parse_unit(text) is not None:
        return text
    words = text.split()
    if len(words) > _MOST_WORDS or changes_number(text):
        return None
    after_of = False
    for word in words:
        bare = word.strip("\"'.,()")
        letters = all(is_letter(c) or c in "-'" for c in bare)
        if not bare or not (letters or (after_of and _FORMULA.fullmatch(bare)) or parse_unit(bare) is not None):
            return None
        after_of = after_of or bare == "of"
    if rest[:1].isascii() and rest[:1].isalpha():
        return None  # 5abc, 3D: no number
    return text


def compare_numbers(got: Number, want: Number, tolerance: Tolerance = EXACT) -> tuple[bool, bool]:
    """Is ``got`` the number ``want``, and if not, would it be under another reading?

    Units do not convert (that is the type ``unit``): where both sides name one, they must be the same.
    """
    if want.unit and got.unit and not _same_unit(got.unit, want.unit):
        return False, False
    if want.noun and got.noun and want.noun != got.noun:
        plural = want.noun.rstrip("s") == got.noun.rstrip("s")
        if not plural:
            return False, tolerance.close(got.value, want.value)
    if tolerance.close(got.value, want.value):
        return True, False
    readings = ((a, b) for a in (got.value, *got.others) for b in (want.value, *want.others))
    if any(tolerance.close(a, b) for a, b in readings):
        return False, True
    # 50 % against 0.5: the share was meant, or fifty.
    percent = (Unit(0.01, ()),)
    if (got.unit in percent) != (want.unit in percent):
        a, b = (n.value / 100 if n.unit in percent else n.value for n in (got, want))
        return False, tolerance.close(a, b)
    return False, False


def _same_unit(a: Unit, b: Unit) -> bool:
    return a.dimension == b.dimension and a.offset == b.offset and abs(a.factor - b.factor) <= 1e-9 * abs(b.factor)
