"""Calibration by corpus quantile: scores of one corpus spread evenly over [0, 1] (ours)."""

from __future__ import annotations

from collections.abc import Sequence


def compute_quantiles(values: Sequence[float]) -> list[float]:
    """The share of the corpus below each value, ties counted half: in (0, 1), mean ½, equal values equal.

    Args:
        values: in any order; the result is in the same.
    """
    from scipy.stats import rankdata

    return [(float(rank) - 0.5) / len(values) for rank in rankdata(values)] if values else []
