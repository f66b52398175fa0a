"""Which of two layouts to prefer: a rough time per step, to sort by and nothing else."""

from __future__ import annotations

from mindgpt_plugins.sizing import weights
from mindgpt_plugins.sizing.model import Model
from mindgpt_plugins.workbench.parallel import counts
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout
from mindgpt_plugins.workbench.parallel.request import ParallelRequest

FLOPS, INSIDE, BETWEEN = 4e14, 3e11, 4e10
"""Assumed bfloat16 FLOP/s of a GPU, and bytes/s of one GPU inside a node and between nodes; they only sort."""


def estimate_step_seconds(model: Model, layout: ParallelLayout, request: ParallelRequest) -> float:
    """One optimizer step: arithmetic of the busiest pipeline stage, its bubble, and what is sent meanwhile.

    Exchanges of tensor, context, expert and pipeline parallelism wait; those of data parallelism and FSDP hide behind
    the arithmetic and count for what is longer.
    """
    micro = request.batch // (layout.dp * request.micro_batch)
    work = _busiest(model, layout, request) * (micro + (layout.pp - 1) / layout.vpp)
    waiting, hidden = _sent(model, layout, request, micro)
    return max(work, hidden) + waiting


def _busiest(model: Model, layout: ParallelLayout, request: ParallelRequest) -> float:
    """Seconds of one micro-batch on the busiest stage; images are encoded whole on each rank of the first."""
    text = model.text
    again = {"none": 3, "selective": 3.3, "full": 4}[request.mode(layout.trainer)]
    tokens = request.micro_batch * request.seq / (layout.tp * layout.cp)
    head = text.vocabulary * text.hidden
    pairs = text.layers * text.heads * text.head_dim * request.seq / 2  # causal scores and their values, per token
    body = 2 * tokens * (weights.count_active_parameters(model) - head + 2 * pairs) / layout.pp * again
    count = counts.count_stage_parameters(model, layout, 0)
    passes = again if request.vision_trained(layout.trainer) else 1
    tower = 2 * request.micro_batch * request.patches * count.get("vision", 0) * passes
    last = 2 * 3 * tokens * head
    return (body + max(tower, last) if layout.pp > 1 else body + tower + last) / FLOPS


def _sent(model: Model, layout: ParallelLayout, request: ParallelRequest, micro: int) -> tuple[float, float]:
    """Seconds of exchanges that wait, and of those that hide."""
    text = model.text
    tp, pp, cp, ep, etp, dp = layout.tp, layout.pp, layout.cp, layout.ep, layout.etp, layout.dp
    tokens = request.micro_batch * request.seq / cp
    layers = micro * text.layers / pp
    passes = 3 if request.mode(layout.trainer) == "full" else 2  # forward, again, backward
    queries, keys = text.heads * text.head_dim, text.kv_heads * text.head_dim
    waiting = 0.0

    def time(group: int, span: int, size: float) -> float:
        return size * (group - 1) / group / (INSIDE if span <= request.node else BETWEEN)

    waiting += time(tp, tp, passes * 4 * 2 * text.hidden * tokens * layers)
    if layout.sharding == "megatron":
        waiting += time(cp, tp * cp, cp * 3 * 2 * 2 * keys / tp * tokens * layers)
        if text.experts:
            sparse = micro * len(text.experts.layers) / pp
            waiting += time(ep, etp * ep, passes * 2 * 2 * text.experts.per_token * text.hidden * tokens / tp * sparse)
        if pp > 1:
            hop = INSIDE if request.gpus <= request.node else BETWEEN
            waiting += 2 * 2 * text.hidden * tokens / tp * micro * layout.vpp / hop
    else:
        waiting += time(cp, cp, passes * 2 * 2 * (queries + keys) * tokens * layers)
    parts = counts.count_stage_parameters(model, layout, 0)
    experts = parts.get("experts", 0)
    dense = sum(parts.values()) - experts
    if request.lora:
        dense, experts = counts.count_stage_parameters(model, layout, 0, request.lora).get("adapter", 0), 0
    if layout.sharding == "megatron":  # float32 gradients scattered, bfloat16 weights gathered, once per step
        hidden = time(dp * cp, tp * cp * dp, 6 * dense) + time(layout.expert_shard, tp * cp * dp, 6 * experts)
    elif layout.sharding in ("fsdp2", "zero3"):  # weights gathered twice and gradients scattered, every micro-batch
        whole = sum(parts.values())
        hidden = time(layout.shard, layout.shard, micro * (4 * whole + 4 * (dense + experts)))
        hidden += time(request.gpus // layout.shard, request.gpus, 8 * (dense + experts) / layout.shard)
    else:
        hidden = time(dp, dp, 8 * (dense + experts))
    return waiting, hidden
