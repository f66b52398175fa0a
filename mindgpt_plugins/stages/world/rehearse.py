"""How ``world`` is rehearsed: few pictures per source."""

from __future__ import annotations

from mindgpt_plugins.stages.rehearsal import Draft, RehearsalRules, Room
from mindgpt_plugins.stages.world.config import WorldConfig

PICTURES, ITEMS = 24, 40


class WorldRehearsal(RehearsalRules[WorldConfig]):
    """Few pictures, and questions in proportion."""

    def shrink(self, draft: Draft, room: Room) -> None:
        """Few pictures per source."""
        for name, one in draft.get("sets").items():
            for source, scenes in one["sources"].items():
                place = f"sets.{name}.sources.{source}"
                ratio = scenes["items"] / scenes["images"] if scenes["items"] is not None else None
                draft.most(f"{place}.images", PICTURES)
                if ratio is not None:
                    draft.most(f"{place}.items", max(PICTURES, min(ITEMS, round(ratio * PICTURES))))
