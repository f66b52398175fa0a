"""Gate ``rules``: lengths, answer form, no meta reference, readable text (ours). Costs nothing, so it comes first."""

from __future__ import annotations

import re
import unicodedata

from mindgpt_data.gates.item import Item
from mindgpt_data.schema.rows import Row
from mindgpt_plugins.answers import GoldError, JudgeOptions, MathError, judge_answer, options_of
from mindgpt_plugins.answers.box import parse_boxes
from mindgpt_plugins.answers.math import parse_gold_math

_META = re.compile(r"\b(annotation|bounding box|ground truth|metadata|the caption|as an ai)\b", re.IGNORECASE)
_BROKEN = re.compile("[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f]")
_TAG = re.compile(r"<(image|video|audio)>")
_LETTER = re.compile(r"\(?[A-Za-z]\)?[).:]?")
MIN_SCRIPT = 0.8
"""Share of letters in the asked script from which a text counts as written in it."""


def rules(item: Item, *, max_question: int = 300, max_response: int = 2000, script: str | None = None) -> str | None:
    """Keep questions and answers of the right length and form that do not speak of annotations.

    Args:
        item: the candidate.
        max_question: longest question, characters.
        max_response: longest reply, characters.
        script: Unicode script the question must be written in (``latin``, ``cjk``, ``cyrillic``, …); None for any.
    """
    row = item.row
    if not row.question.strip() or not row.answer.strip():
        return "empty question or answer"
    if len(row.question) > max_question:
        return f"question over {max_question} characters"
    if len(row.response) > max_response:
        return f"reply over {max_response} characters"
    if (reason := check_answer_form(row, item.extent)) is not None:
        return reason
    if row.answer_type == "choice" and not options_of(row.question) and _LETTER.fullmatch(row.answer.strip()):
        return "answer is an option letter, but the question lists no options"
    # A box answer may be asked for by that name; anything else that speaks of it has read the annotations.
    question = re.sub(r"bounding box", "", row.question, flags=re.IGNORECASE) if row.boxes else row.question
    if _META.search(question) or _META.search(row.response):
        return "speaks of annotations instead of the picture"
    if _BROKEN.search(row.question + row.answer + row.response):
        return "holds unreadable characters"
    if _TAG.search(row.question + row.response):
        return "holds a media tag, which the trainers would count as a picture"
    if script is not None and not _written_in(script, row.question):
        return f"question is not in {script} script"
    # Prompts for RL have no reply.
    if row.response and not row.response.endswith(f"answer: {row.answer}"):
        return "reply does not end with its answer"
    return None


def check_answer_form(row: Row, extent: tuple[int, int] | None = None) -> str | None:
    """None when the rewards call the gold answer, given as the reply, right; else why it could never be.

    Args:
        row: the candidate.
        extent: largest x and y of a box, when known.
    """
    try:
        verdict = judge_answer(
            row.question, row.answer, f"answer: {row.answer}", row.answer_type, JudgeOptions(target_boxes=row.boxes)
        )
    except GoldError as error:
        return f"answer type {row.answer_type}, but {_short(error)}"
    except MathError:  # math-verify is no part of the data tools' environment; a gold answer is equal to itself
        parse_gold_math(row.answer)
        return None
    if not verdict.right:
        return f"answer type {row.answer_type}, but the answer is not right when it is the reply: {verdict.why}"
    return None if row.answer_type != "box" else _outside(row, extent)


def _short(error: GoldError) -> str:
    """The reason without the value, so that the funnel counts equal reasons together."""
    kinds = (
        ("is no number", "the answer is no number"),
        ("neither yes nor no", "the answer is neither yes nor no"),
        ("with a unit of the table", "the answer is no number with a known unit"),
        ("is no JSON", "the answer is no JSON"),
        ("none of the options", "the answer is none of the options in the question"),
        ("is no box", "the answer is no box"),
        ("lies outside", "the box lies outside the picture"),
        ("smaller than one unit", "the box is smaller than one unit of its convention"),
        ("is no expression", "the answer is no expression"),
    )
    return next((reason for words, reason in kinds if words in str(error)), str(error))


def _outside(row: Row, extent: tuple[int, int] | None) -> str | None:
    # Without a known extent only negative coordinates can be told.
    x, y = extent or (float("inf"), float("inf"))
    boxes = parse_boxes(row.answer, row.boxes) or []
    inside = all(box[0] >= 0 and box[1] >= 0 and box[2] <= x and box[3] <= y for box in boxes)
    return None if inside else "box lies outside the picture"


def _written_in(script: str, text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    found = sum(unicodedata.name(c, "").startswith(script.upper()) for c in letters)
    return not letters or found >= MIN_SCRIPT * len(letters)
