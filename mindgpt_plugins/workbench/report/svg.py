"""Small charts as inline SVG: no library, no script needed to see them (a few lines of script add a read-out)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 42, 10, 10, 24
COLOURS = 8
"""Line colours in the style sheet: ``--c0`` … ``--c7``."""

Lines = Mapping[str, Sequence[Sequence[float]]]


def number(value: float) -> str:
    """A short number for axes and read-outs."""
    if value == 0:
        return "0"
    size = abs(value)
    if 1e3 <= size < 1e4:
        return f"{value:.0f}"
    if size >= 1e4 or size < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.3g}"


def line_chart(title: str, lines: Lines, *, log2: bool = False, note: str = "") -> str:
    """A chart of up to eight lines with a legend that shows the last values.

    Args:
        title: shown above.
        lines: label → points (x, y), x ascending.
        log2: logarithmic x axis with its own ticks (for k in pass@k).
        note: small text under the title.
    """
    shown = {label: points for label, points in list(lines.items())[:COLOURS] if points}
    if not shown:
        return ""
    left_out = len(lines) - len(shown)
    xs = sorted({p[0] for points in shown.values() for p in points})
    ys = [p[1] for points in shown.values() for p in points]
    low, high, ticks = _axis(min(ys), max(ys))

    def x(value: float) -> float:
        at, first, last = (math.log2(v) if log2 else v for v in (value, xs[0], xs[-1]))
        return LEFT + (WIDTH - LEFT - RIGHT) * ((at - first) / (last - first) if last > first else 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    parts = []
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{number(tick)}</text>')
    labels = xs if log2 else ([xs[0], xs[-1]] if len(xs) > 1 else xs)
    for i, value in enumerate(labels):
        anchor = "middle" if log2 or len(labels) == 1 else ("start", "end")[i]
        parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{number(value)}</text>')
    for i, points in enumerate(shown.values()):
        path = " ".join(f"{x(p[0]):.1f},{y(p[1]):.1f}" for p in points)
        if len(points) == 1 or log2:
            parts += [f'<circle class="c{i}" cx="{x(p[0]):.1f}" cy="{y(p[1]):.1f}" r="3"/>' for p in points]
        if len(points) > 1:
            parts.append(f'<polyline class="c{i}" points="{path}"/>')
    parts.append(f'<line class="cursor" y1="{TOP}" y2="{HEIGHT - BOTTOM}" x1="-9" x2="-9"/>')
    legend = "".join(
        f'<li><i class="c{i}"></i>{escape(label)} <output>{number(points[-1][1])}</output></li>'
        for i, (label, points) in enumerate(shown.items())
    )
    if left_out:
        legend += f"<li>+ {left_out} more in report.json</li>"
    data = [[[round(x(p[0]), 1), float(f"{p[0]:.6g}"), float(f"{p[1]:.4g}")] for p in line] for line in shown.values()]
    small = f"<small>{escape(note)}</small>" if note else ""
    return (
        f"<figure class=\"chart\" data-lines='{json.dumps(data, separators=(',', ':'))}'>"
        f"<figcaption>{escape(title)} {small}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def bars(title: str, values: Mapping[str, float], *, unit: str = "", most: int = 14) -> str:
    """Horizontal bars with their values, the largest first-come labels kept."""
    if not values:
        return ""
    top = max(values.values()) or 1
    rows = "".join(
        f"<tr><th>{escape(label)}</th><td><span class=bar style='width:{100 * value / top:.1f}%'></span></td>"
        f"<td class=num>{number(value) if isinstance(value, float) else value}{escape(unit)}</td></tr>"
        for label, value in list(values.items())[:most]
    )
    rest = len(values) - most
    more = f"<tr><th colspan=3>+ {rest} more in report.json</th></tr>" if rest > 0 else ""
    return (
        f"<figure class=chart><figcaption>{escape(title)}</figcaption><table class=bars>{rows}{more}</table></figure>"
    )


def histogram(title: str, counts: Sequence[float], line: Sequence[float | None], *, note: str = "") -> str:
    """Bars over equal bins of [0, 1] with a second series as dots on its own scale."""
    top, peak = max(counts, default=0) or 1, max((v for v in line if v is not None), default=1.0) or 1.0
    wide = (WIDTH - LEFT - RIGHT) / max(1, len(counts))
    high = HEIGHT - TOP - BOTTOM
    parts = []
    for i, count in enumerate(counts):
        h = high * count / top
        tip = f"{i / len(counts):.1f}-{(i + 1) / len(counts):.1f}: {count} images"
        parts.append(
            f'<rect class="c0" x="{LEFT + i * wide + 1:.1f}" y="{HEIGHT - BOTTOM - h:.1f}" width="{wide - 2:.1f}" '
            f'height="{h:.1f}"><title>{tip}</title></rect>'
        )
    for i, value in enumerate(line):
        if value is not None:
            cy = HEIGHT - BOTTOM - high * value / peak
            parts.append(
                f'<circle class="c1" cx="{LEFT + (i + 0.5) * wide:.1f}" cy="{cy:.1f}" r="4">'
                f"<title>{value:.2f} per image</title></circle>"
            )
    for value, label in ((0.0, "0"), (0.5, "0.5"), (1.0, "1")):
        at = LEFT + value * (WIDTH - LEFT - RIGHT)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{LEFT - 5}" y="{TOP + 8}" text-anchor="end">{number(top)}</text>')
    note += f" (highest {peak:.1f})" if any(v is not None for v in line) else ""
    return (
        f"<figure class=chart><figcaption>{escape(title)} <small>{escape(note)}</small></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def _axis(low: float, high: float) -> tuple[float, float, list[float]]:
    """Round limits around the data and 3 to 6 round ticks between them."""
    if high - low < 1e-12:
        pad = abs(high) * 0.1 or 0.5
        low, high = low - pad, high + pad
    raw = (high - low) / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [i * step for i in range(first, last + 1)]
    return ticks[0], ticks[-1], ticks
