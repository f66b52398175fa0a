"""Which leaf next: the fewer items a leaf has, the likelier, w_l ∝ (n_l + 1)^-0.5 (source: ours)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 4096
"""Proposals drawn at once."""


def compute_sampling_weights(counts: ArrayLike) -> NDArray[np.float64]:
    """(n + 1)^-0.5 of each count, not normalised."""
    drawn: NDArray[np.float64] = (np.asarray(counts, np.float64) + 1.0) ** -0.5
    return drawn


class LeafSampler:
    """Exact draws while the counts change, in constant time per draw and per change.

    Proposals come from the weights at the last rebuild; a proposal is accepted with the share of that weight it still
    has. Counts grow, so weights only shrink and the draws are exact. Everything is rebuilt when the accepted share of
    the weight falls below a half, or when a count is lowered.

    Args:
        counts: items per leaf, aligned with :attr:`~mindgpt_data.tree.model.Tree.leaves`.
        seed: of the draws.

    Raises:
        ValueError: no leaves, or a negative count.
    """

    def __init__(self, counts: ArrayLike, seed: int = 0) -> None:
        self.counts = np.array(counts, np.int64)
        if not self.counts.size or self.counts.min() < 0:
            raise ValueError("sampling needs at least one leaf, and counts of at least 0")
        self._random = np.random.default_rng(seed)
        self._rebuild()

    def add(self, leaf: int, items: int = 1) -> None:
        """Change the count of a leaf by ``items`` (negative when items were dropped).

        Raises:
            ValueError: the count would become negative.
        """
        count = int(self.counts[leaf]) + items
        if count < 0:
            raise ValueError(f"leaf {leaf} has {count - items} items; {-items} cannot be taken away")
        self.counts[leaf] = count
        new, old = (count + 1.0) ** -0.5, float(self._now[leaf])
        self._now[leaf] = new
        self._total += new - old
        if new > self._then[leaf] or self._total < 0.5 * self._proposed:
            self._rebuild()

    def draw(self) -> int:
        """One leaf, as a position in ``counts``."""
        while True:
            if not self._leaves:
                self._refill()
            leaf, coin = self._leaves.pop(), self._coins.pop()
            if coin * self._then[leaf] < self._now[leaf]:
                return leaf

    def draw_many(self, size: int) -> NDArray[np.int64]:
        """``size`` independent leaves under the present counts."""
        cumulated = np.cumsum(self._now)
        drawn: NDArray[np.int64] = np.searchsorted(cumulated, self._random.random(size) * cumulated[-1], side="right")
        return drawn

    def _rebuild(self) -> None:
        self._then = compute_sampling_weights(self.counts)
        self._now = self._then.copy()
        self._cumulated = np.cumsum(self._then)
        self._total = self._proposed = float(self._cumulated[-1])
        self._leaves: list[int] = []
        self._coins: list[float] = []

    def _refill(self) -> None:
        spots = self._random.random(BLOCK) * self._cumulated[-1]
        self._leaves = np.searchsorted(self._cumulated, spots, side="right").tolist()
        self._coins = self._random.random(BLOCK).tolist()
