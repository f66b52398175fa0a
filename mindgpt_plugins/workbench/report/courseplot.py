"""Shares over the models of a run as inline SVG: one line per branch, with error bars, model names below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mindgpt_plugins.workbench.report.svg import COLOURS

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 30, 14, 10, 24
APART = 3.0
"""Pixels between the points of two lines at one model."""


def course(title: str, models: Sequence[str], lines: Mapping[str, Sequence[Mapping[str, Any] | None]]) -> str:
    """A chart of up to eight branches over the models.

    Args:
        title: shown above.
        models: their names, in order.
        lines: label → per model a record with accuracy, low and high in [0, 1], or None.
    """
    shown = dict(list(lines.items())[:COLOURS])
    parts = []
    for tick in (0.0, 0.5, 1.0):
        y = _y(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{100 * tick:.0f}</text>')
    step = (WIDTH - LEFT - RIGHT) / len(models)
    for i, model in enumerate(models):
        short = model if len(model) * 6 <= step else model[: max(1, int(step / 6) - 1)] + "…"
        at = LEFT + (i + 0.5) * step
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(short)}</text>')
    for c, (label, records) in enumerate(shown.items()):
        aside = APART * (c - (len(shown) - 1) / 2)
        found = [(LEFT + (i + 0.5) * step + aside, r, models[i]) for i, r in enumerate(records) if r]
        path = " ".join(f"{x:.1f},{_y(r['accuracy']):.1f}" for x, r, _ in found)
        parts.append(f'<polyline class="c{c}" points="{path}"/>')
        parts += [_point(f"{label}, {model}", x, r, f"c{c}") for x, r, model in found]
    legend = "".join(f'<li><i class="c{c}"></i>{escape(label)}</li>' for c, label in enumerate(shown))
    if len(lines) > len(shown):
        legend += f"<li>+ {len(lines) - len(shown)} more in report.json</li>"
    return (
        f"<figure class=chart><figcaption>{escape(title)} <small>accuracy in %, 95 % intervals</small></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def _point(label: str, x: float, r: Mapping[str, Any], colour: str) -> str:
    tip = f"{label}: {100 * r['accuracy']:.1f} % ({100 * r['low']:.1f} to {100 * r['high']:.1f}), n = {r['n']}"
    bar = f"{x:.1f},{_y(r['low']):.1f} {x:.1f},{_y(r['high']):.1f}"
    return (
        f'<g><title>{escape(tip)}</title><polyline class="{colour}" points="{bar}"/>'
        f'<circle class="{colour}" cx="{x:.1f}" cy="{_y(r["accuracy"]):.1f}" r="3"/></g>'
    )


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
