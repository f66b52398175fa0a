"""Modulator: a reply that says the same words again and again. Source: ours; n-grams after arXiv 2502.03373."""

from __future__ import annotations

import re

from mindgpt_plugins.rewards.sdk import Rollout, Score, reward

# Scripts that are written without spaces count by character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f]|[^\W_]+|[^\w\s]")


@reward(role="modulator", penalty=True)
def repetition(r: Rollout, *, ngram: int = 6, allowed: float = 0.1) -> Score:
    """Share of n-grams that occurred before, beyond what is allowed; 1 for an endless loop.

    Args:
        r: the reply.
        ngram: words (characters in scripts without spaces).
        allowed: share up to which there is no penalty: an answer restates a little.

    Raises:
        ValueError: ``ngram`` is not positive or ``allowed`` not in [0, 1).
    """
    if ngram <= 0 or not 0 <= allowed < 1:
        raise ValueError(f"repetition: ngram must be positive and allowed in [0, 1), got {ngram} and {allowed}")
    words = _WORD.findall(r.text.casefold())
    total = len(words) - ngram + 1
    if total <= 0:
        return Score(0.0, log={"repeated": 0.0})
    repeated = 1.0 - len({tuple(words[i : i + ngram]) for i in range(total)}) / total
    return Score(max(0.0, (repeated - allowed) / (1.0 - allowed)), log={"repeated": round(repeated, 4)})
