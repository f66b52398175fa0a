"""Small charts as inline SVG: no library, and no script needed to see them (a few lines of script add a read-out)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mindgpt_plugins.web.markup import make_element
from mindgpt_plugins.web.numbers import format_number

WIDTH, HEIGHT = 340, 200
LEFT, RIGHT, TOP = 46, 12, 10
COLOURS = 8
"""Colours of series in the style sheet: classes ``c0`` … ``c7``."""

Lines = Mapping[str, Sequence[Sequence[float]]]


@dataclass(frozen=True)
class Dot:
    """A value with its interval, and what hovering over it says."""

    value: float
    tip: str
    low: float | None = None
    high: float | None = None
    label: str = ""
    tone: str = "quiet"


def draw_lines(title: str, lines: Lines, *, log2: bool = False, note: str = "") -> Markup:
    """Draw up to eight lines with a legend that shows the last values; nothing when there are no points.

    Args:
        title: shown above.
        lines: label → points (x, y), x ascending.
        log2: logarithmic x axis with its own ticks (for k in pass@k).
        note: small text beside the title.
    """
    shown = {label: points for label, points in list(lines.items())[:COLOURS] if points}
    if not shown:
        return Markup()
    xs = sorted({p[0] for points in shown.values() for p in points})
    ys = [p[1] for points in shown.values() for p in points]
    plot = _Plot(min(ys), max(ys))

    def x(value: float) -> float:
        at, first, last = (math.log2(v) if log2 else v for v in (value, xs[0], xs[-1]))
        return plot.x((at - first) / (last - first) if last > first else 0.5)

    parts = plot.frame()
    labels = xs if log2 else sorted({xs[0], xs[-1]})
    for i, value in enumerate(labels):
        anchor = "middle" if log2 or len(labels) == 1 else ("start", "end")[i]
        parts.append(plot.below(x(value), format_number(value), anchor))
    for i, points in enumerate(shown.values()):
        if len(points) == 1 or log2:
            parts += [make_element("circle", class_=f"c{i}", cx=x(p[0]), cy=plot.y(p[1]), r=3) for p in points]
        if len(points) > 1:
            parts.append(_path(i, [(x(p[0]), plot.y(p[1])) for p in points]))
    parts.append(make_element("line", class_="cursor", y1=TOP, y2=plot.bottom, x1=-9, x2=-9))
    # What readout.js needs: per line its points as pixel, x and y.
    data = [[[round(x(p[0]), 1), float(f"{p[0]:.6g}"), float(f"{p[1]:.4g}")] for p in line] for line in shown.values()]
    legend = {label: format_number(points[-1][1]) for label, points in shown.items()}
    return _figure(title, note, parts, legend, left_out=len(lines) - len(shown), data=data)


def draw_places(
    title: str,
    places: Sequence[str],
    series: Mapping[str, Sequence[Dot | None]],
    *,
    top: float | None = None,
    x: str = "",
    y: str = "",
    note: str = "",
) -> Markup:
    """Draw up to eight series over named places, with error bars where there are intervals; nothing without a value.

    Args:
        title: shown above.
        places: their names, left to right.
        series: name → dot per place, None for a gap.
        top: upper end of the vertical axis, which starts at zero; by default the largest value.
        x: title of the horizontal axis.
        y: title of the vertical axis.
        note: small text beside the title.
    """
    values = [dot.value for dots in series.values() for dot in dots if dot]
    if not values:
        return Markup()
    plot = _Plot(0, top or max(values) or 1, x, y)
    parts = plot.frame()
    room = int(plot.wide / len(places) / 6)  # in characters
    for i, place in enumerate(places):
        short = place if len(place) <= room else place[: max(1, room - 1)] + "…"
        parts.append(plot.below(plot.x((i + 0.5) / len(places)), short))
    shown = dict(list(series.items())[:COLOURS])
    for n, dots in enumerate(shown.values()):
        # Intervals at one place stand beside each other, not on top of each other.
        aside = 3.0 * (n - (len(shown) - 1) / 2) if any(dot and dot.low is not None for dot in dots) else 0.0
        found = [(plot.x((i + 0.5) / len(places)) + aside, dot) for i, dot in enumerate(dots) if dot]
        parts.append(_path(n, [(at, plot.y(dot.value)) for at, dot in found]))
        for at, dot in found:
            bar = [] if dot.low is None or dot.high is None else [(at, plot.y(dot.low)), (at, plot.y(dot.high))]
            circle = make_element("circle", class_=f"c{n}", cx=at, cy=plot.y(dot.value), r=3)
            parts.append(make_element("g", _tip(dot.tip), _path(n, bar) if bar else "", circle))
    return _figure(title, note, parts, dict.fromkeys(shown, ""), left_out=len(series) - len(shown), high=plot.high)


def draw_histogram(
    title: str,
    counts: Mapping[str, Sequence[float]],
    low: float,
    high: float,
    *,
    x: str = "",
    y: str = "",
    note: str = "",
    dots: Sequence[float | None] = (),
) -> Markup:
    """Draw bars over equal bins of [low, high], stacked by series; nothing without bins.

    Args:
        title: above the chart.
        counts: series → count per bin; all of one length, at most eight.
        low: left edge.
        high: right edge.
        x: title of the horizontal axis.
        y: title of the vertical axis, plural: tooltips use it.
        note: small text beside the title.
        dots: one value per bin, drawn on a scale of its own.
    """
    bins = max((len(c) for c in counts.values()), default=0)
    if not bins:
        return Markup()
    plot = _Plot(0, max(1.0, *(sum(c[i] for c in counts.values()) for i in range(bins))), x, y)
    parts = plot.frame()
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(plot.below(plot.x(share), f"{low + share * (high - low):.2f}".rstrip("0").rstrip(".")))
    for i in range(bins):
        edges = " to ".join(f"{low + (high - low) * k / bins:.2f}" for k in (i, i + 1))
        base = plot.bottom
        for n, (name, values) in enumerate(counts.items()):
            if values[i]:
                tall = max(0.75, plot.bottom - plot.y(values[i]))
                base -= tall
                tip = _tip(f"{name + ', ' if len(counts) > 1 else ''}{edges}: {values[i]:,} {y}")
                place = {"x": plot.x(i / bins) + 0.5, "y": base, "width": max(0.5, plot.wide / bins - 1)}
                parts.append(make_element("rect", tip, class_=f"c{n}", height=tall, **place))
    peak = max((value for value in dots if value is not None), default=0.0)
    for i, value in enumerate(dots):
        if value is not None:
            cy = plot.bottom - (plot.bottom - TOP) * value / (peak or 1.0)
            at = plot.x((i + 0.5) / bins)
            parts.append(make_element("circle", _tip(format_number(value)), class_="c1", cx=at, cy=cy, r=4))
    note += f" (highest {peak:.1f})" if peak else ""
    return _figure(title, note, parts, dict.fromkeys(counts, "") if len(counts) > 1 else {}, high=plot.high)


def draw_changes(title: str, dots: Sequence[Dot], *, note: str = "") -> Markup:
    """Draw differences (shares) as given, each with its name and interval, around a zero line; nothing without any."""
    if not dots:
        return Markup()
    row, names = 20, 132  # pixels: height of a row, width left of the plot
    lowest = min(-0.02, *(dot.low or 0.0 for dot in dots))
    highest = max(0.02, *(dot.high or 0.0 for dot in dots))
    high = row * len(dots) + 24

    def x(value: float) -> float:
        return names + 8 + (WIDTH - names - 22) * (value - lowest) / (highest - lowest)

    parts = [make_element("line", class_="axis", x1=x(0), x2=x(0), y1=2, y2=high - 20)]
    for i, dot in enumerate(dots):
        y = row * i + row / 2 + 2
        parts.append(
            make_element(
                "g",
                _tip(dot.tip),
                _text(names - 8, y + 4, dot.label, "end"),
                make_element("rect", class_="hit", x=0, y=y - row / 2, width=WIDTH, height=row),
                make_element("line", x1=x(dot.low or 0.0), x2=x(dot.high or 0.0), y1=y, y2=y),
                make_element("circle", cx=x(dot.value), cy=y, r=4),
                class_=dot.tone,
            )
        )
    for value in (lowest, 0.0, highest):
        if value == 0.0 or abs(value) > (highest - lowest) * 0.12:  # else two labels would touch
            last = value == highest
            label = f"{100 * value:+.0f}" if value else "0"
            parts.append(_text(x(value) + 10 * last, high - 6, label, "end" if last else "middle"))
    return _figure(title, note, parts, {}, high=high, kind="chart dots")


def draw_share(dot: Dot | None, tone: str, before: float | None = None, blank: float | None = None) -> Markup:
    """Draw one line from 0 to 100 %: a dot with its interval, a ring for before, a tick for the blank image."""
    wide, y = 260, 9

    def x(value: float) -> float:
        return 6 + (wide - 12) * value

    parts = [make_element("line", class_="axis", x1=x(0), x2=x(1), y1=y, y2=y)]
    if before is not None:
        parts.append(make_element("circle", class_="ring", cx=x(before), cy=y, r="3.5"))
    if blank is not None:
        parts.append(make_element("line", class_="blank", x1=x(blank), x2=x(blank), y1=2, y2=16))
    if dot is not None:
        parts.append(make_element("line", x1=x(dot.low or 0.0), x2=x(dot.high or 0.0), y1=y, y2=y))
        parts.append(make_element("circle", cx=x(dot.value), cy=y, r=4))
    return make_element("svg", *parts, class_=f"share {tone}", viewBox=f"0 0 {wide} 18", aria_hidden="true")


def draw_stacks(
    title: str,
    rows: Sequence[tuple[str, Sequence[Mapping[str, float]]]],
    colours: Mapping[str, str],
    limit: float,
    unit: str,
) -> Markup:
    """Draw stacked bars over one scale, with a line at a limit.

    Args:
        title: read out instead of the drawing.
        rows: (label, bars of that row, one below the other); a bar is part → size.
        colours: part → colour.
        limit: where the line stands.
        unit: of all sizes.
    """
    left, wide, row = 330, 1040, 26  # pixels
    widest = max(limit, *(sum(bar.values()) for _, bars in rows for bar in bars)) * 1.04
    parts, y = [], 24
    for label, bars in rows:
        parts.append(_text(left - 8, y + 13, label, "end"))
        tall = 18 if len(bars) == 1 else 12
        for j, bar in enumerate(bars):
            x = float(left)
            for name, size in bar.items():
                width = max(0.0, size / widest * (wide - left))
                place = {"x": x, "y": y + j * (tall + 1), "width": width, "height": tall}
                tip = _tip(f"{name}: {size:.1f} {unit}")
                parts.append(make_element("rect", tip, style=f"--c:{colours[name]}", **place))
                x += width
        y += row if len(bars) == 1 else row + 9
    edge = left + limit / widest * (wide - left)
    parts.append(make_element("line", class_="cursor", x1=edge, x2=edge, y1=18, y2=y + 6))
    parts.append(_text(edge, 13, f"{limit:g} {unit}", "end"))
    return make_element("svg", *parts, class_="stacks", viewBox=f"0 0 {wide} {y + 6}", role="img", aria_label=title)


class _Plot:
    """The frame of a chart: where values of both axes are in pixels.

    Args:
        low: smallest value of the vertical axis.
        high: largest one; both are rounded away from the data.
        x: title of the horizontal axis; needs room below.
        y: title of the vertical axis.
    """

    wide = WIDTH - LEFT - RIGHT

    def __init__(self, low: float, high: float, x: str = "", y: str = ""):
        self.ticks = _round_ticks(low, high)
        self.titles = x, y
        self.bottom = float(HEIGHT - 24)
        self.high = HEIGHT + 16 if x else HEIGHT

    def x(self, share: float) -> float:
        return LEFT + self.wide * share

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return self.bottom - (self.bottom - TOP) * (value - low) / (high - low)

    def below(self, at: float, text: str, anchor: str = "middle") -> Markup:
        """Label the horizontal axis."""
        return _text(at, self.bottom + 16, text, anchor)

    def frame(self) -> list[Markup]:
        """Grid lines with their values, and the titles of the axes."""
        parts = []
        for tick in self.ticks:
            y = self.y(tick)
            parts.append(make_element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
            parts.append(_text(LEFT - 5, y + 3.5, format_number(tick), "end"))
        across, up = self.titles
        if across:
            parts.append(_text(self.x(0.5), self.high - 6, across))
        if up:
            turned = f"translate(11 {(TOP + self.bottom) / 2:.0f}) rotate(-90)"
            parts.append(make_element("text", up, transform=turned, text_anchor="middle"))
        return parts


def _round_ticks(low: float, high: float) -> list[float]:
    """3 to 6 round values, the first and last around the data."""
    if high - low < 1e-12:
        pad = abs(high) * 0.1 or 0.5
        low, high = low - pad, high + pad
    raw = (high - low) / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    return [float(i * step) for i in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def _text(x: float, y: float, text: str, anchor: str = "middle") -> Markup:
    return make_element("text", text, x=x, y=y, text_anchor=anchor)


def _tip(text: str) -> Markup:
    return make_element("title", text)


def _path(colour: int, points: Sequence[tuple[float, float]]) -> Markup:
    return make_element("polyline", class_=f"c{colour}", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))


def _figure(
    title: str,
    note: str,
    parts: Sequence[Markup],
    legend: Mapping[str, str],
    *,
    left_out: int = 0,
    high: int = HEIGHT,
    kind: str = "chart",
    data: object = None,
) -> Markup:
    """Put a drawing under its title and over its legend (label → value, which may be empty)."""
    items = []
    for i, (label, value) in enumerate(legend.items()):
        shown = [make_element("output", value)] if value else []
        items.append(make_element("li", make_element("i", "", class_=f"c{i}"), label, " ", *shown))
    if left_out > 0:
        items.append(make_element("li", f"+ {left_out} more in report.json"))
    return make_element(
        "figure",
        make_element("figcaption", title, " ", *([make_element("small", note)] if note else [])),
        make_element("svg", *parts, viewBox=f"0 0 {WIDTH} {high}", role="img", aria_label=title),
        make_element("ul", *items, class_="legend") if items else "",
        class_=kind,
        data_lines=None if data is None else json.dumps(data, separators=(",", ":")),
    )
