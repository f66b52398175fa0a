"""``mindgpt quantise``: a recipe up to its quantised models, and what each one lost."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mindgpt_plugins.cli.options import OverridesArgument, RecipeArgument, RunsOption


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("quantise")(quantise)
    anything = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command("quantize", hidden=True, context_settings=anything)(_other_spelling)


def _other_spelling(context: typer.Context) -> None:
    """Name the verb as everything else here is spelled."""
    raise typer.BadParameter(f"the verb is spelled with an s: {shlex.join(['mindgpt', 'quantise', *context.args])}")


def quantise(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    stage: Annotated[str | None, typer.Option(help="Only up to this quantise stage; default: all of them.")] = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Quantise a recipe's model and show what it costs: accuracy, KL, top-1 agreement, size.

    Runs the recipe's quantise stages and what they need; finished stages are reused. A model below its gate makes the
    command fail, and the unquantised one stays. llm-compressor needs an interpreter of its own:

    python3 -m venv env/quantise && env/quantise/bin/pip install -c constraints/quant.txt -e '.[quantise]'

    Example: mindgpt quantise recipes/quantise/quickstart.yaml launch.quantise.python=env/quantise/bin/python
    """
    from rich.markup import escape
    from rich.table import Table

    from mindgpt_plugins.core import files, folders
    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.pipeline import display, plan, preflight_all, runner
    from mindgpt_plugins.recipe.loading import RecipeError, load_recipe
    from mindgpt_plugins.stages.quantise.config import QuantiseConfig

    console = make_console()
    loaded = load_recipe(recipe, overrides or [])
    names = [name for name, config in loaded.stages.items() if isinstance(config, QuantiseConfig)]
    if not names or (stage is not None and stage not in names):
        fault = f"there is no stage {stage or 'of kind quantise'}; quantise stages: {', '.join(names) or 'none'}"
        raise RecipeError(str(loaded.path), [fault])
    planned = plan.make_run_plan(loaded, runs, until=stage or names[-1])
    display.show_plan(console, planned)
    preflight_all.check_planned_stages(planned)
    runner.run_plan(planned, console)
    table = Table("stage", "scheme", "accuracy", "recovery", "KL", "top-1", "size", box=None, pad_edge=False)
    for one in planned.stages:
        if one.name in names and folders.is_stage_done(one.folder):
            q = files.read_json(one.folder / "quality.json")
            scheme = q["scheme"] + (" +kv" if q["kv_cache"] == "fp8" else "")
            accuracy = f"{q['accuracy']['model']:.3f} → {q['accuracy']['quantised']:.3f}"
            figures = (f"{q['recovery']:.3f}", f"{q['kl']:.1e}", f"{q['top1']:.3f}", f"{q['size']:.2f}")
            table.add_row(escape(one.name), scheme, accuracy, *figures)
    console.print(table)
    console.print("KL in nats per token; size and recovery as shares of the unquantised model.", style="dim")
