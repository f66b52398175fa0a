"""Stage ``preference_pairs``: preference pairs from a model's own replies."""

from __future__ import annotations

from typing import ClassVar

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.preference_pairs.config import PreferencePairsConfig
from mindgpt_plugins.stages.preference_pairs.job import PreferencePairsJob
from mindgpt_plugins.stages.self_training.job import SelfTrainingJob
from mindgpt_plugins.stages.self_training.stage import SelfTraining


class PreferencePairs(SelfTraining[PreferencePairsConfig]):
    """The set is a preference set."""

    Config: ClassVar[type[StageConfig]] = PreferencePairsConfig
    Job: ClassVar[type[SelfTrainingJob]] = PreferencePairsJob
    process: ClassVar[str] = "mindgpt_plugins.stages.preference_pairs"
