"""Dots with error bars as inline SVG: differences around zero, and shares before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

ROW = 20
WIDTH = 340
LABEL = 132
"""Width left of the plot for names."""
TONE = {"fell": "bad", "rose": "good", "unclear": "quiet"}
LONGEST = 20
"""Characters of a name beside the plot."""


def changes(title: str, rows: Sequence[Mapping[str, Any]], *, note: str = "") -> str:
    """Differences sorted as given, with 95 % bars around a zero line.

    Args:
        title: shown above.
        rows: with path, change, low, high (shares), n and verdict.
        note: small text under the title.
    """
    if not rows:
        return ""
    lowest = min(-0.02, *(float(r["low"]) for r in rows))
    highest = max(0.02, *(float(r["high"]) for r in rows))
    high = ROW * len(rows) + 24

    def x(value: float) -> float:
        return LABEL + 8 + (WIDTH - LABEL - 22) * (value - lowest) / (highest - lowest)

    parts = [f'<line class="axis" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="2" y2="{high - 20}"/>']
    for i, row in enumerate(rows):
        y = ROW * i + ROW / 2 + 2
        parts.append(
            f'<g class="{TONE[row["verdict"]]}"><title>{escape(tip(row))}</title>'
            f'<text x="{LABEL - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(_short(row["path"]))}</text>'
            f'<rect class="hit" x="0" y="{y - ROW / 2:.1f}" width="{WIDTH}" height="{ROW}"/>'
            f'<line x1="{x(row["low"]):.1f}" x2="{x(row["high"]):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle cx="{x(row["change"]):.1f}" cy="{y:.1f}" r="4"/></g>'
        )
    room = (highest - lowest) * 0.12  # between two labels
    for value in (lowest, 0.0, highest):
        if value == 0.0 or abs(value) > room:
            label = f"{100 * value:+.0f}" if value else "0"
            anchor = "end" if value == highest else "middle"
            at = x(value) + (10 if value == highest else 0)
            parts.append(f'<text x="{at:.1f}" y="{high - 6}" text-anchor="{anchor}">{label}</text>')
    small = f"<small>{escape(note)}</small>" if note else ""
    return (
        f'<figure class="chart dots"><figcaption>{escape(title)} {small}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {high}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def share(now: Mapping[str, Any], before: float | None = None, tone: str = "quiet") -> str:
    """One line from 0 to 100 %: a filled dot with its interval, a ring for before, a tick for the blank image."""
    wide, y = 260, 9

    def x(value: float) -> float:
        return 6 + (wide - 12) * value

    parts = [f'<line class="axis" x1="{x(0):.0f}" x2="{x(1):.0f}" y1="{y}" y2="{y}"/>']
    if before is not None:
        parts.append(f'<circle class="ring" cx="{x(before):.1f}" cy="{y}" r="3.5"/>')
    if now["blank_accuracy"] is not None:
        at = x(now["blank_accuracy"])
        parts.append(f'<line class="blank" x1="{at:.1f}" x2="{at:.1f}" y1="2" y2="16"/>')
    if now["accuracy"] is not None:
        parts.append(f'<line x1="{x(now["low"]):.1f}" x2="{x(now["high"]):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle cx="{x(now["accuracy"]):.1f}" cy="{y}" r="4"/>')
    return f'<svg class="share {tone}" viewBox="0 0 {wide} 18" aria-hidden="true">{"".join(parts)}</svg>'


def tip(row: Mapping[str, Any]) -> str:
    """What hovering over a difference says."""
    return (
        f"{'.'.join(row['path'])}: {100 * row['before']:.1f} → {100 * row['after']:.1f} %, "
        f"{100 * row['change']:+.1f} points (95 %: {100 * row['low']:+.1f} to {100 * row['high']:+.1f}); "
        f"{row['n']} items, {row['lost']} lost, {row['won']} won; p = {row['p']:.2g}, after Holm {row['p_holm']:.2g}"
    )


def _short(path: Sequence[str]) -> str:
    """The last elements of a path that fit."""
    text = path[-1]
    for part in reversed(path[:-1]):
        if len(part) + 1 + len(text) > LONGEST:
            break
        text = f"{part}.{text}"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
