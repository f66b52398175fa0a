"""How ``data`` is rehearsed: few questions, and a server of this machine where a model is asked."""

from __future__ import annotations

from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.data.config import DataConfig
from mindgpt_plugins.stages.rehearsal import (
    STUB,
    Draft,
    NamedSet,
    RehearsalRules,
    Room,
    find_row_problems,
    move_endpoint,
)

ITEMS = 40


class DataRehearsal(RehearsalRules[DataConfig]):
    """Its pictures are few already, see :meth:`list_pictures`."""

    def shrink(self, draft: Draft, room: Room) -> None:
        """Few questions, and another server where one is asked."""
        from mindgpt_data.steps.check import GATES_NEED_A_MODEL

        draft.most("budget.items", ITEMS)
        if room.server is None or not any(draft.get("endpoints").values()):
            return
        for role, servers in draft.get("endpoints").items():
            moved = [move_endpoint(one, room.server) for one in servers]
            draft.set(f"endpoints.{role}", moved, "stand-in", STUB)
        gates = [gate for gate in draft.get("filter.gates") if gate["name"] not in GATES_NEED_A_MODEL]
        if gates != draft.get("filter.gates"):
            draft.set(
                "filter.gates", gates, "stand-in", "the gates that ask a model: one that knows nothing drops every row"
            )

    def asks_server(self, config: DataConfig) -> bool:
        """Any role that has an endpoint."""
        return any(config.model_dump(mode="json")["endpoints"].values())

    def list_pictures(self, config: DataConfig) -> list[str]:
        """The corpus."""
        return [value for to, value in config.references() if to == "pictures"]

    def find_column_problems(self, config: DataConfig, context: Context, sets: list[NamedSet]) -> list[str]:
        """Sets that rows must not repeat are read."""
        return find_row_problems(sets)
