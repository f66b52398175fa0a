"""Which sizes of a model's configuration are cut, and to what: plain dictionaries, no torch.

What decides how many tokens an input has (patch, merge and window size, vocabulary, position tables) stays, and so does
every kind of part: dense and expert layers, window and full attention, deepstack, tied or untied head.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

HIDDEN, WIDE, HEAD = 64, 128, 32
"""Widths of a layer, of its feed-forward part and of a head; servers have kernels for heads of 32 and more."""
LAYERS, HEADS = 4, 4
EXPERTS, PER_TOKEN, EXPERT_WIDE = 8, 2, 32
STD, POSITION_STD = 0.08, 2.0
"""Fresh weights, and the vision tower's position table: at this width 0.02 never learns to see (``ModelConfig``)."""

Config = dict[str, Any]


def shrink_config(config: Mapping[str, Any]) -> Config:
    """The configuration of the shrunken model.

    Args:
        config: ``to_dict()`` of a transformers configuration: sizes under ``text_config``, or on top for a text model.

    Returns:
        A new dictionary; no size is larger than before.
    """
    small = deepcopy(dict(config))
    text = small.get("text_config", small)
    vision = small.get("vision_config")
    deepstack = len(vision.get("deepstack_visual_indexes") or ()) if vision else 0
    _text(text, max(LAYERS, deepstack))
    if vision:
        _vision(vision, text["hidden_size"])
    for part in (small, text, vision or {}):
        part["initializer_range"] = STD
        for key in ("dtype", "torch_dtype"):
            if key in part:
                part[key] = "float32"
    return small


def list_size_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], stem: str = ""
) -> dict[str, tuple[int, int]]:
    """Dotted keys of whole numbers that were cut, with their value before and after."""
    found: dict[str, tuple[int, int]] = {}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            found |= list_size_differences(old, value, f"{stem}{key}.")
        elif isinstance(value, int) and isinstance(old, int) and value != old:
            found[f"{stem}{key}"] = (old, value)
    return found


def _text(text: Config, layers: int) -> None:
    before = text["num_attention_heads"]
    repeated = before // text["num_key_value_heads"] > 1
    head = text.get("head_dim") or text["hidden_size"] // before
    free = "head_dim" in text and text["head_dim"] is not None  # else heads · head_dim is the width
    _least(text, "hidden_size", HIDDEN)
    _least(text, "intermediate_size", WIDE)
    if free:
        _least(text, "num_attention_heads", HEADS)
        _least(text, "head_dim", HEAD)
    else:
        text["num_attention_heads"] = min(before, max(1, text["hidden_size"] // min(head, HEAD)))
    heads = text["num_attention_heads"]
    text["num_key_value_heads"] = min(text["num_key_value_heads"], max(1, heads // 2)) if repeated else heads
    _rotary(text, head, text["head_dim"] if free else text["hidden_size"] // heads)
    _layers(text, layers)
    for key, most in (
        ("num_experts", EXPERTS),
        ("num_local_experts", EXPERTS),
        ("num_experts_per_tok", PER_TOKEN),
        ("moe_intermediate_size", EXPERT_WIDE),
    ):
        _least(text, key, most)


def _rotary(text: Config, before: int, after: int) -> None:
    """Sections of time, height and width fill half a head: shares are kept, what is left over goes to time."""
    for key in ("rope_parameters", "rope_scaling"):
        sections = (text.get(key) or {}).get("mrope_section")
        if sections:
            shares = [section * after // before for section in sections]
            shares[0] += after // 2 - sum(shares)
            text[key]["mrope_section"] = shares


def _layers(text: Config, least: int) -> None:
    total = text["num_hidden_layers"]
    dense, step = text.get("mlp_only_layers") or [], text.get("decoder_sparse_step") or 1

    def kinds(count: int) -> set[bool]:
        return {i not in dense and (i + 1) % step == 0 for i in range(count)}

    # Dense layers may come first or every few: as many layers as it takes to have both kinds.
    layers = next((n for n in range(min(least, total), total) if kinds(n) == kinds(total)), total)
    text["num_hidden_layers"] = layers
    if "mlp_only_layers" in text:
        text["mlp_only_layers"] = [i for i in dense if i < layers]
    if text.get("layer_types"):
        text["layer_types"] = [text["layer_types"][i * (total - 1) // max(1, layers - 1)] for i in range(layers)]
    _least(text, "max_window_layers", layers)


def _vision(vision: Config, out: int) -> None:
    depth = vision["depth"]
    _least(vision, "hidden_size", HIDDEN)
    _least(vision, "intermediate_size", WIDE)
    vision["num_heads"] = min(vision["num_heads"], max(1, vision["hidden_size"] // HEAD))
    vision["out_hidden_size"] = out
    deepstack = vision.get("deepstack_visual_indexes")
    if deepstack:
        # Each as before at the end of a block of its own, and the last block feeds the merger alone.
        vision["depth"] = min(depth, max(LAYERS, len(deepstack) + 1))
        vision["deepstack_visual_indexes"] = list(range(len(deepstack)))
    else:
        _least(vision, "depth", LAYERS)
    full = vision.get("fullatt_block_indexes")
    if full is not None:
        few = vision["depth"]
        every = len(full) >= depth
        vision["fullatt_block_indexes"] = list(range(few)) if every else list(range(1, few, 2)) if full else []


def _least(part: Config, key: str, most: int) -> None:
    if part.get(key) is not None:
        part[key] = min(part[key], most)
