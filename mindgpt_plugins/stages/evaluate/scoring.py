"""From judged replies to figures: accuracy with its interval, unbiased pass@k, reply length, by set and label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import comb, sqrt
from typing import Any

VERSION = 1
"""Of the ``scores.json`` layout; raised when a key changes its meaning."""
ALL = "all"
"""Stands for "every source" or "every capability" in a cell."""
KS = (1, 2, 4, 8, 16)


def estimate_pass_at_k(n: int, correct: int, k: int) -> float:
    """Unbiased estimate of the chance that one of ``k`` samples is right: 1 − C(n−c, k)/C(n, k) (2107.03374).

    Raises:
        ValueError: k is not in [1, n], or correct is not in [0, n].
    """
    if not 1 <= k <= n or not 0 <= correct <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n and 0 <= correct <= n; got n={n}, correct={correct}, k={k}")
    return 1.0 - comb(n - correct, k) / comb(n, k)


def compute_wilson_interval(correct: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % Wilson score interval of a share, in [0, 1]; (0, 1) when n = 0."""
    # By hand, and not scipy's proportion_ci("wilson"), with which a test compares it: the report calls it where only
    # the base package is installed, and loading scipy.stats takes a second that four lines do not need.
    if n == 0:
        return 0.0, 1.0
    p = correct / n
    centre, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def aggregate_cells(predictions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Aggregate predictions into one cell per set × source × capability, with roll-ups under ``"all"``.

    Returns:
        Cells with: set, source, capability, n, correct, accuracy, low, high (95 % interval), tokens (mean greedy reply
        length), parsed (share of replies that state an answer), and for rows that were also sampled: sampled (rows),
        pass_at (k → value), sample_tokens, blank_accuracy (greedy, image blanked) and sighted_accuracy (greedy on the
        same rows with the image). A figure without data is null.
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for p in predictions:
        for source in (p["source"], ALL):
            for capability in (p["capability"], ALL):
                if source != ALL or capability == ALL:
                    groups.setdefault((p["set"], source, capability), []).append(p)
    return [_cell(key, rows) for key, rows in sorted(groups.items())]


def _cell(key: tuple[str, str, str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    right = sum(bool(p["correct"]) for p in rows)
    low, high = compute_wilson_interval(right, len(rows))
    cell: dict[str, Any] = {
        "set": key[0],
        "source": key[1],
        "capability": key[2],
        "n": len(rows),
        "correct": right,
        "accuracy": right / len(rows),
        "low": low,
        "high": high,
        "tokens": compute_mean(p["tokens"] for p in rows),
        "parsed": compute_mean(p["answer"] is not None for p in rows),
    }
    sampled = [p["samples"] for p in rows if p["samples"]]
    n = min((len(s) for s in sampled), default=0)
    cell["sampled"] = len(sampled)
    cell["pass_at"] = {
        str(k): compute_mean(estimate_pass_at_k(len(s), sum(x["correct"] for x in s), k) for s in sampled)
        for k in KS
        if k <= n
    }
    cell["sample_tokens"] = compute_mean(x["tokens"] for s in sampled for x in s)
    blank = [p for p in rows if p["blank_correct"] is not None]
    cell["blank_accuracy"] = compute_mean(p["blank_correct"] for p in blank)
    cell["sighted_accuracy"] = compute_mean(p["correct"] for p in blank)
    return cell


def compute_mean(values: Iterable[float]) -> float | None:
    """Arithmetic mean, None when there is nothing to average."""
    items = [float(v) for v in values]
    return sum(items) / len(items) if items else None
