"""What stands beside the turns for rewards, evaluation and curricula: answers, their types, difficulties."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mindgpt_plugins.answers import ANSWER_TYPES, GoldError, is_float_of_whole_number, parse_gold
from mindgpt_plugins.inspection.faults import Fault


def find_answer_faults(
    place: str, gold: Any, answer_type: Any, *, question: str = "", boxes: Any = None
) -> Iterator[Fault]:
    """Faults of a gold answer: a type that does not exist, or an answer that no reply of its type can match.

    Args:
        place: the row, for the message.
        gold: its answer.
        answer_type: as the row has it; None and empty where it has none.
        question: for options.
        boxes: the row's convention of boxes.
    """
    if answer_type in (None, ""):
        yield Fault("no_answer_type", place)
        answer_type = "text"
    if answer_type not in ANSWER_TYPES:
        yield Fault("answer_type", place, f"{answer_type!r} is not one of {', '.join(ANSWER_TYPES)}")
        return
    try:
        parse_gold(gold, answer_type, question=question, boxes=boxes)
    except GoldError as error:
        yield Fault("gold", place, str(error))
        return
    if is_float_of_whole_number(gold, answer_type):
        yield Fault("float_gold", place, repr(gold))


def find_difficulty_faults(place: str, value: Any, *, needed: bool) -> Iterator[Fault]:
    """A difficulty that no curriculum can order by (any finite number can be ordered by), or outside [0, 1].

    Args:
        place: the row, for the message.
        value: what the row has; None where it has none.
        needed: whether the stage's curriculum orders by it.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number and (needed or value is not None):
        yield Fault("no_difficulty" if needed else "odd_difficulty", place, repr(value))
    elif number and not 0 <= value <= 1:
        yield Fault("odd_difficulty", place, repr(value))
