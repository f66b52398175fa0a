"""Gate ``rules``: lengths, answer form, no meta reference (ours)."""

from __future__ import annotations

import re

from mindgpt_data.gates.item import Item

_META = re.compile(r"\b(annotation|bounding box|ground truth|metadata|the caption|as an ai)\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def rules(item: Item, *, max_question: int = 300, max_response: int = 2000) -> str | None:
    """None to keep, else the reason.

    Args:
        item: the candidate.
        max_question: longest question, characters.
        max_response: longest reply, characters.
    """
    row = item.row
    if not row.question.strip() or not row.answer.strip():
        return "empty question or answer"
    if len(row.question) > max_question:
        return f"question over {max_question} characters"
    if len(row.response) > max_response:
        return f"reply over {max_response} characters"
    if row.answer_type == "number" and not _NUMBER.fullmatch(row.answer):
        return "answer type number, but the answer is no number"
    if row.answer_type == "yesno" and row.answer not in ("yes", "no"):
        return "answer type yesno, but the answer is neither"
    if _META.search(row.question) or _META.search(row.response):
        return "speaks of annotations instead of the picture"
    if not row.response.endswith(f"answer: {row.answer}"):
        return "reply does not end with its answer"
    return None
