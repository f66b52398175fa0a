"""Stage ``rejection_sampling``: a model's own right answers as a training set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.inspection.readers import Reader
from mindgpt_plugins.stages.base import Context, CostRules, RehearsalRules
from mindgpt_plugins.stages.evaluate.stage import locate_set
from mindgpt_plugins.stages.rejection_sampling.config import RejectionSamplingConfig
from mindgpt_plugins.stages.rejection_sampling.job import RejectionSamplingJob
from mindgpt_plugins.stages.self_training.job import SelfTrainingJob
from mindgpt_plugins.stages.self_training.stage import SelfTraining


class RejectionSampling(SelfTraining[RejectionSamplingConfig]):
    """The set is a training set, with replayed rows of others."""

    Config: ClassVar[type[StageConfig]] = RejectionSamplingConfig
    Job: ClassVar[type[SelfTrainingJob]] = RejectionSamplingJob
    process: ClassVar[str] = "mindgpt_plugins.stages.rejection_sampling"

    def resolved(self, config: RejectionSamplingConfig, context: Context) -> dict[str, Any]:
        """The model it comes after, and the replayed sets."""
        return {
            "after": context.model(config.after) if config.after else None,
            "replay": [{"data": locate_set(context, r.data), "share": r.share} for r in config.replay],
        }

    def made_sets(self, config: RejectionSamplingConfig, context: Context) -> Mapping[str, frozenset[Reader]]:
        """The one set, in every format."""
        return {config.set: frozenset(get_args(Reader))}

    def rehearsal_rules(self) -> RehearsalRules[RejectionSamplingConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.rejection_sampling.rehearse import RejectionSamplingRehearsal

        return RejectionSamplingRehearsal()

    def cost_rules(self) -> CostRules[RejectionSamplingConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.rejection_sampling.cost import RejectionSamplingCost

        return RejectionSamplingCost()
