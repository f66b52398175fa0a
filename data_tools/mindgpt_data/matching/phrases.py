"""The words a corpus brings for an image, cut into phrases that can be compared with topics."""

from __future__ import annotations

import re

from mindgpt_data.schema.record import ImageRecord

MOST = 64
"""Phrases per image that are looked at: tags and labels come first, then texts, then captions."""
_CUT = re.compile(
    r"[.,;:!?()\n]+|\b(?:and|with|at|on|in|of|near|next to|beside|behind|under|over|by|while|that|which|is|are)\b"
)
_LEADING = re.compile(r"^(?:a|an|the|of|some|two|three|four|five|several|many|this|there|picture|photo|image)\b\s*")
_PLACE = re.compile(
    r"(?:(?:far|upper|lower|top|bottom|left|right|cent(?:er|re)|middle|front|back|side|hand|corner|edge"
    r"|background|foreground|distance)\s*)+"
)
"""Where something is says nothing of what it is."""
_LETTERS = re.compile(r"[^\W\d_]{2,}")


def extract_phrases(record: ImageRecord) -> list[str]:
    """Distinct phrases, lower case, in a fixed order; empty when the corpus says nothing about the image."""
    found = [*record.tags, *(str(one["label"]) for one in record.objects)]
    found += [str(one["text"]) for one in record.texts]
    for caption in record.captions:
        found += _CUT.split(caption.casefold())
    clean = (_clean(phrase) for phrase in found)
    return list(dict.fromkeys(p for p in clean if _LETTERS.search(p) and not _PLACE.fullmatch(p)))[:MOST]


def _clean(phrase: str) -> str:
    text = " ".join(phrase.replace("_", " ").casefold().split())
    while (shorter := _LEADING.sub("", text)) != text:
        text = shorter
    return text
