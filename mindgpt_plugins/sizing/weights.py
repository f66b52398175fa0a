"""Every weight of a model with its shape: what the counts per rank are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from mindgpt_plugins.sizing.model import Model, Text, Vision

Part = Literal["embedding", "head", "norm", "attention", "mlp", "router", "experts", "vision", "projector", "adapter"]


@dataclass(frozen=True)
class Weight:
    """A weight, or the same one of many layers.

    Attributes:
        name: as in the state dict of transformers; ``{}`` stands for the layer.
        shape: of one layer's.
        part: what it belongs to.
        cut: the dimension that tensor parallelism cuts (column-parallel 0, row-parallel 1); None: every rank has all.
        layers: the layers that have it; empty: it exists once.
        heads: the dimension counts heads of this number, which cannot be cut below one.
    """

    name: str
    shape: tuple[int, ...]
    part: Part
    cut: int | None = None
    layers: tuple[int, ...] = ()
    heads: int | None = None

    @property
    def numel(self) -> int:
        """Elements of one layer's."""
        return math.prod(self.shape)

    def local(self, ways: int) -> int:
        """Elements of one layer's on a rank of ``ways`` tensor-parallel ones; fewer heads than ranks are repeated."""
        if self.cut is None:
            return self.numel
        return self.numel // (min(ways, self.heads) if self.heads else ways)


@lru_cache(maxsize=32)
def list_model_weights(model: Model, adapter_rank: int = 0) -> tuple[Weight, ...]:
    """All weights, each once (a tied head is the embedding), and the adapters of LoRA where a rank is given."""
    stem = "model.language_model." if model.vision or model.architecture.endswith(("_vl", "_vl_moe")) else "model."
    text = tuple(_text(model.text, stem))
    vision = tuple(_vision(model.vision)) if model.vision else ()
    return (*text, *vision, *(_adapters(text, adapter_rank) if adapter_rank else ()))


def map_weight_shapes(weights: tuple[Weight, ...]) -> dict[str, tuple[int, ...]]:
    """Name → shape, one entry per layer."""
    return {one.name.format(layer): one.shape for one in weights for layer in (one.layers or (0,))}


def count_parameters(weights: tuple[Weight, ...]) -> int:
    """Parameters of all."""
    return sum(one.numel * max(1, len(one.layers)) for one in weights)


def count_parameters_by_part(weights: tuple[Weight, ...]) -> Mapping[Part, int]:
    """Parameters of each part."""
    found: dict[Part, int] = {}
    for one in weights:
        found[one.part] = found.get(one.part, 0) + one.numel * max(1, len(one.layers))
    return found


@lru_cache(maxsize=32)
def count_active_parameters(model: Model) -> int:
    """Parameters of the language model that one token meets, the head's included and the embedding table's not."""
    count = count_parameters_by_part(list_model_weights(model))
    text = sum(count.get(part, 0) for part in ("norm", "attention", "mlp", "router"))
    if model.text.experts:
        text += count["experts"] * model.text.experts.per_token // model.text.experts.count
    return text + model.text.vocabulary * model.text.hidden


