"""Modulator: a correct reply that says it differently from its correct siblings.

u = share of the reply's distinct word n-grams in no other correct reply of the group; 0 for a lone correct reply.
Added to a floor of 1 rather than multiplied (as arXiv 2509.02534 does), so duplicates of a right answer never equal a
wrong one. Source: ours.
"""

from __future__ import annotations

from collections import Counter

from mindgpt_plugins.rewards.sdk import Group, Score, reward


@reward(role="modulator", scope="group")
def diversity(group: Group, *, ngram: int = 4) -> list[Score | None]:
    """Share of n-grams of its own, for each correct reply; a reply shorter than ``ngram`` words is one n-gram.

    Args:
        group: the replies to one prompt.
        ngram: words per n-gram.

    Raises:
        ValueError: ``ngram`` is not positive.
    """
    if ngram <= 0:
        raise ValueError(f"diversity: ngram must be positive, got {ngram}")
    correct = group.correct
    grams = [_ngrams(r.text, ngram) if good else set() for r, good in zip(group.rollouts, correct, strict=True)]
    seen = Counter(gram for own in grams for gram in own)
    lone = sum(correct) < 2
    return [
        Score(0.0 if lone or not own else sum(seen[gram] == 1 for gram in own) / len(own)) if good else Score(0.0)
        for own, good in zip(grams, correct, strict=True)
    ]


def _ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    words = tuple(text.casefold().split())
    if len(words) < n:
        return {words} if words else set()
    return {words[i : i + n] for i in range(len(words) - n + 1)}
