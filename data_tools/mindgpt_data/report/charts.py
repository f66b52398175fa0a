"""Histograms and grouped lines with axis titles as inline SVG; every bar and point has a tooltip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 340, 220
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 40
COLOURS = 8


def histogram(
    title: str, counts: Mapping[str, Sequence[int]], low: float, high: float, *, x: str, y: str, note: str = ""
) -> str:
    """Bars over equal bins of [low, high], stacked by series.

    Args:
        title: above the chart.
        counts: series → count per bin; all of one length, at most eight.
        low: left edge.
        high: right edge.
        x: title of the horizontal axis.
        y: title of the vertical axis, plural: tooltips use it.
        note: small text beside the title.
    """
    bins = max((len(c) for c in counts.values()), default=0)
    if not bins:
        return ""
    top, ticks = _axis(max(sum(c[i] for c in counts.values()) for i in range(bins)))
    wide = (WIDTH - LEFT - RIGHT) / bins
    parts = _frame(top, ticks, x, y)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = LEFT + share * (WIDTH - LEFT - RIGHT)
        label = f"{low + share * (high - low):.2f}".rstrip("0").rstrip(".")
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{label}</text>')
    for i in range(bins):
        edge = [low + (high - low) * k / bins for k in (i, i + 1)]
        base = float(HEIGHT - BOTTOM)
        for n, (name, values) in enumerate(counts.items()):
            if not values[i]:
                continue
            tall = max(0.75, (HEIGHT - TOP - BOTTOM) * values[i] / top)
            base -= tall
            tip = f"{name}, " if len(counts) > 1 else ""
            parts.append(
                f'<rect class="f{n}" x="{LEFT + i * wide + 0.5:.1f}" y="{base:.1f}" width="{max(0.5, wide - 1):.1f}" '
                f'height="{tall:.1f}"><title>{escape(tip)}{edge[0]:.2f} to {edge[1]:.2f}: {values[i]:,} '
                f"{escape(y)}</title></rect>"
            )
    return _figure(title, note, parts, list(counts) if len(counts) > 1 else [])


def lines(
    title: str, at: Sequence[str], series: Mapping[str, Sequence[float | None]], *, x: str, y: str, note: str = ""
) -> str:
    """Points joined by lines over named places.

    Args:
        title: above the chart.
        at: labels of the places, left to right.
        series: name → value per place, None for a gap; at most eight.
        x: title of the horizontal axis.
        y: title of the vertical axis.
        note: small text beside the title.
    """
    values = [v for found in series.values() for v in found if v is not None]
    if not values:
        return ""
    top, ticks = _axis(max(values))
    parts = _frame(top, ticks, x, y)

    def place(i: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (i + 0.5) / len(at)

    for i, label in enumerate(at):
        if len(at) > 6 and i % 2:  # no room for all
            continue
        parts.append(f'<text x="{place(i):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{escape(label)}</text>')
    for n, (name, found) in enumerate(series.items()):
        points = [
            (place(i), HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * v / top, v)
            for i, v in enumerate(found)
            if v is not None
        ]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py, _ in points)
        parts.append(f'<polyline class="c{n}" points="{path}"/>')
        parts += [
            f'<circle class="f{n}" cx="{px:.1f}" cy="{py:.1f}" r="3.2"><title>{escape(name)}: {v:.3g}</title></circle>'
            for px, py, v in points
        ]
    return _figure(title, note, parts, list(series))


def _frame(top: float, ticks: Sequence[float], x: str, y: str) -> list[str]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts = [
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x)}</text>',
        f'<text transform="translate(11 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(y)}</text>',
    ]
    for tick in ticks:
        h = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * tick / top
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{h:.1f}" y2="{h:.1f}"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{h + 3.5:.1f}" text-anchor="end">{_short(tick)}</text>')
    return parts


def _figure(title: str, note: str, parts: Sequence[str], legend: Sequence[str]) -> str:
    small = f"<small>{escape(note)}</small>" if note else ""
    shown = "".join(f'<li><i class="c{n}"></i>{escape(name)}</li>' for n, name in enumerate(legend[:COLOURS]))
    return (
        f"<figure class=chart><figcaption>{escape(title)} {small}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
        + (f"<ul class=legend>{shown}</ul>" if shown else "")
        + "</figure>"
    )


def _axis(most: float) -> tuple[float, list[float]]:
    """A round upper end and 3 to 6 ticks from zero."""
    if most <= 0:
        return 1.0, [0.0, 1.0]
    power = 10 ** math.floor(math.log10(most / 4))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= most / 4)
    last = math.ceil(most / step - 1e-9)
    return last * step, [i * step for i in range(last + 1)]


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:,.4g}"
