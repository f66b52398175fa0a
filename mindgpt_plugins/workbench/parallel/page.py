"""A plan as one HTML page: stacked bars of the memory by part, as inline SVG."""

from __future__ import annotations

from mindgpt_plugins.web.charts import draw_stacks
from mindgpt_plugins.web.page import render_page
from mindgpt_plugins.workbench.parallel import memory, show
from mindgpt_plugins.workbench.parallel.plan import LayoutOption, ParallelPlan
from mindgpt_plugins.workbench.parallel.request import GIB

COLOURS = {
    "weights": "#4269d0",
    "gradients": "#efb118",
    "optimizer": "#ff725c",
    "gathered": "#6cc5b0",
    "activations": "#3ca951",
    "logits": "#ff8ab7",
    "vision": "#a463f2",
    "states that stay": "#1f3d8f",
    "rollout weights": "#97bbf5",
    "KV cache": "#9c6b4e",
    "set aside": "#9498a0",
}


def render_parallel_page(plan: ParallelPlan, top: int) -> str:
    """The page with the first ``top`` layouts."""
    rows = [(f"{o.layout.trainer} {o.layout}", _phases(plan, o)) for _, o in show.list_distinct_layouts(plan, top)]
    used = {name for _, bars in rows for bar in bars for name in bar}
    return render_page(
        "parallel.html",
        heading=show.format_plan_heading(plan),
        legend=[(name, colour) for name, colour in COLOURS.items() if name in used],
        two_bars=any(len(bars) > 1 for _, bars in rows),
        bars=draw_stacks("memory by part", rows, COLOURS, plan.request.gpu_mem, "GiB"),
        remarks=[show.ORDER, show.ESTIMATE],
        ruled_out=plan.killed.most_common(),
    )


def _phases(plan: ParallelPlan, option: LayoutOption) -> list[dict[str, float]]:
    """GiB by part while a training step runs, and while replies are generated if they are."""
    aside = {"set aside": memory.compute_reserved_bytes(plan.request)}
    phases = [{name: option.training.parts[name] for name in memory.PARTS} | aside]
    rollout = option.rollout
    if rollout is not None:
        found = {"states that stay": rollout.resident, "rollout weights": rollout.weights}
        phases.append(found | {"KV cache": max(0.0, rollout.cache)} | aside)
    return [{name: size / GIB for name, size in phase.items()} for phase in phases]
