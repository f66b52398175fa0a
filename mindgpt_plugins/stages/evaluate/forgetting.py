"""The forgetting gate: paired non-inferiority on the same items, retention and domain gain (method: ours).

A model passes when, in every general group, the lower 95 % bootstrap bound of its accuracy change against the base
stays above minus the margin, and when it keeps the asked share of the domain gain. Pairing matters: an unchanged
model must pass, whatever its accuracy. A group with too few items for that question is *undecided*: it neither passes
nor fails, unless it fell so far that even few items show it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

LOW_QUANTILE = 0.05
"""One-sided 95 % bound."""
RESAMPLES = 4000
POWER_Z = 1.6449 + 0.8416
"""Normal quantiles of a one-sided 5 % test with 80 % power."""

Verdict = Literal["passed", "failed", "undecided"]

Judged = Mapping[str, tuple[str, bool]]
"""Item → (group, correct): one model's judged greedy replies."""


def compute_bootstrap_lower_bound(before: Sequence[bool], after: Sequence[bool], *, seed: int = 0) -> float:
    """Lower 95 % bootstrap bound of mean(after − before) over paired items."""
    return compute_bootstrap_bounds(before, after, seed=seed)[0]


def compute_bootstrap_bounds(before: Sequence[bool], after: Sequence[bool], *, seed: int = 0) -> tuple[float, float]:
    """Lower and upper one-sided 95 % bootstrap bounds of mean(after − before) over paired items.

    A paired difference is −1, 0 or 1, so resampling items is exactly a multinomial draw of the three counts.
    """
    import numpy as np

    difference = np.asarray(after, dtype=np.int64) - np.asarray(before, dtype=np.int64)
    n = len(difference)
    shares = [float(np.mean(difference == value)) for value in (-1, 0, 1)]
    counts = np.random.default_rng(seed).multinomial(n, shares, size=RESAMPLES)
    low, high = np.quantile((counts[:, 2] - counts[:, 0]) / n, (LOW_QUANTILE, 1 - LOW_QUANTILE))
    return float(low), float(high)


def compute_fewest_items(margin: float) -> int:
    """Items below which not even a group without any loss shows that it lost less than the margin (rule of three).

    With n items a true loss of the margin leaves no trace with probability (1 − margin)^n, which must be ≤ 5 %.
    """
    return math.ceil(math.log(LOW_QUANTILE) / math.log1p(-min(margin, 0.95))) if margin > 0 else 0


def compute_needed_items(before: Sequence[bool], after: Sequence[bool], margin: float) -> int:
    """Paired items with which a group that lost nothing passes with 80 % probability.

    A paired difference has the share of replies that changed, in either way, as its variance.
    """
    if margin <= 0:
        return 0
    changed = sum(a != b for a, b in zip(before, after, strict=True)) / len(before)
    return max(compute_fewest_items(margin), math.ceil(changed * (POWER_Z / margin) ** 2))


UNLABELLED = "(no label)"
"""Group of the items without a label on the axis that the gate groups by."""


def find_gate_group(prediction: Mapping[str, Any], by: str) -> str:
    """The group of a judged reply.

    Args:
        prediction: a line of ``predictions.jsonl``.
        by: ``source``, ``capability`` or ``knowledge`` (the whole label), or its first levels: ``l1`` and ``l2`` of
            capability, ``knowledge_l1`` and ``knowledge_l2``.
    """
    axis, _, level = ("capability_" + by if by in ("l1", "l2") else by).partition("_l")
    label = str(prediction.get(axis) or UNLABELLED)
    return ".".join(re.split(r"[./]", label)[: int(level)]) if level else label


