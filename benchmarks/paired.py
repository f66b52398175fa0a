"""Statistics of ablations that are paired by seed: intervals, paired t-tests, Holm's correction, decisions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % t-interval of the mean; endless with fewer than two values."""
    from scipy import stats

    if len(values) < 2:
        return (-float("inf"), float("inf"))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.mean(values)
    return mean - half, mean + half


def p_value(differences: Sequence[float]) -> float:
    """Two-sided paired t-test that the mean difference is 0."""
    from scipy import stats

    if len(differences) < 2:
        return 1.0
    if len(set(differences)) == 1:  # no spread: the test is undefined
        return 1.0 if differences[0] == 0 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def decide(compared: Sequence[dict[str, Any]]) -> None:
    """Add ``p``, ``holm`` and ``decision`` (win, null, loss) to one family of comparisons.

    Args:
        compared: each with ``d``, the differences by seed; positive ones are in favour unless ``lower_is_better``.
    """
    for one in compared:
        one["p"] = p_value(one["d"])
    for one, adjusted in zip(compared, holm([c["p"] for c in compared]), strict=True):
        good = (statistics.mean(one["d"]) > 0) != one.get("lower_is_better", False)
        one |= {"holm": adjusted, "decision": ("win" if good else "loss") if adjusted < 0.05 else "null"}


def with_interval(values: Sequence[float], digits: int = 1) -> str:
    """``mean [low, high]``."""
    low, high = interval(values)
    shown = f"[{low:.{digits}f}, {high:.{digits}f}]" if len(values) > 1 else "(one seed)"
    return f"{statistics.mean(values):.{digits}f} {shown}"
