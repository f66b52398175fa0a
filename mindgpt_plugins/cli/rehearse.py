"""``mindgpt rehearse``: the whole recipe on a shrunken copy of its model, on CPU, before any GPU hour."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mindgpt_plugins.cli.options import OverridesArgument, RecipeArgument, RunsOption


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("rehearse")(rehearse)


def rehearse(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID=FOLDER",
            help="Local folder with config, tokenizer and processor of a model in the recipe; weights are not needed. "
            "Without it, the local Hugging Face cache is looked at.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be changed and what stays unproven; run nothing.")
    ] = False,
    with_teacher: Annotated[
        bool,
        typer.Option(
            "--with-teacher", help="Ask the recipe's own model servers (they may cost money); default: a stand-in here."
        ),
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier rehearsal of this recipe.")] = False,
    gpu: Annotated[str, typer.Option(help="For the cost estimate: which GPU.")] = "h100",
    mfu: Annotated[float, typer.Option(min=0.01, max=1.0, help="For the cost estimate: share of its peak.")] = 0.35,
    runs: RunsOption = Path("runs"),
) -> None:
    """Prove a recipe on this machine's CPU before it costs GPU hours.

    Your recipe, data, processor, chat template and plugins, the real trainers, and a copy of your model with its class
    and tokenizer but few and thin layers: every stage does two steps, is killed with kill -9 after the first and goes
    on, every reward scores real rollouts, weights go from stage to stage, and the last model is loaded. Takes minutes;
    killed itself, it goes on where it was. What was proven, what failed and what CPU cannot prove is printed and
    written to <runs>/rehearse/<recipe>/rehearsal.html. Exit status 0 only when nothing failed.

    mindgpt rehearse my.yaml --model Qwen/Qwen3-VL-8B-Instruct=./qwen3_vl_8b_without_weights
    """
    import shutil

    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.recipe.loading import load_recipe
    from mindgpt_plugins.sizing.gpus import CostError
    from mindgpt_plugins.workbench.cost.estimate import estimate_plan_cost
    from mindgpt_plugins.workbench.rehearse import rehearse as rehearsal
    from mindgpt_plugins.workbench.rehearse import report

    console = make_console()
    loaded = load_recipe(recipe, overrides or [])
    given = parse_model_folders(model or [])
    folder = (runs / "rehearse" / loaded.name).resolve()
    if dry_run:
        result, original, local, _ = rehearsal.inspect_recipe(loaded, folder, given, deep=False)
        result.server = None if with_teacher else "http://127.0.0.1/v1"
        rehearsal.note_recipe_changes(result, loaded, original, local)
        _show_changes(console, result)
        report.show_cost(console, estimate_plan_cost(original, gpu=gpu, mfu=mfu, models=local))
        return
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {line}", markup=False, highlight=False, soft_wrap=True)

    result, original, local = rehearsal.rehearse_recipe(loaded, folder, given, say, with_teacher=with_teacher)
    try:
        cost = estimate_plan_cost(original, gpu=gpu, mfu=mfu, models=local)
    except CostError as error:  # what was proven is not lost for that
        console.print(f"no cost estimate: {error}", markup=False)
        cost = []
    page = report.write_rehearsal_report(result, cost)
    report.show_rehearsal(console, result, cost)
    console.print(f"report: {page}", soft_wrap=True, markup=False)
    if not result.proven:
        console.print("Fix it and run the same command again: what is proven is kept.")
        raise typer.Exit(1)


def parse_model_folders(pairs: list[str]) -> dict[str, Path]:
    """``--model ID=FOLDER`` options.

    Raises:
        ValueError: one is not of that form, or its folder does not exist.
    """
    found = {}
    for pair in pairs:
        name, equals, folder = pair.rpartition("=")
        if not equals or not Path(folder).expanduser().is_dir():
            raise ModelOptionError(f"--model {pair}: write ID=FOLDER, with a folder that exists")
        found[name] = Path(folder).expanduser().resolve()
    return found


class ModelOptionError(ValueError):
    """``--model`` cannot be used."""


def _show_changes(console: Any, result: Any) -> None:
    from rich.markup import escape
    from rich.table import Table

    from mindgpt_plugins.workbench.rehearse.report import list_unproven_claims

    table = Table("stage", "key", "recipe", "rehearsal", title=f"Rehearsal of {result.recipe}: what would be changed")
    for change in result.changes:
        values = (escape("–" if v is None else str(v)[:60]) for v in (change.before, change.after))
        table.add_row(escape(change.stage or "all"), escape(change.key), *values)
    console.print(table)
    console.print("It would not prove:")
    for means, keys in list_unproven_claims(result.changes).items():
        console.print(f"  ○ {means} ({', '.join(keys[:3])})", style="dim", markup=False)
