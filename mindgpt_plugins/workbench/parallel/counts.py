"""How many parameters one rank holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from mindgpt_plugins.sizing.model import Model
from mindgpt_plugins.sizing.weights import Part, Weight, list_model_weights
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout

VISION: tuple[Part, ...] = ("vision", "projector")
"""Parts of the vision side; they lie on the first pipeline stage, whole on every tensor-parallel rank."""


def list_stage_layers(layout: ParallelLayout, layers: int, stage: int) -> tuple[int, ...]:
    """The layers of a pipeline stage: ``vpp`` chunks of equal size, dealt round."""
    chunk = layers // (layout.pp * layout.vpp)
    firsts = [(turn * layout.pp + stage) * chunk for turn in range(layout.vpp)]
    return tuple(layer for first in firsts for layer in range(first, first + chunk))


def count_local_elements(one: Weight, layout: ParallelLayout) -> int:
    """Elements of one layer's weight on a rank before any sharding of its copies (FSDP, ZeRO)."""
    if one.part == "experts":
        return one.numel // (layout.ep * layout.etp)
    if one.part in VISION:
        return one.numel
    return one.local(layout.tp)


def count_stage_parameters(
    model: Model, layout: ParallelLayout, stage: int, adapter_rank: int = 0
) -> Mapping[Part, int]:
    """Parameters per part on a rank of a pipeline stage, before any sharding of its copies."""
    return _of_stage(model, _cuts(layout), stage, adapter_rank)


def count_layer_parameters(model: Model, layout: ParallelLayout, layer: int) -> int:
    """Parameters of one decoder layer on a rank, before any sharding of its copies."""
    return _of_layer(model, _cuts(layout), layer)


def _cuts(layout: ParallelLayout) -> ParallelLayout:
    """The layout without what does not change a count, so that counts are shared."""
    return replace(layout, dp=1, cp=1, shard=1, sharding="megatron", trainer="verl-megatron")


@lru_cache(maxsize=8192)
def _of_stage(model: Model, layout: ParallelLayout, stage: int, adapter_rank: int) -> Mapping[Part, int]:
    found: dict[Part, int] = {}
    own = set(list_stage_layers(layout, model.text.layers, stage))
    last = stage == layout.pp - 1
    for one in list_model_weights(model, adapter_rank):
        if one.part in VISION:
            times = max(1, len(one.layers)) if stage == 0 else 0
        elif one.layers:
            times = len(own.intersection(one.layers))
        elif one.part == "embedding":
            times = int(stage == 0 or (last and model.text.tied))  # a tied head is a second copy on the last stage
        else:
            times = int(last)
        found[one.part] = found.get(one.part, 0) + times * count_local_elements(one, layout)
    return found


@lru_cache(maxsize=1024)
def count_shard_parameters(model: Model, ways: int, adapter_rank: int = 0) -> Mapping[Part, int]:
    """Parameters per part on rank 0, the fullest, when each weight's first dimension is cut ``ways`` ways (FSDP2).

    128 experts on 48 ranks are 3 on most ranks and none on the last: an eighth more than the even share.
    """
    found: dict[Part, int] = {}
    for one in list_model_weights(model, adapter_rank):
        rows = -(-one.shape[0] // ways)
        found[one.part] = found.get(one.part, 0) + rows * (one.numel // one.shape[0]) * max(1, len(one.layers))
    return found


@lru_cache(maxsize=8192)
def _of_layer(model: Model, layout: ParallelLayout, layer: int) -> int:
    return sum(
        count_local_elements(one, layout)
        for one in list_model_weights(model)
        if one.part not in VISION and layer in one.layers
    )
