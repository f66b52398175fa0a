"""What an ``rl`` stage's mode and group sizes become in verl, and which of them cannot be."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.core.schedule import find_schedule_extremes
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.hydra_overrides import flatten_keys

_ROLLOUT = "actor_rollout_ref.rollout"
_SYNC_STEP = "trainer.v1.separate_async.parameter_sync_step"
#: What separate_async needs and only the recipe's `verl:` section can know.
_NEEDED = (f"{_ROLLOUT}.nnodes", f"{_ROLLOUT}.n_gpus_per_node", f"{_ROLLOUT}.checkpoint_engine.backend")


def render_mode_overrides(config: RLConfig, settings: str) -> dict[str, Any]:
    """Trainer, where it finds our settings, and the prompts of one optimizer update."""
    trainer = f"mindgpt_{config.mode}"
    return {
        "trainer.v1.trainer_mode": trainer,
        f"+trainer.v1.{trainer}.settings": settings,
        "actor_rollout_ref.actor.ppo_mini_batch_size": config.prompts_per_step // _sync_steps(config),
    }


def find_mode_problems(config: RLConfig, cpu: bool, ranks: int) -> list[str]:
    """Modes and group sizes that cannot run.

    Args:
        config: the stage's.
        cpu: is there no accelerator?
        ranks: training ranks that see different replies.
    """
    return _mode(config, cpu) + _sizes(config, ranks)


def _mode(config: RLConfig, cpu: bool) -> list[str]:
    if config.mode != "separate_async":
        return []
    if cpu:
        return [
            "mode: separate_async needs GPUs of its own for rollouts and NCCL (or another checkpoint engine) between "
            "them and the trainer; on CPU use mode: sync or colocate_async"
        ]
    own = {key.lstrip("+"): value for key, value in flatten_keys(config.verl).items()}
    found = [
        f"mode: separate_async needs verl.{key} (rollouts run on GPUs of their own: actor_rollout_ref.rollout.nnodes, "
        "n_gpus_per_node and checkpoint_engine.backend, for example nccl)"
        for key in _NEEDED
        if own.get(key) in (None, 0, "naive")
    ]
    if config.prompts_per_step % _sync_steps(config):
        found.append(
            f"prompts_per_step = {config.prompts_per_step} is not divisible by verl.{_SYNC_STEP} = "
            f"{_sync_steps(config)}, the optimizer updates between two weight transfers"
        )
    return found


def _sizes(config: RLConfig, ranks: int) -> list[str]:
    sizes = [config.group_size, *config.group_size_by_difficulty.values()]
    found = []
    if config.advantage.k > min(sizes):
        found.append(f"advantage.k is {config.advantage.k}, above the smallest group size {min(sizes)}; lower k")
    elif config.advantage.k == max(sizes) and _explores(config.advantage):
        found.append(
            f"advantage.k is {config.advantage.k}, the size of the groups: all replies are in the only subset there "
            "is, and the pass@k part pushes nothing; lower k, or write `lambda: 0`"
        )
    if config.group_size_by_difficulty:
        return found  # any number of replies is padded to what workers and micro-batches need
    replies = config.prompts_per_step * config.group_size
    if replies % ranks:
        found.append(f"prompts_per_step × group_size = {replies} replies cannot be shared by workers = {ranks}")
    elif (replies // ranks) % config.micro_batch:
        found.append(
            f"each worker has {replies // ranks} replies per step, not divisible by micro_batch = "
            f"{config.micro_batch}; choose a divisor"
        )
    return found


def _sync_steps(config: RLConfig) -> int:
    if config.mode != "separate_async":
        return 1
    own = {key.lstrip("+"): value for key, value in flatten_keys(config.verl).items()}
    return int(own.get(_SYNC_STEP) or 4)  # 4: verl's own default


def _explores(advantage: AdvantageConfig) -> bool:
    if advantage.name == "modulated":
        return find_schedule_extremes(advantage.lam)[1] > 0
    return advantage.name in ("pass_at_k", "pass_at_k_analytic")
