"""Which of the topics found are kept: fit enough, the best few, ties to the leaf that has had least (ours)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mindgpt_data.focus.weights import NEUTRAL

BUCKET = 0.05
"""Similarities closer than this count as a tie."""


@dataclass(frozen=True)
class Found:
    """A topic found for an image.

    Attributes:
        leaf: its id.
        fit: 0 to 3.
        evidence: the words, or what the judge saw.
        similarity: cosine, where one was measured.
    """

    leaf: str
    fit: int
    evidence: str
    similarity: float = 0.0


def choose_topics(
    found: Sequence[Found],
    counts: Counter[str],
    *,
    least_fit: int,
    limit: int,
    weights: Mapping[str, float] = NEUTRAL,
) -> list[Found]:
    """At most ``limit`` topics with ``fit ≥ least_fit``, best first; ``counts`` is updated.

    The order is fit, then similarity in steps of :data:`BUCKET`, then the largest deficit: with weights
    w_l ∝ (n_l + 1)^-0.5 that is the leaf with the fewest images so far; then similarity and id. A focus weighs leaves:
    one that weighs 3 is not ahead until it has three times the images.
    """
    fits = {one.leaf: one for one in sorted(found, key=lambda f: (f.fit, f.similarity)) if one.fit >= least_fit}

    def rank(f: Found) -> tuple[float | str, ...]:
        return -f.fit, -int(f.similarity / BUCKET), (counts[f.leaf] + 1) / weights[f.leaf], -f.similarity, f.leaf

    order = sorted(fits.values(), key=rank)[:limit]
    counts.update(one.leaf for one in order)
    return order
