"""``mindgpt validate``: everything that can be known to be wrong, in seconds, before anything heavy starts."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from mindgpt_plugins.cli.options import OverridesArgument, RecipeArgument, RunsOption


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("validate")(validate)


def validate(recipe: RecipeArgument, overrides: OverridesArgument = None, runs: RunsOption = Path("runs")) -> None:
    """Check a recipe: keys, files, plugin names, divisibility, host versions, images, and prompts against token limits.

    Data that an earlier stage will make is checked when it exists; until then its row says so.
    """
    from mindgpt_plugins.pipeline import plan, preflight_all
    from mindgpt_plugins.recipe.loading import load_recipe

    console = Console()
    planned = plan.make_run_plan(load_recipe(recipe, overrides or []), runs)
    table = Table("stage", "dataset", "rows", "longest (tokens)", "limit", title="Prompts, vision tokens included")
    for row in preflight_all.tabulate_token_lengths(planned):
        table.add_row(*row)
    if table.row_count:
        console.print(table)
    preflight_all.check_planned_stages(planned)
    console.print(f"[green]{planned.recipe.path.name} is valid[/]: {len(planned.stages)} stages")