def judge_forgetting_gate(
    before: Judged,
    after: Judged,
    domain_before: Judged,
    domain_after: Judged,
    domain_peak: Judged | None = None,
    *,
    margin: float = 0.03,
    keep_gain: float = 0.8,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare a model with the base on the same items.

    Args:
        before: the base's general items.
        after: the judged model's general items; the same items.
        domain_before: the base's domain items.
        domain_after: the judged model's.
        domain_peak: the model right after domain learning; None skips the kept-gain condition.
        margin: largest accepted loss per general group, as a share (0.03 = 3 points).
        keep_gain: share of the peak's domain gain that must be left.
        seed: of the bootstrap.

    Returns:
        ``verdict`` (``failed`` if a group or the domain failed, else ``undecided`` if a group is, else ``passed``),
        ``passed``, the settings, ``groups`` (group, n, needed, before, after, change, low, high, verdict, passed),
        ``retention`` (mean over groups of after/before; groups the base never solves are left out) and ``domain``
        (before, after, gain, and with a peak: peak, peak_gain, kept, passed). All accuracies are shares in [0, 1].

    Raises:
        ValueError: the items differ, or there are none.
    """
    _same_items(before, after, "general")
    _same_items(domain_before, domain_after, "domain")
    groups: list[dict[str, Any]] = []
    for group in sorted({g for g, _ in before.values()}):
        items = sorted(item for item, (g, _) in before.items() if g == group)
        a0, a1 = [before[i][1] for i in items], [after[i][1] for i in items]
        low, high = compute_bootstrap_bounds(a0, a1, seed=seed)
        least = compute_needed_items(a0, a1, margin)
        verdict = _verdict(low, high, len(items), least, margin)
        groups.append(
            {
                "group": group,
                "n": len(items),
                "needed": least,
                "before": _share(a0),
                "after": _share(a1),
                "change": _share(a1) - _share(a0),
                "low": low,
                "high": high,
                "verdict": verdict,
                "passed": verdict == "passed",
            }
        )
    ratios = [g["after"] / g["before"] for g in groups if g["before"] > 0]
    d0, d1 = (_share([right for _, right in d.values()]) for d in (domain_before, domain_after))
    domain: dict[str, Any] = {"n": len(domain_before), "before": d0, "after": d1, "gain": d1 - d0}
    if domain_peak is not None:
        _same_items(domain_before, domain_peak, "domain")
        peak = _share([right for _, right in domain_peak.values()])
        # Without a gain there is nothing to keep; the condition is then that the domain did not get worse.
        kept = (d1 - d0) / (peak - d0) if peak > d0 else float(d1 >= d0)
        domain |= {"peak": peak, "peak_gain": peak - d0, "kept": kept, "passed": kept >= keep_gain}
    verdicts = {g["verdict"] for g in groups} | ({"failed"} if not domain.get("passed", True) else set())
    overall: Verdict = "failed" if "failed" in verdicts else "undecided" if "undecided" in verdicts else "passed"
    return {
        "verdict": overall,
        "passed": overall == "passed",
        "margin": margin,
        "keep_gain": keep_gain,
        "groups": groups,
        "retention": sum(ratios) / len(ratios) if ratios else None,
        "domain": domain,
    }


def describe_gate_verdict(result: Mapping[str, Any]) -> str:
    """One line on the verdict with the figures behind it: every group that decided it, or all of a gate that passed."""
    verdict = result["verdict"]
    parts = [
        f"{g['group']} {100 * g['change']:+.1f} points (lower bound {100 * g['low']:+.1f}, "
        f"margin {-100 * result['margin']:+.1f}, n={g['n']})"
        for g in result["groups"]
        if g["verdict"] == verdict
    ]
    domain = result["domain"]
    if "kept" in domain and (verdict == "passed" or not domain["passed"]):
        parts.append(f"kept {100 * domain['kept']:.0f} % of the domain gain (at least {100 * result['keep_gain']:.0f})")
    few = [f"{g['group']} has {g['n']} of {g['needed']} items" for g in result["groups"] if g["verdict"] == "undecided"]
    if few:
        parts.append(f"undecided for want of items: {', '.join(few)}")
    return f"forgetting gate {'FAILED' if verdict == 'failed' else verdict}: " + "; ".join(parts)


def _verdict(low: float, high: float, n: int, least: int, margin: float) -> Verdict:
    if low > -margin:
        return "passed" if n >= compute_fewest_items(margin) else "undecided"
    # A fall beyond the margin shows with any number of items; anything less needs enough of them.
    return "failed" if high < -margin or n >= least else "undecided"


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values)


def _same_items(a: Judged, b: Judged, what: str) -> None:
    if not a:
        raise ValueError(f"the forgetting gate has no {what} items; check the sources of the evaluated sets")
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        raise ValueError(
            f"the forgetting gate compares the same {what} items, but {len(odd)} are in one evaluation only "
            f"(e.g. {odd[0]}); evaluate both models on the same sets"
        )
