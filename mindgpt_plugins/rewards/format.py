"""Gate: the reply ends with exactly one ``answer: X``. Source: ours."""

from __future__ import annotations

import re

from mindgpt_plugins.answers import strip_reasoning
from mindgpt_plugins.rewards.sdk import Rollout, Score, reward

_MARKER = re.compile(r"answer\s*:", re.IGNORECASE)
_ENDING = re.compile(r"answer\s*:[ \t]*(\S[^\n]*)\s*\Z", re.IGNORECASE)


@reward(name="format", role="gate")
def answer_format(r: Rollout, *, max_words: int = 8) -> Score:
    """1 when the text holds one ``answer:`` and ends with it and a non-empty answer of at most ``max_words`` words.

    Reasoning between ``<think>`` tags is not looked at; one that is not finished gives 0.

    Args:
        r: the reply.
        max_words: words of the answer at most, split at white space.
    """
    text = strip_reasoning(r.text)
    ending = _ENDING.search(text)
    good = len(_MARKER.findall(text)) == 1 and ending is not None and len(ending.group(1).split()) <= max_words
    return Score(float(good))
