"""How ``quantise`` is rehearsed: few rows, and a gate that random weights can pass."""

from __future__ import annotations

from mindgpt_plugins.stages.evaluate.rehearse import BATCH, ROWS, TOKENS, AnsweringRehearsal
from mindgpt_plugins.stages.rehearsal import Draft, Room


class QuantiseRehearsal(AnsweringRehearsal):
    """Few rows; what must be kept is not asked of random weights."""

    tool = "llmcompressor"

    def shrink(self, draft: Draft, room: Room) -> None:
        """Few rows, and no demands."""
        if draft.get("calibration") is not None:
            draft.most("calibration.rows", ROWS)
        what = "the quality gate: random weights have no accuracy to keep"
        draft.set("gate.rows", ROWS)
        draft.most("gate.kl_rows", ROWS)
        draft.set("gate.recovery", 1e-9, "stand-in", what)
        draft.set("gate.top1", None, "stand-in", what)
        draft.set("gate.kl", None, "stand-in", what)
        draft.most("batch_size", BATCH)
        draft.most("max_new_tokens", TOKENS)
