"""Bytes that the forward pass keeps for the backward pass, per token or patch.

Counted from the code that runs: what autograd saves in transformers' modules (norms that work in float32, separate gate
and up projections), and what Transformer Engine's fused layers save under Megatron, after Korthikanti et al.
(2205.05198) with grouped queries and gated feed-forward. Attention never stores the score matrix: SDPA and flash
attention compute it again.
"""

from __future__ import annotations

from dataclasses import dataclass

from mindgpt_plugins.sizing.model import Experts, Text, Vision
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout
from mindgpt_plugins.workbench.parallel.request import Recompute

FLOAT = 4
"""Bytes of float32: norm inputs, statistics, rotary tables."""


@dataclass(frozen=True)
class Kept:
    """Bytes per token (or patch) of one layer.

    Attributes:
        saved: what stays until the layer's backward pass.
        full: what the layer's own backward pass needs at once: all of it, computed again or not.
        transient: gradients of intermediate values beside it.
    """

    saved: float
    full: float
    transient: float


def estimate_hf_layer(text: Text, size: int, recompute: Recompute, sparse: bool) -> Kept:
    """A decoder layer of transformers.

    Args:
        text: its sizes.
        size: bytes of an activation: 4 in float32, 2 in bfloat16.
        recompute: ``none`` or ``full``.
        sparse: whether the feed-forward part is a mixture of experts.
    """
    queries, keys = text.heads * text.head_dim, text.kv_heads * text.head_dim
    norm = FLOAT + 2 * size  # input in float32, normalised and scaled values
    attention = 2 * norm * text.hidden + FLOAT * (text.heads + 2)
    if text.query_norm:
        # Input, normalised and rotated values; the scaled ones in between are not kept.
        attention += norm * (queries + keys) + FLOAT * (text.heads + text.kv_heads)
    else:
        attention += size * (queries + keys)
    attention += size * (keys + queries)  # values, and the output that the last projection multiplies
    wide = text.intermediate
    if sparse and text.experts is not None:
        experts = text.experts
        wide = experts.per_token * experts.intermediate
        attention += 2 * FLOAT * experts.count + size * experts.per_token * 2 * text.hidden
    full = attention + size * 4 * wide
    saved = size * text.hidden if recompute == "full" else full
    return Kept(saved, full, size * 2 * wide)


def estimate_megatron_layer(text: Text, layout: ParallelLayout, recompute: Recompute, experts: Experts | None) -> Kept:
    """A layer of Megatron in bfloat16 with sequence parallelism, per token of this context-parallel rank."""
    tp, size = layout.tp, 2
    queries = text.heads * text.head_dim / tp
    keys = max(text.kv_heads / tp, 1) * text.head_dim
    norms = 2 * size * text.hidden / tp  # outputs of both, which `layernorm` computes again
    full = 2 * size * text.hidden / tp + norms
    full += size * (2 * (queries + keys) + keys + queries) + FLOAT * text.heads / tp
    if experts is None:
        first = third = size * text.intermediate / tp
        again = norms + 3 * first  # `mlp`: the whole feed-forward part
    else:
        routed = experts.per_token / tp  # tokens for the experts of this rank, evenly routed
        first = third = size * routed * experts.intermediate
        full += 2 * size * routed * text.hidden * layout.etp + 2 * FLOAT * experts.count / tp
        again = norms + third  # `moe_act`: the product inside the experts
    full += 2 * first + third
    saved = {"none": full, "selective": full - again, "full": size * text.hidden / tp}[recompute]
    return Kept(saved, full, 2 * first)


def estimate_vision_block(vision: Vision, size: int, recompute: Recompute) -> Kept:
    """A block of the vision tower, per patch; it is the same code under every trainer and is never cut."""
    h, i = vision.hidden, vision.intermediate
    norm = 2 * size if vision.kind == "qwen3" else FLOAT + 2 * size
    full = 2 * norm * h + size * 7 * h + FLOAT * (vision.heads + 4)  # qkv, rotated q and k, output, its concatenation
    full += size * (2 if vision.kind == "qwen3" else 4) * i
    return Kept(size * h if recompute == "full" else full, full, size * 2 * i)


def estimate_vision_rest(vision: Vision, size: int) -> float:
    """Everything of the tower outside its blocks, per patch: input, position tables and mergers."""
    wide, merged = vision.hidden * vision.merge**2, vision.merge**2
    pixels = FLOAT * vision.channels * vision.temporal_patch * vision.patch**2
    rotary = FLOAT * 2 * vision.hidden // vision.heads
    table = 4 * (8 + FLOAT) if vision.positions else 0  # four neighbours: index and weight
    norm = 2 * size if vision.kind == "qwen3" else FLOAT + 2 * size
    mergers = norm * wide + size * (2 * wide + vision.out)
    mergers += vision.deepstack * size * (3 * wide + vision.out)  # their input is the next block's
    return pixels + rotary + table + mergers / merged


def estimate_hf_loss(vocabulary: int, size: int) -> tuple[float, float, float]:
    """The loss of transformers on materialised logits, per token.

    Returns:
        What the loss keeps for its backward pass; the peak while it is computed; the peak of its own backward pass
        (log-probabilities, their gradient and the logits' gradient, all float32).
    """
    upcast = FLOAT if size < FLOAT else 0
    return FLOAT * vocabulary, (size + upcast + FLOAT) * vocabulary, 3.0 * FLOAT * vocabulary


def estimate_verl_loss(vocabulary: int) -> tuple[float, float, float]:
    """Log-probabilities in verl's FSDP engine: bfloat16 logits and flash-attention's cross-entropy in place."""
    return 2.0 * vocabulary, 4.0 * vocabulary, 4.0 * vocabulary


def estimate_megatron_loss(vocabulary: int, tp: int) -> tuple[float, float, float]:
    """Vocabulary-parallel cross-entropy: bfloat16 logits, a float32 copy and its softmax."""
    return 4.0 * vocabulary / tp, 10.0 * vocabulary / tp, 8.0 * vocabulary / tp


CHUNK = 1024
"""Rows that a linear cross-entropy has as logits at a time."""
