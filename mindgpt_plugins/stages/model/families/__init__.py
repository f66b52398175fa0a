"""Small models of many families, each of its own configuration, model and processor class, made without a hub.

Weights are fresh; the tokenizer is trained on local texts and has the family's special tokens; the chat template has
the family's form (where pictures stand, who writes the begin token, whether content must be a list), not its words.
"""

from __future__ import annotations

from collections.abc import Callable

from mindgpt_plugins.stages.model.families import (
    gemma,
    glm,
    idefics,
    internvl,
    lfm,
    llama,
    llava,
    mistral,
    paligemma,
    qwen,
)
from mindgpt_plugins.stages.model.families.kit import Kit as Kit

BUILDERS: dict[str, Callable[[Kit], None]] = {
    "qwen2_5_vl": qwen.build_qwen2_5_vl,
    "qwen2_vl": qwen.build_qwen2_vl,
    "qwen3_vl_moe": qwen.build_qwen3_vl_moe,
    "qwen3_5": qwen.build_qwen3_5,
    "qwen3_5_moe": qwen.build_qwen3_5_moe,
    "glm4v": glm.build_glm4v,
    "glm46v": glm.build_glm46v,
    "internvl": internvl.build_internvl,
    "gemma3": gemma.build_gemma3,
    "gemma4": gemma.build_gemma4,
    "llava_onevision": llava.build_llava_onevision,
    "llava_next": llava.build_llava_next,
    "idefics3": idefics.build_idefics3,
    "lfm2_vl": lfm.build_lfm2_vl,
    "mistral3": mistral.build_mistral3,
    "paligemma": paligemma.build_paligemma,
    "llama": llama.build_llama,
    "qwen3": qwen.build_qwen3,
}
"""Family → what writes a model of it. Qwen3-VL itself is made by :mod:`mindgpt_plugins.stages.model.run`."""
