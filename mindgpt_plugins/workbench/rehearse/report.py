"""What a rehearsal proved, as a table, as JSON and as one HTML page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape as plain
from rich.table import Table

from mindgpt_plugins.pipeline.display import duration
from mindgpt_plugins.stages.rehearsal import Change, Finding
from mindgpt_plugins.workbench.cost.estimate import StageCost
from mindgpt_plugins.workbench.rehearse.rehearse import Rehearsal
from mindgpt_plugins.workbench.report.html import table

MARKS = {"proven": ("✓", "green"), "failed": ("✗", "bold red"), "noted": ("·", "yellow"), "not on CPU": ("○", "dim")}
_STYLE = (
    ".found thead { display: none; } .found tbody th { width: 130px; } .found td { overflow-wrap: anywhere; } "
    ".found td:nth-child(2) { width: 110px; white-space: nowrap; }"
)
TONES = {"proven": "good", "failed": "bad", "noted": "warn", "not on CPU": "soft"}


def not_proven(changes: Sequence[Change]) -> dict[str, list[str]]:
    """What the rehearsal cannot prove → ``stage.key`` of the changes because of which."""
    found: dict[str, list[str]] = {}
    for change in changes:
        if change.kind in ("gpu only", "stand-in") and change.means:
            found.setdefault(change.means, []).append(f"{change.stage}.{change.key}".strip("."))
    return found


def data(result: Rehearsal, cost: Sequence[StageCost]) -> dict[str, Any]:
    """Everything as plain data: the content of ``rehearsal.json``."""
    return {
        "version": 1,
        "recipe": result.recipe,
        "proven": result.proven,
        "seconds": round(result.seconds, 1),
        "cpu_seconds": round(result.cpu_seconds, 1),
        "stages": [{"name": name, "kind": kind} for name, kind in result.stages],
        "findings": [asdict(finding) for finding in result.findings],
        "not_on_cpu": not_proven(result.changes),
        "changes": [asdict(change) for change in result.changes],
        "models": result.shrunk,
        "cost": [asdict(one) for one in cost],
    }


def show(console: Console, result: Rehearsal, cost: Sequence[StageCost]) -> None:
    """Print the table, what CPU cannot prove, the cost, and the verdict."""
    found = Table("stage", "", "what", "seen", title=f"Rehearsal of {result.recipe}", title_justify="left")
    order = {name: place for place, (name, _) in enumerate(result.stages)}
    for one in sorted(result.findings, key=lambda finding: order.get(finding.stage, -1)):
        mark, style = MARKS[one.state]
        found.add_row(plain(one.stage or "all"), f"[{style}]{mark}[/]", one.topic, plain(one.text))
    console.print(found)
    gaps = not_proven(result.changes)
    if gaps:
        console.print("Not proven here:")
        for means, keys in gaps.items():
            console.print(f"  ○ {means} ({_few(keys)})", style="dim", markup=False)
    show_cost(console, cost)
    counts = {state: sum(f.state == state for f in result.findings) for state in MARKS}
    verdict = "[bold green]proven[/]" if result.proven else "[bold red]not proven[/]"
    console.print(
        f"{verdict}: {counts['proven']} proven, {counts['failed']} failed, {counts['noted']} noted, {len(gaps)} not "
        f"provable on CPU, in {duration(result.seconds)} ({duration(result.cpu_seconds)} of CPU time)"
    )


def show_cost(console: Console, cost: Sequence[StageCost]) -> None:
    """Print what the real run will take."""
    if not cost:
        return
    found = Table(
        "stage", "steps", "samples", "tokens", "images", "FLOPs", "GPU hours", title="The real run, estimated"
    )
    for one in cost:
        found.add_row(one.stage, *_cost_cells(one))
    total = sum(one.gpu_hours for one in cost)
    found.add_section()
    found.add_row("total", "", "", "", "", "", f"{total:.3g}")
    console.print(found)
    for line in dict.fromkeys(line for one in cost for line in one.assumptions):
        console.print(f"  {line}", style="dim", markup=False)


def write(result: Rehearsal, cost: Sequence[StageCost]) -> Path:
    """Write ``rehearsal.json`` and ``rehearsal.html`` into the rehearsal's folder; the page's path."""
    content = data(result, cost)
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    (result.folder / "rehearsal.json").write_text(text + "\n", encoding="utf-8")
    page = result.folder / "rehearsal.html"
    page.write_text(render(result, cost), encoding="utf-8")
    return page


def render(result: Rehearsal, cost: Sequence[StageCost]) -> str:
    """The page."""
    style = (resources.files("mindgpt_plugins.workbench.report") / "style.css").read_text(encoding="utf-8")
    verdict = '<b class="good">proven</b>' if result.proven else '<b class="bad">not proven</b>'
    counts = {state: sum(f.state == state for f in result.findings) for state in MARKS}
    gaps = not_proven(result.changes)
    tiles = "".join(
        f'<div class="tile"><span>{label}</span><b class="{tone}">{value}</b></div>'
        for label, value, tone in (
            ("proven", counts["proven"], "good"),
            ("failed", counts["failed"], "bad" if counts["failed"] else ""),
            ("noted", counts["noted"], ""),
            ("not provable on CPU", len(gaps), ""),
            (f"wall time, {duration(result.cpu_seconds)} of CPU", duration(result.seconds), ""),
        )
    )
    sections = [
        ("Stages", _findings(result)),
        ("Not proven on CPU", _gaps(gaps)),
        ("Cost of the real run", _cost(cost)),
    ]
    sections += [("Model", _models(result)), ("What was changed", _changes(result.changes))]
    body = "".join(f"<section><h2>{title}</h2>{text}</section>" for title, text in sections if text)
    name = escape(result.recipe)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} · mindgpt rehearsal</title><style>{style}{_STYLE}</style></head>"
        f"<body><h1>Rehearsal of {name}: {verdict}</h1>"
        '<p class="soft">The recipe with its own data, processor, chat template and plugins on a shrunken copy of its '
        "model, with the real trainers, on CPU. Figures in rehearsal.json.</p>"
        f'<div class="tiles">{tiles}</div>{body}</body></html>\n'
    )


def _findings(result: Rehearsal) -> str:
    kinds = dict(result.stages)
    parts = []
    for name in ["", *kinds]:
        own = [finding for finding in result.findings if finding.stage == name]
        if own:
            head = f"{escape(name)} <small>{escape(kinds[name])}</small>" if name else "The whole recipe"
            rows = [[escape(finding.topic), _mark(finding), escape(finding.text)] for finding in own]
            parts.append(f'<h3>{head}</h3><div class="found">{table(["", "", ""], rows, numeric=range(0))}</div>')
    return "".join(parts)


def _mark(finding: Finding) -> str:
    return f'<span class="{TONES[finding.state]}">{MARKS[finding.state][0]} {finding.state}</span>'


def _gaps(gaps: dict[str, list[str]]) -> str:
    rows = [["○", escape(means), f"<small>{escape(_few(keys))}</small>"] for means, keys in gaps.items()]
    return table(["", "what", "because of"], rows, numeric=range(0)) if rows else ""


def _cost(cost: Sequence[StageCost]) -> str:
    if not cost:
        return ""
    rows = [[escape(one.stage), *map(escape, _cost_cells(one))] for one in cost]
    rows.append(["total", "", "", "", "", "", f"{sum(one.gpu_hours for one in cost):.3g}"])
    notes = dict.fromkeys(line for one in cost for line in one.assumptions)
    told = "".join(f"<li>{escape(line)}</li>" for line in notes)
    head = ["stage", "steps", "samples", "tokens", "images", "FLOPs", "GPU hours"]
    return table(head, rows) + (f"<details><summary>Assumptions</summary><ul>{told}</ul></details>" if told else "")


def _cost_cells(one: StageCost) -> list[str]:
    if not one.counted:
        return ["?"] * 6
    whole = [f"{value:,}" for value in (one.steps, one.samples, one.tokens, one.images)]
    return [*whole, f"{one.flops:.2e}", f"{one.gpu_hours:.3g}"]


def _models(result: Rehearsal) -> str:
    rows = [
        [
            escape(reference),
            escape(made["architecture"]),
            f"{made['original_parameters']:,}",
            f"{made['parameters']:,}",
            escape(", ".join(f"{key} {a} → {b}" for key, (a, b) in made["cut"].items())),
        ]
        for reference, made in result.shrunk.items()
    ]
    return table(["model", "class", "parameters", "here", "cut"], rows, numeric=range(2, 4)) if rows else ""


def _changes(changes: Sequence[Change]) -> str:
    rows = [
        [escape(c.stage or "all"), escape(c.key), f"{_value(c.before)} → {_value(c.after)}", c.kind, escape(c.means)]
        for c in changes
    ]
    body = table(["stage", "key", "change", "kind", "what it means"], rows, numeric=range(0))
    return f"<details><summary>{len(rows)} keys</summary>{body}</details>"


def _value(value: Any) -> str:
    text = "–" if value is None else str(value)
    return f"<code>{escape(text if len(text) <= 60 else text[:57] + '…')}</code>"


def _few(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
