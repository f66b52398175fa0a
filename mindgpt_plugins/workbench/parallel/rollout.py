"""Memory of a GPU that trains and generates in turn (verl's hybrid engine with vLLM)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mindgpt_plugins.sizing import weights
from mindgpt_plugins.sizing.model import Model
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout, list_divisors
from mindgpt_plugins.workbench.parallel.memory import Memory, compute_reserved_bytes
from mindgpt_plugins.workbench.parallel.request import GIB, ParallelRequest

Offload = Literal["none", "optimizer", "all"]
ASLEEP, AWAKE = 1.0 * GIB, 2.0 * GIB
"""vLLM beyond weights and cache, asleep (context, CUDA graphs) and at work. Assumptions, not measured."""
HIGHEST = 0.9
"""Largest ``gpu_memory_utilization`` that is proposed."""


@dataclass(frozen=True)
class RolloutLayout:
    """How replies are generated on the GPUs of a layout.

    Attributes:
        tp: GPUs of one vLLM server.
        offload: training states that go to host memory meanwhile.
        resident: bytes of training states that stay on the GPU.
        weights: bytes of the bfloat16 model.
        cache: bytes left for keys and values.
        sequences: full-length sequences that the cache of one server holds.
        utilisation: ``gpu_memory_utilization`` for vLLM.
    """

    tp: int
    offload: Offload
    resident: float
    weights: float
    cache: float
    sequences: int
    utilisation: float


def choose_rollout_layout(
    model: Model, layout: ParallelLayout, request: ParallelRequest, training: Memory
) -> RolloutLayout:
    """The least offloading, then the smallest server, whose cache holds eight sequences; else one; else the most."""
    tried = [
        _try(model, layout, request, training, tp, offload)
        for offload in ("none", "optimizer", "all")
        for tp in list_divisors(min(request.node, request.gpus))
        if model.text.heads % tp == 0 and (model.text.kv_heads % tp == 0 or tp % model.text.kv_heads == 0)
    ]
    for wanted in (8, 1):
        found = next((one for one in tried if one.sequences >= wanted), None)
        if found is not None:
            return found
    return max(tried, key=lambda one: one.cache)


def compute_cache_per_token(model: Model, tp: int) -> int:
    """Bytes of bfloat16 keys and values per token on one GPU of a server; fewer heads than GPUs are repeated."""
    return 2 * 2 * model.text.layers * max(1, model.text.kv_heads // tp) * model.text.head_dim


def _try(
    model: Model, layout: ParallelLayout, request: ParallelRequest, training: Memory, tp: int, offload: Offload
) -> RolloutLayout:
    resident = training.resident(offload, layout)
    size = 2.0 * weights.count_parameters(weights.list_model_weights(model)) / tp
    share = 1 - (compute_reserved_bytes(request) + resident) / (request.gpu_mem * GIB)
    utilisation = max(0.0, min(HIGHEST, math.floor(share * 20 + 1e-9) / 20))
    cache = utilisation * request.gpu_mem * GIB - AWAKE - size
    sequences = int(max(0.0, cache) // (compute_cache_per_token(model, tp) * request.seq))
    return RolloutLayout(tp, offload, resident, size, cache, sequences, utilisation)
