"""What ``dpo`` computes: updates on both replies of every pair, and the reference model's pass over them."""

from __future__ import annotations

from mindgpt_plugins.sizing.work import CostInputs, StageWork
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.dpo.config import DPOConfig
from mindgpt_plugins.stages.sft.cost import TrainingPasses

NO_REFERENCE = ("orpo", "simpo")
"""Preference losses without a reference model."""


class DPOCost(CostRules[DPOConfig]):
    """Two sequences of every row."""

    def count_work(self, config: DPOConfig, context: Context, job: CostInputs) -> StageWork:
        """Over all steps."""
        training = TrainingPasses(config, context, job, copies=2)
        work = training.work
        work.assumptions.append("chosen and rejected reply are taken to be as long as the longer one")
        if config.pref_loss not in NO_REFERENCE:
            work.compute += training.passed.total
            work.assumptions.append("reference model: one more forward pass over both replies")
        training.add_evaluation()
        return work
