"""Carries measured losses back to the sampler and its mixture, alike on every rank and across a kill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mindgpt_plugins.core.metrics import append_record
from mindgpt_plugins.curriculum.base import CurriculumError, Sampler
from mindgpt_plugins.curriculum.mixture import MixtureChange
from mindgpt_plugins.llamafactory_ext.columns import ROW

if TYPE_CHECKING:
    from accelerate import Accelerator


class Feedback:
    """What was measured since it was last handed on.

    Sums are kept per rank and reduced when they are used; every method but :meth:`observe` and :meth:`loaded` is called
    by all ranks at the same step.

    Args:
        sampler: hears of losses; its mixture of measurements.
        sources: names that source ids of a batch index.
        probes: evaluation sets that the host evaluates one by one.
        accelerator: of the host.
        path: ``mixture.jsonl``.
    """

    def __init__(
        self, sampler: Sampler, sources: tuple[str, ...], probes: list[str], accelerator: Accelerator, path: Path
    ):
        self.sampler, self.sources, self.accelerator, self.path = sampler, sources, accelerator, path
        self.signal = sampler.mixture.signal if sampler.mixture is not None else None
        self._since_update = torch.zeros(len(sources), 2, dtype=torch.float64)
        self._since_epoch = torch.zeros(len(sources), 2, dtype=torch.float64)
        self._rows: list[tuple[int, int, float]] = []
        self._probes: dict[str, str] = {}
        self._evaluated: dict[str, float] = {}
        self._deaf_at = -1
        if self.signal in ("eval_loss", "eval_accuracy"):
            assert sampler.mixture is not None
            wanted: Mapping[str, str] = getattr(sampler.mixture, "probes", {})
            self._probes = {group: name for group, name in wanted.items() if name in probes}
            if not self._probes:
                raise CurriculumError(
                    f"mixture: {self.signal} is measured on {', '.join(wanted.values())}, but the evaluation sets are: "
                    f"{', '.join(probes) or 'none'}; name them under mixture.probes and set eval_on_each_dataset: true"
                )

    def observe(
        self, step: int, carried: Mapping[str, Any], sums: torch.Tensor | None, samples: torch.Tensor | None
    ) -> None:
        """Add a training micro-batch of a step (counted from 1)."""
        if sums is not None and self.signal == "train_loss":
            self._since_update += sums[:, :2].cpu()
        if sums is not None and self.sampler.measures == "source":
            self._since_epoch += sums[:, :2].cpu()
        if self.sampler.measures == "sample":
            if samples is None:
                raise CurriculumError("self_paced: this loss does not report the loss of each sample; use by: source")
            rows = carried[ROW].tolist()
            self._rows += [(step, row, float(loss)) for row, loss in zip(rows, samples.tolist(), strict=True)]

    def step_done(self, done: int) -> MixtureChange | None:
        """After each step: hand the training losses to the mixture when it is time."""
        mixture = self.sampler.mixture
        if self.signal != "train_loss" or done % getattr(mixture, "every", 1):
            return None
        sums = sum(self._gathered(self._since_update))
        self._since_update.zero_()
        return self._measured(done, self._means(sums))

    def evaluated(self, done: int, found: Mapping[str, float]) -> MixtureChange | None:
        """After each evaluation: hand the figures to the mixture once every probe has one."""
        if done == self._deaf_at:
            return None
        what = "accuracy" if self.signal == "eval_accuracy" else "loss"
        for group, name in self._probes.items():
            if f"eval_{name}_{what}" in found:
                self._evaluated[group] = float(found[f"eval_{name}_{what}"])
        if not self._probes or len(self._evaluated) < len(self._probes):
            return None
        values, self._evaluated = self._evaluated, {}
        return self._measured(done, values)

    def hand_over(self) -> None:
        """Before an epoch begins and before a checkpoint: tell the sampler each sample's loss."""
        if self.sampler.measures == "sample":
            # By step and row: the same sequence however the samples were spread over ranks and hand-overs.
            rows = sorted(row for part in self._objects(self._rows) for row in part)
            self._rows = []
            self.sampler.record([row for _, row, _ in rows], [loss for _, _, loss in rows])

    def epoch_begins(self) -> None:
        """Before an epoch begins: all that is known of the epoch before."""
        self.hand_over()
        if self.sampler.measures == "source":
            means = self._means(sum(self._gathered(self._since_epoch)))
            self._since_epoch.zero_()
            ids = {name: i for i, name in enumerate(self.sampler.examples.names)}
            self.sampler.record([ids[name] for name in means if name in ids], [means[n] for n in means if n in ids])

    def state_dict(self) -> dict[str, Any]:
        """What was measured and not handed on yet, of every rank."""
        self.hand_over()
        return {
            "since_update": [part.tolist() for part in self._gathered(self._since_update)],
            "since_epoch": [part.tolist() for part in self._gathered(self._since_epoch)],
        }

    def load_state_dict(self, state: Mapping[str, Any], done: int) -> None:
        """Restore; with another number of ranks the first takes all. An evaluation repeated on resume is ignored."""
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        for name in ("since_update", "since_epoch"):
            parts = torch.tensor(state[name], dtype=torch.float64)
            alike = len(parts) == ranks
            mine = parts[rank] if alike else (parts.sum(0) if rank == 0 else torch.zeros_like(parts[0]))
            setattr(self, f"_{name}", mine.reshape(len(self.sources), 2))
        self._deaf_at = done

    def _measured(self, done: int, values: Mapping[str, float]) -> MixtureChange | None:
        change = self.sampler.measured(done, values)
        if change is not None and self.accelerator.is_main_process:
            mixture = self.sampler.mixture
            assert mixture is not None
            line = {
                "step": done,
                "from_step": change.from_step + 1,  # as steps are counted in metrics.jsonl
                "signal": self.signal,
                "values": dict(values),
                "reference": dict(getattr(mixture, "reference", {})),
                "shares": dict(zip(mixture.names, change.shares, strict=True)),
            }
            append_record(self.path, line)
        return change

    def _means(self, sums: Any) -> dict[str, float]:
        return {name: ce / n for name, (ce, n) in zip(self.sources, sums.tolist(), strict=True) if n}

    def _gathered(self, mine: torch.Tensor) -> list[torch.Tensor]:
        return [torch.tensor(part, dtype=torch.float64) for part in self._objects(mine.tolist())]

    def _objects(self, mine: Any) -> list[Any]:
        """Every rank's object, by rank. Objects, because not every device has float64."""
        if self.accelerator.num_processes == 1:
            return [mine]
        from accelerate.utils import gather_object

        return list(gather_object([mine]))
