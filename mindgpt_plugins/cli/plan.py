"""``mindgpt plan``: what will happen, computed before it does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindgpt_plugins.cli import plan_cost, plan_parallel
from mindgpt_plugins.cli.options import OverridesArgument, RecipeArgument, RunsOption

if TYPE_CHECKING:
    from rich.console import Console

    from mindgpt_plugins.llamafactory_ext.forecast import Forecast
    from mindgpt_plugins.pipeline.plan import PlannedStage

ROWS, POINTS = 16, 160
"""At most so many rows of the table and points of a chart's line."""


def add(app: typer.Typer) -> None:
    """Register the verb."""
    plan = typer.Typer(no_args_is_help=True, help="What a run would do, computed before it does.")
    plan.callback()(lambda: None)
    plan.command("curriculum")(curriculum)
    plan.command("parallel")(plan_parallel.parallel)
    plan.command("cost")(plan_cost.cost)
    app.add_typer(plan, name="plan")


def curriculum(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage; default: each that has its data.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write every step's counts and difficulty here, as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write charts here, as one HTML page.")] = None,
    uids: Annotated[bool, typer.Option("--uids", help="With --out: list the samples of every step too.")] = False,
    runs: RunsOption = Path("runs"),
) -> None:
    """Show which source comes at what share and difficulty at which step, before training.

    Reads the real rows of each sft or dpo stage and builds the very sampler that training will use; needs no GPU, no
    tokenizer and no torch. Data that an earlier stage makes must exist: run with --until first.

    Example: mindgpt plan curriculum quickstart --stage domain --html plan.html
    """
    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.core.registry import hint_nearest
    from mindgpt_plugins.pipeline import plan
    from mindgpt_plugins.recipe.loading import RecipeError, load_recipe
    from mindgpt_plugins.stages.sft.config import TrainingConfig

    console = make_console()
    planned = plan.make_run_plan(load_recipe(recipe, overrides or []), runs)
    training = [one for one in planned.stages if isinstance(one.config, TrainingConfig)]
    chosen = [one for one in training if stage in (None, one.name)]
    if not chosen:
        known = [one.name for one in training]
        said = f"--stage {stage}: the recipe has no such training stage{hint_nearest(stage or '', known)}"
        raise RecipeError(recipe, [f"{said} It has: {', '.join(known) or 'none'}."])
    found: dict[str, Forecast] = {}
    for one in chosen:
        try:
            found[one.name] = forecast_stage(one, uids and out is not None)
        except ValueError as error:
            if stage is not None:
                raise
            console.print(f"{one.name}: {error}", style="yellow", markup=False, soft_wrap=True)
            continue
        show_forecast(console, one.name, found[one.name])
    if out is not None:
        out.write_text(json.dumps({name: vars(one) for name, one in found.items()}) + "\n", encoding="utf-8")
        console.print(f"every step: {out}", markup=False, soft_wrap=True)
    if html is not None:
        html.write_text(render_forecast_page(found), encoding="utf-8")
        console.print(f"charts: {html}", markup=False, soft_wrap=True)


def forecast_stage(planned: PlannedStage, uids: bool) -> Forecast:
    """Forecast a planned stage from the config it renders.

    Raises:
        ValueError: its data are missing or its order is not ours; the message says which.
    """
    from dataclasses import replace

    from mindgpt_plugins.llamafactory_ext.forecast import forecast_steps
    from mindgpt_plugins.llamafactory_ext.launch import read_host_arguments
    from mindgpt_plugins.llamafactory_ext.settings import check_host_arguments, parse_section

    with tempfile.TemporaryDirectory() as scratch:
        context = replace(planned.context, folder=Path(scratch))
        planned.stage.render(planned.config, context)
        host: dict[str, Any] = read_host_arguments(Path(scratch) / "train.yaml", [])
        section = parse_section(host.pop("mindgpt"))
        check_host_arguments(section, host, {})
        return forecast_steps(host, section, getattr(planned.config, "workers", 1), uids)


def show_forecast(console: Console, name: str, found: Forecast) -> None:
    """Print the table of a stage."""
    from rich.markup import escape
    from rich.table import Table

    mixture = f" · mixture {found.mixture}" if found.mixture else ""
    title = (
        f"{name} · {found.sampler}{mixture} · {found.steps} steps of {found.samples_per_step} samples, "
        f"{found.steps_per_epoch} per epoch of {found.rows} rows"
    )
    table = Table(
        title=escape(title), title_justify="left", caption=" ".join(found.notes) or None, caption_justify="left"
    )
    groups = _groups(found)
    for column in ("steps", "epoch", *groups, "difficulty"):
        table.add_column(escape(column), justify="left" if column in groups else "right", no_wrap=True)
    for first, last in split_step_spans(found, ROWS):
        total = sum(sum(series[first:last]) for series in groups.values())
        shares = [sum(series[first:last]) / total for series in groups.values()]
        cells = [f"{'█' * round(10 * share):<10} {100 * share:5.1f} %" for share in shares]
        difficulty = _mean(found.difficulty[first:last])
        epoch = f"{1 + first // found.steps_per_epoch}"
        shown = "–" if difficulty is None else f"{difficulty:.3f}"
        table.add_row(f"{first + 1}–{last}" if last > first + 1 else f"{last}", epoch, *cells, shown)
    console.print(table)


def render_forecast_page(found: dict[str, Forecast]) -> str:
    """Charts of all stages as one HTML page that needs nothing else."""
    from mindgpt_plugins.web.page import render_page

    stages = []
    for name, one in found.items():
        cut = split_step_spans(one, POINTS)
        size = [sum(sum(series[a:b]) for series in one.source.values()) for a, b in cut]
        shares = {
            label: [(b, sum(series[a:b]) / n) for (a, b), n in zip(cut, size, strict=True)]
            for label, series in _groups(one).items()
        }
        hard = {
            label: [(b, mean) for a, b in cut if (mean := _mean(series[a:b])) is not None]
            for label, series in one.by_source.items()
        }
        stages.append({"name": name, "plan": one, "shares": shares, "hard": hard})
    return render_page("curriculum.html", stages=stages)


def split_step_spans(found: Forecast, most: int) -> list[tuple[int, int]]:
    """Cut the steps into about ``most`` spans of like size that end with the epochs and the sampler's windows."""
    total = len(found.difficulty)
    units = []
    for start in range(0, total, found.steps_per_epoch):
        end = min(start + found.steps_per_epoch, total)
        units.append([(at, min(at + found.window, end)) for at in range(start, end, found.window)])
    if len(units) > most:  # many epochs: whole ones together
        units = [[(epoch[0][0], epoch[-1][1]) for epoch in units]]
    cut = []
    for epoch in units:
        count = min(len(epoch), max(1, round(most * len(epoch) / sum(map(len, units)))))
        edges = [len(epoch) * i // count for i in range(count + 1)]
        cut += [(epoch[a][0], epoch[b - 1][1]) for a, b in zip(edges, edges[1:], strict=False)]
    return cut


def _groups(found: Forecast) -> dict[str, list[int]]:
    """Sources; or the sets, where they tell more."""
    return found.source if len(found.source) >= len(found.dataset) else found.dataset


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
