"""What the schemas of both self-training stages share."""

from __future__ import annotations

from pydantic import Field

from mindgpt_plugins.core.schema import DatasetRef, ModelRef
from mindgpt_plugins.generation.config import GeneratingStage


class SelfTrainingConfig(GeneratingStage):
    """A model answers prompts, and what it answers becomes a training set."""

    model: ModelRef = Field(
        description="Model that answers the prompts; for restoration the one that could still do it."
    )
    prompts: list[DatasetRef] = Field(min_length=1, description="Sets whose prompts are answered.")
    temperature: float = Field(1.0, gt=0, description="Sampling temperature of the answers.")
