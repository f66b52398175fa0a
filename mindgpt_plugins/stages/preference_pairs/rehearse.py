"""How ``preference_pairs`` is rehearsed: two replies per prompt, one of them the set's own answer."""

from __future__ import annotations

from mindgpt_plugins.stages.rehearsal import Draft, Room
from mindgpt_plugins.stages.self_training.rehearse import SelfTrainingRehearsal


class PreferencePairsRehearsal(SelfTrainingRehearsal):
    """As many pairs as the few replies give."""

    kind = "rehearsed_preference_pairs"
    module = "mindgpt_plugins.stages.preference_pairs.rehearsed"

    def shrink(self, draft: Draft, room: Room) -> None:
        """As both kinds, with one blind reply and without a wanted number of pairs."""
        super().shrink(draft, room)
        draft.set("blind_samples", 1)
        draft.set("pairs", None)
