"""The section on the label tree: which branch fell, which rose, with the tree to unfold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mindgpt_plugins.workbench.report import courseplot, dotplot
from mindgpt_plugins.workbench.report.html import MISSING, breakable, points

DOTS = 16
"""Branches in a chart: the ones that changed most, down and up."""
ROWS = 400
"""Branches of an axis in the page; more are in report.json."""

Branch = dict[str, Any]


def section(data: dict[str, Any]) -> str:
    """Comparisons with the first model, the last one open, or the branches of the only model."""
    found = data["branches"]
    if found is None or not any(part["branches"] for model in found["models"] for part in model["parts"]):
        return ""
    models = {m["model"]: m for m in found["models"]}
    where = f"<code>{escape(str(found['set']))}</code>"
    if not found["compared"]:
        title = f"Accuracy per branch of {escape(found['models'][0]['model'])}, on {where}"
        return f"<h2>{title}</h2>{_WEAKEST}{alone(found['models'][0])}"
    text = f"<h2>Which branch fell, which rose, on {where}</h2>{courses(found['models'])}{legend()}"
    last = found["compared"][-1]
    for compared in reversed(found["compared"]):
        text += comparison(compared, models[compared["model"]], is_open=compared is last)
    return text


def courses(models: Sequence[dict[str, Any]]) -> str:
    """The level-1 branches of each part and axis over all models."""
    found: dict[tuple[str, str], dict[str, list[Branch | None]]] = {}
    for i, model in enumerate(models):
        for part in model["parts"]:
            for b in part["branches"]:
                if b["level"] == 1:
                    lines = found.setdefault((part["part"], b["axis"]), {})
                    lines.setdefault(b["path"][0], [None] * len(models))[i] = b
    names = [str(model["model"]) for model in models]
    charts = "".join(courseplot.course(f"{part} · {axis}", names, lines) for (part, axis), lines in found.items())
    return f'<div class="charts broad">{charts}</div>'


_WEAKEST = (
    "<p class=soft>Accuracy per branch of the label tree, the weakest first. Dot and bar: accuracy and its 95 % "
    "interval (Wilson); upright tick: the same branch asked with a blank image.</p>"
)


def legend() -> str:
    """How to read comparisons."""
    return (
        "<p class=soft>Paired on the same items, each part on its own. Bars: 95 % interval of each change, "
        "one branch at a time. <b class=bad>Fell</b> and <b class=good>rose</b> are said only of branches whose exact "
        "McNemar test holds after Holm's correction over all branches of a comparison (of whole parts: over the "
        "parts); grey ones are open. In the tree, ring: before, dot and bar: now (Wilson), upright tick: with a blank "
        "image.</p>"
    )


def comparison(compared: dict[str, Any], model: dict[str, Any], *, is_open: bool = False) -> str:
    """One comparison to unfold: what fell and rose as charts and as a tree, part by part."""
    rows = compared["branches"]
    counts = {verdict: sum(r["verdict"] == verdict for r in rows) for verdict in ("fell", "rose", "unclear")}
    head = (
        f"{escape(compared['with'])} → {escape(compared['model'])}: <b class=bad>{counts['fell']} fell</b>, "
        f"<b class=good>{counts['rose']} rose</b>, {counts['unclear']} open"
    )
    charts, trees = "", ""
    for part in model["parts"]:
        for axis in dict.fromkeys(b["axis"] for b in part["branches"]):
            own = [r for r in rows if (r["part"], r["axis"]) == (part["part"], axis)]
            charts += _chart(part["part"], axis, own)
            trees += _tree(part, axis, own)
    asked = f"{compared['items']} items, {len(rows)} branches, {compared['tests']} different ones tested."
    odd = [f"{compared[key]} {word}" for key, word in _ODD if compared[key]]
    left_out = f" Not compared: {', '.join(odd)}." if odd else ""
    return (
        f"<details class=compare{' open' if is_open else ''}><summary>{head}</summary>"
        f"<p class=soft>{asked}{left_out}{_unparsed(model)}</p>"
        f'{_totals(compared)}<div class="charts broad">{charts}</div>{trees}{_never_asked(model)}</details>'
    )


_ODD = (("only_before", "items only the earlier one has"), ("only_after", "items only the later one has"))


def _totals(compared: dict[str, Any]) -> str:
    told = []
    for t in compared["totals"]:
        bounds = f"95 %: {points(t['low'], sign=True)} to {points(t['high'], sign=True)}"
        moved = f"<b class={dotplot.TONE[t['verdict']]}>{points(t['change'], sign=True)}</b>; {bounds}"
        told.append(f"{escape(t['part'])} {points(t['before'])} → {points(t['after'])} % ({moved})")
    return f"<p>{', '.join(told)}</p>"


def _unparsed(model: dict[str, Any]) -> str:
    if not model["unparsed"]:
        return " Every reply states an answer."
    return f' <b class="warn">{model["unparsed"]} of {model["items"]} replies state no answer</b> and count as wrong.'


def _never_asked(model: dict[str, Any]) -> str:
    text = ""
    for axis, labels in model.get("never_asked", {}).items():
        listed = ", ".join(map(escape, labels[:ROWS]))
        title = f"{escape(axis)} leaves never asked: {len(labels)}"
        text += f"<details><summary>{title}</summary><p>{listed}</p></details>"
    return text


def _chart(part: str, axis: str, rows: Sequence[Branch]) -> str:
    """The finest branches, sorted from the deepest fall to the highest rise."""
    parents = {tuple(r["path"][:-1]) for r in rows}
    leaves = sorted((r for r in rows if tuple(r["path"]) not in parents), key=lambda r: (r["change"], r["path"]))
    note = f"{len(leaves)} finest branches, change in points"
    if len(leaves) > DOTS:
        note = f"the {DOTS // 2} lowest and {DOTS // 2} highest changes of {len(leaves)}, in points"
        leaves = leaves[: DOTS // 2] + leaves[-DOTS // 2 :]
    return dotplot.changes(f"{part} · {axis}", leaves, note=note)


def alone(model: dict[str, Any]) -> str:
    """The branches of one model, compared with nothing."""
    trees = "".join(
        _tree(part, axis, []) for part in model["parts"] for axis in dict.fromkeys(b["axis"] for b in part["branches"])
    )
    head = f"{model['items']} items.{_unparsed(model)}"
    return f"<p class=soft>{head}</p>{trees}{_never_asked(model)}"


def _tree(part: dict[str, Any], axis: str, rows: Sequence[Branch]) -> str:
    shown = [b for b in part["branches"] if b["axis"] == axis]
    compared = {tuple(r["path"]): r for r in rows}
    unlabelled = part["n"] - sum(b["n"] for b in shown if b["level"] == 1)
    head = [f"{len(shown)} branches", f"{part['n']} items"]
    head += [f"{unlabelled} without a label"] if unlabelled else []
    head += [f"the {ROWS} largest are shown"] if len(shown) > ROWS else []
    shown = sorted(shown, key=lambda b: -b["n"])[:ROWS]
    nodes = {tuple(b["path"]): b for b in shown}
    title = f"<h3>{escape(part['part'])} · {escape(axis)} <small>{', '.join(head)}</small></h3>"
    columns = "<div class='branch head'><span>branch</span><span>accuracy, 0 to 100 %</span><span>now</span>"
    columns += "<span>blank</span>" + ("<span>change</span><span>95 %</span>" if compared else "") + "</div>"
    return f'{title}<div class="tree{"" if compared else " single"}">{columns}{_children((), nodes, compared)}</div>'


def _children(
    path: tuple[str, ...], nodes: Mapping[tuple[str, ...], Branch], compared: Mapping[tuple[str, ...], Branch]
) -> str:
    own = [p for p in nodes if len(p) == len(path) + 1 and p[:-1] == path]

    def weakest(p: tuple[str, ...]) -> tuple[float, float]:
        return (compared[p]["change"] if p in compared else 0.0, nodes[p]["accuracy"])

    text = ""
    for p in sorted(own, key=weakest):
        row, inner = _row(nodes[p], compared.get(p)), _children(p, nodes, compared)
        fell = any(r["verdict"] == "fell" for q, r in compared.items() if q[: len(p)] == p and q != p)
        is_open = " open" if fell or len(p) == 1 else ""
        text += f"<details{is_open}><summary>{row}</summary>{inner}</details>" if inner else f"<div>{row}</div>"
    return text


def _row(now: Branch, change: Branch | None) -> str:
    name = f"<span style='--l:{now['level']}'>{breakable(now['path'][-1])} <small>{now['n']}</small></span>"
    blank = MISSING
    if now["blank_n"]:
        blank = f"{points(now['blank_accuracy'])} <small>{now['blank_n']}</small>"
    unparsed = "" if now["parsed"] == 1 else f"; {100 * (1 - now['parsed']):.1f} % of the replies state no answer"
    hint = (
        f"{now['correct']} of {now['n']} right, 95 % interval {points(now['low'])} to {points(now['high'])}{unparsed}"
    )
    tone = dotplot.TONE[change["verdict"]] if change else "quiet"
    drawn = dotplot.share(now, change["before"] if change else None, tone)
    cells = f"{name}{drawn}<b>{points(now['accuracy'])}</b><span>{blank}</span>"
    if change is None:
        return f'<div class="branch" title="{escape(hint)}">{cells}</div>'
    hint = f"{dotplot.tip(change)}. Now: {hint}"
    cells += (
        f'<b class="{tone}">{points(change["change"], sign=True)}</b>'
        f"<span>{points(change['low'], sign=True)} … {points(change['high'], sign=True)}</span>"
    )
    return f'<div class="branch" title="{escape(hint)}">{cells}</div>'
