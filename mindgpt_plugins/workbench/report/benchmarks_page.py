"""The section on public benchmarks, beside the run's own sets."""

from __future__ import annotations

from html import escape
from typing import Any

from mindgpt_plugins.workbench.report import abilities_page, branches_page, dotplot
from mindgpt_plugins.workbench.report.html import MISSING, breakable, points


def section(data: dict[str, Any]) -> str:
    """Every model on every benchmark, and per benchmark what changed since the first model."""
    found = data["benchmarks"]
    if found is None:
        return ""
    head = "".join(f"<th>{breakable(name)}</th>" for name in found["benchmarks"])
    changes = {(c["model"], t["part"]): t for c in found["compared"] for t in c["totals"]}
    body = ""
    for m in found["models"]:
        cells = "".join(_cell(m["scores"][name], changes.get((m["model"], name))) for name in found["benchmarks"])
        body += f"<tr><th>{escape(m['model'])}</th>{cells}</tr>"
    text = (
        "<h2>Benchmarks, in %</h2><p class=soft>Asked through a benchmark harness. Each cell: accuracy, half-width of "
        "its 95 % interval (Wilson), items; change since the first model on the same items; accuracy with the picture "
        "blanked.</p><div class=scroll><table class=matrix>"
        f"<thead><tr><th>model</th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    models = {m["model"]: m for m in found["models"]}
    if found["compared"]:
        text += branches_page.legend()
    else:
        for m in found["models"]:
            text += f"<details><summary>{escape(m['model'])} by category</summary>{branches_page.alone(m)}</details>"
    for compared in reversed(found["compared"]):
        text += branches_page.comparison(compared, models[compared["model"]])
    return text + abilities_page.gates(found["gates"])


def _cell(c: dict[str, Any] | None, change: dict[str, Any] | None) -> str:
    if c is None:
        return f"<td>{MISSING}</td>"
    tip = f"{c['correct']} of {c['n']} right; 95 % interval {points(c['low'])}–{points(c['high'])}"
    if c["blank_accuracy"] is not None:
        tip += f"; image blanked {points(c['blank_accuracy'])}, the same rows with it {points(c['sighted_accuracy'])}"
    odd = _odd(round(c["n"] * (1 - c["parsed"])), "no answer") + _odd(c["cut_off"], "cut off")
    blank = "" if c["blank_accuracy"] is None else f"<br><small>blank {points(c['blank_accuracy'])}</small>"
    moved = ""
    if change is not None:
        bounds = f"{points(change['low'], sign=True)} … {points(change['high'], sign=True)}"
        tone = dotplot.TONE[change["verdict"]]
        moved = f'<br><small><b class="{tone}">{points(change["change"], sign=True)}</b> ({bounds})</small>'
    return (
        f'<td style="--a:{c["accuracy"]:.2f}" title="{escape(tip)}"><b>{points(c["accuracy"])}</b>'
        f"<small>±{50 * (c['high'] - c['low']):.1f} · {c['n']}</small>{moved}{blank}{odd}</td>"
    )


def _odd(count: int, what: str) -> str:
    return f'<br><small class="warn">{count} {what}</small>' if count else ""
