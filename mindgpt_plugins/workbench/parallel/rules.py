"""Which layouts cannot run, and the rule that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from mindgpt_plugins.sizing.model import Model
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout, enumerate_layouts
from mindgpt_plugins.workbench.parallel.request import ParallelRequest


def find_broken_rule(layout: ParallelLayout, model: Model, request: ParallelRequest) -> str | None:
    """The first rule a layout breaks, with the sizes of this model; None when it is valid."""
    return next(_broken(layout, model, request), None)


def split_valid_layouts(model: Model, request: ParallelRequest) -> tuple[list[ParallelLayout], Counter[str]]:
    """The valid layouts of all trainers asked for, and how many each rule rules out."""
    valid, killed = [], Counter[str]()
    for trainer in request.trainers:
        for layout in enumerate_layouts(trainer, request.gpus, model.text.experts.count if model.text.experts else 0):
            rule = find_broken_rule(layout, model, request)
            if rule is None:
                valid.append(layout)
            else:
                killed[rule] += 1
    return valid, killed


def rank_broken_rules(killed: Counter[str]) -> Iterable[str]:
    """The rules, the deadliest first."""
    return (f"{rule}: {count}" for rule, count in killed.most_common())


def _broken(layout: ParallelLayout, model: Model, request: ParallelRequest) -> Iterator[str]:
    text, experts = model.text, model.text.experts
    tp, pp, vpp, cp, ep, etp = layout.tp, layout.pp, layout.vpp, layout.cp, layout.ep, layout.etp
    if layout.trainer == "verl-megatron":
        if request.lora:
            yield "LoRA with Megatron (verl has no merger for its checkpoints)"
        if tp > request.node:
            yield f"TP within one node of {request.node} GPUs"
        if text.heads % tp:
            yield f"heads % TP ({text.heads} heads)"
        if text.kv_heads % tp and tp % text.kv_heads:
            yield f"kv heads % TP, or TP % kv heads to repeat them ({text.kv_heads} kv heads)"
        if text.intermediate % tp or text.hidden % tp:
            yield f"feed-forward width % TP ({text.intermediate})"
        if text.vocabulary % tp:
            yield f"vocabulary % TP ({text.vocabulary})"
        if text.layers % (pp * vpp):
            yield f"layers % (PP·VPP) ({text.layers} layers)"
        if cp > 1 and request.seq % (2 * cp):
            yield f"seq % (2·CP) ({request.seq} tokens)"
        if request.seq % (cp * tp):
            yield f"seq % (CP·TP), for sequence parallelism ({request.seq} tokens)"
        if experts is not None:
            if experts.count % ep:
                yield f"experts % EP ({experts.count} experts)"
            if layout.dp * cp * tp % (ep * etp):
                yield "EP·ETP divides DP·CP·TP"
            if experts.intermediate % etp:
                yield f"expert width % ETP ({experts.intermediate})"
    if layout.trainer == "verl-fsdp2":
        if text.heads % cp:
            yield f"heads % Ulysses ({text.heads} heads)"
        if text.kv_heads % cp and cp % text.kv_heads:
            yield f"kv heads % Ulysses, or Ulysses % kv heads to repeat them ({text.kv_heads} kv heads)"
        node = min(request.node, request.gpus)
        if layout.shard < request.gpus and layout.shard % node:
            yield f"FSDP shard groups are whole nodes of {request.node} GPUs"
        if cp > request.node:
            yield f"Ulysses within one node of {request.node} GPUs"
    if layout.trainer == "llamafactory" and layout.dp == 1 and layout.sharding != "ddp":
        yield "sharding needs more than one GPU"
    share = layout.dp * request.micro_batch
    if request.batch % share:
        yield f"global batch % (DP·micro-batch) ({request.batch} sequences)"
    if vpp > 1 and request.batch // share % pp:
        yield "micro-batches % PP, for VPP"
