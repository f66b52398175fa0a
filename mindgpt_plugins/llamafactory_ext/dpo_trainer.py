"""The DPO trainer: LLaMA-Factory's own class with our curriculum and a resumable BCO baseline."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.llamafactory_ext.columns import take
from mindgpt_plugins.llamafactory_ext.guest import Guest, Run

_MOMENTS = ("mean", "std", "var", "count")


def dpo_trainer(base: type[Any], the_run: Run) -> type[Any]:
    """Subclass ``base`` (LLaMA-Factory's ``CustomDPOTrainer``) for one run."""

    class MindgptDPOTrainer(Guest, base):  # type: ignore[misc]
        run = the_run

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.settle()

        def get_batch_loss_metrics(self, model: Any, batch: Any, train_eval: str = "train") -> Any:
            batch, carried = take(batch)
            if train_eval == "train":
                self.observe(carried)
            return super().get_batch_loss_metrics(model, batch, train_eval)

        def guest_state(self) -> dict[str, Any]:
            state = super().guest_state()
            if self.bco_gemma >= 1e-6:
                # The host does not save BCO's running baseline; without it a resumed run drifts from a straight one.
                state["bco"] = {name: getattr(self.running, name) for name in _MOMENTS}
            return state

        def load_guest_state(self, state: dict[str, Any]) -> None:
            super().load_guest_state(state)
            for name, value in state.get("bco", {}).items():
                setattr(self.running, name, value)

    MindgptDPOTrainer.__name__ = MindgptDPOTrainer.__qualname__ = base.__name__
    return MindgptDPOTrainer
