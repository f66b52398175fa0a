"""``mindgpt data filter``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mindgpt_data.cli.options import (
    ConfigOption,
    OverridesArgument,
    SeedOption,
    WorkOption,
    resolve_settings,
    show_progress_line,
)


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("filter")(filter_)


def filter_(
    overrides: OverridesArgument = None,
    work: WorkOption = Path("work"),
    config: ConfigOption = None,
    seed: SeedOption = 0,
) -> None:
    r"""Judge every candidate by the quality gates, in order; keep it or write down why not.

    Reads candidates.jsonl, writes kept.jsonl and drops/filter.jsonl (gate, reason, question and answer of everything
    left out). Gates: rules, duplicates, decontaminate (cost nothing), judge (a model grades each QA), agreement (a
    model answers it 8 times; gives the difficulty), necessity (is the picture needed?), or your own. Put the cheap ones
    first. Answers of models are stored: running it again asks only about rows that got no verdict.

    Example: mindgpt data filter 'filter.gates=\[rules,judge,{name: agreement, options: {purpose: rl}}]'
    --config data.yaml
    """
    from mindgpt_data.io.work import Work
    from mindgpt_data.steps.filter import run

    found, folder = resolve_settings(config, overrides), Work(work)
    with show_progress_line("filter") as progress:
        summary = run(folder, found, seed=seed, progress=progress)
    _show(summary)
    print(f"written: {folder.kept}, {folder.drops('filter')}")


def _show(summary: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from mindgpt_plugins.core.console import make_console

    table = Table("gate", "in", "out", "left out because", title="Quality gates")
    for gate in summary["funnel"]:
        if gate["gate"] == "input" and not gate["dropped"]:
            continue
        reasons = "\n".join(f"{dropped['count']} × {escape(dropped['reason'])}" for dropped in gate["dropped"])
        table.add_row(gate["gate"], str(gate["in"]), str(gate["out"]), reasons)
    console = make_console()
    console.print(table)
    for gate in summary["funnel"]:
        for note in gate["notes"]:
            console.print(f"[yellow]note[/] {escape(note)}")
    if summary["failed"]:
        console.print(
            f"[yellow]{summary['failed']} rows got no verdict[/] and are left out; run this again to ask about them"
        )
    console.print(f"[bold]{summary['kept']}[/] of {summary['candidates']} candidates kept")
