"""What the process of a ``preference_pairs`` stage is told."""

from __future__ import annotations

from mindgpt_plugins.stages.preference_pairs.config import Shares
from mindgpt_plugins.stages.self_training.job import SelfTrainingJob


class PreferencePairsJob(SelfTrainingJob):
    """Content of ``preference_pairs.json``."""

    blind_samples: int
    blind_prefix: float
    verbose_ratio: float
    verbose_tokens: int
    shares: Shares
    pairs: int | None
