"""What a rehearsal proved, as a table, as JSON and as one HTML page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mindgpt_plugins.core.files import write_text
from mindgpt_plugins.pipeline.display import format_wall_time
from mindgpt_plugins.stages.rehearsal import RecipeDifference
from mindgpt_plugins.workbench.cost.estimate import StageCost
from mindgpt_plugins.workbench.rehearse.rehearse import Rehearsal

MARKS = {"proven": ("✓", "green"), "failed": ("✗", "bold red"), "noted": ("·", "yellow"), "not on CPU": ("○", "dim")}
TONES = {"proven": "good", "failed": "bad", "noted": "warn", "not on CPU": "soft"}


def list_unproven_claims(changes: Sequence[RecipeDifference]) -> dict[str, list[str]]:
    """What the rehearsal cannot prove → ``stage.key`` of the changes because of which."""
    found: dict[str, list[str]] = {}
    for change in changes:
        if change.kind in ("gpu only", "stand-in") and change.means:
            found.setdefault(change.means, []).append(f"{change.stage}.{change.key}".strip("."))
    return found


def dump_rehearsal(result: Rehearsal, cost: Sequence[StageCost]) -> dict[str, Any]:
    """Everything as plain data: the content of ``rehearsal.json``."""
    return {
        "version": 1,
        "recipe": result.recipe,
        "proven": result.proven,
        "seconds": round(result.seconds, 1),
        "cpu_seconds": round(result.cpu_seconds, 1),
        "stages": [{"name": name, "kind": kind} for name, kind in result.stages],
        "findings": [asdict(finding) for finding in result.findings],
        "not_on_cpu": list_unproven_claims(result.changes),
        "changes": [asdict(change) for change in result.changes],
        "models": result.shrunk,
        "cost": [asdict(one) for one in cost],
    }


def show_rehearsal(console: Console, result: Rehearsal, cost: Sequence[StageCost]) -> None:
    """Print the table, what CPU cannot prove, the cost, and the verdict."""
    found = Table("stage", "", "what", "seen", title=f"Rehearsal of {result.recipe}", title_justify="left")
    order = {name: place for place, (name, _) in enumerate(result.stages)}
    for one in sorted(result.findings, key=lambda finding: order.get(finding.stage, -1)):
        mark, style = MARKS[one.state]
        found.add_row(escape(one.stage or "all"), f"[{style}]{mark}[/]", one.topic, escape(one.text))
    console.print(found)
    gaps = list_unproven_claims(result.changes)
    if gaps:
        console.print("Not proven here:")
        for means, keys in gaps.items():
            console.print(f"  ○ {means} ({_few(keys)})", style="dim", markup=False)
    show_cost(console, cost)
    counts = {state: sum(f.state == state for f in result.findings) for state in MARKS}
    verdict = "[bold green]proven[/]" if result.proven else "[bold red]not proven[/]"
    console.print(
        f"{verdict}: {counts['proven']} proven, {counts['failed']} failed, {counts['noted']} noted, {len(gaps)} not "
        f"provable on CPU, in {format_wall_time(result.seconds)} ({format_wall_time(result.cpu_seconds)} of CPU time)"
    )


def show_cost(console: Console, cost: Sequence[StageCost]) -> None:
    """Print what the real run will take."""
    if not cost:
        return
    found = Table(
        "stage", "steps", "samples", "tokens", "images", "FLOPs", "GPU hours", title="The real run, estimated"
    )
    for one in cost:
        found.add_row(escape(one.stage), *_cost_cells(one))
    total = sum(one.gpu_hours for one in cost)
    found.add_section()
    found.add_row("total", "", "", "", "", "", f"{total:.3g}")
    console.print(found)
    for line in dict.fromkeys(line for one in cost for line in one.assumptions):
        console.print(f"  {line}", style="dim", markup=False)


def write_rehearsal_report(result: Rehearsal, cost: Sequence[StageCost]) -> Path:
    """Write ``rehearsal.json`` and ``rehearsal.html`` into the rehearsal's folder; the page's path."""
    content = dump_rehearsal(result, cost)
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    write_text(result.folder / "rehearsal.json", text + "\n")
    page = result.folder / "rehearsal.html"
    write_text(page, render_rehearsal_page(result, cost))
    return page


def render_rehearsal_page(result: Rehearsal, cost: Sequence[StageCost]) -> str:
    """The page."""
    from mindgpt_plugins.web.page import render_page

    total = ["total", "", "", "", "", "", f"{sum(one.gpu_hours for one in cost):.3g}"]
    return render_page(
        "rehearsal.html",
        result=result,
        marks=MARKS,
        tones=TONES,
        counts={state: sum(f.state == state for f in result.findings) for state in MARKS},
        gaps=[(means, _few(keys)) for means, keys in list_unproven_claims(result.changes).items()],
        cost=[[one.stage, *_cost_cells(one)] for one in cost] + [total] if cost else [],
        assumptions=list(dict.fromkeys(line for one in cost for line in one.assumptions)),
    )


def _cost_cells(one: StageCost) -> list[str]:
    if not one.counted:
        return ["?"] * 6
    whole = [f"{value:,}" for value in (one.steps, one.samples, one.tokens, one.images)]
    return [*whole, f"{one.flops:.2e}", f"{one.gpu_hours:.3g}"]


def _few(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
