"""Stage ``preference_pairs``: preference pairs from a model's own replies."""

from __future__ import annotations

from typing import ClassVar

from mindgpt_plugins.pipeline.stages.self_training import SelfTraining
from mindgpt_plugins.recipe.base import StageConfig
from mindgpt_plugins.recipe.preference_pairs import PreferencePairsConfig


class PreferencePairs(SelfTraining[PreferencePairsConfig]):
    """The set is a preference set."""

    Config: ClassVar[type[StageConfig]] = PreferencePairsConfig
