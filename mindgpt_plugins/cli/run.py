"""``mindgpt run``: plan, show the plan, run it, write the report."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mindgpt_plugins.cli.options import OverridesArgument, RecipeArgument, RunsOption
from mindgpt_plugins.core.console import make_console


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("run")(run)


def run(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and every command, run nothing, leave nothing behind.")
    ] = False,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Start at this stage; earlier ones must be done.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the selected stages again in new folders, even if they are done.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Read every file of the stages that are done and compare its digest; else sizes and times."
        ),
    ] = False,
    runs: RunsOption = Path("runs"),
) -> None:
    """Run a recipe from data to report.

    Stages that are already done (same settings, inputs and code) are reused, also across recipes; one whose files are
    damaged is run again in a new folder. Killed at any moment and started again with the same command, a run goes on
    where it was.
    """
    from mindgpt_plugins.core import state
    from mindgpt_plugins.pipeline import display, plan, preflight, preflight_all, runner
    from mindgpt_plugins.recipe.loading import load_recipe

    console = make_console(soft_wrap=False)
    loaded = load_recipe(recipe, overrides or [])
    if verify:
        console.print("comparing the digests of what is done …")
    planned = plan.make_run_plan(loaded, runs, until=until, start=start, fresh=fresh, verify=verify)
    display.show_plan(console, planned)
    preflight_all.check_planned_stages(planned)
    for line in preflight_all.list_uncounted_stages(planned):
        console.print(line, style="yellow", markup=False)
    for stage in planned.stages:
        if stage.status in ("run", "resume"):
            for one in preflight.inspect_stage_sets(stage):  # the check above has read them
                for line in one.describe_notes():
                    console.print(f"stages.{stage.name}: {line}", style="yellow", markup=False, soft_wrap=True)
    if dry_run:
        for stage in planned.stages:
            if stage.status in ("run", "resume"):
                with tempfile.TemporaryDirectory() as scratch:
                    console.print(f"\n# {stage.name}: {stage.folder}", style="bold", markup=False)
                    for command in runner.render_stage_commands(stage, Path(scratch)):
                        shown = command.shell(stage.python).replace(scratch, str(stage.folder))
                        console.print(shown, soft_wrap=True, markup=False, highlight=False)
        return
    folder = runner.run_plan(planned, console)
    from mindgpt_plugins.workbench.report import build_report

    page = build_report(folder)
    total = sum(stage.get("seconds", 0.0) for stage in state.read_manifest(folder)["stages"])
    console.print(f"[bold green]done[/]; all stages together took {display.format_wall_time(total)}")
    console.print(f"report: {page}", soft_wrap=True, markup=False)
