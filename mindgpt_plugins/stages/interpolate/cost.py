"""What ``interpolate`` computes: the candidates' replies where alpha is chosen, nothing otherwise."""

from __future__ import annotations

from mindgpt_plugins.sizing.work import AnsweredPrompts, CostInputs, StageWork, estimate_answering
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.interpolate.config import InterpolateConfig


class InterpolateCost(CostRules[InterpolateConfig]):
    """Nothing learns; candidates answer."""

    def base_model(self, config: InterpolateConfig) -> str:
        """Both ends have the same sizes."""
        return config.start

    def count_work(self, config: InterpolateConfig, context: Context, job: CostInputs) -> StageWork:
        """Greedy replies of every candidate, and of the start."""
        choose = config.choose
        if choose is None:
            return StageWork(assumptions=["weights are averaged, no model runs"])
        times = len(choose.grid) + 1
        sets = [job.rows([one]) for one in choose.sets]
        asked = [AnsweredPrompts(one, times * min(one.count, choose.rows or one.count), 1.0) for one in sets]
        return estimate_answering(
            job, asked, choose.max_new_tokens, [f"greedy replies of {times} models on the dev sets"]
        )
