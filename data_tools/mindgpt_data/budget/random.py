"""Allocator ``random``: shares drawn at random; the control that keeps the spread but not its reason."""

from __future__ import annotations

import random as _random
from collections.abc import Sequence

from mindgpt_data.budget.rounding import apportion_total


def random(
    scores: Sequence[float], total: int, *, n_min: int = 1, n_max: int = 8, gamma: float = 1.0, seed: int = 0
) -> list[int]:
    """The density allocation of the same scores, shuffled over the images: same histogram, no link to the image.

    Args:
        scores: IDS per image, each in [0, 1].
        total: the corpus budget in items.
        n_min: at least this many per image.
        n_max: at most this many per image.
        gamma: sharpness of the density allocation that is shuffled; 0 is uniform.
        seed: of the shuffle.

    Raises:
        BudgetError: ``total`` is outside [M·n_min, M·n_max].
    """
    counts = apportion_total([score**gamma for score in scores], total, n_min, n_max)
    _random.Random(f"random allocator {seed}").shuffle(counts)
    return counts
