"""``mindgpt validate``: everything that can be known to be wrong, in seconds, before anything heavy starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mindgpt_plugins.cli.options import OverridesArgument, RecipeArgument, RunsOption
from mindgpt_plugins.core.console import make_console


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("validate")(validate)


def validate(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    runs: RunsOption = Path("runs"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON: problems, and every set with every fault.")
    ] = False,
) -> None:
    """Check a recipe: keys, files, plugin names, divisibility, host versions, and every row of every set.

    Rows that a trainer would refuse, leave out or see otherwise than a person are counted by kind, with the first
    three and the fix. Data that an earlier stage will make is checked when it exists; until then its row says so.
    """
    from mindgpt_plugins.pipeline import plan, preflight_all
    from mindgpt_plugins.recipe.loading import load_recipe

    console = make_console()
    planned = plan.make_run_plan(load_recipe(recipe, overrides or []), runs)
    inspected = preflight_all.inspect_plan_sets(planned)
    if as_json:
        problems = preflight_all.find_plan_problems(planned)
        sets = [
            {"stage": stage, "set": name, "reader": one.read.reader, "limit": one.read.limit, **one.found.dump()}
            for (stage, name), one in inspected.items()
            if one is not None
        ]
        typer.echo(
            json.dumps({"valid": not problems, "problems": problems, "sets": sets}, ensure_ascii=False, indent=1)
        )
        raise typer.Exit(1 if problems else 0)
    table = Table("stage", "dataset", "rows", "longest (tokens)", "limit", title="Prompts, vision tokens included")
    for row in preflight_all.tabulate_token_lengths(planned):
        table.add_row(*map(escape, row))
    if table.row_count:
        console.print(table)
    notes = [f"stages.{stage}: {line}" for (stage, _), one in inspected.items() if one for line in one.describe_notes()]
    for line in notes:
        console.print(f"note: {line}", markup=False, soft_wrap=True)
    preflight_all.check_planned_stages(planned)
    console.print(f"{escape(planned.recipe.path.name)} is valid: {len(planned.stages)} stages", style="green")
