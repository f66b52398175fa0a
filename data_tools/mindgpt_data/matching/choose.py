"""Which of the topics found are kept: fit enough, the best few, ties to the leaf that has had least (ours)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

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


def choose(found: Sequence[Found], counts: Counter[str], *, least_fit: int, limit: int) -> list[Found]:
    """At most ``limit`` topics with ``fit ≥ least_fit``, best first; ``counts`` is updated.

    The order is fit, then similarity in steps of :data:`BUCKET`, then the largest deficit: with weights
    w_l ∝ (n_l + 1)^-0.5 that is the leaf with the fewest images so far; then similarity and id.
    """
    fits = {one.leaf: one for one in sorted(found, key=lambda f: (f.fit, f.similarity)) if one.fit >= least_fit}
    order = sorted(
        fits.values(),
        key=lambda f: (-f.fit, -int(f.similarity / BUCKET), counts[f.leaf], -f.similarity, f.leaf),
    )[:limit]
    counts.update(one.leaf for one in order)
    return order
