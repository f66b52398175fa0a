"""What ``world`` computes on GPUs (nothing), and how many rows it will make."""

from __future__ import annotations

from mindgpt_plugins.sizing.lengths import ASSUMED, Lengths, Rows
from mindgpt_plugins.sizing.work import CostInputs, StageWork
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.world.config import WorldConfig


class WorldCost(CostRules[WorldConfig]):
    """Pictures are drawn on CPU."""

    def count_work(self, config: WorldConfig, context: Context, job: CostInputs) -> StageWork:
        """Nothing."""
        return StageWork(assumptions=["no GPU"])

    def foresee_rows(self, config: WorldConfig, name: str, lengths: Lengths) -> Rows | None:
        """As many as the settings ask for."""
        budgets = [source.items for source in config.sets[name].sources.values()] if name in config.sets else [None]
        wanted = sum(items or 0 for items in budgets)
        if None in budgets:  # what a picture gives depends on its density
            return None
        note = f"rows not made yet: each a picture of image.max_pixels, {ASSUMED} tokens of question and of reply"
        return Rows(wanted, (lengths.ruler.unmade(),), notes=(note,))
