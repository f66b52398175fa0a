"""What the schemas of both self-training stages share."""

from __future__ import annotations

from pydantic import Field

from mindgpt_plugins.core.schema import DatasetRef, ModelRef
from mindgpt_plugins.generation.config import GeneratingStage


class SelfTrainingConfig(GeneratingStage):
    """A model answers prompts, and what it answers becomes a training set."""

    model: ModelRef = Field(description="Answers the prompts; M0 for restoration.")
    prompts: list[DatasetRef] = Field(min_length=1)
    temperature: float = Field(1.0, gt=0)
