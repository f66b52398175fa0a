"""What the stages that let a model answer prompts share: which engine, how much at once, how long."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mindgpt_plugins.core.schema import StageConfig


class GeneratingStage(StageConfig):
    """Base of ``evaluate``, ``rejection_sampling`` and ``preference_pairs``."""

    engine: Literal["auto", "hf", "vllm"] = Field(
        "auto", description="auto: vLLM on accelerators when it is installed in the stage's interpreter, else hf."
    )
    vllm: dict[str, Any] = Field(
        default_factory=dict,
        description="Passed to vllm.LLM as it is, e.g. {tensor_parallel_size: 2, max_model_len: 8192}.",
    )
    batch_size: int = Field(
        128, ge=1, description="Replies generated at once, and between two saves of the progress (vLLM: 16 times that)."
    )
    max_new_tokens: int = Field(64, ge=1, description="Tokens of a reply at most.")
