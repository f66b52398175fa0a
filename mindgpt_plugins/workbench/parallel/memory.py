"""Memory of a training rank, by part.

Everything is computed, nothing measured on a GPU. What was measured is one rank of plain torch on a CPU, see
``benchmarks/results/plan_memory.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mindgpt_plugins.sizing.model import Model
from mindgpt_plugins.sizing.weights import Part
from mindgpt_plugins.workbench.parallel import activations, counts, timeline
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout
from mindgpt_plugins.workbench.parallel.request import GIB, ParallelRequest, Recompute

PARTS = ("weights", "gradients", "optimizer", "gathered", "activations", "logits", "vision")
"""Columns: the language model's; ``vision`` is all of the tower and its projector, states and activations."""
RESERVE = 1.5 * GIB, 0.05
"""Set aside for CUDA, NCCL and fragmentation: this much, and this share of the GPU. An assumption, not measured."""


@dataclass(frozen=True)
class Precision:
    """Bytes per parameter, and of an activation."""

    weight: float
    frozen: float
    gradient: float
    optimizer: float
    activation: int = 2
    accumulate: bool = True
    """Gradients outlive the backward pass: several micro-batches per step, or a buffer of their own."""
    update: float = 0.0
    """Scratch of the optimizer, per parameter of the largest weight."""


PRECISIONS: Mapping[str, Precision] = {
    "megatron": Precision(2, 2, 4, 12),  # bfloat16; float32 gradients, master weights and two moments
    "fsdp2": Precision(4, 4, 4, 8),  # float32 shards, gathered as bfloat16
    "zero3": Precision(2, 2, 2, 12),
    "zero2": Precision(2, 2, 2, 12),
    "ddp": Precision(4, 2, 8, 8),  # float32 weights; gradients a second time in the buckets of DDP
}


@dataclass(frozen=True)
class Memory:
    """Bytes of the fullest rank, by part, and the moment of the step when that is."""

    parts: Mapping[str, float]
    moment: str
    vision_states: float
    """Weights and optimizer states of the vision side, which are in the part ``vision``."""

    @property
    def total(self) -> float:
        """Bytes of all parts."""
        return sum(self.parts.values())

    def resident(self, offload: str, layout: ParallelLayout) -> float:
        """What stays on the GPU while replies are generated, after offloading nothing, the optimizer or all states."""
        states = self.parts["weights"] + self.vision_states
        if layout.sharding == "megatron":
            states += self.parts["gradients"]  # a buffer that lives as long as the weights
        return {"none": states + self.parts["optimizer"], "optimizer": states, "all": 0.0}[offload]


def compute_reserved_bytes(request: ParallelRequest) -> float:
    """Bytes of a GPU that no plan may use."""
    return RESERVE[0] + RESERVE[1] * request.gpu_mem * GIB


def estimate_one_rank_memory(model: Model, request: ParallelRequest, optimizer: str, dtype: str = "float32") -> Memory:
    """A step of plain torch and transformers on one device, one micro-batch: what a CPU can measure.

    Args:
        model: its sizes.
        request: sequence, images, recompute.
        optimizer: ``adamw`` or ``sgd``.
        dtype: ``float32`` or ``bfloat16``, of weights, gradients and optimizer states alike.
    """
    size = 4 if dtype == "float32" else 2
    # torch's loop over the weights holds two temporaries of the one it is at.
    states, scratch = {"adamw": (2 * size, 2 * size), "sgd": (0, 0)}[optimizer]
    precision = Precision(size, size, size, states, size, accumulate=False, update=scratch)
    return estimate_training_memory(model, ParallelLayout("llamafactory", 1, sharding="ddp"), request, precision)


def estimate_training_memory(
    model: Model,
    layout: ParallelLayout,
    request: ParallelRequest,
    precision: Precision | None = None,
    mode: Recompute | None = None,
) -> Memory:
    """The fullest pipeline stage of a training step."""
    mode = mode or request.mode(layout.trainer)
    chosen = precision or PRECISIONS[layout.sharding]
    stages = [_stage(model, layout, request, chosen, mode, stage) for stage in range(layout.pp)]
    return max(stages, key=lambda stage: stage.total)


