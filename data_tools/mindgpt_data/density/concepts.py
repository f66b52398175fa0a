"""Counts concepts in what a picture says: the cue for ``knowledge``, and the weakest of the four (ours).

It sees only what is written. A photograph of a rare bird without a caption shows no knowledge here; the judge sees it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_EVERYDAY = """
a about above across actually after again against ago all almost along already also although always am among an and
another any anybody anyone anything are area around as ask at away back bad be became because become been before
began behind being below best better between big both bring but by call came can cannot change come could day days
did different do does doing done dont down during each early easy either else end enough even ever every everyone
everything far few find first follow for found four from full further gave get give given go goes going gone good
got great had half hand happen hard has have having he help her here hers herself high him himself his home how
however i if important in inside instead into is it its itself just keep kept kind know large last late later least
leave left less let life like line little long look lot low made main make makes making many may maybe me mean means
might mine more most much must my myself name near need never new next nice night no none nor not nothing now number
of off often old on once one only onto open or order other others our ours out outside over own page part people
perhaps place please point possible put quite rather read real really right said same saw say says second see seem
seen several shall she should show side since six small so some somebody someone something soon start state still
such sure take taken tell ten than thank that the their theirs them themselves then there therefore these they thing
things think this those though three through thus time times to today together told too took toward try turn two
under until up upon us use used using usual very view want was way we week well went were what whatever when where
whether which while who whole whom whose why will with within without word words work world would year years yes yet
you your yours yourself
"""
COMMON = frozenset(_EVERYDAY.split())
"""Words of everyday sentences: they name nothing."""
QUANTITY = re.compile(
    r"\d[\d.,]*\s?(?:km/h|m/s|kwh?|mhz|ghz|hz|kg|mg|ml|mm|cm|km|nm|kb|mb|gb|psi|rpm|bar|°[cf]?|[vwakj%Ωµ€$£])(?![a-z])",
    re.IGNORECASE,
)
FORMULA = re.compile(r"\w+\s?[=≈≤≥∝]\s?\w+|[∑∫√π∞±→⇌]|\b(?:[A-Z][a-z]?\d+){1,}[A-Z]?\w*\b")


def count_concepts(texts: Sequence[str], synonyms: float = 0.75) -> int:
    """Distinct concepts in the lines of a picture.

    A concept is an uncommon word (three letters or more; words of like meaning or form count once), a quantity with
    its unit, or a formula.

    Args:
        texts: lines.
        synonyms: cosine of static vectors from which two words are one concept.
    """
    joined = " ".join(texts)
    marks = {mark.group().lower() for pattern in (QUANTITY, FORMULA) for mark in pattern.finditer(joined)}
    words = {word.lower() for word in re.findall(r"[^\W\d_]{3,}", joined)} - COMMON
    return len(marks) + _distinct(sorted(word for word in words if _is_word(word)), synonyms)


def _is_word(word: str) -> bool:
    """Whether it can be pronounced; words in other scripts than Latin are taken as they are."""
    return not word.isascii() or re.search("[aeiouy]", word) is not None


def _distinct(words: list[str], synonyms: float) -> int:
    from mindgpt_data.embed import load_embedder

    if len(words) < 2:
        return len(words)
    vectors = load_embedder("static").encode(words)
    kept: list[int] = []
    for i in range(len(words)):
        if not kept or float(np.max(vectors[kept] @ vectors[i])) < synonyms:
            kept.append(i)
    return len(kept)
