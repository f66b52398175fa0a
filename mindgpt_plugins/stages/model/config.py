"""Recipe schema of the ``model`` stage: a small vision-language model made from a config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import DatasetRef, StageConfig

Family = Literal[
    "qwen3_vl", "qwen2_vl", "qwen2_5_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "glm4v", "glm46v", "internvl",
    "gemma3", "gemma4", "llava_onevision", "llava_next", "idefics3", "lfm2_vl", "mistral3", "paligemma", "llama",
    "qwen3",
]  # fmt: skip
"""llama and qwen3 have no vision part; paligemma has no chat template, as the real one."""


class ModelConfig(StageConfig):
    """A model with fresh weights and a tokenizer trained on the named sets."""

    kind: Literal["model"]
    family: Family = Field("qwen3_vl", description="Family of models whose classes it is made of.")
    tokenizer_from: list[DatasetRef] = Field(min_length=1, description="Sets whose texts train the tokenizer.")
    vocab_size: int = Field(
        640, ge=300, le=100_000, description="Tokens of the tokenizer at most, special ones included."
    )
    hidden_size: int = Field(128, ge=32, multiple_of=32, description="Width of the language model.")
    layers: int = Field(4, ge=1, description="Layers of the language model.")
    heads: int = Field(4, ge=1, description="Attention heads of the language model; they divide hidden_size.")
    kv_heads: int = Field(2, ge=1, description="Key and value heads; they divide heads.")
    vision_hidden_size: int = Field(96, ge=16, multiple_of=8, description="Width of the vision tower.")
    vision_layers: int = Field(3, ge=1, description="Layers of the vision tower.")
    vision_heads: int = Field(
        4, ge=1, description="Attention heads of the vision tower; they divide vision_hidden_size."
    )
    max_length: int = Field(512, ge=64, description="Longest sequence in tokens, vision tokens included.")
    initializer_std: float = Field(
        0.08, gt=0, description="Standard deviation of fresh weights; at this size 0.02 never learns to see."
    )

    position_std: float = Field(
        2.0,
        gt=0,
        description="The same for the vision tower's position table: as weak as the rest, where is never learned.",
    )

    @model_validator(mode="after")
    def _divisible(self) -> ModelConfig:
        if self.hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError("hidden_size must be divisible by heads, and heads by kv_heads")
        if self.vision_hidden_size % self.vision_heads:
            raise ValueError("vision_hidden_size must be divisible by vision_heads")
        if self.hidden_size // self.heads % 16:
            raise ValueError("hidden_size / heads must be divisible by 16 (rotary sections)")
        return self
