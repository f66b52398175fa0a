"""``mindgpt report``: one self-contained HTML page (and report.json) for a run, finished or not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgpt_plugins.cli.options import RunsOption
from mindgpt_plugins.core.files import read_json


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("report")(report)


def report(
    run: Annotated[str, typer.Argument(help="Run folder, or a recipe's name (its latest run).")],
    runs: RunsOption = Path("runs"),
    branches: Annotated[
        bool, typer.Option("--branches", help="Also print accuracy per branch of the label tree, and what changed.")
    ] = False,
    depth: Annotated[int, typer.Option(min=1, max=3, help="Deepest level of the tree that --branches prints.")] = 2,
) -> None:
    """Write report.html and report.json into a run's folder and print where they are.

    With --branches, the last evaluated model's accuracy per L1 and L2 of both label axes, and which branches fell or
    rose since the first one:

    mindgpt report quickstart --branches
    """
    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.core.folders import find_run
    from mindgpt_plugins.stages.evaluate import branch_tables
    from mindgpt_plugins.workbench.report import build_report

    page = build_report(find_run(runs, run))
    typer.echo(f"{page}\n{page.with_name('report.json')}")
    if branches:
        found = read_json(page.with_name("report.json"))["branches"]
        if found is None:
            raise ValueError(f"{run}: no evaluation of this run has finished, so there are no branches to print")
        console = make_console()
        model = found["models"][-1]
        for part in model["parts"]:
            title = f"{model['model']} on {found['set']}, {part['part']} items"
            console.print(branch_tables.tabulate_branch_accuracy(part["branches"], title=title, depth=depth))
        if found["compared"]:
            last = found["compared"][-1]
            title = f"{last['model']} since {last['with']}"
            console.print(branch_tables.tabulate_branch_changes(last, title=title, depth=depth))
