"""Means with intervals and paired decisions of the RL ablation."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import paired
from ablation_arms import ARMS, OURS

Line = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """One measure: its heading, whether less is better, and decimals. Shares are shown in percent."""

    title: str
    lower_is_better: bool = False
    percent: bool = True


METRICS = {
    "pass@1": Metric("pass@1 (%)"),
    "pass@8": Metric("pass@8 (%)"),
    "pass@16": Metric("pass@16 (%)"),
    "tokens_matched": Metric("tokens at equal accuracy", lower_is_better=True, percent=False),
    "distinct": Metric("distinct replies of 16", percent=False),
    "fabricated_covered": Metric("fabricated, covered (%)", lower_is_better=True),
    "fabricated_blurred": Metric("fabricated, blurred (%)", lower_is_better=True),
    "false_refusal": Metric("false refusal (%)", lower_is_better=True),
    "sight": Metric("acc(image) - acc(blank) (points)"),
    "violations": Metric("order violations (% of mixed groups)", lower_is_better=True),
}

SHOWN = {
    "tokens": Metric("tokens", percent=False),
    "fabricated_blank": Metric("fabricated, blank: trained (%)"),
    "blank_pass@1": Metric("acc(blank) (%)"),
}
"""Shown beside them and not decided."""

CLAIMS = (
    ("the whole beats GRPO", "grpo", ("pass@1", "pass@16", "distinct", "fabricated_covered", "sight")),
    ("modulation beats a plain sum", "reward_sum", ("pass@1", "violations")),
    ("modulation beats stock GDPO", "gdpo", ("pass@1", "violations")),
    ("expected score beside pass@k beats pass@k alone", "pass_at_k", ("pass@1", "pass@16")),
    ("λ > 0 keeps exploration at no cost", "no_lambda", ("pass@1", "pass@16")),
    ("conciseness shortens at equal accuracy", "no_conciseness", ("tokens_matched", "pass@1")),
    ("diversity varies replies", "no_diversity", ("distinct", "pass@16")),
    (
        "adversarial prompts stop fabrication, with a corruption not trained on",
        "no_adversarial",
        ("fabricated_covered", "fabricated_blurred", "false_refusal"),
    ),
    ("the perception weight makes it look", "no_alpha", ("sight", "pass@1")),
    ("seeing the pictures in training matters", "blank_images", ("pass@1", "sight")),
)
"""What the method promises, and which comparisons decide it."""


def value(line: Line, metric: str) -> float:
    """One line's figure, as shown."""
    return float(line[metric]) * (100.0 if (METRICS | SHOWN)[metric].percent else 1.0)


def matched_tokens(a: Line, b: Line) -> tuple[float, float]:
    """Tokens of right replies of two policies on the questions that both answer right at least once.

    Each question counts once, with the mean length of its right replies.
    """
    both = [i for i, (x, y) in enumerate(zip(a["right"], b["right"], strict=True)) if x and y]
    mine, his = ([line["right_tokens"][i] / line["right"][i] for i in both] for line in (a, b))
    return statistics.mean(mine), statistics.mean(his)


def decide(lines: Sequence[Line]) -> dict[tuple[str, str], Line]:
    """(other arm, metric) → ours against it over the seeds that both have; Holm over the arms of each metric."""
    by = {(line["arm"], line["seed"]): line for line in lines}
    found: dict[tuple[str, str], Line] = {}
    for metric, about in METRICS.items():
        family = []
        for other in (name for name in ARMS if name != OURS):
            seeds = sorted(s for name, s in by if name == other and (OURS, s) in by)
            pairs = [(by[OURS, s], by[other, s]) for s in seeds]
            if metric == "tokens_matched":
                d = [mine - his for mine, his in (matched_tokens(*pair) for pair in pairs)]
            else:
                d = [value(a, metric) - value(b, metric) for a, b in pairs]
            if d:
                family.append({"other": other, "d": d, "lower_is_better": about.lower_is_better})
        paired.decide(family)
        found |= {(one["other"], metric): one for one in family}
    return found


def table(lines: Sequence[Line]) -> str:
    """All tables as Markdown."""
    shown = {name: about for name, about in METRICS.items() if name != "tokens_matched"}
    shown |= SHOWN
    text = f"| arm | seeds | {' | '.join(about.title for about in shown.values())} |\n"
    text += "|---|---|" + "---|" * len(shown) + "\n"
    for arm in ("start", *ARMS):
        own = [line for line in lines if line["arm"] == arm]
        if own:
            cells = [_mean([value(line, metric) for line in own if metric in line]) for metric in shown]
            text += f"| {arm} | {len(own)} | {' | '.join(cells)} |\n"
    decisions = decide(lines)
    text += f"\n## Claims\n\n| claim | {OURS} against | metric | difference | p (Holm) | decision |\n"
    text += "|---|---|---|---|---|---|\n"
    for claim, other, metrics in CLAIMS:
        for metric in metrics:
            if (other, metric) in decisions:
                one = decisions[other, metric]
                row = [claim, other, METRICS[metric].title, _difference(one["d"]), f"{one['holm']:.3f}"]
                text += f"| {' | '.join(row)} | **{one['decision']}** |\n"
    text += f"\n## {OURS} minus each other arm, paired by seed\n\n"
    text += f"| against | {' | '.join(about.title for about in METRICS.values())} |\n"
    text += "|---|" + "---|" * len(METRICS) + "\n"
    for other in ARMS:
        if (other, "pass@1") in decisions:
            cells = [f"{_difference(one['d'])} {one['decision']}" for one in (decisions[other, m] for m in METRICS)]
            text += f"| {other} | {' | '.join(cells)} |\n"
    return text


def _mean(values: Sequence[float]) -> str:
    return paired.with_interval(values) if values else "-"


def _difference(values: Sequence[float]) -> str:
    shown = paired.with_interval(values)
    return shown if shown.startswith("-") else f"+{shown}"
