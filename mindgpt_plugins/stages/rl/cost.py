"""What ``rl`` computes: replies, log-probabilities of the old and the reference policy, updates."""

from __future__ import annotations

from mindgpt_plugins.sizing import flops
from mindgpt_plugins.sizing.flops import Trained
from mindgpt_plugins.sizing.lengths import RowTokens
from mindgpt_plugins.sizing.work import CostInputs, StageWork, add_replies, describe_recomputation
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.hydra_overrides import flatten_keys


class RLCost(CostRules[RLConfig]):
    """Rollouts and updates; rewards are not counted."""

    def count_work(self, config: RLConfig, context: Context, job: CostInputs) -> StageWork:
        """Over all steps."""
        rows = job.rows([config.train] if isinstance(config.train, str) else config.train)
        own = {key.lstrip("+"): value for key, value in flatten_keys(config.verl).items()}
        actor = "actor_rollout_ref.actor."
        group = sum(_group(config, item) for item in rows.items) / len(rows.items)
        prompts, reply = config.steps * config.prompts_per_step, job.share * config.max_response_tokens
        work = StageWork(config.steps, assumptions=list(rows.notes))
        waiting = config.prompts_per_step * group / config.workers
        add_replies(job, work, rows.items, prompts, group, reply, waiting, config.vllm.tensor_parallel)

        rank = config.lora.rank if config.lora else 0
        sees = not rank and not own.get(f"{actor}freeze_vision_tower", False)
        trained = Trained("lora" if rank else "full", sees, sees, rank)
        passed = job.pass_over(rows.items, lambda item: item.prompt + reply, rank).times(prompts * group)
        forwards = [] if own.get("algorithm.rollout_correction.bypass_mode") else ["old policy"]
        if own.get(f"{actor}use_kl_loss") or own.get("algorithm.use_kl_in_reward"):
            forwards.append("reference policy")
        forwards += ["masked pictures"] if config.perception else []
        epochs = int(own.get(f"{actor}ppo_epochs", 1))
        work.compute += len(forwards) * passed.total + epochs * (
            passed.total + flops.count_backward_flops(passed, trained)
        )
        work.assumptions += [
            f"{group:g} replies to each of {config.prompts_per_step} prompts a step, all of them trained on",
            "log-probabilities: "
            + (", ".join(f"one forward pass for the {one}" for one in forwards) or "none computed again"),
            f"update: {epochs} epoch{'s'[: epochs - 1]}, vision tower {'trained' if sees else 'frozen'}"
            + (f", LoRA rank {rank}" if rank else ""),
            describe_recomputation(passed, passed.total + flops.count_backward_flops(passed, trained)),
            "rewards, and moving weights to the rollout engine, are not counted",
        ]
        return work


def _group(config: RLConfig, item: RowTokens) -> int:
    reached = [k for k in config.group_size_by_difficulty if item.difficulty is not None and item.difficulty >= k]
    return config.group_size_by_difficulty[max(reached)] if reached else config.group_size
