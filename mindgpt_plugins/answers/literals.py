"""Reads the numeral at the start of a text: digits in any grouping, a fraction, a power of ten, words, and its scale.

Which comma groups and which is a decimal one follows from the digits around it: a comma groups only before exactly
three digits (``1,234``; in the Indian way ``12,34,567``), else a single one is a decimal comma (``3,4``), and more
are a list, which is no number. Where both readings exist (``1,234``, ``1.234``) the English one is taken and the
other is kept, so that a verdict can say that it was decided by that. Source: ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from mindgpt_plugins.answers.characters import lower_in_place
from mindgpt_plugins.answers.numerals import DIGIT_SCALES, SCALES, Value, is_letter, read_number_words, scan_words

_DIGITS = re.compile(
    r"(?:(?P<comma>[1-9]\d{0,2}(?:,\d{3})+)(?P<comma_rest>\.\d+)?"
    r"|(?P<indian>[1-9]\d?(?:,\d{2})+,\d{3})(?P<indian_rest>\.\d+)?"
    r"|(?P<dots>[1-9]\d{0,2}(?:\.\d{3}){2,})(?P<dots_rest>,\d+)?|(?P<dot>[1-9]\d{0,2}(?:\.\d{3})+)(?P<dot_rest>,\d+)"
    r"|(?P<spaces>[1-9]\d{0,2}(?: \d{3})+)(?P<spaces_rest>[.,]\d+)?"
    r"|(?P<quotes>[1-9]\d{0,2}(?:'\d{3})+)(?P<quotes_rest>\.\d+)?"
    r"|(?P<decimal_comma>\d+,\d+)|(?P<plain>\d+(?:\.\d+)?|\.\d+))(?!\d|[.,]\d|,\s?\d|'\d{3})"
)
_POWER = re.compile(
    r"(?:[eE](?P<e>[-+]?\d{1,3})(?![\w.])|\s*(?:×|\*|·|x|X)\s*10\s*(?:\^\s*\(?\{?\s*(?P<power>[-+]?\s?\d{1,3})\s*\}?\)?|\*\*(?P<stars>-?\d{1,3})))"
)
_FRACTION = re.compile(
    r"(?P<whole>\d+)\s+(?P<up>\d{1,15})/(?P<low>\d{1,15})(?![\d/.,])|(?P<a>\d{1,15})\s*/\s*(?P<b>\d{1,15})(?![\d/]|[.,]\d)"
)
_SIGN = re.compile(
    r"(?:([-+])\s*|(minus|negative|negativ|menos|moins|meno|минус|eksi|負の|负|マイナス|마이너스)\s*)(?=[\d.$€£¥₹₩₽\w])"
)
_HALF = re.compile(r"\s*(?:and a half|½|einhalb|y media|y medio|et demie?|e meia)(?!\w)")
_PARTS = re.compile(r"\s*(half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|eighths?|tenths?)(?!\w)")
_PART_VALUES = {"hal": 2, "thi": 3, "qua": 4, "fou": 4, "fif": 5, "six": 6, "eig": 8, "ten": 10}
#: Attached to digits, no space between: 5k, 5M. With another reading (kelvin, bytes) the bare number is kept beside it.
_SUFFIX = re.compile(r"(k|K|M|mn|bn|B|tn)(?![\w^/])")
_SUFFIXES = {"k": 10**3, "K": 10**3, "M": 10**6, "mn": 10**6, "bn": 10**9, "B": 10**9, "tn": 10**12}
_MOST_DIGITS = 400


@dataclass(frozen=True)
class Literal:
    """A numeral and what else it may mean."""

    value: Value
    end: int
    """Where it ends in the text."""
    others: tuple[Value, ...] = ()
    """Values under readings that were not taken."""
    digits: bool = True
    """Written in digits, not in words."""


def read_sign(text: str, start: int = 0) -> tuple[int, int]:
    """Read a sign (``-``, ``+``, ``minus``, ``负`` …) at ``start``: 1 or -1, and where the number begins."""
    found = _SIGN.match(text, start)
    if found is None:
        return 1, start
    return (1 if found[1] == "+" else -1), found.end()


def read_literal(text: str, start: int = 0) -> Literal | None:
    """Read the unsigned numeral at ``start`` of a folded text; None when none stands there.

    The longest reading counts and the caller looks at what is left: of ``2 or 3`` this is the 2.
    """
    mixed = _FRACTION.match(text, start)
    if mixed:
        return _fraction(text, mixed)
    found = _DIGITS.match(text, start)
    if found is None:
        words = read_number_words(lower_in_place(text), start)
        return None if words is None else Literal(words[0], words[1], digits=False)
    if found.end() - found.start() > _MOST_DIGITS:
        return None
    value, others = _digits(found)
    return _scaled(text, found.end(), value, others)


def _fraction(text: str, found: re.Match[str]) -> Literal | None:
    whole, up, low = (
        (found["whole"] or "0", found["up"], found["low"]) if found["up"] else ("0", found["a"], found["b"])
    )
    if not int(low) or len(whole) > _MOST_DIGITS:
        return None
    if found["up"] and int(up) >= int(low):
        return None  # 3 5/4: no mixed number
    return Literal(int(whole) + Fraction(int(up), int(low)), found.end())


def _digits(found: re.Match[str]) -> tuple[Value, tuple[Value, ...]]:
    for name, mark in (("comma", ","), ("indian", ","), ("dots", "."), ("dot", "."), ("spaces", " "), ("quotes", "'")):
        if (whole := found[name]) is not None:
            value = parse_exact_value(whole.replace(mark, "") + (found[f"{name}_rest"] or "").replace(",", "."))
            single = name == "comma" and whole.count(",") == 1 and not found["comma_rest"]
            return value, ((parse_exact_value(whole.replace(",", ".")),) if single else ())
    if found["decimal_comma"]:
        return parse_exact_value(found["decimal_comma"].replace(",", ".")), ()
    plain = found["plain"]
    whole, _, rest = plain.partition(".")
    grouped = len(rest) == 3 and 1 <= len(whole) <= 3 and whole[:1] != "0"
    return parse_exact_value(plain), ((int(whole + rest),) if grouped else ())


def parse_exact_value(digits: str) -> Value:
    """The value of ``12.50`` without the rounding of floats: 0.1 is a tenth."""
    if "." not in digits:
        return int(digits)
    value = Fraction(digits if not digits.startswith(".") else "0" + digits)
    return int(value) if value.denominator == 1 else value


def _scaled(text: str, end: int, value: Value, others: tuple[Value, ...]) -> Literal:
    power = _POWER.match(text, end)
    if power:
        by = Fraction(10) ** int((power["e"] or power["power"] or power["stars"]).replace(" ", ""))
        return Literal(_whole(value * by), power.end(), tuple(_whole(o * by) for o in others))
    half = _HALF.match(text, end)
    if half and isinstance(value, int):
        value, end = value + Fraction(1, 2), half.end()
    part = _PARTS.match(text, end)
    if (
        part
        and isinstance(value, int)
        and value
        and (part[1] in ("half", "third", "quarter", "fourth") or part[1].endswith("s"))
    ):
        return Literal(Fraction(value, _PART_VALUES[part[1][:3]]), part.end())
    suffix = _SUFFIX.match(text, end)
    if suffix:
        also = (value,) if suffix[1] in "KBM" else ()
        return Literal(_whole(value * _SUFFIXES[suffix[1]]), suffix.end(), also)
    for name in ("百万", "千万", *DIGIT_SCALES):
        if text.startswith(name, end):
            return _after_han(text, end + len(name), value * DIGIT_SCALES[name])
    begin = end
    while (scale := _scale_word(text, end)) is not None:
        value, others, end = _whole(value * scale[0]), tuple(_whole(o * scale[0]) for o in others), scale[1]
    return Literal(value, end, others) if end > begin or half else Literal(value, begin, others)


def _after_han(text: str, end: int, value: Value) -> Literal:
    """3万5000: the rest below the place is added."""
    more = re.compile(r"(\d{1,4})(?![\d.,])").match(text, end)
    if more:
        value, end = value + int(more[1]), more.end()
    return Literal(_whole(value), end)


def _scale_word(text: str, start: int) -> tuple[int, int] | None:
    place = start + 1 if text[start : start + 1] in (" ", "-") else start
    if place >= len(text) or not is_letter(text[place]):
        return None
    word, begin, end = next(scan_words(text, place))
    scale = SCALES.get(lower_in_place(word)) if begin == place else None
    # "5 k" is read with a space only as a unit; "5 cent" is money, "5 bin" is Turkish and "5 mil" Spanish.
    return None if scale is None or word.lower() in ("k", "cent", "cents", "hundreds", "thousands") else (scale, end)


def _whole(value: Value) -> Value:
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value
