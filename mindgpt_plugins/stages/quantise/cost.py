"""What ``quantise`` computes: the gate's replies before and after."""

from __future__ import annotations

from mindgpt_plugins.sizing.work import AnsweredPrompts, CostInputs, StageWork, estimate_answering
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.quantise.config import QuantiseConfig


class QuantiseCost(CostRules[QuantiseConfig]):
    """Nothing learns; two models answer."""

    def count_work(self, config: QuantiseConfig, context: Context, job: CostInputs) -> StageWork:
        """Greedy replies of both models."""
        sets = [job.rows([one]) for one in config.gate.sets]
        asked = [AnsweredPrompts(one, 2.0 * min(one.count, config.gate.rows or one.count), 1.0) for one in sets]
        notes = ["the gate's replies before and after; calibration is not counted"]
        return estimate_answering(job, asked, config.max_new_tokens, notes)
