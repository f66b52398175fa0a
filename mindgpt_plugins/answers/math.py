r"""Answers of type ``math``: numbers, expressions, intervals, sets and equations, in LaTeX or plain.

Numbers are compared here; everything else is asked of ``math-verify`` in a process of its own. math-verify reads a word
as a product of letters and a time as a ratio, so golds that are words or times are compared as texts. Source: ours.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mindgpt_plugins.answers.characters import fold_characters
from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.math_process import get_math_process
from mindgpt_plugins.answers.number import compare_numbers, parse_number
from mindgpt_plugins.answers.numerals import Value
from mindgpt_plugins.answers.text import compare_texts, read_plain_number
from mindgpt_plugins.answers.tolerance import EXACT, Tolerance
from mindgpt_plugins.answers.unit_table import parse_unit
from mindgpt_plugins.answers.wrappers import simplify_latex, strip_wrapping

LONGEST = 2000
"""Characters of an answer that are looked at; a longer one is no final answer."""
_FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "log",
        "ln",
        "exp",
        "sqrt",
        "lim",
        "max",
        "min",
        "gcd",
        "lcm",
        "det",
        "dim",
        "deg",
        "mod",
        "inf",
        "sup",
        "pi",
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "theta",
        "lambda",
        "mu",
        "sigma",
        "phi",
        "omega",
        "rho",
        "tau",
        "psi",
        "zeta",
        "eta",
        "kappa",
        "infty",
        "oo",
        "frac",
        "dfrac",
        "tfrac",
        "cdot",
        "times",
        "div",
        "left",
        "right",
        "text",
        "mathrm",
        "pm",
        "mp",
        "le",
        "ge",
        "leq",
        "geq",
        "ne",
        "neq",
        "cup",
        "cap",
        "in",
        "subset",
        "emptyset",
        "infinity",
        "binom",
        "choose",
        "sum",
        "int",
        "prod",
        "vec",
        "hat",
        "bar",
        "overline",
        "mathbb",
        "circ",
        "degree",
        "approx",
        "begin",
        "end",
        "pmatrix",
        "bmatrix",
        "matrix",
        "cases",
        "quad",
        "qquad",
        "to",
        "and",
        "or",
    ]
)
_SYMBOLS = (
    (re.compile(r"√\s*\(([^()]*)\)|\bsqrt\s*\(([^()]*)\)"), lambda m: rf"\sqrt{{{m[1] or m[2]}}}"),
    (re.compile(r"√\s*(\d+|[A-Za-z])"), lambda m: rf"\sqrt{{{m[1]}}}"),
    (re.compile(r"π|(?<![\\A-Za-z])pi(?![A-Za-z])"), lambda m: r"\pi "),
    (re.compile(r"∞|(?<![\\A-Za-z])(?:infinity|oo)(?![A-Za-z])"), lambda m: r"\infty "),
    (re.compile(r"×"), lambda m: r"\times "),
    (re.compile(r"·"), lambda m: r"\cdot "),
    (re.compile(r"÷"), lambda m: "/"),
    (re.compile(r"≤|<="), lambda m: r"\le "),
    (re.compile(r"≥|>="), lambda m: r"\ge "),
    (re.compile(r"±"), lambda m: r"\pm "),
    (re.compile(r"∪"), lambda m: r"\cup "),
    (re.compile(r"∈"), lambda m: r"\in "),
    (re.compile(r"\*\*"), lambda m: "^"),
    (re.compile(r"\^\s*(-?\d{1,4})(?![\d}])"), lambda m: f"^{{{m[1]}}}"),
    (re.compile(r"(?<![\\])%"), lambda m: r"\%"),
    (re.compile(r"\\(?:left|right|displaystyle)\b|\\[,;:!]"), lambda m: ""),
    (re.compile(r"\\[dt]frac"), lambda m: r"\frac"),
)
_CLOCK = re.compile(r"\d{1,3}\s*:\s*\d{1,3}(?::\d{2})?(?:\s*[ap]\.?m\.?)?", re.IGNORECASE)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}|[^\W\d_\x00-\u03ff]{2,}")
_UNIT_TAIL = re.compile(r"\s*\\(?:text|mathrm|textrm)\s*\{([^{}]*)\}(?:\^\{?\d\}?)?\s*$")


def parse_gold_math(gold: str) -> str:
    """Read a gold answer of type ``math``: the expression as it is compared.

    Raises:
        GoldError: it is empty, too long, or its brackets are not closed.
    """
    tidy = tidy_math(gold)
    if not tidy or len(gold) > LONGEST:
        raise GoldError(f"gold answer {gold[:80]!r} of answer_type 'math' is empty or over {LONGEST} characters")
    closed = tidy.count("{") == tidy.count("}")
    round_ones = sum(tidy.count(c) for c in "([") == sum(tidy.count(c) for c in ")]")
    if not closed or not round_ones or not any(c.isalnum() or c == "\\" for c in tidy):
        raise GoldError(
            f"gold answer {gold!r} of answer_type 'math' is no expression: a bracket is not closed, or nothing is in it"
        )
    return tidy


def tidy_math(text: str) -> str:
    r"""Return an expression as it is compared: ``√2`` as ``\sqrt{2}``, ``pi`` as ``\pi``, unwrapped, without units."""
    text = strip_wrapping(fold_characters(text[: LONGEST + 1]))
    while text and text[-1] in ".,;":
        text = strip_wrapping(text[:-1])
    unit = _UNIT_TAIL.search(text)
    if unit and unit.start() and parse_unit(unit[1]) is not None:
        text = text[: unit.start()]
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf|textrm|mbox)\s*\{\s*([^{}]*?)\s*\}", r" \1 ", text)
    for pattern, replacement in _SYMBOLS:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def is_words(tidy: str) -> bool:
    """Is a gold answer words or a time, which are compared as texts?"""
    if _CLOCK.fullmatch(tidy):
        return True
    return any(len(word) > 2 and word.casefold() not in _FUNCTIONS for word in _WORD.findall(tidy))


def compare_math(got: str, want: str, tolerance: Tolerance = EXACT) -> tuple[bool, bool]:
    """Are two answers the same expression, and if not, would they be under another reading?

    Args:
        got: the reply's answer; one that cannot be read, or takes too long, is wrong.
        want: the gold answer.
        tolerance: of two numbers.

    Raises:
        GoldError: the gold answer is no expression.
        MathError: math-verify is missing or does not start.
    """
    gold = parse_gold_math(want)
    if not got.strip() or len(got) > LONGEST:
        return False, False
    mine = tidy_math(got)
    if is_words(gold):
        return compare_texts(got, want)
    if mine.replace(" ", "") == gold.replace(" ", ""):
        return True, False
    a, b = _number(got), _number(want)
    if a is not None and b is not None:
        if tolerance.close(a[0], b[0]):
            return True, False
        # 50 against 50 %: one of the two may have left the sign out.
        return False, a[1] != b[1] and tolerance.close(a[0] * (100 if a[1] else 1), b[0] * (100 if b[1] else 1))
    if b is not None:
        stated, wanted = parse_number(got), parse_number(want)
        if stated and wanted and stated.unit is None and wanted.unit is None:
            return compare_numbers(stated, wanted, tolerance)
    if is_words(mine) or _listed(mine) != _listed(gold):
        return False, False
    return ask_math(mine, gold), False


@lru_cache(maxsize=8192)  # the replies of a group share their answers
def ask_math(got: str, want: str) -> bool:
    """Ask math-verify about two tidy expressions.

    Raises:
        GoldError: the gold answer is no expression.
        MathError: math-verify is missing or does not start.
    """
    return get_math_process().compare(got, want)


def _number(text: str) -> tuple[Value, bool] | None:
    """A plain number and whether it is a percentage; the value of 50 % is a half."""
    plain = simplify_latex(strip_wrapping(fold_characters(text))).strip().rstrip(" .")
    plain = re.sub(r"^[A-Za-z]\s*=\s*", "", plain)
    percent = plain.endswith("%")
    value = read_plain_number(plain[:-1].strip() if percent else plain)
    if value is None:
        return None
    return (value / 100 if isinstance(value, float) else _percent(value), True) if percent else (value, False)


def _percent(value: Value) -> Value:
    from fractions import Fraction

    return Fraction(value) / 100


def _listed(text: str) -> bool:
    """Does it state several things (a comma or an ``or`` outside brackets)? Two are not the one asked for."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character in ",;" and depth == 0:
            return True
    return r"\pm" in text or bool(re.search(r"\b(?:or|and)\b", text)) or text.startswith(r"\{")
