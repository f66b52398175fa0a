"""How ``model`` is rehearsed: as it is, because the model that it makes is small."""

from __future__ import annotations

from mindgpt_plugins.stages.model.config import ModelConfig
from mindgpt_plugins.stages.rehearsal import Draft, RehearsalRules, Room


class ModelRehearsal(RehearsalRules[ModelConfig]):
    """Nothing is cut."""

    def shrink(self, draft: Draft, room: Room) -> None:
        """Small already."""
