"""What our trainers add to verl's, whichever way generation and training alternate.

What the base trainer does stays: rollout correction, multi-trajectory sessions, padding rows, native group filtering,
parameter synchronisation, checkpoints. The base advantage is computed first and only its numbers are replaced.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from tensordict import TensorDict

from mindgpt_plugins.advantage.perception import Perception
from mindgpt_plugins.core.metrics import append_metrics, truncate_metrics
from mindgpt_plugins.core.registry import load_plugins
from mindgpt_plugins.guards.divergence import TrainingDiverged
from mindgpt_plugins.guards.monitor import Checkpoints, TrainingMonitor
from mindgpt_plugins.guards.watch import RolloutWatch
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.verl_ext.perception import PerceptionPass
from mindgpt_plugins.verl_ext.prompts import Prompts
from mindgpt_plugins.verl_ext.records import mark_loaded, repair_tracker
from mindgpt_plugins.verl_ext.replies import StepReplies
from mindgpt_plugins.verl_ext.roles import check_driver, check_roles
from mindgpt_plugins.verl_ext.sampler import build_curriculum_loader
from mindgpt_plugins.verl_ext.settings import load_verl_settings
from mindgpt_plugins.verl_ext.step.hybrid import Hybrid, refuse_errors
from mindgpt_plugins.verl_ext.step.keys import find_final_rows, split_key
from mindgpt_plugins.verl_ext.step.mini_batches import mark_rows_without_loss, split_update_rows
from mindgpt_plugins.verl_ext.step.reward_fields import ERROR
from mindgpt_plugins.verl_ext.step.rows import describe_odd_answers
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply
from mindgpt_plugins.verl_ext.step.siblings import (
    Drawn,
    Sibling,
    compute_version_figures,
    has_contrast,
    refuse_equal_siblings,
    refuse_incomplete_groups,
)
from mindgpt_plugins.verl_ext.takeover import REWARD_CLASS, check_verl_config, take_over_config

FINITE = ("actor/loss", "actor/grad_norm", "actor/entropy", "critic/vf_loss", "critic/grad_norm")
"""verl's figures that must be finite; ours may be NaN, where there was nothing to average."""


def advise_on_rl(config: Any) -> list[str]:
    """What to try when the loss or gradient of a verl run is not finite; the first is most often it.

    Args:
        config: the whole Hydra configuration.
    """
    place = "actor_rollout_ref.actor.optim"
    lr, clip = (OmegaConf.select(config, f"{place}.{key}", default=None) for key in ("lr", "clip_grad"))
    found = [f"a lower learning rate{f': lr: {lr / 10:g} (now {lr:g})' if lr else ''}"]
    found.append(f"harder clipping: {place}.clip_grad{f' (now {clip:g})' if clip else ''}")
    return [*found, "a look at the replies of that step in rollouts/: empty, endless or odd ones"]


