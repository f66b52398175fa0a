"""How ``rejection_sampling`` is rehearsed: two replies per prompt, one of them the set's own answer."""

from __future__ import annotations

from mindgpt_plugins.stages.rehearsal import Draft, Room
from mindgpt_plugins.stages.self_training.rehearse import SelfTrainingRehearsal


class RejectionSamplingRehearsal(SelfTrainingRehearsal):
    """As many rows as the few right answers give."""

    kind = "rehearsed_rejection_sampling"
    module = "mindgpt_plugins.stages.rejection_sampling.rehearsed"

    def shrink(self, draft: Draft, room: Room) -> None:
        """As both kinds, without a wanted number of rows."""
        super().shrink(draft, room)
        draft.set("rows", None)
