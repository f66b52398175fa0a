"""Means with intervals, paired decisions and the Pareto front of the forgetting ablation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from forgetting_arms import ARMS, OURS

METRICS = {"domain_gain": "domain gain (points)", "retention": "retention (%)"}

Line = dict[str, Any]


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


def decide(lines: Sequence[Line]) -> list[Line]:
    """Ours against every other arm on both metrics, over the seeds that both have."""
    by = {(line["arm"], line["seed"]): line for line in lines}
    compared = []
    for other in (name for name in ARMS if name != OURS):
        seeds = sorted(s for name, s in by if name == other and (OURS, s) in by)
        for metric in METRICS:
            d = [by[OURS, s][metric] - by[other, s][metric] for s in seeds]
            if d:
                compared.append({"other": other, "metric": metric, "d": d, "p": p_value(d)})
    for one, adjusted in zip(compared, holm([c["p"] for c in compared]), strict=True):
        sign = "win" if statistics.mean(one["d"]) > 0 else "loss"
        one |= {"holm": adjusted, "decision": sign if adjusted < 0.05 else "null"}
    return compared


def pareto(means: dict[str, tuple[float, float]]) -> set[str]:
    """Arms that no other arm beats on one metric without losing on the other."""
    return {
        name
        for name, mine in means.items()
        if not any(all(b >= a for a, b in zip(mine, his, strict=True)) and his != mine for his in means.values())
    }


def table(lines: Sequence[Line]) -> str:
    """Both tables as Markdown."""
    found = {name: [line for line in lines if line["arm"] == name] for name in ARMS}
    found = {name: own for name, own in found.items() if own}
    means = {name: tuple(statistics.mean(x[m] for x in own) for m in METRICS) for name, own in found.items()}
    front = pareto(means)  # type: ignore[arg-type]
    text = f"| arm | seeds | {' | '.join(METRICS.values())} | general (%) | trained tokens | on the Pareto front |\n"
    text += "|---|---|" + "---|" * (len(METRICS) + 3) + "\n"
    for name, own in found.items():
        cells = [_with_interval([line[m] for line in own]) for m in METRICS]
        general = statistics.mean(line["general"] for line in own)
        tokens = statistics.mean(line["tokens"] for line in own)
        row = [name, str(len(own)), *cells, f"{general:.1f}", f"{tokens:,.0f}", "yes" if name in front else "no"]
        text += f"| {' | '.join(row)} |\n"
    text += f"\nDifferences, {OURS} minus the other arm, paired by seed:\n\n"
    text += "| against | metric | difference | p | p (Holm) | decision |\n|---|---|---|---|---|---|\n"
    for c in decide(lines):
        row = [c["other"], METRICS[c["metric"]], _with_interval(c["d"]), f"{c['p']:.3f}", f"{c['holm']:.3f}"]
        text += f"| {' | '.join(row)} | **{c['decision']}** |\n"
    return text


def _with_interval(values: Sequence[float]) -> str:
    low, high = interval(values)
    shown = f"[{low:.1f}, {high:.1f}]" if len(values) > 1 else "(one seed)"
    return f"{statistics.mean(values):.1f} {shown}"
