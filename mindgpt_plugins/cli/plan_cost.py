"""``mindgpt plan cost``: what the stages of a recipe compute, and the GPU-hours that takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindgpt_plugins.cli.options import OverridesArgument, RecipeArgument, RunsOption

if TYPE_CHECKING:
    from rich.console import Console

    from mindgpt_plugins.workbench.cost.estimate import StageCost


def cost(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    gpu: Annotated[str, typer.Option(help="h100, h100-pcie, h200, b200, a100, l40s, 4090 or mi300x.")] = "h100",
    mfu: Annotated[float, typer.Option(help="Useful share of the GPU's peak FLOP/s where it computes.")] = 0.35,
    reply_share: Annotated[
        float, typer.Option(help="Length of replies that are still to be written, as a share of their limit.")
    ] = 1.0,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="HUBID=FOLDER", help="Folder with a model's small files; default: the cache."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything here.")] = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Estimate steps, tokens, pictures, FLOPs and GPU-hours of every stage, with what was assumed.

    Tokens are counted on the rows by the model's own tokenizer and image sizes. Needs no GPU, no weights and no torch.

    Example: mindgpt plan cost my.yaml --gpu h200 --model Qwen/Qwen3-VL-8B-Instruct=./Qwen3-VL-8B-Instruct
    """
    from mindgpt_plugins.cli.rehearse import parse_model_folders
    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.pipeline import plan
    from mindgpt_plugins.recipe.loading import load_recipe
    from mindgpt_plugins.workbench.cost.estimate import estimate_plan_cost
    from mindgpt_plugins.workbench.rehearse.models import find_model_folders

    loaded = load_recipe(recipe, overrides or [])
    folders = find_model_folders(loaded, parse_model_folders(model or []))
    found = estimate_plan_cost(
        plan.make_run_plan(loaded, runs), gpu=gpu, mfu=mfu, models=folders, reply_share=reply_share
    )
    show_stage_costs(make_console(), found, gpu, mfu)
    if json_file is not None:
        from mindgpt_plugins.sizing.gpus import GPUS

        data = {"gpu": vars(GPUS[gpu]), "mfu": mfu, "reply_share": reply_share, "stages": [vars(one) for one in found]}
        json_file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def show_stage_costs(console: Console, found: list[StageCost], gpu: str, mfu: float) -> None:
    """Print a row per stage that a GPU works for, their sum, and the assumptions."""
    from rich.markup import escape
    from rich.table import Table

    from mindgpt_plugins.sizing.gpus import GPUS

    chosen = GPUS[gpu]
    console.width = max(console.width, 110)  # rather wrapped by the terminal than cut off
    said = f"{chosen.name}: {chosen.tflops:g} TFLOP/s dense bfloat16 ({chosen.source}), MFU {100 * mfu:g} %"
    console.print(said, highlight=False, soft_wrap=True)
    table = Table()
    for column in ("stage", "kind", "steps", "samples", "tokens", "images", "FLOPs", "GPU-hours"):
        table.add_column(column, justify="left" if column in ("stage", "kind") else "right", no_wrap=True)
    shown = [one for one in found if one.gpu_hours or not one.counted]
    for one in shown:
        figures = (f"{one.steps or '–'}", *map(_short, (one.samples, one.tokens, one.images)), f"{one.flops:.2e}")
        cells = (*figures, f"{one.gpu_hours:.3g}") if one.counted else ("–",) * 5 + ("not counted",)
        table.add_row(escape(one.stage), one.kind, *cells)
    sums = [sum(getattr(one, key) for one in shown) for key in ("samples", "tokens", "images", "flops", "gpu_hours")]
    table.add_section()
    table.add_row("total", "", "", *map(_short, sums[:3]), f"{sums[3]:.2e}", f"{sums[4]:.3g}", style="bold")
    console.print(table)
    by_sentence: dict[str, list[str]] = {}
    for one in shown:
        for sentence in one.assumptions:
            by_sentence.setdefault(sentence, []).append(one.stage)
    for sentence, stages in by_sentence.items():
        where = "every stage" if len(stages) == len(shown) else ", ".join(stages)
        console.print(f"{where}: {sentence}", markup=False, highlight=False, soft_wrap=True)
    console.print("An estimate: no run on GPUs has been compared with it.", style="dim")


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.0f}"
