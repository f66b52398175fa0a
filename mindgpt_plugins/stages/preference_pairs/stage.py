"""Stage ``preference_pairs``: preference pairs from a model's own replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.inspection.readers import Reader
from mindgpt_plugins.stages.base import Context, CostRules, RehearsalRules
from mindgpt_plugins.stages.preference_pairs.config import PreferencePairsConfig
from mindgpt_plugins.stages.preference_pairs.job import PreferencePairsJob
from mindgpt_plugins.stages.self_training.job import SelfTrainingJob
from mindgpt_plugins.stages.self_training.stage import SelfTraining


class PreferencePairs(SelfTraining[PreferencePairsConfig]):
    """The set is a preference set."""

    Config: ClassVar[type[StageConfig]] = PreferencePairsConfig
    Job: ClassVar[type[SelfTrainingJob]] = PreferencePairsJob
    process: ClassVar[str] = "mindgpt_plugins.stages.preference_pairs"

    def made_sets(self, config: PreferencePairsConfig, context: Context) -> Mapping[str, frozenset[Reader]]:
        """The one set, of pairs for LLaMA-Factory."""
        return {config.set: frozenset({"llamafactory"})}

    def rehearsal_rules(self) -> RehearsalRules[PreferencePairsConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.preference_pairs.rehearse import PreferencePairsRehearsal

        return PreferencePairsRehearsal()

    def cost_rules(self) -> CostRules[PreferencePairsConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.preference_pairs.cost import PreferencePairsCost

        return PreferencePairsCost()
