"""Allocator ``uniform``: the same number for every image; for ablation."""

from __future__ import annotations

from collections.abc import Sequence

from mindgpt_data.budget.rounding import apportion_total, weigh_shares


def uniform(
    scores: Sequence[float],
    total: int,
    *,
    n_min: int = 1,
    n_max: int = 8,
    gamma: float = 1.0,
    weights: Sequence[float] | None = None,
) -> list[int]:
    """Equal shares of ``total``, or in proportion to ``weights`` (a focus); the remainder goes to the first images.

    ``scores`` and ``gamma`` are not used.

    Args:
        scores: IDS per image, each in [0, 1].
        total: the corpus budget in items.
        n_min: at least this many per image.
        n_max: at most this many per image.
        gamma: has no effect here.
        weights: shares per image (a focus); equal by default.

    Raises:
        BudgetError: ``total`` is outside [M·n_min, M·n_max].
    """
    return apportion_total(weigh_shares([1.0] * len(scores), weights), total, n_min, n_max)