def _stage(
    model: Model, layout: ParallelLayout, request: ParallelRequest, precision: Precision, mode: Recompute, stage: int
) -> Memory:
    trained_vision = request.vision_trained(layout.trainer)
    states = _states(model, layout, request, precision, stage)
    pieces = _pieces(model, layout, request, precision, mode, stage)
    tokens = request.micro_batch * request.seq / layout.cp
    head, loss = timeline.Piece(0, 0, 0), (0.0, 0.0, 0.0)
    if stage == layout.pp - 1:
        head, loss = _head(model, layout, request, precision, tokens)
    peak = timeline.find_memory_peak(
        pieces,
        head,
        loss,
        standing=states["gradients"] + states["vision gradients"] if precision.accumulate else 0.0,
        in_flight=_in_flight(layout, request, stage),
        update=precision.update * _largest(model),
    )
    vision_gradients = states["vision gradients"] if precision.accumulate else 0.0
    vision_states = states["vision weights"] + states["vision optimizer"]
    parts = {
        "weights": states["weights"],
        "gradients": peak.gradients - vision_gradients,
        "optimizer": states["optimizer"],
        "gathered": _gathered(model, layout, stage, trained_vision, request),
        "activations": peak.activations,
        "logits": peak.loss,
        "vision": vision_states + vision_gradients + peak.vision,
    }
    return Memory(parts, peak.moment, vision_states)


def _states(
    model: Model, layout: ParallelLayout, request: ParallelRequest, precision: Precision, stage: int
) -> dict[str, float]:
    """Weights, gradients and optimizer states in bytes, of the language model and of the vision side."""
    found = dict.fromkeys(("weights", "gradients", "optimizer"), 0.0)
    found |= dict.fromkeys(("vision weights", "vision gradients", "vision optimizer"), 0.0)
    rows = layout.sharding == "fsdp2"  # whole rows on a rank; the other schemes cut flat buffers
    held = counts.count_shard_parameters(model, layout.shard, request.lora) if rows else None
    whole = layout.sharding == "zero3"
    for part, count in (held or counts.count_stage_parameters(model, layout, stage, request.lora)).items():
        stem = "vision " if part in counts.VISION else ""
        ways = 1 if rows else layout.expert_shard if part == "experts" else layout.shard
        trained = _trained(part, request, layout)
        weight = precision.weight if trained else precision.frozen
        found[f"{stem}weights"] += count * weight / (layout.shard if whole else 1)
        if trained:
            gradient = count * precision.gradient
            if layout.sharding == "ddp" and layout.dp == 1:
                gradient = count * min(precision.gradient, 4)  # no buckets where nothing is exchanged
            found[f"{stem}gradients"] += gradient / (layout.shard if layout.sharding.startswith("zero") else 1)
            found[f"{stem}optimizer"] += count * precision.optimizer / ways
    return found


def _trained(part: Part, request: ParallelRequest, layout: ParallelLayout) -> bool:
    if part in counts.VISION:
        return request.vision_trained(layout.trainer)
    return part == "adapter" if request.lora else True


def _pieces(
    model: Model, layout: ParallelLayout, request: ParallelRequest, precision: Precision, mode: Recompute, stage: int
) -> list[timeline.Piece]:
    """Embedding, vision tower and decoder layers of a stage, in the order of the forward pass."""
    text, size, found = model.text, precision.activation, []
    tokens = request.micro_batch * request.seq / layout.cp
    per_weight = 0.0 if precision.accumulate else precision.gradient
    if stage == 0:
        table = text.vocabulary * text.hidden * per_weight
        # A tied table gets two gradients, which autograd adds up in a third.
        found.append(timeline.Piece(0, 2 * table if text.tied else 0, 0 if text.tied or request.lora else table))
        found += _vision(model, layout, request, precision, mode, per_weight)
    for layer in counts.list_stage_layers(layout, text.layers, stage):
        sparse = text.experts is not None and layer in text.experts.layers
        if layout.sharding == "megatron":
            kept = activations.estimate_megatron_layer(text, layout, mode, text.experts if sparse else None)
        else:
            kept = activations.estimate_hf_layer(text, size, mode, sparse)
        again = kept.full if mode != "none" else 0.0
        gradient = (
            counts.count_layer_parameters(model, layout, layer) * per_weight if per_weight and not request.lora else 0.0
        )
        found.append(timeline.Piece(kept.saved * tokens, (again + kept.transient) * tokens, gradient))
    if layout.sharding != "megatron":  # cosine and sine, once for all layers
        found[0] = timeline.Piece(
            found[0].saved + 2 * size * text.head_dim * tokens, found[0].working, found[0].gradient
        )
    return found


