"""Stage ``rejection_sampling``: a model's own right answers as a training set."""

from __future__ import annotations

from typing import Any, ClassVar

from mindgpt_plugins.pipeline.stage import Context
from mindgpt_plugins.pipeline.stages.evaluate import set_location
from mindgpt_plugins.pipeline.stages.self_training import SelfTraining
from mindgpt_plugins.recipe.base import StageConfig
from mindgpt_plugins.recipe.rejection_sampling import RejectionSamplingConfig


class RejectionSampling(SelfTraining[RejectionSamplingConfig]):
    """The set is a training set, with replayed rows of others."""

    Config: ClassVar[type[StageConfig]] = RejectionSamplingConfig

    def resolved(self, config: RejectionSamplingConfig, context: Context) -> dict[str, Any]:
        """The model it comes after, and the replayed sets."""
        return {
            "after": context.model(config.after) if config.after else None,
            "replay": [{"data": set_location(context, r.data), "share": r.share} for r in config.replay],
        }
