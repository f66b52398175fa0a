"""How ``interpolate`` is rehearsed: two candidates on few rows."""

from __future__ import annotations

from mindgpt_plugins.stages.evaluate.rehearse import BATCH, ROWS, TOKENS, AnsweringRehearsal
from mindgpt_plugins.stages.rehearsal import Draft, Room


class InterpolateRehearsal(AnsweringRehearsal):
    """Averaging is real; only choosing is cut."""

    def shrink(self, draft: Draft, room: Room) -> None:
        """The ends of the grid."""
        if draft.get("choose") is not None:
            grid = draft.get("choose.grid")
            draft.set("choose.grid", sorted({grid[0], grid[-1]}))
            draft.set("choose.rows", ROWS)
            draft.most("choose.batch_size", BATCH)
            draft.most("choose.max_new_tokens", TOKENS)
