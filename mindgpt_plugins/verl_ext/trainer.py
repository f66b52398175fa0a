"""``mindgpt_sync``: verl's synchronous PPO trainer with our curriculum, rewards, advantages and records.

Registered when verl's trainer package is imported (see ``entry.py``), chosen with
``trainer.v1.trainer_mode=mindgpt_sync``.
What the base trainer does stays: rollout correction, multi-trajectory sessions, padding rows, native group filtering,
checkpoints. The base advantage is computed first and only its numbers are replaced.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import transfer_queue as tq
from omegaconf import OmegaConf, open_dict
from tensordict import TensorDict
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu

from mindgpt_plugins.registry import load_plugins
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.verl_ext.hybrid import Hybrid, Reply, refuse_errors, refuse_missing
from mindgpt_plugins.verl_ext.records import MetricsFile, mark_loaded
from mindgpt_plugins.verl_ext.reward_fields import ERROR, LOG, PID, PREFIX
from mindgpt_plugins.verl_ext.rows import as_rollout
from mindgpt_plugins.verl_ext.settings import MODE, SettingsError, load

REWARD_MODULE = "pkg://mindgpt_plugins.verl_ext.reward"
REWARD_CLASS = "MindGPTRewardManager"
AGENT_MANAGER = "mindgpt_plugins.verl_ext.agent_manager.SharedInputsManager"


@register_trainer(MODE)
class MindGPTSyncTrainer(PPOTrainerSync):  # type: ignore[misc]
    """See the module's docstring."""

    def __init__(self, config: Any):
        started = time.time()
        self.settings = load(config)
        load_plugins(self.settings.plugins)
        self.hybrid = Hybrid(Suite(self.settings.rewards), self.settings.advantage)
        _check(config)
        _take_over(config)
        self._metrics_file = MetricsFile(self.settings.metrics_path)
        self._dump: dict[str, dict[str, Any]] = {}
        self._prompt_number = 0
        self._reward_pids: set[int] = set()
        self._last_line = started
        # The base class reads the mode and treats every name but "sync" as asynchronous.
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"
        super().__init__(config)

    # --- data -------------------------------------------------------------------------------------------------------

    def _build_replay_buffer(self) -> Any:
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = self.settings.poll_interval  # verl's constructor default of 2 s dominates a small step
        return buffer

    def _setup(self) -> None:
        if self.config.actor_rollout_ref.rollout.name == "hf_cpu":
            from mindgpt_plugins.verl_ext import hf_cpu

            hf_cpu.start_early(self.config)
        super()._setup()

    def _init_dataloader(self) -> None:
        super()._init_dataloader()
        with open_dict(self.config):
            self.config.trainer.total_training_steps = self.total_training_steps  # reward workers need it
        if self.settings.curriculum is None:
            return
        from torchdata.stateful_dataloader import StatefulDataLoader  # type: ignore[import-untyped]
        from verl.utils.dataset.rl_dataset import collate_fn

        from mindgpt_plugins.verl_ext.sampler import CurriculumSampler

        frame = self.train_dataset.dataframe
        extra = frame["extra_info"]
        base: Any = self.train_dataloader
        self.train_dataloader: Any = StatefulDataLoader(
            dataset=self.train_dataset,
            batch_size=base.batch_size,
            num_workers=base.num_workers,
            drop_last=True,
            collate_fn=collate_fn,
            sampler=CurriculumSampler(
                [float(row.get("difficulty") or 0.0) for row in extra],
                [str(source) for source in frame["data_source"]],
                name=self.settings.curriculum.name,
                options=self.settings.curriculum.options,
                seed=self.settings.seed,
                draws=self.total_training_steps * int(self.config.data.train_batch_size),
            ),
        )

    def _fetch_one_gen_batch(self) -> Any:
        batch = super()._fetch_one_gen_batch()
        # verl's uid is random. One that follows from step and place lets replies be put in the same order in every run.
        uids = [f"s{self.global_steps}p{self._prompt_number + i:05d}" for i in range(len(batch))]
        self._prompt_number += len(batch)
        tu.assign_non_tensor(batch, uid=uids)
        return batch

    def _balance_batch(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        # First stop after sampling: put replies in order of (prompt, session), and refuse a step with missing ones.
        batch.reorder(sorted(range(len(batch.keys)), key=lambda i: _split(batch.keys[i])))
        sessions = Counter(uid for uid, _ in {_split(key)[:2] for key in batch.keys})
        rollout = self.config.actor_rollout_ref.rollout
        prompts = int(self.config.data.train_batch_size) // self.parameter_sync_step
        if "__rollout_n__" not in self.train_dataset.dataframe.column_names:
            refuse_missing(sessions, prompts, int(rollout.n))
        return super()._balance_batch(batch, *args, **kwargs)

    # --- advantage --------------------------------------------------------------------------------------------------

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        batch = super()._compute_advantage(batch, metrics)
        rows = [i for i, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
        final = _final_rows([batch.keys[i] for i in rows], rows)
        replies, facts = self._replies(batch, list(final.values()))
        step = self.hybrid.run(replies)
        metrics.update(step.metrics)

        # Every trajectory of a session gets its final one's advantage; padding rows keep 0.
        by_session = dict(zip(final, step.advantages, strict=True))
        per_row = [0.0] * len(batch.keys)
        for i in rows:
            per_row[i] = by_session[_split(batch.keys[i])[:2]]
        # Rollout correction may have rewritten the mask, so it is read again.
        stored = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask"])
        advantages = torch.nested.as_nested_tensor(
            [
                mask.to(torch.float32) * value
                for mask, value in zip(stored["response_mask"].unbind(), per_row, strict=True)
            ],
            layout=torch.jagged,
        )
        fields = TensorDict({"advantages": advantages, "returns": advantages.clone()}, batch_size=len(batch.keys))
        tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)
        for (session, place), reply, fact, *rest in zip(
            final.items(), replies, facts, step.components, step.modulated, step.advantages, step.log, strict=True
        ):
            components, modulated, advantage, log = rest
            self._dump["_".join((session[0], str(session[1])))] = fact | {
                "score": reply.score,
                "modulated": modulated,
                "advantage": advantage,
                "tokens": reply.rollout.length,
                "components": components,
                "log": log,
                "key": batch.keys[place],
            }
        return batch

    def _replies(self, batch: Any, places: list[int]) -> tuple[list[Reply], list[dict[str, Any]]]:
        """Fetch what the reward workers wrote about each final trajectory."""
        fields = ["responses", "extra_fields", "extra_info", "reward_model", "data_source"]
        keys = [batch.keys[i] for i in places]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=fields)
        columns = {name: [getattr(item, "data", item) for item in data[name]] for name in fields[1:]}
        infos = [(extra or {}).get("reward_extra_info") or {} for extra in columns["extra_fields"]]
        foreign = [key for key, info in zip(keys, infos, strict=True) if PID not in info]
        if foreign:
            raise SettingsError(
                f"{len(foreign)} replies were scored by other code than ours; remove reward.reward_manager and "
                "reward.custom_reward_function from the overrides: mindgpt_sync brings its own"
            )
        refuse_errors([info[ERROR] for info in infos])
        self._note_processes({int(info[PID]) for info in infos})
        replies, facts = [], []
        for i, (key, info) in enumerate(zip(keys, infos, strict=True)):
            uid, session, _ = _split(key)
            tokens = data["responses"][i].tolist()
            text = self.tokenizer.decode(tokens, skip_special_tokens=True)
            extra, truth, source = columns["extra_info"][i], columns["reward_model"][i], columns["data_source"][i]
            rollout = as_rollout(text, tokens, extra, truth, source, self.global_steps, self.total_training_steps)
            components = {
                name.removeprefix(PREFIX): None if value != value else float(value)  # NaN: not scored
                for name, value in info.items()
                if name.startswith(PREFIX)
            }
            replies.append(Reply(uid, session, rollout, float(info["score"]), components, json.loads(info[LOG])))
            facts.append(
                {
                    "row": rollout.uid,
                    "prompt": rollout.prompt,
                    "reply": text,
                    "target": rollout.target,
                    "source": rollout.source,
                    "type": rollout.type,
                    "labels": dict(rollout.labels),
                    "difficulty": rollout.difficulty,
                    "image": [str(name) for name in extra.get("image") or []],
                    "group": uid,
                    "session": session,
                }
            )
        return replies, facts

    # --- records ----------------------------------------------------------------------------------------------------

    def _load_checkpoint(self) -> None:
        _repair_tracker(Path(self.config.trainer.default_local_dir))
        super()._load_checkpoint()
        self._metrics_file.resume(self.global_steps)

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        """One optimizer step; its metrics line is written before the checkpoint that may follow."""
        self._dump, self._prompt_number = {}, 0
        batch = super().step(metrics, timing_raw)
        now = time.time()
        timing = {f"seconds/{name}": value for name, value in timing_raw.items() if name != "step"}
        line = metrics | timing | {"seconds": now - self._last_line}
        self._last_line = now
        self._metrics_file.append(self.global_steps, self.total_training_steps, line)
        return batch

    def _val_metrics_update(self, data_sources: Any, sample_uids: Any, infos: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_errors([str(error or "") for error in infos.get(ERROR, [])])
        return super()._val_metrics_update(data_sources, sample_uids, infos, *args, **kwargs)

    def _log_rollout_data(self, batch: Any, timing_raw: dict[str, float], rollout_data_dir: str) -> None:
        # Replaces verl's dump, which knows neither components nor advantages nor images.
        rows = sorted(self._dump.values(), key=lambda row: (row["group"], row["session"]))
        columns = {
            name: [row[name] for row in rows] for name in rows[0] if name not in ("prompt", "reply", "target", "score")
        }
        self._dump_generations(
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
            mark_loaded(Path(self.settings.loaded_path), type(self), sorted(self._reward_pids))


def _check(config: Any) -> None:
    """Refuse what would silently bypass us.

    Raises:
        SettingsError: naming the override and what to write instead.
    """
    wrong = {
        "algorithm.adv_estimator": (config.algorithm.adv_estimator, "grpo", "the advantage is chosen in our settings"),
        "algorithm.use_kl_in_reward": (config.algorithm.use_kl_in_reward, False, "use actor.use_kl_loss=true for KL"),
    }
    for key, (found, wanted, why) in wrong.items():
        if found != wanted:
            raise SettingsError(f"{MODE}: {key}={found} does not go with it; set {key}={wanted} ({why})")
    if OmegaConf.select(config, "reward.custom_reward_function.path"):
        raise SettingsError(
            f"{MODE}: reward.custom_reward_function would bypass the settings' rewards; register yours with @reward"
        )
    if config.reward.reward_model.enable and not config.reward.reward_model.enable_resource_pool:
        raise SettingsError(f"{MODE}: a colocated reward model is not supported; set enable_resource_pool=true")


def _take_over(config: Any) -> None:
    """Point verl's configuration at our reward manager and seeded agent loop."""
    loops = str(resources.files("mindgpt_plugins.verl_ext.conf") / "agent_loops.yaml")
    with open_dict(config):
        config.reward.reward_manager.source = "importlib"
        config.reward.reward_manager.name = REWARD_CLASS
        config.reward.reward_manager.module.path = REWARD_MODULE
        agent = config.actor_rollout_ref.rollout.agent
        # Someone else's agent loop is left alone; then samples are reproducible only as far as it is.
        if agent.default_agent_loop == "single_turn_agent" and not agent.agent_loop_config_path:
            agent.default_agent_loop, agent.agent_loop_config_path = "mindgpt_single_turn", loops
            agent.agent_loop_manager_class = agent.get("agent_loop_manager_class") or AGENT_MANAGER


def _split(key: str) -> tuple[str, int, int]:
    """``{uid}_{session}_{trajectory}``."""
    uid, session, trajectory = key.rsplit("_", 2)
    return uid, int(session), int(trajectory)


def _final_rows(keys: list[str], places: list[int]) -> dict[tuple[str, int], int]:
    """(uid, session) → place of its last trajectory, the only one that is scored."""
    final: dict[tuple[str, int], tuple[int, int]] = {}
    for key, place in zip(keys, places, strict=True):
        uid, session, trajectory = _split(key)
        if trajectory >= final.get((uid, session), (-1, 0))[0]:
            final[uid, session] = (trajectory, place)
    return {session: place for session, (_, place) in sorted(final.items())}


def _repair_tracker(folder: Path) -> None:
    """Point an empty tracker (verl writes it in place, so a kill can leave it so) at the last whole checkpoint."""
    tracker = folder / "latest_checkpointed_iteration.txt"
    if not tracker.is_file() or tracker.read_text().strip().isdigit():
        return
    steps = [
        int(m.group(1))
        for m in (re.fullmatch(r"global_step_(\d+)", p.parent.name) for p in folder.glob("*/data.pt"))
        if m
    ]
    if not steps:
        tracker.unlink()
        return
    aside = tracker.with_suffix(".tmp")
    aside.write_text(str(max(steps)))
    os.replace(aside, tracker)