class VerlTrainerMixin(Prompts):
    """Mixed in before one of verl's trainers; see the module's docstring."""

    total_training_steps: int
    tokenizer: Any
    processor: Any

    def __init__(self, config: Any):
        started = time.time()
        self.settings = load_verl_settings(config)
        load_plugins(self.settings.plugins)
        self.hybrid = Hybrid(Suite(self.settings.rewards), self.settings.advantage)
        check_verl_config(config, self.mode)
        take_over_config(config, self.settings, self.mode)
        path = self.settings.metrics_path
        self._metrics_path = Path(path) if path else None
        saved = Path(str(OmegaConf.select(config, "trainer.default_local_dir", default="checkpoints")))
        self.monitor = TrainingMonitor(
            self._metrics_path.parent if self._metrics_path is not None else saved,
            FINITE,
            RolloutWatch(self.settings.guard),
            self.settings.guard,
            Checkpoints(saved, "global_step_"),
            advise_on_rl(config),
        )
        self._dump: dict[str, dict[str, Any]] = {}
        self._perceived = Perception()
        self._roles: dict[str, Any] = {}
        self._reward_pids: set[int] = set()
        self._last_line = started
        super().__init__(config)  # type: ignore[call-arg]

    def fit(self, agent_loop_manager: Any) -> None:
        """Train, once every process is known to have our code."""
        base: Any = self
        self._roles = {
            "driver": check_driver(own_cluster=not OmegaConf.select(self.config, "ray_kwargs.ray_init.address")),
            **check_roles(
                {
                    "reward": base.reward_loop_manager.reward_loop_worker_handles,
                    "agent_loop": getattr(agent_loop_manager, "agent_loop_workers", []),
                    "training": self.actor_rollout_wg.workers,
                    "rollout": [h for m in base._rollout_server_managers() for h in m.server_handles],
                },
                REWARD_CLASS,
            ),
        }
        # A step makes objects by the thousand, and each full collection would walk all of verl's modules again.
        gc.collect()
        gc.freeze()
        super().fit(agent_loop_manager)  # type: ignore[misc]

    # --- data -------------------------------------------------------------------------------------------------------

    def _build_replay_buffer(self) -> Any:
        from mindgpt_plugins.verl_ext.replay import make_buffer_strict

        buffer = make_buffer_strict(super()._build_replay_buffer())  # type: ignore[misc]
        buffer.poll_interval = self.settings.poll_interval  # verl's constructor default of 2 s dominates a small step
        return buffer

    def _setup(self) -> None:
        if self.config.actor_rollout_ref.rollout.name == "hf_cpu":
            from mindgpt_plugins.verl_ext import hf_cpu

            hf_cpu.start_servers_early(self.config)
        super()._setup()  # type: ignore[misc]

    def _init_dataloader(self) -> None:
        super()._init_dataloader()  # type: ignore[misc]
        OmegaConf.update(  # reward workers need it
            self.config, "trainer.total_training_steps", self.total_training_steps, force_add=True
        )
        base: Any = self
        table = base.train_dataset.dataframe
        answers = [name for name in ("extra_info", "reward_model") if name in table.column_names]  # not the pictures
        for line in describe_odd_answers(table.select_columns(answers)):
            print(line, flush=True)
        if self.settings.curriculum is not None:
            self.train_dataloader: Any = build_curriculum_loader(
                base.train_dataloader,
                self.train_dataset,
                self.settings.curriculum,
                self.settings.mixture,
                seed=self.settings.seed,
                prompts_per_step=int(self.config.data.train_batch_size),
                steps=self.total_training_steps,
            )

    # --- advantage --------------------------------------------------------------------------------------------------

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        batch = super()._compute_advantage(batch, metrics)  # type: ignore[misc]
        rows = [i for i, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
        final = find_final_rows([batch.keys[i] for i in rows], rows)
        found = StepReplies(batch, list(final.values()))
        refuse_incomplete_groups(
            [
                Sibling(uid, session, asked, int(batch.tags[place]["global_steps"]))
                for ((uid, session), place), asked in zip(final.items(), found.asked, strict=True)
            ],
            self._prompts,
        )
        rollout = self.config.actor_rollout_ref.rollout
        if rollout.temperature > 0 and rollout.top_p >= 1 and rollout.top_k <= 0:  # else log-probs are of more tokens
            groups, replied = [split_key(key)[0] for key in found.keys], [tuple(ids) for ids in found.tokens]
            if not has_contrast(groups, replied):  # rare: only then are the log-probabilities fetched
                drawn = zip(groups, replied, found.log_probs(batch.partition_id), strict=True)
                refuse_equal_siblings([Drawn(*one) for one in drawn])
        if self.mode != "sync":
            metrics.update(compute_version_figures([batch.tags[place] for place in final.values()], self.global_steps))
        self._note_processes(found.reward_pids)
        replies, facts = found.scored(self.tokenizer, self.global_steps, self.total_training_steps)
        alpha = self._perception_weights(batch, replies)
        step = self.hybrid.run(replies, alpha=alpha)
        metrics.update(step.metrics | self._perceived.metrics)
        metrics["group/dropped_replies"] = self._store(batch, final, step.advantages, step.dropped)
        for (session, place), reply, fact, i in zip(final.items(), replies, facts, range(len(replies)), strict=True):
            self._dump["_".join((session[0], str(session[1])))] = fact | {
                "score": reply.score,
                "modulated": step.modulated[i],
                "advantage": step.advantages[i],
                "alpha": 1.0 if alpha is None else alpha[i],
                "dependence": self._perceived.dependence.get(i),
                "dropped": step.dropped[i],
                "tokens": reply.rollout.length,
                "components": step.components[i],
                "log": step.log[i],
                "key": batch.keys[place],
            }
        return batch

    def _perception_weights(self, batch: Any, replies: list[ScoredReply]) -> list[float] | None:
        """Weight of each reply's advantage by how much it depends on the image; ``None``: all 1."""
        settings = self.settings.perception
        if settings is None:
            return None
        measure = PerceptionPass(settings, self.settings.seed, self.processor, self.config, self.actor_rollout_wg)
        self._perceived = measure.run(batch, replies, self.global_steps)
        return self._perceived.alpha

    def _store(
        self, batch: Any, final: dict[tuple[str, int], int], advantages: list[float], dropped: list[bool]
    ) -> int:
        """Write advantages and take dropped groups out of the loss; returns how many rows that are.

        Every trajectory of a session gets its final one's advantage; padding rows keep 0.
        """
        of_session = {s: (0.0 if d else a, d) for s, a, d in zip(final, advantages, dropped, strict=True)}
        padding = [bool(tag.get("is_padding", False)) for tag in batch.tags]
        per_row = [
            (0.0, False) if pad else of_session[split_key(key)[:2]]
            for key, pad in zip(batch.keys, padding, strict=True)
        ]
        gone = [False] * len(per_row)
        if any(dropped):
            updates = split_update_rows(len(per_row), self._workers, self._updates_of(len(per_row)))
            gone = mark_rows_without_loss([d for _, d in per_row], padding, updates)
        # Rollout correction may have rewritten the mask, so it is read again.
        where = {"keys": batch.keys, "partition_id": batch.partition_id}
        masks = tq.kv_batch_get(**where, select_fields=["response_mask"])["response_mask"]
        if self._perceived.added or self._perceived.kept:  # tokens differ
            rows = zip(batch.keys, masks.unbind(), per_row, strict=True)
            tokens = [self._perceived.shape(key, mask * (not out), a) for key, mask, (a, out) in rows]
            values = torch.nested.as_nested_tensor(tokens, layout=torch.jagged)
        else:
            values = _times(masks, torch.tensor([a for a, _ in per_row], dtype=torch.float32))
        fields = {"advantages": values, "returns": values.clone()}
        if any(gone):
            kept = _times(masks, torch.tensor([not out for out in gone]))
            # The loss reads response_mask; its denominator counts tokens of loss_mask.
            fields |= {"response_mask": kept, "loss_mask": kept.clone()}
        tq.kv_batch_put(**where, fields=TensorDict(fields, batch_size=len(batch.keys)))
        return sum(gone)

    # --- records ----------------------------------------------------------------------------------------------------

    def _load_checkpoint(self) -> None:
        repair_tracker(Path(self.config.trainer.default_local_dir))
        super()._load_checkpoint()  # type: ignore[misc]
        if self._metrics_path is not None:
            truncate_metrics(self._metrics_path, self.global_steps)
        self.monitor.resume(self.global_steps, self._metrics_path)

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        """One step; its metrics line is written before the checkpoint that may follow."""
        self._dump = {}
        batch = super().step(metrics, timing_raw)  # type: ignore[misc]
        now = time.time()
        timing = {f"seconds/{name}": value for name, value in timing_raw.items() if name != "step"}
        line = metrics | timing | {"seconds": now - self._last_line}
        self._last_line = now
        if self._metrics_path is not None:
            append_metrics(self._metrics_path, self.global_steps, self.total_training_steps, line)
        self._judge(metrics)
        return batch

    def _judge(self, metrics: dict[str, Any]) -> None:
        """Stop before a checkpoint of this step can be written.

        verl itself skips an update whose gradient is not finite, prints a warning and goes on to the end with weights
        that are finite and useless.

        Raises:
            TrainingDiverged: with the step, the last good checkpoint and what to try.
        """
        rows = sorted({str(row["row"]) for row in self._dump.values()})
        fault = self.monitor.find_fault(metrics)
        why = self.monitor.judge_step(self.global_steps, self.total_training_steps, metrics, fault, rows)
        if why is not None:
            repair_tracker(self.monitor.checkpoints.folder)
            dump = OmegaConf.select(self.config, "trainer.rollout_data_dir")
            if dump and self._dump:  # verl would do so after the step, in a thread
                self._log_rollout_data(None, {}, dump)
                self._shutdown_dump_executor()  # type: ignore[attr-defined]
            raise TrainingDiverged(why)

    def _val_metrics_update(self, data_sources: Any, sample_uids: Any, infos: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_errors([str(error or "") for error in infos.get(ERROR, [])])
        return super()._val_metrics_update(data_sources, sample_uids, infos, *args, **kwargs)  # type: ignore[misc]

    def _log_rollout_data(self, batch: Any, timing_raw: dict[str, float], rollout_data_dir: str) -> None:
        # Replaces verl's dump, which knows neither components nor advantages nor images.
        rows = sorted(self._dump.values(), key=lambda row: (row["group"], row["session"]))
        columns = {
            name: [row[name] for row in rows] for name in rows[0] if name not in ("prompt", "reply", "target", "score")
        }
        base: Any = self
        base._dump_generations(
            inputs=[row["prompt"] for row in rows],
            outputs=[row["reply"] for row in rows],
            gts=[row["target"] for row in rows],
            scores=[row["score"] for row in rows],
            reward_extra_infos_dict=columns,
            dump_path=rollout_data_dir,
        )

    def _note_processes(self, reward_pids: set[int]) -> None:
        if reward_pids <= self._reward_pids:
            return
        self._reward_pids |= reward_pids
        if self.settings.loaded_path:
            mark_loaded(Path(self.settings.loaded_path), type(self), sorted(self._reward_pids), self._roles)


def _times(rows: Any, factors: torch.Tensor) -> torch.Tensor:
    """Nested rows, each times its factor; row by row it would cost more than all the rest of the step."""
    offsets = rows.offsets()
    values = rows.values() * torch.repeat_interleave(factors, offsets.diff())
    return torch.nested.nested_tensor_from_jagged(values, offsets)
