"""Tiny model folders of many families, by the product's own builders."""

from __future__ import annotations

from pathlib import Path

from mindgpt_plugins.stages.model.config import ModelConfig
from mindgpt_plugins.stages.model.families import BUILDERS as _OTHERS
from mindgpt_plugins.stages.model.run import build_model

BUILDERS = ("qwen3_vl", *_OTHERS)
"""Every family that can be built."""
FAST = ("qwen2_5_vl", "gemma3", "llama")
"""What the default run of the tests builds: areas, fixed sizes with a begin token, text only."""
TEXTS = [
    "what colour is it? answer: red", "name the colour of the picture", "user assistant system model", "green blue",
    "Describe the picture. You are a helpful assistant.", "how many? answer: 12", "yellow white black", "\n", "\n\n",
]  # fmt: skip
SIZES = {
    "vocab_size": 420, "hidden_size": 64, "layers": 2, "heads": 4, "kv_heads": 2, "vision_hidden_size": 64,
    "vision_layers": 2, "vision_heads": 4, "max_length": 4096,
}  # fmt: skip


def build_family(name: str, folder: Path) -> Path:
    """Build a family's model into ``folder/name`` and return that."""
    config = ModelConfig.model_validate({"kind": "model", "tokenizer_from": ["a/b"], "family": name, **SIZES})
    build_model(config, TEXTS, folder / name, 0, 1024, 65536)
    return folder / name
