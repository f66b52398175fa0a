"""Reads the sizes of a model from its Hugging Face ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import FileError, read_json
from mindgpt_plugins.core.registry import hint_nearest


class ModelError(ValueError):
    """A configuration that cannot be planned for; names the key or the architecture."""


@dataclass(frozen=True)
class Experts:
    """The mixture of experts of a language model."""

    count: int
    per_token: int
    intermediate: int
    layers: frozenset[int]
    """The layers that have experts; the others have a dense feed-forward part."""


@dataclass(frozen=True)
class Text:
    """The language model."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    positions: int
    tied: bool
    query_bias: bool
    output_bias: bool
    query_norm: bool
    experts: Experts | None


@dataclass(frozen=True)
class Vision:
    """The vision tower and its projector."""

    kind: str
    """``qwen3`` (LayerNorm, GELU, position table, deepstack) or ``qwen2_5`` (RMSNorm, gated SiLU, windows)."""
    depth: int
    hidden: int
    intermediate: int
    heads: int
    channels: int
    patch: int
    temporal_patch: int
    merge: int
    out: int
    positions: int
    deepstack: int


@dataclass(frozen=True)
class Model:
    """Everything the planner knows about a model."""

    name: str
    architecture: str
    text: Text
    vision: Vision | None
    notes: tuple[str, ...] = ()


MULTIMODAL = {"qwen3_vl": "qwen3", "qwen3_vl_moe": "qwen3", "qwen2_5_vl": "qwen2_5"}
TEXT_ONLY = ("qwen3", "qwen3_moe")
KNOWN = (*MULTIMODAL, *TEXT_ONLY)


def read_model_sizes(path: str | Path) -> Model:
    """Read a model folder or a ``config.json``.

    Raises:
        ModelError: there is no such file, the architecture is not one of :data:`KNOWN`, or a size is missing.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "config.json"
    if not file.is_file():
        raise ModelError(
            f"{path}: no config.json there. Give a local model folder or a config.json; nothing is downloaded "
            "(hf download ORG/MODEL config.json fetches one)."
        )
    try:
        raw = read_json(file)
    except FileError as error:
        raise ModelError(str(error)) from None
    if not isinstance(raw, dict):
        raise ModelError(f"{file}: not a model configuration but {type(raw).__name__}")
    return parse_model_sizes(raw, Path(path).name if Path(path).is_dir() else file.stem)


def parse_model_sizes(raw: Mapping[str, Any], name: str) -> Model:
    """The sizes in a configuration.

    Raises:
        ModelError: as :func:`read_model_sizes`.
    """
    architecture = raw.get("model_type")
    if architecture not in KNOWN:
        raise ModelError(
            f"{name}: model_type {architecture!r} is not one whose sizes we know"
            f"{hint_nearest(str(architecture), KNOWN) or '.'} Known: {', '.join(KNOWN)}."
        )
    # Qwen2.5-VL's files on the hub are flat: the sizes of the language model lie beside vision_config.
    text = _text(raw.get("text_config") or raw, raw, architecture, name)
    seen = raw.get("vision_config")
    if architecture in TEXT_ONLY:
        return Model(name, architecture, text, None)
    if not seen:
        return Model(name, architecture, text, None, (f"{name} has no vision_config: planned as a text model.",))
    return Model(name, architecture, text, _vision(seen, MULTIMODAL[architecture], name))


def _text(raw: Mapping[str, Any], top: Mapping[str, Any], architecture: str, name: str) -> Text:
    def size(key: str) -> int:
        return _size(raw, key, name, "text_config." if raw is not top else "")

    heads, hidden, layers = size("num_attention_heads"), size("hidden_size"), size("num_hidden_layers")
    qwen3 = architecture != "qwen2_5_vl"
    bias = bool(raw.get("attention_bias", False)) if qwen3 else False
    experts = None
    if architecture.endswith("_moe"):
        count = "num_experts" if "num_experts" in raw else "num_local_experts"
        step, dense = int(raw.get("decoder_sparse_step") or 1), set(raw.get("mlp_only_layers") or ())
        having = frozenset(i for i in range(layers) if i not in dense and (i + 1) % step == 0)
        experts = Experts(size(count), size("num_experts_per_tok"), size("moe_intermediate_size"), having)
    return Text(
        vocabulary=size("vocab_size"),
        hidden=hidden,
        intermediate=size("intermediate_size"),
        layers=layers,
        heads=heads,
        kv_heads=int(raw.get("num_key_value_heads") or heads),
        head_dim=int(raw.get("head_dim") or hidden // heads),
        positions=size("max_position_embeddings"),
        tied=bool(top.get("tie_word_embeddings", False)),
        query_bias=bias or not qwen3,
        output_bias=bias,
        query_norm=qwen3,
        experts=experts,
    )


def _vision(raw: Mapping[str, Any], kind: str, name: str) -> Vision:
    def size(key: str) -> int:
        return _size(raw, key, name, "vision_config.")

    return Vision(
        kind=kind,
        depth=size("depth"),
        hidden=size("hidden_size"),
        intermediate=size("intermediate_size"),
        heads=size("num_heads"),
        channels=int(raw.get("in_channels") or raw.get("in_chans") or 3),
        patch=size("patch_size"),
        temporal_patch=size("temporal_patch_size"),
        merge=size("spatial_merge_size"),
        out=size("out_hidden_size"),
        positions=size("num_position_embeddings") if kind == "qwen3" else 0,
        deepstack=len(raw.get("deepstack_visual_indexes") or ()) if kind == "qwen3" else 0,
    )


def _size(raw: Mapping[str, Any], key: str, name: str, where: str) -> int:
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(f"{name}: {where}{key} is {value!r}; the planner needs a positive whole number there")
    return value
