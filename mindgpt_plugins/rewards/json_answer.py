"""JSON answers: structurally equal, numbers within a tolerance, strings up to case, spaces and punctuation."""

from __future__ import annotations

import json
import re
from typing import Any

from mindgpt_plugins.rewards.tolerance import EXACT, Tolerance

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL | re.IGNORECASE)
_DECODER = json.JSONDecoder()
TRIES = 64
"""Opening brackets that are tried, from the last: a hostile text has many."""


def last_json(text: str) -> str | None:
    """The last JSON object or array in a reply (fenced, after ``answer:``, or bare), or None."""
    fenced = _FENCE.findall(text)
    text = fenced[-1] if fenced else text
    found: str | None = None
    end = len(text)
    for place in [m.start() for m in re.finditer(r"[{\[]", text)][-TRIES:][::-1]:
        try:
            _, stop = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        # From the right: a bracket that closes later or as late as the one found contains it.
        if found is None or stop >= end:
            found, end = text[place:stop], stop
    return found


def same_json(got: str, want: str, tolerance: Tolerance = EXACT, *, unordered: bool = False) -> bool:
    """Is ``got`` the JSON value ``want``?

    Args:
        got: the reply's JSON; anything else is wrong.
        want: the gold answer.
        tolerance: of numbers.
        unordered: lists are compared as multisets.

    Raises:
        ValueError: the gold answer is no JSON.
    """
    try:
        gold = json.loads(want)
    except ValueError as error:
        raise ValueError(f"gold answer {want[:80]!r} of answer_type 'json' is no JSON: {error}") from None
    try:
        mine = json.loads(got)
    except (ValueError, RecursionError):
        return False
    return equal(mine, gold, tolerance, unordered)


def equal(got: Any, want: Any, tolerance: Tolerance = EXACT, unordered: bool = False) -> bool:
    """Structural equality of two decoded values; true is not 1, and "1" is not 1."""
    from mindgpt_plugins.rewards.answers import normalise

    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and got.keys() == want.keys()
            and all(equal(got[key], want[key], tolerance, unordered) for key in want)
        )
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return False
        if not unordered:
            return all(equal(a, b, tolerance, unordered) for a, b in zip(got, want, strict=True))
        left = list(got)
        for value in want:
            place = next((i for i, one in enumerate(left) if equal(one, value, tolerance, unordered)), None)
            if place is None:
                return False
            del left[place]
        return True
    if isinstance(want, bool) or want is None or isinstance(got, bool):
        return got is want
    if isinstance(want, (int, float)):
        try:
            return isinstance(got, (int, float)) and tolerance.close(float(got), float(want))
        except OverflowError:  # an integer of hundreds of digits
            return bool(got == want)
    return isinstance(got, str) and normalise(got) == normalise(want)
