"""Answers of type ``json``: structurally equal, numbers within a tolerance, strings compared as the type ``text``.

The JSON of a reply may stand in prose, in a fence and over many lines. Source: ours.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.text import compare_texts
from mindgpt_plugins.answers.tolerance import EXACT, Tolerance

_FENCE = re.compile(r"```(?:json\w*)?[ \t]*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
TRIES = 64
"""Opening brackets that are tried, from the last: a hostile text has many."""
LONGEST = 100_000
"""Characters, from the end, that are searched."""
DEEPEST = 100
"""Levels of nesting; a deeper value is none."""


class _OddNumber(ValueError):
    """NaN and Infinity, which JSON does not have."""


def _refuse(name: str) -> Any:
    raise _OddNumber(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def parse_gold_json(gold: str) -> Any:
    """Read a gold answer of type ``json``.

    Raises:
        GoldError: it is no JSON.
    """
    try:
        return _decode(gold.strip())
    except (ValueError, RecursionError) as error:
        raise GoldError(f"gold answer {gold[:80]!r} of answer_type 'json' is no JSON: {error}") from None


def parse_json(text: str) -> tuple[Any] | None:
    """Read a reply's JSON value, in a tuple (null is a value too); None when it is no JSON."""
    try:
        return (_decode(text.strip()),)
    except (ValueError, RecursionError):
        return None


def _decode(text: str) -> Any:
    if _depth(text) > DEEPEST:
        raise ValueError(f"more than {DEEPEST} levels of nesting")
    return json.loads(text, parse_constant=_refuse)


def _depth(text: str) -> int:
    """Most brackets open at once; those in strings count too, which only errs on the side of refusing."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return 0
    depth = most = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        most = max(most, depth)
    return most


def find_last_json(text: str) -> str | None:
    """Find the last JSON object or array in a text (fenced or bare), or None."""
    text = text[-LONGEST:]
    fenced = [found for found in _FENCE.findall(text) if (inner := _last(found)) is not None and inner]
    return _last(fenced[-1]) if fenced else _last(text)


def find_first_json(text: str) -> str | None:
    """Return the JSON object or array with which a text begins (a fence may open it), or None."""
    begin = re.match(r"\s*(?:```(?:json\w*)?\s*)?(?=[\[{])", text, re.IGNORECASE)
    if begin is None or _depth(text[:LONGEST]) > DEEPEST:
        return None
    try:
        _, stop = _DECODER.raw_decode(text, begin.end())
    except (ValueError, RecursionError):
        return None
    return text[begin.end() : stop]


def _last(text: str) -> str | None:
    found: str | None = None
    end = len(text)
    if _depth(text) > DEEPEST:
        return None
    for place in [m.start() for m in re.finditer(r"[{\[]", text)][-TRIES:][::-1]:
        try:
            _, stop = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        # From the right: a bracket that closes later or as late as the one found contains it.
        if found is None or stop >= end:
            found, end = text[place:stop], stop
    return found


def compare_json(got: Any, want: Any, tolerance: Tolerance = EXACT, unordered: bool = False) -> bool:
    """Are two decoded values equal in structure? true is not 1, and "1" is not 1.

    Args:
        got: the reply's.
        want: the gold one.
        tolerance: of numbers.
        unordered: lists are compared as multisets.
    """
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and got.keys() == want.keys()
            and all(compare_json(got[key], want[key], tolerance, unordered) for key in want)
        )
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and _same_lists(got, want, tolerance, unordered)
    if isinstance(want, bool) or want is None or isinstance(got, bool):
        return got is want
    if isinstance(want, (int, float)):
        return isinstance(got, (int, float)) and tolerance.close(_exact(got), _exact(want))
    return isinstance(got, str) and (got == want or compare_texts(got, want)[0])


def _same_lists(got: list[Any], want: list[Any], tolerance: Tolerance, unordered: bool) -> bool:
    if not unordered:
        return all(compare_json(a, b, tolerance, unordered) for a, b in zip(got, want, strict=True))
    left = list(got)
    for value in want:
        place = next((i for i, one in enumerate(left) if compare_json(one, value, tolerance, unordered)), None)
        if place is None:
            return False
        del left[place]
    return True


def _exact(value: int | float) -> int | float:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value
