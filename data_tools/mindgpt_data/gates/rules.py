"""Gate ``rules``: lengths, answer form, no meta reference, readable text (ours). Costs nothing, so it comes first."""

from __future__ import annotations

import json
import re
import unicodedata

from mindgpt_data.gates.item import Item
from mindgpt_data.schema.rows import Row
from mindgpt_plugins.rewards.answers import parse_box
from mindgpt_plugins.rewards.units import parse_quantity

_META = re.compile(r"\b(annotation|bounding box|ground truth|metadata|the caption|as an ai)\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_OPTION = re.compile(r"(?:^|[\s(])\(?([A-Z])[).:]\s*(\S[^\n]*?)(?=\s*(?:[\n,;]|\s\(?[A-Z][).:]\s|$))")
_BROKEN = re.compile("[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f]")
_TAG = re.compile(r"<(image|video|audio)>")
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
    if (reason := _answer_form(row, item.extent)) is not None:
        return reason
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


def _answer_form(row: Row, extent: tuple[int, int] | None) -> str | None:
    if row.answer_type == "number" and not _NUMBER.fullmatch(row.answer):
        return "answer type number, but the answer is no number"
    if row.answer_type == "yesno" and row.answer not in ("yes", "no"):
        return "answer type yesno, but the answer is neither"
    if row.answer_type == "unit" and parse_quantity(row.answer) is None:
        return "answer type unit, but the answer is no number with a known unit"
    if row.answer_type == "json" and not _is_json(row.answer):
        return "answer type json, but the answer is no JSON"
    if row.answer_type == "choice":
        return _choice_form(row)
    if row.answer_type == "box":
        box = parse_box(row.answer)
        if box is None:
            return "answer type box, but the answer is no box x0, y0, x1, y1"
        # Without a known extent only negative coordinates can be told.
        x, y = extent or (float("inf"), float("inf"))
        inside = box[0] >= 0 and box[1] >= 0 and box[2] <= x and box[3] <= y
        return None if inside else "box lies outside the picture"
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _choice_form(row: Row) -> str | None:
    """A letter needs listed options; a word stands for itself when none are listed (left, right, …)."""
    options = {letter: text.strip(" .?") for letter, text in _OPTION.findall(row.question)}
    letter = re.match(r"^\(?([A-Za-z])\)?[).:]?(?:\s|$)", row.answer)
    if len(options) < 2:
        return "answer is an option letter, but the question lists no options" if letter else None
    if letter and letter.group(1).upper() in options:
        return None
    known = {text.casefold() for text in options.values()}
    return None if row.answer.strip().casefold() in known else "answer is none of the options in the question"


def _written_in(script: str, text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    found = sum(unicodedata.name(c, "").startswith(script.upper()) for c in letters)
    return not letters or found >= MIN_SCRIPT * len(letters)
