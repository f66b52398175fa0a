"""Which replies each prompt gets, and how a step's rows become optimizer updates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from omegaconf import OmegaConf
from verl.utils import tensordict_utils as tu

from mindgpt_plugins.verl_ext.settings import Mode, VerlSettings, VerlSettingsError
from mindgpt_plugins.verl_ext.step.group_size import choose_group_size
from mindgpt_plugins.verl_ext.step.keys import split_key
from mindgpt_plugins.verl_ext.step.mini_batches import compute_row_multiple
from mindgpt_plugins.verl_ext.step.reward_fields import ASKED


class Prompts:
    """The part of :class:`~mindgpt_plugins.verl_ext.guest.VerlTrainerMixin` that sends prompts and takes replies."""

    mode: ClassVar[Mode]
    settings: VerlSettings
    config: Any
    global_steps: int
    parameter_sync_step: int
    use_reference_policy: bool
    train_dataset: Any
    actor_rollout_wg: Any
    _numbered = (0, 0)
    """Step and how many of its prompts have an id."""

    @property
    def _sizes_vary(self) -> bool:
        """Do prompts get different numbers of replies?"""
        return bool(self.settings.group_size_by_difficulty) or (
            "__rollout_n__" in self.train_dataset.dataframe.column_names
        )

    def _next_train_batch(self, num_prompts: int | None = None) -> Any:
        batch = super()._next_train_batch(num_prompts)  # type: ignore[misc]
        step, number = self._numbered
        first = number if step == self.global_steps else 0
        self._numbered = (self.global_steps, first + len(batch))
        n = int(self.config.actor_rollout_ref.rollout.n)
        sizes = [n] * len(batch)
        if by_difficulty := self.settings.group_size_by_difficulty:
            extra = [getattr(item, "data", item) for item in batch["extra_info"]]
            unknown = [row for row in extra if row.get("difficulty") is None]
            if unknown:
                raise VerlSettingsError(
                    f"group_size_by_difficulty: {len(unknown)} of {len(extra)} prompts have no difficulty in "
                    f"extra_info (first: {unknown[0].get('uid')!r}); add it or remove the key"
                )
            sizes = [choose_group_size(float(row["difficulty"]), n, by_difficulty) for row in extra]
            tu.assign_non_tensor(batch, __rollout_n__=sizes)
        elif "__rollout_n__" in batch.keys():  # noqa: SIM118 - a TensorDict's `in` wants keys()
            sizes = [int(getattr(item, "data", item)) for item in batch["__rollout_n__"]]
        announced = sum(sizes) if self.mode == "sync" and not self._filters_groups else 0
        tu.assign_non_tensor(
            batch,
            # verl's uid is random. One that follows from step and place gives replies the same order in every run.
            uid=[f"s{self.global_steps}p{first + i:05d}" for i in range(len(batch))],
            **{ASKED: [{"n": size, "step": announced} for size in sizes]},
        )
        return batch

    @property
    def _filters_groups(self) -> bool:
        return bool(OmegaConf.select(self.config, "algorithm.filter_groups.enable", default=False))

    # --- rows of an update ------------------------------------------------------------------------------------------

    @property
    def _prompts(self) -> int:
        """Prompts sampled at once."""
        return int(self.config.data.train_batch_size) // self.parameter_sync_step

    @property
    def _updates(self) -> int:
        """Optimizer updates made of them."""
        return max(1, self._prompts // int(self.config.actor_rollout_ref.actor.ppo_mini_batch_size))

    def _updates_of(self, rows: int) -> int:
        """Optimizer updates that verl makes of so many rows; sessions of several trajectories bring more of both."""
        c = self.config.actor_rollout_ref
        return self._updates if self._sizes_vary else rows // (int(c.actor.ppo_mini_batch_size) * int(c.rollout.n))

    def _balance_batch(self, batch: Any, metrics: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        # First stop after sampling: put replies in order of (prompt, session).
        batch.reorder(sorted(range(len(batch.keys)), key=lambda i: split_key(batch.keys[i])))
        real = len(batch.keys)
        batch = super()._balance_batch(batch, metrics, *args, **kwargs)  # type: ignore[misc]
        metrics["group/padding_rows"] = len(batch.keys) - real
        return batch

    def _get_required_batch_multiple(self, dp_size: int) -> int:
        if not self._sizes_vary:
            return int(super()._get_required_batch_multiple(dp_size))  # type: ignore[misc]
        # verl's multiple is prompts × rollout.n, so any other total would make further optimizer updates.
        c = self.config.actor_rollout_ref
        sizes = [] if c.actor.use_dynamic_bsz else [c.actor.ppo_micro_batch_size_per_gpu]
        sizes += [] if c.rollout.log_prob_use_dynamic_bsz else [c.rollout.log_prob_micro_batch_size_per_gpu]
        if self.use_reference_policy and not c.ref.log_prob_use_dynamic_bsz:
            sizes.append(c.ref.log_prob_micro_batch_size_per_gpu)
        return compute_row_multiple(dp_size, self._updates, [int(size) for size in sizes if size])

    def _update_actor(self, batch: Any, metrics: dict[str, Any]) -> Any:
        with self._rows_per_update(len(batch.keys) // self._updates):
            return super()._update_actor(batch, metrics)  # type: ignore[misc]

    @contextmanager
    def _rows_per_update(self, rows: int) -> Iterator[None]:
        """Where sizes vary, let verl's prompts × rollout.n be the rows there are."""
        if not self._sizes_vary:
            yield
            return
        actor, rollout = self.config.actor_rollout_ref.actor, self.config.actor_rollout_ref.rollout
        before = actor.ppo_mini_batch_size, rollout.n
        actor.ppo_mini_batch_size, rollout.n = rows, 1
        try:
            yield
        finally:
            actor.ppo_mini_batch_size, rollout.n = before

    @property
    def _workers(self) -> int:
        return int(max(self.actor_rollout_wg._dispatch_info["actor"])) + 1
