"""The verdict: is a reply right? Everything in the product that asks this asks here.

The rewards, the evaluation, self-training, the quantisation gate and the gates of the data tools call
:func:`judge_answer`, so that a reply is right in all of them or in none. Source: ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from mindgpt_plugins.answers.box import (
    check_convention,
    convert_boxes,
    find_box_misfit,
    match_boxes,
    needs_size,
    parse_boxes,
    parse_gold_boxes,
)
from mindgpt_plugins.answers.characters import fold_characters
from mindgpt_plugins.answers.choice import compare_choices, parse_choice, parse_gold_choice
from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.extract import extract_answer
from mindgpt_plugins.answers.json_value import compare_json, parse_gold_json, parse_json
from mindgpt_plugins.answers.math import compare_math, parse_gold_math
from mindgpt_plugins.answers.number import compare_numbers, parse_gold_number, parse_number
from mindgpt_plugins.answers.references import as_gold, covers_references, split_references
from mindgpt_plugins.answers.text import compare_texts
from mindgpt_plugins.answers.tolerance import NOISE, Tolerance
from mindgpt_plugins.answers.unit import compare_quantities, parse_gold_quantity, parse_quantity
from mindgpt_plugins.answers.yesno import parse_gold_yesno, parse_yesno

ANSWER_TYPES = ("text", "number", "choice", "yesno", "box", "unit", "json", "math")
"""What is compared: words, a number, options, yes/no, boxes, a number with a unit, a JSON value, or an expression."""


@dataclass(frozen=True)
class JudgeOptions:
    """What a verdict can be told. Without any, right means equal in meaning."""

    rel_tol: float = NOISE
    """Numbers, quantities, JSON: share of the gold value."""
    abs_tol: float = 0.0
    """The same in the gold answer's unit; the larger of the two counts."""
    similarity: float = 1.0
    """Texts: least 1 - edit distance / longer length; 1 asks for equality after normalisation."""
    unit_optional: bool = False
    """Quantities: a reply without a unit is in the gold answer's."""
    unordered: bool = False
    """JSON: lists are compared as multisets."""
    min_iou: float = 0.5
    """Boxes: least intersection over union of every one."""
    graded: bool = False
    """Boxes: the score is the mean overlap, with missing and superfluous boxes counted as 0."""
    reply_boxes: str | None = None
    """Convention of the reply's boxes; None: that of the gold answer."""
    target_boxes: str | None = None
    """Convention of the gold answer's boxes; None: not declared, and then not converted."""
    picture_size: tuple[int, int] | Callable[[], tuple[int, int]] | None = field(default=None, repr=False)
    """Width and height, or what gives them when they are needed, to convert between pixels and shares."""

    def __post_init__(self) -> None:
        Tolerance(self.rel_tol, self.abs_tol)
        if not 0 < self.min_iou <= 1 or not 0 < self.similarity <= 1:
            raise ValueError(f"min_iou {self.min_iou} and similarity {self.similarity} must lie in (0, 1]")
        for convention in (self.reply_boxes, self.target_boxes):
            if convention is not None:
                check_convention(convention)

    @property
    def tolerance(self) -> Tolerance:
        """Of numbers."""
        return Tolerance(self.rel_tol, self.abs_tol)

    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture, read when they are given by a function."""
        return self.picture_size() if callable(self.picture_size) else self.picture_size


DEFAULTS = JudgeOptions()


@dataclass(frozen=True)
class Verdict:
    """What came of one reply."""

    right: bool
    answer: str | None
    """The final answer of the reply; None when it states none."""
    ambiguous: bool = False
    """Wrong, but right under another reading of the two answers (``1.234`` against 1234): the stricter one counted."""
    score: float = 0.0
    """In [0, 1]: 1 or 0, or the mean overlap of graded boxes."""
    iou: float | None = None
    """Boxes: mean overlap."""
    why: str = ""
    """In a few words."""


def judge_answer(
    question: str, gold: Any, reply: str, answer_type: str = "text", options: JudgeOptions = DEFAULTS
) -> Verdict:
    """Judge a whole reply.

    Args:
        question: what was asked; ``choice`` reads its options from it.
        gold: the gold answer: a text, or what a table or JSON had for it (see :func:`~.references.as_gold`).
        reply: the reply, reasoning included.
        answer_type: one of :data:`ANSWER_TYPES`.
        options: tolerances and conventions.

    Raises:
        ValueError: unknown ``answer_type``, or the conventions cannot be converted.
        GoldError: the gold answer is none of its type.
        MathError: ``math`` without ``math-verify``.
    """
    check_answer_type(answer_type)
    answer = extract_answer(reply, answer_type)
    verdict = compare_answers(question, gold, answer, answer_type, options)
    if verdict.right or answer is None or split_references(as_gold(gold, answer_type), answer_type).mode != "all_of":
        return verdict
    several = extract_answer(reply, answer_type, lines=True)  # one answer a line
    return verdict if several == answer else compare_answers(question, gold, several, answer_type, options)


def compare_answers(
    question: str, gold: Any, answer: str | None, answer_type: str = "text", options: JudgeOptions = DEFAULTS
) -> Verdict:
    """Judge a final answer that has been extracted (None: there is none); else as :func:`judge_answer`."""
    check_answer_type(answer_type)
    text = as_gold(gold, answer_type)
    parse_gold(text, answer_type, question=question, boxes=options.target_boxes)
    if answer is None:
        return Verdict(False, None, iou=0.0 if answer_type == "box" else None, why="no final answer")
    references = split_references(text, answer_type)
    if references.mode == "one":
        return _one(question, text, answer, answer_type, options)
    if references.mode == "any_of":
        verdicts = [_one(question, one, answer, answer_type, options) for one in references.golds]
        best = max(verdicts, key=lambda v: (v.right, v.score, v.ambiguous))
        return best if best.right else replace(best, why=f"none of {len(verdicts)} references: {best.why}")
    if answer_type == "choice":
        return _one(question, ", ".join(references.golds), answer, answer_type, options)
    right = covers_references(
        answer, references.golds, lambda part, one: _one(question, one, part, answer_type, options).right
    )
    why = "all references" if right else f"not exactly the {len(references.golds)} references"
    return Verdict(right, answer, score=float(right), why=why)


def check_answer_type(answer_type: str) -> None:
    """Refuse an unknown answer type.

    Raises:
        ValueError: it is none of :data:`ANSWER_TYPES`.
    """
    if answer_type not in ANSWER_TYPES:
        raise ValueError(f"unknown answer_type {answer_type!r}; it must be one of: {', '.join(ANSWER_TYPES)}")


def parse_gold(gold: Any, answer_type: str, *, question: str = "", boxes: str | None = None) -> tuple[Any, ...]:
    """Read a gold answer strictly: its value, or the values of its references.

    Args:
        gold: a text, or what a table or JSON had for it.
        answer_type: one of :data:`ANSWER_TYPES`.
        question: of ``choice``: holds the options.
        boxes: of ``box``: the declared convention.

    Raises:
        ValueError: unknown answer type or convention.
        GoldError: the gold answer is none of its type; the message names it.
    """
    check_answer_type(answer_type)
    text = as_gold(gold, answer_type)
    return _parsed_gold(
        text, answer_type, question if answer_type == "choice" else "", boxes if answer_type == "box" else None
    )


@lru_cache(maxsize=8192)
def _parsed_gold(text: str, answer_type: str, question: str, boxes: str | None) -> tuple[Any, ...]:
    if not fold_characters(text).strip():  # a zero-width space alone is nothing, too
        raise GoldError(f"the gold answer of answer_type {answer_type!r} is empty")
    references = split_references(text, answer_type)
    if references.mode == "all_of" and answer_type == "choice":
        return (parse_gold_choice(", ".join(references.golds), question),)
    return tuple(_parse_one(gold, answer_type, question, boxes) for gold in references.golds)


def _parse_one(gold: str, answer_type: str, question: str, boxes: str | None) -> Any:
    if answer_type == "number":
        return parse_gold_number(gold)
    if answer_type == "choice":
        return parse_gold_choice(gold, question)
    if answer_type == "yesno":
        return parse_gold_yesno(gold)
    if answer_type == "box":
        return parse_gold_boxes(gold, boxes)
    if answer_type == "unit":
        return parse_gold_quantity(gold)
    if answer_type == "json":
        return parse_gold_json(gold)
    if answer_type == "math":
        return parse_gold_math(gold)
    return gold


def _one(question: str, gold: str, answer: str, answer_type: str, options: JudgeOptions) -> Verdict:
    if answer_type == "box":
        return _boxes(gold, answer, options)
    right, ambiguous, unread = _compare(question, gold, answer, answer_type, options)
    why = (
        "right"
        if right
        else f"no {answer_type}: {answer[:60]!r}"
        if unread
        else f"{answer[:60]!r} is not {gold[:60]!r}"
    )
    if ambiguous:
        why += " (another reading of it would be)"
    return Verdict(right, answer, ambiguous and not right, float(right), why=why)


def _compare(question: str, gold: str, answer: str, answer_type: str, options: JudgeOptions) -> tuple[bool, bool, bool]:
    """Right, ambiguous, and whether the answer is none of its type."""
    if answer_type == "number":
        number = parse_number(answer)
        if number is None:
            return False, False, True
        return *compare_numbers(number, parse_gold_number(gold), options.tolerance), False
    if answer_type == "unit":
        quantity = parse_quantity(answer)
        if quantity is None:
            return False, False, True
        return *compare_quantities(
            quantity, parse_gold_quantity(gold), options.tolerance, unit_optional=options.unit_optional
        ), False
    if answer_type == "choice":
        chosen = parse_choice(answer, question)
        return *compare_choices(chosen, parse_gold_choice(gold, question), answer, gold), False
    if answer_type == "yesno":
        said, close = parse_yesno(answer)
        return said is parse_gold_yesno(gold), close, said is None
    if answer_type == "json":
        value = parse_json(answer)
        if value is None:
            return False, False, True
        return compare_json(value[0], parse_gold_json(gold), options.tolerance, options.unordered), False, False
    if answer_type == "math":
        return *compare_math(answer, gold, options.tolerance), False
    return *compare_texts(answer, gold, options.similarity), False


def _boxes(gold: str, answer: str, options: JudgeOptions) -> Verdict:
    target, reply = options.target_boxes, options.reply_boxes or options.target_boxes
    if options.reply_boxes is not None and target is None:
        raise ValueError(
            f"reply_boxes is {options.reply_boxes!r}, but neither the row nor target_boxes says what coordinates the "
            "gold box has"
        )
    want = parse_gold_boxes(gold, target)
    got = parse_boxes(answer, reply)
    if got is None:
        return Verdict(False, answer, iou=0.0, why=f"no box: {answer[:60]!r}")
    if reply is not None and (reason := find_box_misfit(got, reply)):
        return Verdict(False, answer, iou=0.0, why=reason)
    if reply is not None and target is not None and reply != target:
        got = convert_boxes(got, reply, target, options.size() if needs_size(reply, target) else None)
    overlaps = match_boxes(got, want)
    mean = sum(overlaps) / len(overlaps)
    right = all(value >= options.min_iou for value in overlaps)
    return Verdict(
        right, answer, score=mean if options.graded else float(right), iou=mean, why=f"mean overlap {mean:.3f}"
    )
