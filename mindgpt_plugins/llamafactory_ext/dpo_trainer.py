"""The DPO trainer: LLaMA-Factory's class with our curriculum, log-probabilities and a resumable BCO baseline."""

from __future__ import annotations

from typing import Any

import torch
from mindgpt_patches.linear_cross_entropy import IGNORE, compute_linear_log_probs

from mindgpt_plugins.llamafactory_ext import linear_head
from mindgpt_plugins.llamafactory_ext.columns import split_batch_columns
from mindgpt_plugins.llamafactory_ext.guest import HostTrainerMixin, TrainingRun

_MOMENTS = ("mean", "std", "var", "count")


def make_dpo_trainer(base: type[Any], the_run: TrainingRun) -> type[Any]:
    """Subclass ``base`` (LLaMA-Factory's ``CustomDPOTrainer``) for one run."""

    class MindgptDPOTrainer(HostTrainerMixin, base):  # type: ignore[misc]
        run = the_run

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.settle()
            if self.train_dataset is not None:
                weighted = "ld_alpha weighs a reply's tokens by their place" if self.ld_alpha is not None else None
                self.without_logits = self.decide_linear_head(weighted, sequences=2)

        def get_batch_loss_metrics(self, model: Any, batch: Any, train_eval: str = "train") -> Any:
            batch, carried = split_batch_columns(batch)
            if train_eval == "train":
                self.observe(carried)
            return super().get_batch_loss_metrics(model, batch, train_eval)

        def concatenated_forward(self, model: Any, batch: Any, is_ref_model: bool = False) -> Any:
            if not self.without_logits:
                return super().concatenated_forward(model, batch, is_ref_model)
            inputs = {key: value for key, value in batch.items() if key != "labels"}
            targets = batch["labels"][:, 1:]
            means: list[torch.Tensor] = []

            def compute(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
                # The host logs the mean of all logits of a side; the mean of x @ W.T is the product of the means.
                of_words = weight.detach().mean(0), 0.0 if bias is None else bias.detach().mean()
                means.extend(half.mean((0, 1)) @ of_words[0] + of_words[1] for half in hidden.detach().chunk(2))
                return compute_linear_log_probs(hidden[:, :-1], weight, targets, bias=bias)[0]

            network = self.accelerator.unwrap_model(model)
            log_probs = (
                linear_head.run_headless_forward(model, network, {**inputs, "use_cache": False}, compute)
                .float()
                .sum(-1)
            )
            lengths = (targets != IGNORE).sum(-1)
            averages = log_probs / lengths
            chosen, rejected = (averages if self.loss_type in ("ipo", "orpo", "simpo") else log_probs).chunk(2)
            return {
                "chosen_logps": chosen,
                "rejected_logps": rejected,
                "chosen_logits": means[0],
                "rejected_logits": means[1],
                "chosen_logps_avg": averages.chunk(2)[0],
            }

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
