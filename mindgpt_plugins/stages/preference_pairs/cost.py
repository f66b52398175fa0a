"""What ``preference_pairs`` computes, and how long the pairs that it will make are."""

from __future__ import annotations

from mindgpt_plugins.sizing.lengths import Lengths, Rows
from mindgpt_plugins.sizing.work import AnsweredPrompts, CostInputs, StageWork, estimate_answering
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.preference_pairs.config import PreferencePairsConfig
from mindgpt_plugins.stages.self_training.cost import foresee_replies


class PreferencePairsCost(CostRules[PreferencePairsConfig]):
    """Nothing learns; a model answers with and without the picture."""

    def count_work(self, config: PreferencePairsConfig, context: Context, job: CostInputs) -> StageWork:
        """Replies to every prompt, and blind ones where such pairs are wanted."""
        rows = job.rows(config.prompts)
        asked = [AnsweredPrompts(rows, rows.count, config.samples)]
        if config.shares.grounded_blind > 0:
            asked.append(AnsweredPrompts(rows, rows.count, config.blind_samples))
        notes = ["every prompt is also continued with a blank picture: an upper bound"]
        return estimate_answering(job, asked, config.max_new_tokens, notes)

    def foresee_rows(self, config: PreferencePairsConfig, name: str, lengths: Lengths) -> Rows:
        """The wanted pairs."""
        return foresee_replies(config, name, lengths, config.pairs)
