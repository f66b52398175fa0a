"""Answers of type ``text``: a word or a short phrase.

Case, quotes and brackets around the whole, sentence punctuation at the ends, a leading article and how hyphens, spaces
and the dots of abbreviations are set carry no meaning. Everything else does: signs and operators (``O+`` and ``O-``,
``C++`` and ``C#``), the marks of all scripts, a comma between digits. Texts that are numbers, LaTeX, dates or times as
a whole are compared by what they mean. Source: ours.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from mindgpt_plugins.answers.characters import fold_case, fold_characters
from mindgpt_plugins.answers.literals import read_literal, read_sign
from mindgpt_plugins.answers.moments import read_moment
from mindgpt_plugins.answers.numerals import Value
from mindgpt_plugins.answers.tolerance import EXACT
from mindgpt_plugins.answers.unit import has_same_units, parse_quantity
from mindgpt_plugins.answers.wrappers import simplify_latex, strip_brackets, strip_wrapping

_ENDS = ".,;:!?…¿¡؟।"
_ARTICLE = re.compile(r"(?:a|an|the)\s+(?=[^\W\d_][^\W_])", re.IGNORECASE)
#: Of other languages. A name keeps its own (La Paz, Die Hard): French, Spanish, Italian, Portuguese and Dutch articles
#: are taken off when they or the word behind them are in lower case; German ones, before capitals, when they are.
_ARTICLE_ABROAD = re.compile(
    r"(?:(?P<article>le|la|les|une?|el|los|las|unas?|unos|il|lo|gli|uno|os|um|uma|de|het|een)\s+|(?P<elided>l)')"
    r"(?=[^\W\d_]{2})",
    re.IGNORECASE,
)
_ARTICLE_GERMAN = re.compile(r"(?:der|die|das|den|dem|ein|eine|einen|einem|einer)\s+(?=[A-ZÄÖÜ])")
#: Where "a" is a letter: A minor, A level, vitamin A is elsewhere.
_NO_ARTICLE = re.compile(
    r"A\s+(?:minor|major|flat|sharp|level|levels|team|side|positive|negative|type|grade|posteriori|priori|and|or|to)\b",
    re.IGNORECASE,
)
_ABBREVIATION = re.compile(r"(?<![^\W_])(?:[^\W\d_]\.\s?){2,}(?:[^\W\d_](?![^\W_]))?")
#: The dot after a first "a" stays: without it the letter of an option would be an article.
_DOT = re.compile(r"(?<=[^\W\d_])(?<!^a)\.\s+")
_COMMA = re.compile(r"(?<=[^\W\d_]),\s+|,\s+(?=[^\W\d_])")
_HYPHEN = re.compile(r"(?<=[^\W\d_]{2})\s?-\s?(?=[^\W\d_])|(?<=[^\W\d_])-(?=[^\W\d_]{2})")
_OPERATOR = re.compile(r"\s*([<>=≤≥≠×÷/^:&+~|])\s*")
_DIGIT_LETTER = re.compile(r"(?<=\d)\s+(?=[^\W\d_°%])")
_DIGIT_MINUS = re.compile(r"(?<=\d)\s*-\s*(?=\d)")
_PERCENT = re.compile(r"(?<=\d)\s*(?=[%°])|(?<=\d)\s*per ?cent\b")
_BULLET = re.compile(r"[-*•]\s+(?=[^\W\d_])")
_SMALL_NUMBERS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
_CHARGE = re.compile(r"\^(\d*[+-])(?![\w.])")
_ORDINALS = {
    "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th", "seventh": "7th",
    "eighth": "8th", "ninth": "9th", "tenth": "10th",
}  # fmt: skip
_LONGEST = 4000
_MOST_ROUNDS = 6


@lru_cache(maxsize=16384)
def normalise_text(text: str) -> str:
    """Return the text as it is compared: folded, in lower case, without what carries no meaning (see the module)."""
    text = text[:_LONGEST]
    # What one rule takes off can lay bare what an earlier one looks for: "-," before a line break is a bullet then.
    for _ in range(_MOST_ROUNDS):
        simpler = _simplify(text)
        if simpler == text:
            break
        text = simpler
    return text


def _simplify(text: str) -> str:
    text = fold_characters(text)
    text = strip_wrapping(" ".join(text.split()))  # spaces first: a backslash before a line break is one before a space
    while "\\" in text or "^{" in text:  # until nothing changes: two backslashes hide a command
        simpler = " ".join(simplify_latex(text).split())
        if simpler == text or len(simpler) > len(text):
            break
        text = simpler
    text = _BULLET.sub("", text, count=1) if _BULLET.match(text) else text
    before = None
    while text != before:
        before = text
        inner = text.strip(_ENDS).strip()
        if text.endswith("!") and inner[-1:].isdigit():
            inner += "!"  # a factorial
        text = strip_wrapping(strip_brackets(inner or text))
    if not _NO_ARTICLE.match(text):
        text = _ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text
    text = fold_case(text)
    text = _ABBREVIATION.sub(
        lambda m: m.group().replace(".", "").replace(" ", "") + (" " if m.group()[-1] in " ." else ""), text
    )
    text = _DOT.sub(" ", text)
    text = _COMMA.sub(" ", text)
    text = _HYPHEN.sub(" ", text)
    text = _PERCENT.sub(lambda m: "%" if "cent" in m.group() else "", text)
    text = text.replace("&", " and ")
    text = _OPERATOR.sub(r"\1", text)
    text = _DIGIT_MINUS.sub("-", text)
    text = _CHARGE.sub(r"\1", text)  # Fe³⁺ is Fe3+
    words = [_ORDINALS.get(word, word) for word in text.split()]
    if len(words) > 1:
        words = [_SMALL_NUMBERS.get(word, word) for word in words]
    return _DIGIT_LETTER.sub("", " ".join(words))


def compare_texts(got: str, want: str, similarity: float = 1.0) -> tuple[bool, bool]:
    """Are two texts the same answer, and if not, would they be under another reading?

    Args:
        got: the reply's answer.
        want: the gold one.
        similarity: least 1 - edit distance / longer length of the normalised texts (ANLS, arXiv 1907.00490, asks for
            0.5); 1 asks for the same text.
    """
    mine, gold = normalise_text(got), normalise_text(want)
    if mine == gold:
        cases_differ = got.strip() != want.strip() and any(c.isdigit() for c in mine)
        return bool(mine) and (not cases_differ or has_same_units(got, want)), False
    # One text alone has an article: le livre and la livre are two things.
    if normalise_text(_strip_article(got)) == gold or mine == normalise_text(_strip_article(want)):
        return True, False
    right, ambiguous = _same_meaning(mine, gold, got, want)
    if right or ambiguous:
        return right, ambiguous
    if mine.replace(" ", "") == gold.replace(" ", "") and ("\\" in mine or "\\" in gold):
        return True, False  # spaces mean nothing in LaTeX: 8 \sqrt { 3 }
    return similarity < 1 and measure_similarity(mine, gold) >= similarity, False


def _strip_article(text: str) -> str:
    """The text without a leading article of another language than English; as it is when it has none."""
    bare = strip_wrapping(fold_characters(text[:_LONGEST]))
    found = _ARTICLE_ABROAD.match(bare)
    if found is not None:
        written = (found["article"] or found["elided"]).islower()
        return bare[found.end() :] if written or bare[found.end()].islower() else text
    found = _ARTICLE_GERMAN.match(bare)
    return text if found is None else bare[found.end() :]


def measure_similarity(a: str, b: str) -> float:
    """1 - edit distance / longer length, in [0, 1]."""
    from rapidfuzz.distance import Levenshtein  # imported when a recipe asks for it

    return float(Levenshtein.normalized_similarity(a[:_LONGEST], b[:_LONGEST]))


def _same_meaning(mine: str, gold: str, got: str, want: str) -> tuple[bool, bool]:
    a, b = read_plain_number(mine), read_plain_number(gold)
    if a is not None and b is not None:
        return EXACT.close(a, b), False
    if _same_quantity(got, want):
        return True, False
    if (
        not (any(c.isdigit() for c in mine) and any(c.isdigit() for c in gold))
        and "noon" not in (mine, gold)
        and "midnight" not in (mine, gold)
    ):
        return False, False
    one, other_ones = read_moment(got.strip(_ENDS + " \"'()*"))
    two, other_twos = read_moment(want.strip(_ENDS + " \"'()*"))
    if one is not None and one == two:
        return True, False
    ones, twos = {one, *other_ones} - {None}, {two, *other_twos} - {None}
    return False, bool(ones & twos)


def _same_quantity(got: str, want: str) -> bool:
    """Are two texts one number with one unit in two spellings: ``$20`` and ``20 dollars``? Nothing is converted."""
    if not any(c.isdigit() for c in got + want):
        return False
    one, two = parse_quantity(got), parse_quantity(want)
    return bool(
        one and two and one.written and two.written and one.unit == two.unit and EXACT.close(one.bare, two.bare)
    )


@lru_cache(maxsize=8192)
def read_plain_number(text: str) -> Value | None:
    """The number that a text is as a whole, without unit or noun; codes such as ``007`` are none."""
    if not text or len(text) > 100:
        return None
    text = simplify_latex(text)
    sign, place = read_sign(text)
    code = re.match(r"0\d", text[place:])
    literal = None if code else read_literal(text, place)
    if literal is None or literal.end != len(text):
        return None
    return sign * literal.value


def format_gold_value(value: Any) -> str:
    """A gold value as text: 5.0, which a table made of 5, is ``5``; an empty cell (None, not a number) is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""  # as text, "nan" would be a gold answer that no reply can match, and nobody would be told
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
