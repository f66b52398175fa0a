"""The sets of a plan: counted where they are there, foreseen by the stage that makes them where they are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.sizing.gpus import CostError
from mindgpt_plugins.sizing.lengths import Lengths, NotYet, Rows, TokenCounter, count_set_tokens


@dataclass(frozen=True)
class Sets:
    """The sets of a plan."""

    plan: Plan
    share: float
    """Length of replies that nobody has written yet, of their limit."""
    known: dict[tuple[str, TokenCounter], Rows] = field(default_factory=dict)

    def lengths(self, planned: PlannedStage, ruler: TokenCounter) -> Lengths:
        """The rows that a stage reads, as a model counts them."""
        return Lengths(ruler, self.share, partial(self.rows, planned, ruler=ruler))

    def rows(self, planned: PlannedStage, reference: str, ruler: TokenCounter) -> Rows:
        """Rows of a reference.

        Raises:
            NotYet: the set does not exist yet and its size cannot be foreseen.
            CostError: it never will.
        """
        key = (reference, ruler)
        if key not in self.known:
            folder, name = planned.context.dataset(reference)
            made = (folder / "dataset_info.json").is_file()
            self.known[key] = (
                count_set_tokens(folder, name, ruler) if made else self._foreseen(planned, reference, ruler)
            )
        return self.known[key]

    def _foreseen(self, planned: PlannedStage, reference: str, ruler: TokenCounter) -> Rows:
        head, _, name = reference.rpartition("/")
        maker = next((one for one in self.plan.stages if one.name == head), None)
        if maker is None:
            raise CostError(f"stage {planned.name!r}: set {reference!r}: its folder has no dataset_info.json")
        rows = maker.stage.cost_rules().foresee_rows(maker.config, name, self.lengths(maker, ruler))
        if rows is None:
            raise NotYet(
                f"set {reference!r} is not made yet and its size is not foreseen; run with --until {head} first"
            )
        return rows
