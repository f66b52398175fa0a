"""What the process of a ``rejection_sampling`` stage is told."""

from __future__ import annotations

from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.generation.config import SetLocation
from mindgpt_plugins.stages.self_training.job import SelfTrainingJob


class ReplayJob(Strict):
    """See :class:`~mindgpt_plugins.stages.rejection_sampling.config.ReplayData`."""

    data: SetLocation
    share: float


class RejectionSamplingJob(SelfTrainingJob):
    """Content of ``rejection_sampling.json``."""

    after: str | None
    keep_per_prompt: int
    rows: int | None
    floor: float
    shrink: float
    replay: list[ReplayJob]
