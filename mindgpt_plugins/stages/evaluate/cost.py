"""What ``evaluate`` computes: greedy replies, samples, and replies to blank pictures."""

from __future__ import annotations

from mindgpt_plugins.sizing.work import AnsweredPrompts, CostInputs, StageWork, estimate_answering
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.evaluate.config import EvaluateConfig


class EvaluateCost(CostRules[EvaluateConfig]):
    """Nothing learns; replies are written."""

    def count_work(self, config: EvaluateConfig, context: Context, job: CostInputs) -> StageWork:
        """Every set greedily, some rows sampled, and as many with blank pictures as ``blank`` says."""
        sets = [job.rows([one]) for one in config.sets]
        asked = [AnsweredPrompts(one, min(one.count, config.rows or one.count), 1) for one in sets]
        notes = ["greedy replies, samples and blank-picture replies"]
        if config.samples is not None and config.samples.n:
            for one in sets:
                few = sum(min(n, config.samples.rows) for n in one.groups) or one.count
                if not one.groups:
                    notes.append(
                        "sources and capabilities are not known yet: every row counts as sampled, an upper bound"
                    )
                asked.append(AnsweredPrompts(one, few, config.samples.n))
                if config.blank is True:
                    asked.append(AnsweredPrompts(one, few, 1))
        if config.blank == "all":
            asked += [AnsweredPrompts(one, one.count, 1) for one in sets]
        return estimate_answering(job, asked, config.max_new_tokens, dict.fromkeys(notes))
