"""A plan as one HTML page: stacked bars of the memory by part, as inline SVG."""

from __future__ import annotations

from html import escape

from mindgpt_plugins.workbench.parallel import memory, show
from mindgpt_plugins.workbench.parallel.plan import Option, Plan
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
LEFT, BAR, ROW, WIDE = 330, 18, 26, 1040
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1080px;padding:0 1rem;color:#1b1b1f;"
    "background:#fff}h1{font-size:1.4rem}svg{width:100%;height:auto;font:12px system-ui,sans-serif}"
    ".legend span{margin-right:1rem;white-space:nowrap}.legend i{display:inline-block;width:.8em;height:.8em;"
    "margin-right:.3em}.soft{color:#666}text{fill:currentColor}table{border-collapse:collapse}td{padding:.1rem .8rem "
    ".1rem 0}@media(prefers-color-scheme:dark){body{background:#17171a;color:#e6e6ea}.soft{color:#aaa}}"
)


def page(plan: Plan, top: int) -> str:
    """The page with the first ``top`` layouts."""
    head = "".join(f"<p>{escape(line)}</p>" for line in show.heading(plan))
    phases = _phases(plan, plan.options[0])
    used = [name for name in COLOURS if any(name in phase for phase in phases)]
    legend = "".join(f'<span><i style="background:{COLOURS[name]}"></i>{name}</span>' for name in used)
    rules = "".join(
        f"<tr><td align=right>{count}</td><td>{escape(rule)}</td></tr>" for rule, count in plan.killed.most_common()
    )
    sharing = (
        ""
        if plan.request.stage == "sft"
        else (
            "<p class=soft>Two bars: above the training step, below generation with the training states that stay.</p>"
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Parallel plan</title>'
        f"<style>{STYLE}</style></head><body><h1>Parallel plan</h1>{head}<p class=legend>{legend}</p>{sharing}"
        f"{_bars(plan, top)}<p class=soft>{escape(show.ORDER)}</p><p class=soft>{escape(show.ESTIMATE)}</p>"
        f"<h2>Ruled out</h2><table>{rules}</table></body></html>\n"
    )


def _bars(plan: Plan, top: int) -> str:
    shown = [option for _, option in show.distinct(plan, top)]
    both = plan.request.stage == "rl"
    row = ROW + (BAR // 2 if both else 0)
    limit = plan.request.gpu_mem
    widest = max(limit, *(option.peak / GIB for option in shown)) * 1.04
    parts = []
    for i, option in enumerate(shown):
        y = 24 + i * row
        label = f"{option.layout.trainer} {option.layout}"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
        high = BAR * 2 // 3 if both else BAR
        for j, phase in enumerate(_phases(plan, option)):
            x = float(LEFT)
            for name, size in phase.items():
                width = size / GIB / widest * (WIDE - LEFT)
                tip = f"{name}: {size / GIB:.1f} GiB"
                parts.append(
                    f'<rect x="{x:.1f}" y="{y + j * (high + 1)}" width="{max(0.0, width):.1f}" height="{high}" '
                    f'fill="{COLOURS[name]}"><title>{tip}</title></rect>'
                )
                x += width
    edge = LEFT + limit / widest * (WIDE - LEFT)
    height = 24 + len(shown) * row + 6
    parts.append(
        f'<line x1="{edge:.1f}" x2="{edge:.1f}" y1="18" y2="{height}" stroke="currentColor" stroke-dasharray="4 3"/>'
        f'<text x="{edge:.1f}" y="13" text-anchor="end">{limit:g} GiB</text>'
    )
    return f'<svg viewBox="0 0 {WIDE} {height}" role="img" aria-label="memory by part">{"".join(parts)}</svg>'


def _phases(plan: Plan, option: Option) -> list[dict[str, float]]:
    aside = {"set aside": memory.reserve(plan.request)}
    step = {name: option.training.parts[name] for name in memory.PARTS} | aside
    generating = option.rollout
    if generating is None:
        return [step]
    found = {"states that stay": generating.resident, "rollout weights": generating.weights}
    return [step, found | {"KV cache": max(0.0, generating.cache)} | aside]