def _vision(
    model: Model,
    layout: ParallelLayout,
    request: ParallelRequest,
    precision: Precision,
    mode: Recompute,
    per_weight: float,
) -> list[timeline.Piece]:
    """The vision tower: every rank of a context- or tensor-parallel group encodes all images of its sequences."""
    if model.vision is None or not request.images:
        return []
    patches = request.micro_batch * request.patches
    size = precision.activation
    block = activations.estimate_vision_block(model.vision, size, "full" if mode == "full" else "none")
    if not request.vision_trained(layout.trainer):
        pixels = activations.FLOAT * model.vision.channels * model.vision.temporal_patch * model.vision.patch**2
        kept = size * model.vision.out * (1 + model.vision.deepstack) / model.vision.merge**2
        return [timeline.Piece((pixels + kept) * patches, block.full * patches, 0, True)]
    count = counts.count_stage_parameters(model, layout, 0)
    gradient = count["vision"] * per_weight / model.vision.depth
    again = block.full if mode == "full" else 0.0
    one = timeline.Piece(block.saved * patches, (again + block.transient) * patches, gradient, True)
    rest = activations.estimate_vision_rest(model.vision, size) * patches
    return [*[one] * model.vision.depth, timeline.Piece(rest, 0, count["projector"] * per_weight, True)]


def _head(
    model: Model, layout: ParallelLayout, request: ParallelRequest, precision: Precision, tokens: float
) -> tuple[timeline.Piece, tuple[float, float, float]]:
    text, size = model.text, precision.activation
    per_weight = 0.0 if precision.accumulate or request.lora else precision.gradient
    norm = (activations.FLOAT + 2 * size) * text.hidden + activations.FLOAT
    head = timeline.Piece(
        norm * tokens / layout.tp, size * text.hidden * tokens, text.vocabulary * text.hidden * per_weight
    )
    if request.fused_loss:
        rows = min(activations.CHUNK, tokens)
        chunk = (size + 2 * activations.FLOAT) * rows * text.vocabulary / layout.tp
        chunk += activations.FLOAT * text.vocabulary * text.hidden / layout.tp  # its weight gradient in float32
        return head, (chunk, chunk, chunk)
    if layout.sharding == "megatron":
        per_token = activations.estimate_megatron_loss(text.vocabulary, layout.tp)
    elif layout.trainer == "verl-fsdp2":
        per_token = activations.estimate_verl_loss(text.vocabulary)
    else:
        per_token = activations.estimate_hf_loss(text.vocabulary, size)
    return head, (per_token[0] * tokens, per_token[1] * tokens, per_token[2] * tokens)


def _gathered(
    model: Model, layout: ParallelLayout, stage: int, trained_vision: bool, request: ParallelRequest
) -> float:
    """Whole bfloat16 weights and gradients of the layers at work under FSDP and ZeRO; copies of autocast under DDP."""
    count = counts.count_stage_parameters(model, layout, stage)
    if layout.sharding == "ddp":
        return 2.0 * sum(count.values()) if layout.trainer == "llamafactory" and request.gpus > 1 else 0.0
    if layout.sharding not in ("fsdp2", "zero3") or layout.shard == 1:
        return 0.0
    layer = max(counts.count_layer_parameters(model, layout, i) for i in range(model.text.layers))
    root = count["embedding"] + count.get("head", 0)
    gradients = 0.0 if request.lora else 2.0 * root + 6.0 * layer
    return 2.0 * root + 2 * 2.0 * layer + gradients


def _in_flight(layout: ParallelLayout, request: ParallelRequest, stage: int) -> float:
    """Micro-batches whose activations a stage holds at once (1F1B; interleaved for virtual stages)."""
    waiting = max(1, request.batch // (layout.dp * request.micro_batch))
    if layout.vpp == 1:
        return min(waiting, layout.pp - stage)
    chunks = 2 * (layout.pp - stage - 1) + (layout.vpp - 1) * layout.pp + 1
    return min(waiting * layout.vpp, chunks) / layout.vpp


def _largest(model: Model) -> int:
    return model.text.vocabulary * model.text.hidden
