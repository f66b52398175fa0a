"""Allocator ``density``: denser images get more QA (idea: the paper's; form: ours)."""

from __future__ import annotations

from collections.abc import Sequence

from mindgpt_data.budget.rounding import apportion_total, weigh_shares


def density(
    scores: Sequence[float],
    total: int,
    *,
    n_min: int = 1,
    n_max: int = 8,
    gamma: float = 1.0,
    weights: Sequence[float] | None = None,
) -> list[int]:
    """x_i = n_min + (B − M·n_min)·IDS_i^γ / Σ IDS^γ, capped at ``n_max``, rounded by largest remainder to sum B.

    Args:
        scores: IDS per image, each in [0, 1].
        total: the corpus budget B in items.
        n_min: at least this many per image.
        n_max: at most this many per image.
        gamma: sharpness; 0 is uniform.
        weights: times IDS^γ, per image (a focus); 1 by default.

    Raises:
        BudgetError: B is outside [M·n_min, M·n_max].
    """
    return apportion_total(weigh_shares([score**gamma for score in scores], weights), total, n_min, n_max)
