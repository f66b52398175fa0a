"""Budget of one image when there is no corpus budget (form: ours)."""

from __future__ import annotations

from collections.abc import Sequence

from mindgpt_data.budget.density import density


def compute_image_budget(score: float, *, n_min: int = 1, n_max: int = 8, gamma: float = 1.0) -> int:
    """Return n = clip(round(n_min + (n_max − n_min)·IDS^γ), n_min, n_max)."""
    wanted = round(n_min + (n_max - n_min) * float(score**gamma))
    return min(n_max, max(n_min, wanted))


def compute_image_budgets(
    scores: Sequence[float],
    *,
    n_min: int = 1,
    n_max: int = 8,
    gamma: float = 1.0,
    weights: Sequence[float] | None = None,
) -> list[int]:
    """:func:`compute_image_budget` of every score; ``weights`` (a focus) spread the total in proportion to IDS^γ·w."""
    counts = [compute_image_budget(score, n_min=n_min, n_max=n_max, gamma=gamma) for score in scores]
    if weights is None:
        return counts
    return density(scores, sum(counts), n_min=n_min, n_max=n_max, gamma=gamma, weights=weights)
