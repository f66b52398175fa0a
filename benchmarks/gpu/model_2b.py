"""Qwen3-VL-2B with random weights: its sizes, a toy of the same kind, and the operations a step needs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PARAMETERS = 2_127_532_032
"""Of :data:`CONFIG`; the tied head counts once."""

CONFIG: dict[str, Any] = {
    "image_token_id": 151655,
    "video_token_id": 151656,
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
    "tie_word_embeddings": True,
    "text_config": {
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 262144,
        "rope_theta": 5000000.0,
        "rope_scaling": {
            "rope_type": "default",
            "rope_theta": 5000000.0,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
        "tie_word_embeddings": True,
    },
    "vision_config": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "in_channels": 3,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "out_hidden_size": 2048,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
        "hidden_act": "gelu_pytorch_tanh",
    },
}


def raw(tiny: bool) -> dict[str, Any]:
    """The configuration; the toy keeps its shape and loses its size."""
    config = copy.deepcopy(CONFIG)
    if tiny:
        ids = {"image_token_id": 505, "video_token_id": 506, "vision_start_token_id": 502, "vision_end_token_id": 503}
        config.update(ids)
        config["text_config"] |= {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
        config["text_config"] |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
        config["text_config"]["rope_scaling"]["mrope_section"] = [4, 2, 2]
        config["vision_config"] |= {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2}
        config["vision_config"] |= {
            "out_hidden_size": 64,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
        }
    return config


def build(tiny: bool, device: str, attention: str = "sdpa") -> Any:
    """The model, float32, weights drawn from torch's random numbers; ``meta`` as device gives shapes only."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    config = Qwen3VLConfig(**raw(tiny))
    with torch.device(device):
        model = Qwen3VLForConditionalGeneration._from_config(config, attn_implementation=attention)
    model.tie_weights()
    return model


@dataclass(frozen=True)
class Needs:
    """Floating-point operations of one optimizer step, forward and backward, whatever a trainer does beside them.

    A multiplication by a weight costs 6 per weight and row (2 forward, 4 backward); causal attention 6·heads·head_dim
    per pair that is not masked, of which a sequence of s has s²/2, twice (scores and values), the vision tower's 12 per
    pair of patches of one picture. The head is counted for supervised tokens only: no more is needed for the loss.
    Padding, recomputation and rows that are projected for nothing are not counted, so every arm of a comparison has the
    same operations and a higher MFU is a shorter step. Left out: norms, softmax, position tables, the optimizer.
    """

    text: float
    head: float
    vision: float

    @property
    def total(self) -> float:
        """All."""
        return self.text + self.head + self.vision


def needs(model: Any, lengths: Sequence[int], patches: Sequence[int], supervised: int) -> Needs:
    """Count a step over sequences of ``lengths`` tokens, pictures of ``patches``, and ``supervised`` targets."""
    text, vision = model.config.text_config, model.config.vision_config
    layers = _weights(model.model.language_model.layers)
    blocks = _weights(model.model.visual.blocks) + model.model.visual.patch_embed.proj.weight.numel()
    mergers = _weights(model.model.visual.merger) + _weights(model.model.visual.deepstack_merger_list)
    tokens, pictures = sum(lengths), sum(patches)
    causal = 6 * text.num_hidden_layers * text.num_attention_heads * text.head_dim * sum(n * n for n in lengths)
    pairs = 12 * vision.depth * vision.hidden_size * sum(n * n for n in patches)
    return Needs(
        text=6 * layers * tokens + causal,
        head=6 * text.vocab_size * text.hidden_size * supervised,
        vision=6 * (blocks * pictures + mergers * pictures // vision.spatial_merge_size**2) + pairs,
    )


def _weights(module: Any) -> int:
    """Weights of matrices: biases and norms cost next to nothing."""
    return sum(p.numel() for p in module.parameters() if p.dim() > 1)
