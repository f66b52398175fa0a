"""Two models on the same items: difference of accuracy per branch, with an interval and a test that counts the looks.

Every branch has the exact McNemar test on the items whose outcome changed. Hundreds of branches are looked at, so a
branch is said to have fallen or risen only when its p-value stays under 5 % after Holm's correction over all of them;
the intervals are for one branch at a time. The bootstrap of the forgetting gate is not used for intervals here: leaves
have a handful of items, and ten replies that all stayed the same would get the interval [0, 0].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, Literal

from mindgpt_plugins.stages.evaluate import branches
from mindgpt_plugins.stages.evaluate.branches import Prediction

ALPHA = 0.05
"""Chance that any branch is named although none changed."""
Z = 1.959964

Verdict = Literal["fell", "rose", "unclear"]


class CompareError(ValueError):
    """Two evaluations cannot be compared; the message says why and the fix."""


def make_no_overlap_error(name: str) -> CompareError:
    """The error about an earlier evaluation of other items."""
    return CompareError(f"{name} and this evaluation have no item in common; evaluate both on the same sets")


def compute_paired_interval(lost: int, won: int, n: int) -> tuple[float, float]:
    """95 % interval of the difference of two paired shares (Agresti and Min 2005: half an item added to each cell).

    Args:
        lost: items that were right before and are not now.
        won: the reverse.
        n: all items.

    Returns:
        Bounds in [-1, 1]; (-1, 1) when n = 0.
    """
    if n == 0:
        return -1.0, 1.0
    total = n + 2
    centre = (won - lost) / total
    half = Z * sqrt((won + lost + 1) / total - centre**2) / sqrt(total)
    return max(-1.0, centre - half), min(1.0, centre + half)


def compute_mcnemar_p_value(lost: int, won: int) -> float:
    """Exact two-sided p-value: is a changed item as likely to be lost as won? (McNemar 1947, binomial form)."""
    from scipy.stats import binomtest  # a second to load; only a comparison needs it

    return float(binomtest(lost, lost + won, 0.5).pvalue) if lost + won else 1.0


def adjust_holm_p_values(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold for all of them together, however they depend on each other (Holm 1979)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def compare_evaluations(
    before: Sequence[Prediction], after: Sequence[Prediction], name: str, parts: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Per-branch differences between two evaluations on the items that both have.

    Args:
        before: predictions of the earlier evaluation.
        after: those of the later one; its labels are used.
        name: of the earlier one, for the reader.
        parts: part → sources, e.g. general and domain. A branch is compared within each part: what general items lose
            must not hide behind what domain items of the same capability win. Other sources are a part of their own.

    Returns:
        ``with`` (name), ``items`` (in both), ``only_before`` and ``only_after`` (not compared), ``totals`` (one per
        part), ``tests`` (how many different questions Holm's correction of the branches counts; totals have one of
        their own), and ``branches`` by part in the order of
        :func:`mindgpt_plugins.stages.evaluate.branches.build_branch_records`. Both
        have part, n, before, after and change (shares), low and high (95 % interval of the change, one at a time), lost
        and won (items), p, p_holm and verdict (fell, rose, unclear); branches also axis, level and path.

    Raises:
        CompareError: no item is in both.
    """
    was = {(p["set"], p["uid"]): bool(p["correct"]) for p in before}
    both = [p for p in after if (p["set"], p["uid"]) in was]
    if not both:
        raise make_no_overlap_error(name)
    rows, totals = [], []
    for part, items in split_predictions(both, parts).items():
        totals.append(
            {"part": part, **compute_paired_difference([(was[p["set"], p["uid"]], bool(p["correct"])) for p in items])}
        )
        found = branches.group_branch_members(items)
        for axis, path in branches.sort_branches(found):
            pairs = [(was[p["set"], p["uid"]], bool(p["correct"])) for p in found[axis, path]]
            rows.append(
                {"part": part, "axis": axis, "level": len(path), "path": list(path), **compute_paired_difference(pairs)}
            )
    return {
        "with": name,
        "items": len(both),
        "only_before": len(was) - len(both),
        "only_after": len(after) - len(both),
        "totals": [
            t | _verdict(t["change"], p)
            for t, p in zip(totals, adjust_holm_p_values([t["p"] for t in totals]), strict=True)
        ],
        "tests": _adjust(rows),
        "branches": rows,
    }


def split_predictions(
    predictions: Sequence[Prediction], parts: Mapping[str, Sequence[str]]
) -> dict[str, list[Prediction]]:
    """Predictions by part, in the order of ``parts``; sources that no part names stand under their own name."""
    part_of = {source: part for part, sources in parts.items() for source in sources}
    found: dict[str, list[Prediction]] = {part: [] for part in parts}
    for p in predictions:
        found.setdefault(str(part_of.get(p["source"], p["source"])), []).append(p)
    return {part: items for part, items in found.items() if items}


def compute_paired_difference(pairs: Sequence[tuple[bool, bool]]) -> dict[str, Any]:
    """Shares, change, interval and p-value of (right before, right after) pairs; at least one."""
    n, lost, won = len(pairs), pairs.count((True, False)), pairs.count((False, True))
    low, high = compute_paired_interval(lost, won, n)
    return {
        "n": n,
        "before": sum(b for b, _ in pairs) / n,
        "after": sum(a for _, a in pairs) / n,
        "change": (won - lost) / n,
        "low": low,
        "high": high,
        "lost": lost,
        "won": won,
        "p": compute_mcnemar_p_value(lost, won),
    }


def _adjust(rows: list[dict[str, Any]]) -> int:
    """Add ``p_holm`` and ``verdict``; a branch with the very items of its parent is the same question, asked once."""

    def key(row: Mapping[str, Any]) -> tuple[str, ...]:
        return (row["part"], row["axis"], *row["path"])

    sizes = {key(row): row["n"] for row in rows}
    asked = {own: next(own[:end] for end in range(3, 9) if sizes[own[:end]] == n) for own, n in sizes.items()}
    p_values = {asked[key(row)]: row["p"] for row in rows}
    adjusted = dict(zip(p_values, adjust_holm_p_values(list(p_values.values())), strict=True))
    for row in rows:
        row |= _verdict(row["change"], adjusted[asked[key(row)]])
    return len(p_values)


def _verdict(change: float, p_holm: float) -> dict[str, Any]:
    verdict: Verdict = "unclear" if p_holm >= ALPHA else "fell" if change < 0 else "rose"
    return {"p_holm": p_holm, "verdict": verdict}
