"""``mindgpt plan parallel``: which layouts a model can be trained in, and what each needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mindgpt_plugins.workbench.parallel.layouts import Trainer
    from mindgpt_plugins.workbench.parallel.request import Recompute, Stage


def parallel(
    model: Annotated[str, typer.Argument(help="Local model folder or config.json; nothing is downloaded.")],
    gpus: Annotated[int, typer.Option(help="All GPUs.")],
    gpu_mem: Annotated[float, typer.Option(help="GiB of one.")] = 80,
    seq: Annotated[int, typer.Option(help="Tokens of a sequence, vision tokens included.")] = 8192,
    images: Annotated[
        list[str] | None, typer.Option(help="In each sequence, [COUNTx]WIDTHxHEIGHT in pixels; repeatable.")
    ] = None,
    stage: Annotated[str, typer.Option(help="sft or rl.")] = "sft",
    trainer: Annotated[
        str | None, typer.Option(help="verl-megatron, verl-fsdp2 or llamafactory; default: each that runs the stage.")
    ] = None,
    global_batch: Annotated[int | None, typer.Option(help="Sequences per optimizer step; default: 8 per GPU.")] = None,
    micro_batch: Annotated[int, typer.Option(help="Sequences per forward pass and rank.")] = 1,
    recompute: Annotated[
        str | None, typer.Option(help="What the backward pass computes again: none, selective or full (the default).")
    ] = None,
    lora: Annotated[int, typer.Option(help="Rank of LoRA adapters; 0: all weights are trained.")] = 0,
    train_vision: Annotated[
        bool | None,
        typer.Option("--train-vision/--freeze-vision", help="Default: the trainer's; verl trains the tower."),
    ] = None,
    fused_loss: Annotated[
        bool, typer.Option("--fused-loss", help="The logits are never all in memory (linear cross-entropy).")
    ] = False,
    gpus_per_node: Annotated[int, typer.Option(help="GPUs of one machine.")] = 8,
    top: Annotated[int, typer.Option(help="Rows of the table.")] = 12,
    pick: Annotated[int, typer.Option(help="Row that is explained and rendered.")] = 1,
    render: Annotated[bool, typer.Option("--render", help="Print the picked layout as the trainer's keys.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a chart of the layouts here.")] = None,
) -> None:
    """List parallel layouts with the memory of each rank, estimated from the model's config.json.

    Needs no GPU, no weights and no torch. Figures are estimates that were never measured on a GPU.

    Example: mindgpt plan parallel ./Qwen3-VL-8B-Instruct --gpus 8 --images 4x1024x1024 --render
    """
    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.sizing.model import read_model_sizes
    from mindgpt_plugins.workbench.parallel import page, plan, show
    from mindgpt_plugins.workbench.parallel.request import TRAINERS, ParallelRequest, RequestError
    from mindgpt_plugins.workbench.parallel.request import parse_image_sizes as patches

    chosen = _stage(stage)
    known = read_model_sizes(model)
    request = ParallelRequest(
        gpus=gpus,
        gpu_mem=gpu_mem,
        seq=seq,
        images=patches(images or [], known.vision),
        stage=chosen,
        trainers=_trainers(chosen, trainer, TRAINERS),
        recompute=_recompute(recompute),
        lora=lora,
        global_batch=global_batch,
        micro_batch=micro_batch,
        train_vision=train_vision,
        fused_loss=fused_loss,
        node=gpus_per_node,
    )
    made = plan.make_parallel_plan(known, request)
    if not 1 <= pick <= len(made.options):
        raise RequestError(f"--pick {pick}: there are layouts 1 to {len(made.options)}")
    console = make_console()
    console.width = max(console.width, 160)  # rather wrapped by the terminal than cut off
    show.show_parallel_plan(console, made, top, pick, render)
    if json_file is not None:
        json_file.write_text(json.dumps(show.dump_parallel_plan(made, pick), indent=1) + "\n", encoding="utf-8")
        console.print(f"everything: {json_file}", markup=False, soft_wrap=True)
    if html is not None:
        html.write_text(page.render_parallel_page(made, top), encoding="utf-8")
        console.print(f"chart: {html}", markup=False, soft_wrap=True)


def _stage(given: str) -> Stage:
    from mindgpt_plugins.core.registry import hint_nearest
    from mindgpt_plugins.workbench.parallel.request import TRAINERS, RequestError

    for stage in TRAINERS:
        if given == stage:
            return stage
    raise RequestError(f"--stage {given!r}: sft or rl{hint_nearest(given, TRAINERS)}")


def _trainers(stage: Stage, given: str | None, known: dict[Stage, tuple[Trainer, ...]]) -> tuple[Trainer, ...]:
    from mindgpt_plugins.core.registry import hint_nearest
    from mindgpt_plugins.workbench.parallel.request import RequestError

    if given is None:
        return known[stage]
    for trainer in known[stage]:
        if given == trainer:
            return (trainer,)
    raise RequestError(
        f"--trainer {given!r} does not run stage {stage}{hint_nearest(given, known[stage]) or '.'} It has: "
        f"{', '.join(known[stage])}."
    )


def _recompute(given: str | None) -> Recompute | None:
    from mindgpt_plugins.workbench.parallel.request import RequestError
    from mindgpt_plugins.workbench.parallel.show import MODES

    for mode in MODES:
        if given == mode:
            return mode
    if given is not None:
        raise RequestError(f"--recompute {given!r}: none, selective or full")
    return None
