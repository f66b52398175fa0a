"""Training curves out of ``metrics.jsonl``, thinned and grouped so that related lines share a chart."""

from __future__ import annotations

import re
from typing import Any

from mindgpt_plugins.core.metrics import read_metrics
from mindgpt_plugins.workbench.report.run import StageView

POINTS = 120
"""Longer curves are averaged in equal bins of steps."""
SCORE_KEYS = ("score/mean", "critic/score/mean", "reward")
"""Where the mean training reward may be: our trainer's name first, then verl's own."""
CHARTS = {
    "sft": (
        ("loss by source", r"loss(?:/(?P<label>.+))?"),
        ("KL to the reference", r"kl/(?P<label>.+)"),
        ("difficulty of the batch", r"(?P<label>difficulty)"),
        ("share in the mixture", r"share/(?P<label>.+)"),
    ),
    "dpo": (
        ("loss", r"loss(?:/(?P<label>.+))?"),
        ("implicit rewards", r"rewards/(?P<label>chosen|rejected|margins)"),
        ("pairs ranked right", r"rewards/(?P<label>accuracies)"),
    ),
    "rl": (
        ("training score", r"score/(?P<label>.+)"),
        ("pass@k in training groups", r"group/(?P<label>pass@.+)"),
        ("reward components, mean", r"reward/(?P<label>.+)/mean"),
        ("reward components, weight", r"reward/(?P<label>.+)/weight"),
        ("reply length, tokens", r"reply/(?P<label>tokens.*)"),
        ("groups without a mixed outcome", r"group/(?P<label>all_.+)"),
        ("share of the advantage due to", r"advantage/share/(?P<label>.+)"),
    ),
}
"""Charts shown open per kind of stage: title and which metrics they hold. Other metrics are folded, by their prefix."""
_SKIP = ("step", "total", "epoch")


def training(stage: StageView) -> dict[str, Any]:
    """Curves of one training stage.

    Returns:
        ``stage``, ``kind``, ``status``, ``steps``, ``charts`` = list of {title, main, lines: {label: [[step, value],
        …]}} and for RL ``reward`` = {key, first, last} (means over the first and last tenth of the steps) or None.
    """
    lines = read_metrics(stage.folder / "metrics.jsonl")
    keys = dict.fromkeys(key for line in lines for key, value in line.items() if key not in _SKIP and _number(value))
    shown: dict[str, dict[str, list[list[float]]]] = {title: {} for title, _ in CHARTS.get(stage.kind, ())}
    folded: dict[str, dict[str, list[list[float]]]] = {}
    for key in keys:
        points = thin([[float(line["step"]), float(line[key])] for line in lines if _number(line.get(key))])
        for title, pattern in CHARTS.get(stage.kind, ()):
            found = re.fullmatch(pattern, key)
            if found:
                shown[title][found.group("label") or "all"] = points
                break
        else:
            head, _, rest = key.partition("/")
            folded.setdefault(head, {})[rest or head] = points
    return {
        "stage": stage.name,
        "kind": stage.kind,
        "status": stage.status,
        "steps": int(lines[-1]["step"]) if lines else 0,
        "charts": [{"title": title, "main": True, "lines": group} for title, group in shown.items() if group]
        + [{"title": title, "main": False, "lines": group} for title, group in folded.items()],
        "reward": _reward(lines, keys) if stage.kind == "rl" else None,
    }


def thin(points: list[list[float]], most: int = POINTS) -> list[list[float]]:
    """Average a curve in at most ``most`` equal bins; short curves come back as they are."""
    if len(points) <= most:
        return points
    binned = []
    for i in range(most):
        part = points[i * len(points) // most : (i + 1) * len(points) // most]
        binned.append([sum(p[axis] for p in part) / len(part) for axis in (0, 1)])
    # The axis should name the first and last step, not the middle of a bin.
    binned[0][0], binned[-1][0] = points[0][0], points[-1][0]
    return binned


def _reward(lines: list[dict[str, Any]], keys: dict[str, None]) -> dict[str, Any] | None:
    key = next((k for k in SCORE_KEYS if k in keys), None)
    if key is None:
        return None
    values = [float(line[key]) for line in lines if _number(line.get(key))]
    tenth = max(1, len(values) // 10)
    return {"key": key, "first": sum(values[:tenth]) / tenth, "last": sum(values[-tenth:]) / tenth}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < 1e300
