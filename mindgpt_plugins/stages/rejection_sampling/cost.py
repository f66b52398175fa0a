"""What ``rejection_sampling`` computes, and how long the rows that it will make are."""

from __future__ import annotations

from dataclasses import replace

from mindgpt_plugins.sizing.lengths import Lengths, Rows
from mindgpt_plugins.sizing.work import AnsweredPrompts, CostInputs, StageWork, estimate_answering
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.rejection_sampling.config import RejectionSamplingConfig
from mindgpt_plugins.stages.self_training.cost import foresee_replies


class RejectionSamplingCost(CostRules[RejectionSamplingConfig]):
    """Nothing learns; one or two models answer."""

    def count_work(self, config: RejectionSamplingConfig, context: Context, job: CostInputs) -> StageWork:
        """Every model's replies to every prompt."""
        rows = job.rows(config.prompts)
        models = 1 + (config.after is not None)
        asked = [AnsweredPrompts(rows, rows.count, config.samples)] * models
        notes = [f"{models} model{'s'[: models - 1]}, {config.samples} replies to each prompt"]
        return estimate_answering(job, asked, config.max_new_tokens, notes)

    def foresee_rows(self, config: RejectionSamplingConfig, name: str, lengths: Lengths) -> Rows:
        """The wanted own answers, and the replayed rows beside them."""
        rows = foresee_replies(config, name, lengths, config.rows)
        return replace(rows, count=round(rows.count / (1 - sum(one.share for one in config.replay))))
