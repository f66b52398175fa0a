"""What the stages that let a model answer prompts share: which engine, how much at once, how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mindgpt_plugins.core.schema import StageConfig, Strict
from mindgpt_plugins.families import Thinking

Engines = Literal["auto", "hf", "vllm"]


class GeneratingStage(StageConfig):
    """Base of ``evaluate``, ``rejection_sampling`` and ``preference_pairs``."""

    engine: Engines = Field(
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


class SetLocation(Strict):
    """A set of a datasets folder: a reference of a recipe, resolved."""

    folder: Path
    name: str


class ModelSettings(Strict):
    """A model to load for generation, as a stage's process is told: references are paths, sizes are the recipe's."""

    model: str = Field(description="A folder or a hub id.")
    model_name: str = Field(description="What the recipe calls it.")
    seed: int
    min_pixels: int
    max_pixels: int
    thinking: Thinking = Field("model", description="How the chat template is switched.")
    device: str | None = Field(None, description="cpu, or null for what the machine has.")
    max_new_tokens: int
    batch_size: int


class EngineSettings(ModelSettings):
    """The same, where the recipe chooses the engine; the fields are those of :class:`GeneratingStage`."""

    engine: Engines = "auto"
    vllm: dict[str, Any] = {}


class EngineServerSettings(ModelSettings):
    """What :mod:`mindgpt_plugins.generation.hf_server` is told; ``model_name`` is the name in requests."""

    port: int
