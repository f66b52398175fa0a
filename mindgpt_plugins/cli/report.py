"""``mindgpt report``: one self-contained HTML page (and report.json) for a run, finished or not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgpt_plugins.cli.options import RunsOption


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("report")(report)


def report(
    run: Annotated[str, typer.Argument(help="Run folder, or a recipe's name (its latest run).")],
    runs: RunsOption = Path("runs"),
) -> None:
    """Write report.html and report.json into a run's folder and print where they are."""
    from mindgpt_plugins.pipeline.folders import find_run
    from mindgpt_plugins.report import build

    page = build(find_run(runs, run))
    typer.echo(f"{page}\n{page.with_name('report.json')}")