def _text(text: Text, stem: str) -> Iterator[Weight]:
    h, d, layers = text.hidden, text.head_dim, tuple(range(text.layers))
    queries, keys = text.heads * d, text.kv_heads * d
    yield Weight(f"{stem}embed_tokens.weight", (text.vocabulary, h), "embedding", 0)
    yield Weight(f"{stem}norm.weight", (h,), "norm")
    if not text.tied:
        yield Weight("lm_head.weight", (text.vocabulary, h), "head", 0)
    layer = stem + "layers.{}."
    for name in ("input_layernorm", "post_attention_layernorm"):
        yield Weight(f"{layer}{name}.weight", (h,), "norm", None, layers)
    attention = layer + "self_attn."
    for name, size, heads in (("q", queries, text.heads), ("k", keys, text.kv_heads), ("v", keys, text.kv_heads)):
        yield Weight(f"{attention}{name}_proj.weight", (size, h), "attention", 0, layers, heads)
        if text.query_bias:
            yield Weight(f"{attention}{name}_proj.bias", (size,), "attention", 0, layers, heads)
    yield Weight(f"{attention}o_proj.weight", (h, queries), "attention", 1, layers)
    if text.output_bias:
        yield Weight(f"{attention}o_proj.bias", (h,), "attention", None, layers)
    if text.query_norm:
        for name in ("q_norm", "k_norm"):
            yield Weight(f"{attention}{name}.weight", (d,), "norm", None, layers)
    experts = text.experts
    dense = tuple(i for i in layers if experts is None or i not in experts.layers)
    if dense:
        for name in ("gate", "up"):
            yield Weight(f"{layer}mlp.{name}_proj.weight", (text.intermediate, h), "mlp", 0, dense)
        yield Weight(f"{layer}mlp.down_proj.weight", (h, text.intermediate), "mlp", 1, dense)
    if experts is not None:
        sparse = tuple(sorted(experts.layers))
        yield Weight(f"{layer}mlp.gate.weight", (experts.count, h), "router", None, sparse)
        # Three dimensions, the first counts experts: expert parallelism cuts it, expert tensor parallelism the next.
        yield Weight(
            f"{layer}mlp.experts.gate_up_proj", (experts.count, 2 * experts.intermediate, h), "experts", 1, sparse
        )
        yield Weight(f"{layer}mlp.experts.down_proj", (experts.count, h, experts.intermediate), "experts", 2, sparse)


def _vision(vision: Vision) -> Iterator[Weight]:
    h, i, blocks = vision.hidden, vision.intermediate, tuple(range(vision.depth))
    wide = h * vision.merge**2
    qwen3 = vision.kind == "qwen3"

    def one(name: str, shape: tuple[int, ...], layers: tuple[int, ...] = (), part: Part = "vision") -> Weight:
        return Weight(f"model.visual.{name}", shape, part, None, layers)

    yield one("patch_embed.proj.weight", (h, vision.channels, vision.temporal_patch, vision.patch, vision.patch))
    if qwen3:
        yield one("patch_embed.proj.bias", (h,))
        yield one("pos_embed.weight", (vision.positions, h))
    linear = {"attn.qkv": (3 * h, h), "attn.proj": (h, h)}
    gated = {"mlp.gate_proj": (i, h), "mlp.up_proj": (i, h), "mlp.down_proj": (h, i)}
    linear |= {"mlp.linear_fc1": (i, h), "mlp.linear_fc2": (h, i)} if qwen3 else gated
    for name, shape in linear.items():
        yield one(f"blocks.{{}}.{name}.weight", shape, blocks)
        yield one(f"blocks.{{}}.{name}.bias", shape[:1], blocks)
    for name in ("norm1", "norm2"):
        yield one(f"blocks.{{}}.{name}.weight", (h,), blocks)
        if qwen3:
            yield one(f"blocks.{{}}.{name}.bias", (h,), blocks)
    if not qwen3:
        yield one("merger.ln_q.weight", (h,), (), "projector")
    mergers: list[tuple[str, int, tuple[int, ...]]] = [("merger.", h, ())]
    if vision.deepstack:
        mergers.append(("deepstack_merger_list.{}.", wide, tuple(range(vision.deepstack))))
    for stem, norm, layers in mergers:
        if qwen3:
            yield one(f"{stem}norm.weight", (norm,), layers, "projector")
            yield one(f"{stem}norm.bias", (norm,), layers, "projector")
        first, second = ("linear_fc1", "linear_fc2") if qwen3 else ("mlp.0", "mlp.2")
        for name, shape in ((first, (wide, wide)), (second, (vision.out, wide))):
            yield one(f"{stem}{name}.weight", shape, layers, "projector")
            yield one(f"{stem}{name}.bias", shape[:1], layers, "projector")


def _adapters(weights: tuple[Weight, ...], rank: int) -> Iterator[Weight]:
    """LoRA on the linear layers of the language model; fused experts are parameters, not layers, and have none."""
    for one in weights:
        if one.part in ("attention", "mlp") and len(one.shape) == 2:
            stem = one.name.removesuffix("weight")
            rows, columns = one.shape
            yield Weight(f"{stem}lora_A.weight", (rank, columns), "adapter", 1 if one.cut == 1 else None, one.layers)
            yield Weight(
                f"{stem}lora_B.weight", (rows, rank), "adapter", 0 if one.cut == 0 else None, one.layers, one.heads
            )
