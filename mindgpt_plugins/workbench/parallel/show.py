"""A plan as tables on the terminal and as data."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import yaml

from mindgpt_plugins.workbench.parallel import memory
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout
from mindgpt_plugins.workbench.parallel.plan import LayoutOption, ParallelPlan
from mindgpt_plugins.workbench.parallel.render import Rendered, render_layout_keys
from mindgpt_plugins.workbench.parallel.request import GIB, Recompute

if TYPE_CHECKING:
    from rich.console import Console

ESTIMATE = (
    "Figures are GiB of the fullest rank, estimated and never measured on a GPU by us; the formulas were checked "
    "with one rank on a CPU (benchmarks/results/plan_memory.md)."
)
ORDER = (
    "Sorted by: fits with a tenth of the GPU to spare, then just fits; by an estimated step time (busiest pipeline "
    "stage with its bubble, exchanges inside and between nodes). ‘time’ is relative to the first row and only sorts. "
    "Layouts that differ from one above in virtual stages alone are left out."
)
MODES: tuple[Recompute, ...] = ("none", "selective", "full")


def format_plan_heading(plan: ParallelPlan) -> list[str]:
    """What was asked, in a few lines."""
    request, model = plan.request, plan.model
    images = f", {len(request.images)} images of {request.patches} patches" if request.images else ""
    merge = model.vision.merge**2 if model.vision else 1
    if request.images:
        images += f" ({request.patches // merge} tokens)"
    training = f"LoRA rank {request.lora}" if request.lora else "all weights"
    lines = [
        f"{model.name} ({model.architecture}): {plan.parameters:,} parameters",
        f"{request.stage} on {request.gpus} GPU{'s' * (request.gpus > 1)} of {request.gpu_mem:g} GiB; "
        f"sequences of {request.seq} tokens{images}; "
        f"{request.batch} sequences per step, {request.micro_batch} at a time; {training}",
        f"{len(plan.options)} layouts are valid, {plan.fitting} of them fit; "
        f"{memory.compute_reserved_bytes(request) / GIB:.1f} GiB are set aside for CUDA, NCCL and fragmentation",
    ]
    if model.vision is not None:
        said = {True: "trained", False: "frozen"}
        how = [f"{said[request.vision_trained(name)]} by {name}" for name in request.trainers]
        lines.append(f"vision tower {', '.join(how)}" + ("" if request.images else "; no images: see --images"))
    return [*lines, *model.notes]


def list_memory_columns(option: LayoutOption) -> dict[str, float]:
    """Bytes by part, the rollout's last; the rollout lives while the training step's activations do not."""
    found = dict(option.training.parts)
    if option.rollout is not None:
        found |= {"rollout weights": option.rollout.weights, "KV cache": max(0.0, option.rollout.cache)}
    return found


def show_parallel_plan(console: Console, plan: ParallelPlan, top: int, pick: int, rendered: bool) -> None:
    """Print the plan, the layout picked (counted from 1) and, where asked, its keys."""
    for line in format_plan_heading(plan):
        console.print(line, markup=False, soft_wrap=True)
    _table(console, plan, top)
    console.print(ORDER, style="dim", soft_wrap=True)
    console.print("\nRuled out:" if plan.killed else "\nNothing was ruled out.")
    for rule, count in plan.killed.most_common():
        console.print(f"  {count:6d}  {rule}", markup=False, soft_wrap=True)
    option = plan.options[pick - 1]
    _modes(console, plan, option)
    console.print(ESTIMATE, style="dim", soft_wrap=True)
    if rendered:
        console.print()
        print(format_layout_keys(render_layout_keys(plan, option)), end="")


def format_layout_keys(rendered: Rendered) -> str:
    """The keys as YAML with comments."""
    parts = [f"# {rendered.command}\n", yaml.safe_dump(rendered.host, sort_keys=False)]
    if rendered.environment:
        pairs = " ".join(f"{key}={value}" for key, value in rendered.environment.items())
        parts.append(f"# environment: {pairs}\n")
    if rendered.recipe is not None:
        parts += ["\n# The same in a stage of a recipe:\n", yaml.safe_dump(rendered.recipe, sort_keys=False)]
    return "".join(parts)


def dump_parallel_plan(plan: ParallelPlan, pick: int) -> dict[str, Any]:
    """Everything, for ``--json``; sizes in bytes."""
    request = asdict(plan.request) | {"images": [list(image) for image in plan.request.images]}
    chosen = render_layout_keys(plan, plan.options[pick - 1])
    return {
        "note": ESTIMATE,
        "model": {"name": plan.model.name, "architecture": plan.model.architecture, "parameters": plan.parameters},
        "request": request,
        "notes": list(plan.model.notes),
        "options": [
            {
                "layout": asdict(option.layout),
                "fits": option.fits,
                "tight": option.tight,
                "peak": round(option.peak),
                "relative_time": round(option.seconds / plan.options[0].seconds, 4),
                "moment": option.training.moment,
                "bytes": {name: round(size) for name, size in list_memory_columns(option).items()},
                "rollout": None if option.rollout is None else asdict(option.rollout),
            }
            for option in plan.options
        ],
        "ruled_out": dict(plan.killed.most_common()),
        "picked": pick,
        "rendered": asdict(chosen),
    }


def _table(console: Console, plan: ParallelPlan, top: int) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    short = {"gradients": "grads", "optimizer": "optim.", "activations": "activ.", "rollout weights": "rollout"}
    names = list(list_memory_columns(plan.options[0]))
    table.add_column("", justify="right")
    table.add_column("trainer", no_wrap=True)
    table.add_column("layout", no_wrap=True)
    for name in (*names, "peak"):
        table.add_column(short.get(name, name), justify="right", no_wrap=True)
    if plan.request.stage == "rl":
        table.add_column("vLLM", no_wrap=True)
    table.add_column("time")
    shown = list_distinct_layouts(plan, top)
    for number, option in shown:
        sizes = [f"{size / GIB:.1f}" for size in (*list_memory_columns(option).values(), option.peak)]
        generating = option.rollout
        rollout = []
        if generating is not None:
            away = "" if generating.offload == "none" else f", {generating.offload} offloaded"
            rollout = [f"TP{generating.tp}, {generating.sequences} seqs{away}"]
        style = None if option.fits else "red"
        cells = [str(number), option.layout.trainer, str(option.layout), *sizes, *rollout]
        time = f"{option.seconds / plan.options[0].seconds:.2f}{' tight' if option.tight else ''}"
        table.add_row(*cells, time if option.fits else "no fit", style=style)
    console.print(table)
    if len(plan.options) > len(shown):
        console.print(f"… {len(plan.options) - len(shown)} more (--top, --json)", style="dim")


def list_distinct_layouts(plan: ParallelPlan, top: int) -> list[tuple[int, LayoutOption]]:
    """The first layouts with their numbers, without those that differ from one above in virtual stages alone."""
    found: dict[ParallelLayout, tuple[int, LayoutOption]] = {}
    for number, option in enumerate(plan.options, 1):
        found.setdefault(replace(option.layout, vpp=1), (number, option))
    return list(found.values())[:top]


def _modes(console: Console, plan: ParallelPlan, option: LayoutOption) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("recompute", "activations", "vision", "logits", "training step", ""):
        table.add_column(name, justify="left" if name in ("recompute", "") else "right")
    for mode in MODES:
        if mode == "selective" and option.layout.trainer != "verl-megatron":
            continue
        found = memory.estimate_training_memory(plan.model, option.layout, plan.request, mode=mode)
        sizes = [found.parts[name] for name in ("activations", "vision", "logits")]
        total = found.total + memory.compute_reserved_bytes(plan.request)
        fits = "fits" if total <= plan.request.gpu_mem * GIB else "does not fit"
        table.add_row(mode, *(f"{size / GIB:.1f}" for size in (*sizes, total)), fits)
    console.print(f"\n{option.layout.trainer} {option.layout}, by what the backward pass computes again:")
    console.print(table)
