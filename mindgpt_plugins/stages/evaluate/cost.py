"""What ``evaluate`` computes: greedy replies, samples, and replies to blank pictures."""

from __future__ import annotations

from mindgpt_plugins.sizing.work import Asked, Job, Work, answer
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.evaluate.config import EvaluateConfig


class EvaluateCost(CostRules[EvaluateConfig]):
    """Nothing learns; replies are written."""

    def count_work(self, config: EvaluateConfig, context: Context, job: Job) -> Work:
        """Every set greedily, some rows sampled, and as many with blank pictures as ``blank`` says."""
        sets = [job.rows([one]) for one in config.sets]
        asked = [Asked(one, min(one.count, config.rows or one.count), 1) for one in sets]
        notes = ["greedy replies, samples and blank-picture replies"]
        if config.samples is not None and config.samples.n:
            for one in sets:
                few = sum(min(n, config.samples.rows) for n in one.groups) or one.count
                if not one.groups:
                    notes.append(
                        "sources and capabilities are not known yet: every row counts as sampled, an upper bound"
                    )
                asked.append(Asked(one, few, config.samples.n))
                if config.blank is True:
                    asked.append(Asked(one, few, 1))
        if config.blank == "all":
            asked += [Asked(one, one.count, 1) for one in sets]
        return answer(job, asked, config.max_new_tokens, dict.fromkeys(notes))
