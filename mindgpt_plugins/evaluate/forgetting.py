"""The forgetting gate: paired non-inferiority on the same items, retention and domain gain (method: ours).

A model passes when, in every general group, the lower 95 % bootstrap bound of its accuracy change against the base
stays above minus the margin, and when it keeps the asked share of the domain gain. Pairing matters: an unchanged
model must pass, whatever its accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LOW_QUANTILE = 0.05
"""One-sided 95 % bound."""
RESAMPLES = 4000

Judged = Mapping[str, tuple[str, bool]]
"""Item → (group, correct): one model's judged greedy replies."""


def lower_bound(before: Sequence[bool], after: Sequence[bool], *, seed: int = 0) -> float:
    """Lower 95 % bootstrap bound of mean(after − before) over paired items.

    A paired difference is −1, 0 or 1, so resampling items is exactly a multinomial draw of the three counts.
    """
    import numpy as np

    difference = np.asarray(after, dtype=np.int64) - np.asarray(before, dtype=np.int64)
    n = len(difference)
    shares = [float(np.mean(difference == value)) for value in (-1, 0, 1)]
    counts = np.random.default_rng(seed).multinomial(n, shares, size=RESAMPLES)
    return float(np.quantile((counts[:, 2] - counts[:, 0]) / n, LOW_QUANTILE))


def gate(
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
        ``passed``, the settings, ``groups`` (group, n, before, after, change, low, passed), ``retention``
        (mean over groups of after/before; groups the base never solves are left out) and ``domain`` (before, after,
        gain, and with a peak: peak, peak_gain, kept, passed). All accuracies are shares in [0, 1].

    Raises:
        ValueError: the items differ, or there are none.
    """
    _same_items(before, after, "general")
    _same_items(domain_before, domain_after, "domain")
    groups: list[dict[str, Any]] = []
    for group in sorted({g for g, _ in before.values()}):
        items = sorted(item for item, (g, _) in before.items() if g == group)
        a0, a1 = [before[i][1] for i in items], [after[i][1] for i in items]
        low = lower_bound(a0, a1, seed=seed)
        groups.append(
            {
                "group": group,
                "n": len(items),
                "before": _share(a0),
                "after": _share(a1),
                "change": _share(a1) - _share(a0),
                "low": low,
                "passed": low > -margin,
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
    return {
        "passed": all(g["passed"] for g in groups) and domain.get("passed", True),
        "margin": margin,
        "keep_gain": keep_gain,
        "groups": groups,
        "retention": sum(ratios) / len(ratios) if ratios else None,
        "domain": domain,
    }


def describe(result: Mapping[str, Any]) -> str:
    """One line on why a gate passed or failed, with the figures."""
    parts = [
        f"{g['group']} {100 * g['change']:+.1f} points (lower bound {100 * g['low']:+.1f}, "
        f"margin {-100 * result['margin']:+.1f}, n={g['n']})"
        for g in result["groups"]
        if result["passed"] or not g["passed"]
    ]
    domain = result["domain"]
    if "kept" in domain and (result["passed"] or not domain["passed"]):
        parts.append(f"kept {100 * domain['kept']:.0f} % of the domain gain (at least {100 * result['keep_gain']:.0f})")
    return f"forgetting gate {'passed' if result['passed'] else 'FAILED'}: " + "; ".join(parts)


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
