"""How ``benchmark`` is rehearsed: two rows of every subset, where EvalScope and the data sets are on this machine."""

from __future__ import annotations

from mindgpt_plugins.stages.benchmark.config import BenchmarkConfig
from mindgpt_plugins.stages.evaluate.rehearse import BATCH, TOKENS, VERDICT, drop_gate
from mindgpt_plugins.stages.rehearsal import Draft, RehearsalRules, Room


class BenchmarkRehearsal(RehearsalRules[BenchmarkConfig]):
    """Two rows per subset, short replies; its gate is recorded only."""

    tool = "evalscope"

    def shrink(self, draft: Draft, room: Room) -> None:
        """Few and short."""
        drop_gate(draft, room)
        draft.set("limit", min(2, draft.get("limit") or 2))
        draft.most("batch_size", BATCH)
        draft.most("max_new_tokens", TOKENS)
        if draft.get("gate") is not None:
            draft.set("gate.on_fail", "continue", "stand-in", VERDICT)

    def why_left_out(self, config: BenchmarkConfig) -> str | None:
        """Nothing is downloaded."""
        if set(config.benchmarks) - set(config.data):
            return "data sets of its benchmarks are on the hub only; give local copies with data: {benchmark: folder}"
        return None

    def compared_with(self, config: BenchmarkConfig) -> frozenset[str]:
        """The stage that the gate looks at."""
        return frozenset({config.gate.before}) if config.gate else frozenset()
