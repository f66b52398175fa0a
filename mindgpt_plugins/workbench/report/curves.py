"""Training curves out of ``metrics.jsonl``, thinned and grouped so that related lines share a chart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mindgpt_plugins.stages.reporting import Charts
from mindgpt_plugins.workbench.report.run import METRICS, StageView

POINTS = 120
"""Longer curves are averaged in equal bins of steps."""
_SKIP = ("step", "total", "epoch")


def collect_training_curves(stage: StageView, charts: Charts) -> dict[str, Any]:
    """Curves of one training stage.

    Args:
        stage: of the run.
        charts: how its kind wants them drawn.

    Returns:
        ``stage``, ``kind``, ``status``, ``steps``, ``heading``, ``alone`` (it shares no grid), ``charts`` = list of
        {title, main, lines: {label: [[step, value], …]}} and for RL ``reward`` = {key, first, last} (means over the
        first and last tenth of the steps) or None.
    """
    lines = stage.lines(METRICS)
    keys = dict.fromkeys(key for line in lines for key, value in line.items() if key not in _SKIP and _number(value))
    shown: dict[str, dict[str, list[list[float]]]] = {title: {} for title in charts.shown}
    folded: dict[str, dict[str, list[list[float]]]] = {}
    for key in keys:
        points = thin_curve([[float(line["step"]), float(line[key])] for line in lines if _number(line.get(key))])
        for title, pattern in charts.shown.items():
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
        "heading": charts.heading,
        "alone": charts.alone,
        "charts": [{"title": title, "main": True, "lines": group} for title, group in shown.items() if group]
        + [{"title": title, "main": False, "lines": group} for title, group in folded.items()],
        "reward": _reward(lines, keys, charts.reward),
    }


def thin_curve(points: list[list[float]], most: int = POINTS) -> list[list[float]]:
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


def _reward(lines: list[dict[str, Any]], keys: dict[str, None], names: Sequence[str]) -> dict[str, Any] | None:
    key = next((name for name in names if name in keys), None)
    if key is None:
        return None
    values = [float(line[key]) for line in lines if _number(line.get(key))]
    tenth = max(1, len(values) // 10)
    return {"key": key, "first": sum(values[:tenth]) / tenth, "last": sum(values[-tenth:]) / tenth}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < 1e300
