"""Means with intervals, paired decisions and the Pareto front of the forgetting ablation."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import paired
from forgetting_arms import ARMS, OURS
from paired import with_interval

METRICS = {"domain_gain": "domain gain (points)", "retention": "retention (%)"}

Line = dict[str, Any]


def decide(lines: Sequence[Line]) -> list[Line]:
    """Ours against every other arm on both metrics, over the seeds that both have."""
    by = {(line["arm"], line["seed"]): line for line in lines}
    compared: list[Line] = []
    for other in (name for name in ARMS if name != OURS):
        seeds = sorted(s for name, s in by if name == other and (OURS, s) in by)
        for metric in METRICS:
            d = [by[OURS, s][metric] - by[other, s][metric] for s in seeds]
            if d:
                compared.append({"other": other, "metric": metric, "d": d})
    paired.decide(compared)
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
        cells = [with_interval([line[m] for line in own]) for m in METRICS]
        general = statistics.mean(line["general"] for line in own)
        tokens = statistics.mean(line["tokens"] for line in own)
        row = [name, str(len(own)), *cells, f"{general:.1f}", f"{tokens:,.0f}", "yes" if name in front else "no"]
        text += f"| {' | '.join(row)} |\n"
    text += f"\nDifferences, {OURS} minus the other arm, paired by seed:\n\n"
    text += "| against | metric | difference | p | p (Holm) | decision |\n|---|---|---|---|---|---|\n"
    for c in decide(lines):
        row = [c["other"], METRICS[c["metric"]], with_interval(c["d"]), f"{c['p']:.3f}", f"{c['holm']:.3f}"]
        text += f"| {' | '.join(row)} | **{c['decision']}** |\n"
    return text
