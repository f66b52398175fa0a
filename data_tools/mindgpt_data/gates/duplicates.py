"""Gate ``duplicates``: no question twice about one image (ours; exact after normalising case and spaces)."""

from __future__ import annotations

from mindgpt_data.gates.item import Item


def normalise(question: str) -> str:
    """Lower case, single spaces, no final punctuation."""
    return " ".join(question.lower().split()).rstrip(" ?.!")


def duplicates(item: Item) -> str | None:
    """None to keep, else the reason. ``item.asked`` holds normalised questions."""
    return "question already asked about this image" if normalise(item.row.question) in item.asked else None
