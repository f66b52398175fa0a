"""Gold answers that are several: any of them is right (DocVQA, TextVQA), or all of them are asked for.

A list is *any of*; for ``choice`` it is *all of*, as several options of one question are. ``{"any_of": […]}`` and
``{"all_of": […]}`` say it in so many words, for every type. Source: ours.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.text import format_gold_value
from mindgpt_plugins.core.json_text import parse_json_text

Mode = Literal["one", "any_of", "all_of"]
#: What separates the parts of a list, from the narrowest on: a part may hold a connector itself (Romeo and Juliet).
_MARKS = r"\n[-*•\s]*|;|,(?!\d{3}(?!\d))|、|，"
_COMMON = r",\s*(?:and|und|et|y|e)\b|\band\b|\bund\b|\bet\b|和|以及|및"
_OTHERS = (
    r",\s*(?:&|oraz|en|och|og|ve|dan|và|и|та)\b|&|\b(?:y|e|en|og|och|i|oraz|ve|dan|và|și|şi|ja|és|a|и|та|й|і|και|और)\b"
    r"|与|與|及|跟|と|그리고|(?<=[가-힣])[와과](?=\s)|\s+و\s*(?=[^\W\d_]{2})|และ|\s+ו(?=[^\W\d_]{2})"
)
_SPLITS = tuple(
    re.compile(rf"\s*(?:{pattern})\s*") for pattern in (_MARKS, f"{_COMMON}|{_MARKS}", f"{_COMMON}|{_OTHERS}|{_MARKS}")
)
_MOST = 32


@dataclass(frozen=True)
class References:
    """Gold answers and how many of them a reply must state."""

    mode: Mode
    golds: tuple[str, ...]


def as_gold(value: Any, answer_type: str = "text") -> str:
    """Return a gold value of a table, of JSON or of a program as the text that rows carry.

    5.0 (a column that became float for one empty cell) is ``5``; a list becomes ``{"any_of": […]}``, for ``choice``
    ``{"all_of": […]}``; for ``json`` and ``box`` a list is the value itself. An empty cell (None, not a
    number) is the empty text.
    """
    if hasattr(value, "tolist"):  # numpy, from parquet
        value = value.tolist()
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if answer_type in ("json", "box"):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False)
    if isinstance(value, (list, tuple, set, frozenset)):
        golds = [
            format_gold_value(v) for v in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)
        ]
        return json.dumps({"all_of" if answer_type == "choice" else "any_of": golds}, ensure_ascii=False)
    return format_gold_value(value)


def is_float_of_whole_number(value: Any, answer_type: str = "text") -> bool:
    """Is a gold value a whole number that a table program made a float: 5.0, or the text ``5.0``?

    One empty cell is enough to make a column of 5, 7, 12 a column of floats. Of a type that compares numbers as numbers
    ``5.0`` is as good as 5, so only the others are told.
    """
    if answer_type not in ("text", "choice", "yesno"):
        return False
    if hasattr(value, "tolist"):  # numpy, from parquet
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return any(is_float_of_whole_number(one, answer_type) for one in value)
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, str) and re.fullmatch(r"\s*-?\d+\.0\s*", value) is not None


def split_references(gold: str, answer_type: str) -> References:
    """Read which gold answers a text holds: one, any of several, or all of several.

    A JSON list of strings counts as a list of references, except for ``json`` and ``box``.

    Raises:
        GoldError: an empty list, or something in it that is no answer.
    """
    text = gold.strip()
    if not (text.startswith(('{"any_of"', '{"all_of"')) or (text.startswith('["') and text.endswith('"]'))):
        return References("one", (gold,))
    try:
        value = parse_json_text(text)
    except ValueError:
        return References("one", (gold,))
    if isinstance(value, list):
        if answer_type in ("json", "box") or not all(isinstance(v, str) for v in value):
            return References("one", (gold,))
        mode: Mode = "all_of" if answer_type == "choice" else "any_of"
    elif len(value) == 1 and isinstance(next(iter(value.values())), list):
        mode, value = next(iter(value.items()))
    else:
        return References("one", (gold,))
    golds = tuple(as_gold(v, answer_type) for v in value)
    if not golds or len(golds) > _MOST or not all(g.strip() for g in golds):
        raise GoldError(f"gold answer {gold[:200]!r}: a list of 1 to {_MOST} answers is wanted, none of them empty")
    return References(mode, golds)


def covers_references(answer: str, golds: Sequence[str], same: Callable[[str, str], bool]) -> bool:
    """Does an answer list exactly the gold answers, in any order?

    Args:
        answer: the reply's, a list in words, by commas or lines.
        golds: what it must hold.
        same: does a part state a gold answer?
    """
    text = answer.strip().rstrip(".。")
    splits = dict.fromkeys(tuple(part.strip() for part in split.split(text) if part.strip()) for split in _SPLITS)
    return any(_matches_all(parts, golds, same) for parts in splits)


def _matches_all(parts: Sequence[str], golds: Sequence[str], same: Callable[[str, str], bool]) -> bool:
    """Can each gold answer be given a part of its own, and each part a gold answer?"""
    if len(parts) != len(golds):
        return False
    taken: dict[int, int] = {}

    def place(gold: int, seen: set[int]) -> bool:
        """Give a gold answer a part, moving others when that helps (augmenting paths)."""
        for number, part in enumerate(parts):
            if number in seen or not same(part, golds[gold]):
                continue
            seen.add(number)
            if number not in taken or place(taken[number], seen):
                taken[number] = gold
                return True
        return False

    return all(place(gold, set()) for gold in range(len(golds)))
