"""How both self-training kinds are rehearsed: one of every prompt's replies is the set's own answer."""

from __future__ import annotations

from mindgpt_plugins.stages.evaluate.rehearse import AnsweringRehearsal, shrink_engine
from mindgpt_plugins.stages.rehearsal import Draft, Room

GOLD = (
    "that the model is right often enough to teach itself: random weights never are, so one reply of every prompt is "
    "the set's own answer here; generating, judging, choosing, exporting and resuming are the stage's own"
)


class SelfTrainingRehearsal(AnsweringRehearsal):
    """Two replies per prompt, one of them the set's own answer (:mod:`.gold`)."""

    kind: str
    """The kind that takes its place; :attr:`module` registers it."""
    module: str

    def shrink(self, draft: Draft, room: Room) -> None:
        """Another kind, whose engine knows the answers."""
        shrink_engine(draft)
        draft.plugins.append(self.module)
        draft.set("kind", self.kind, "stand-in", GOLD)
        draft.set("samples", 2)
