"""The section about the focus: asked and got share of every weak leaf."""

from __future__ import annotations

from html import escape
from typing import Any

from mindgpt_data.report.text import count, cut, percent, scroll


def focus(data: dict[str, Any]) -> str:
    """One bar for what was asked, one for what was got; nothing without a focus."""
    found = data["focus"]
    if found is None:
        return ""
    most = max((max(row["asked"], row["got"]) for row in found["leaves"]), default=0) or 1
    rows = "".join(_row(row, most) for row in found["leaves"])
    counts = ", ".join(f"{count(n)} {axis}" for axis, n in found["weak"].items())
    return (
        "<h2>Focus</h2><p>This round follows an evaluation: leaves whose accuracy has its lower bound under "
        f"{found['target']:g} weigh more ({counts}). Asked: the weight over all weights of the axis. Got: the share of "
        f"the {found['of']} items; less than asked where no picture shows it or the teacher cannot ask about it.</p>"
        + scroll(
            "<table class=bars><tr><th>leaf</th><th>asked, got</th><th class=num>weight</th><th class=num>asked</th>"
            f"<th class=num>got</th><th class=num>items</th></tr>{rows}</table>"
        )
        + f"<p class=soft>{escape(str(found['file']))}</p>"
    )


def _row(row: dict[str, Any], most: float) -> str:
    bars = "".join(
        f"<span class=meter><span class=bar style='width:{100 * row[key] / most:.1f}%{dim}'></span></span>"
        for key, dim in (("asked", ";opacity:.45"), ("got", ""))
    )
    return (
        f"<tr><th>{cut(row['leaf'], 80)}</th><td>{bars}</td><td class=num>{row['weight']:.2f}</td>"
        f"<td class=num>{percent(row['asked'])}</td><td class=num>{percent(row['got'])}</td>"
        f"<td class=num>{count(row['items'])}</td></tr>"
    )
