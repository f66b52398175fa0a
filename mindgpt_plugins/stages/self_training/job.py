"""What the processes of both self-training stages are told, with every reference resolved."""

from __future__ import annotations

from mindgpt_plugins.generation.config import EngineSettings, SetLocation


class SelfTrainingJob(EngineSettings):
    """A model, the prompts that it answers, and the name of the set that is written."""

    prompts: list[SetLocation]
    temperature: float
    samples: int
    set: str
