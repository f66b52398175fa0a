"""Supervised warm-up, and RL of one arm: verl's training step in one process, with our reward and advantage code."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from ablation_arms import Arm, Settings
from ablation_policy import Encoded, Policy
from ablation_prompts import Prompts, rollout
from mindgpt_data.schema.rows import Row
from torch import Tensor

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.advantage.perception import (
    Seen,
    blacken_patches,
    compute_log_ratio,
    derive_perception_weights,
    draw_patch_mask,
)
from mindgpt_plugins.advantage.perception_config import PerceptionConfig
from mindgpt_plugins.rewards.config import RewardConfig
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.verl_ext.step.hybrid import Hybrid
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply
from mindgpt_plugins.verl_ext.step.seeds import derive_sample_seed

DUAL_CLIP = 3.0
"""verl's ``clip_ratio_c``: bound of the loss of a reply with negative advantage."""


def policy_loss(log_probs: Tensor, old: Tensor, advantages: Tensor, clip: tuple[float, float]) -> Tensor:
    """The policy loss ``vanilla`` of verl with ``token-mean``, of replies one after the other instead of padded.

    Args:
        log_probs: (tokens,) of the policy.
        old: the same of the policy that sampled.
        advantages: (tokens,).
        clip: lower and upper range of the ratio.
    """
    ratio = (log_probs - old).clamp(-20.0, 20.0).exp()
    clipped = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1.0 - clip[0], 1.0 + clip[1]))
    bounded = torch.where(advantages < 0, torch.minimum(clipped, -advantages * DUAL_CLIP), clipped)
    return bounded.mean()


def warm_up(policy: Policy, prompts: Prompts, settings: Settings, seed: int) -> None:
    """Short supervised training on questions, half of them twins beside their partners: refusals exist afterwards."""
    rows = {row.uid: row for row in prompts.sets["warm"]}
    pairs = [(twin, rows[str(twin.twin_uid)]) for twin in prompts.sets["warm_twins"]]
    plain = list(rows.values())
    rng = random.Random(f"{seed}/warm_up")
    optimizer = _optimizer(policy, settings.warm_lr)
    for step in range(settings.warm_steps):
        share = step / settings.warm_steps
        optimizer.param_groups[0]["lr"] = settings.warm_lr * min(10 * share + 0.1, 1.0, 2 * (1 - share))
        batch = [row for pair in rng.sample(pairs, min(len(pairs), settings.warm_batch // 4)) for row in pair]
        batch += rng.sample(plain, min(len(plain), settings.warm_batch - len(batch)))
        log_probs = policy.log_probs(prompts.encoded(batch), [policy.tokens(row.response) for row in batch])
        _update(policy, optimizer, -log_probs.mean())


def reinforce(policy: Policy, prompts: Prompts, arm: Arm, settings: Settings, seed: int) -> dict[str, float]:
    """RL of one arm; ``policy`` is trained in place.

    Returns:
        Figures of the run: share of right replies among the first and the last fifth of its rollouts, and the share of
        groups with right and wrong replies in which some right one is pushed no more than some wrong one.
    """
    hybrid = Hybrid(
        Suite({name: RewardConfig.model_validate(config) for name, config in arm.rewards.items()}),
        AdvantageConfig.model_validate(arm.advantage),
    )
    sight = None if arm.perception is None else PerceptionConfig.model_validate(arm.perception)
    optimizer = _optimizer(policy, settings.lr)
    right, mixed, violated = list[float](), 0, 0
    for number, rows in enumerate(prompts.steps(settings, arm.twins, seed), start=1):
        encoded = prompts.encoded(rows, arm.blank)
        seeds = [
            derive_sample_seed(seed, row.uid, session, number) for row in rows for session in range(settings.group)
        ]
        tokens, old = policy.sample(encoded, seeds)
        replies = _scored(policy, hybrid.suite, rows, tokens, number, settings)
        alpha = None if sight is None else _alpha(policy, sight, rows, encoded, tokens, old, f"{seed}/{number}")
        found = hybrid.run(replies, alpha=alpha)
        both, wrong_order = _order([reply.score for reply in replies], found.advantages, settings.group)
        mixed, violated = mixed + both, violated + wrong_order
        right.append(sum(reply.score >= 0.5 for reply in replies) / len(replies))
        for part in _parts(len(rows), settings.mini_batches):
            places = slice(part.start * settings.group, part.stop * settings.group)
            log_probs = policy.log_probs(encoded[part], tokens[places])
            behind = torch.tensor([value for reply in old[places] for value in reply])
            push = torch.tensor(
                [a for a, reply in zip(found.advantages[places], tokens[places], strict=True) for _ in reply]
            )
            _update(policy, optimizer, policy_loss(log_probs, behind, push, settings.clip))
    fifth = max(1, len(right) // 5)
    return {
        "right_first": sum(right[:fifth]) / fifth,
        "right_last": sum(right[-fifth:]) / fifth,
        "violations": violated / max(1, mixed),
    }


def _scored(
    policy: Policy, suite: Suite, rows: Sequence[Row], tokens: Sequence[list[int]], step: int, settings: Settings
) -> list[ScoredReply]:
    replies = []
    for place, reply in enumerate(tokens):
        number, session = divmod(place, settings.group)
        one = rollout(rows[number], policy.text(reply), reply, step, settings.steps)
        found = suite.score_sample(one)
        replies.append(ScoredReply(rows[number].uid, session, one, found.score, found.components, found.log))
    return replies


def _alpha(
    policy: Policy,
    config: PerceptionConfig,
    rows: Sequence[Row],
    encoded: Sequence[Encoded],
    tokens: Sequence[list[int]],
    old: Sequence[list[float]],
    seed: str,
) -> list[float]:
    """Perception weight of each reply: 1 for adversarial prompts."""
    n = len(tokens) // len(rows)
    measured = [i for i, row in enumerate(rows) if row.type != "adversarial"]
    layout = policy.engine.family.processor.image_processor
    masked = []
    for i in measured:
        one = encoded[i]
        black = draw_patch_mask(
            one.grid.tolist(), layout.merge_size, config.masked_share, random.Random(f"{seed}/{rows[i].uid}")
        )
        masked.append(
            Encoded(one.ids, blacken_patches(one.pixels, black, layout.image_mean, layout.image_std), one.grid)
        )
    places = [i * n + j for i in measured for j in range(n)]
    with torch.no_grad():
        blind = policy.log_probs(masked, [tokens[i] for i in places]).split([len(tokens[i]) for i in places])
    seen = {
        str(place): Seen(
            place, compute_log_ratio(own, torch.tensor(old[place])), torch.ones(len(own), dtype=torch.bool)
        )
        for place, own in zip(places, blind, strict=True)
    }
    return derive_perception_weights(config, seen, len(tokens)).alpha


def _order(scores: Sequence[float], advantages: Sequence[float], size: int) -> tuple[int, int]:
    """Groups with right and wrong replies, and those of them in which not every right one is pushed more."""
    mixed = violated = 0
    for start in range(0, len(scores), size):
        places = range(start, start + size)
        good = [advantages[i] for i in places if scores[i] >= 0.5]
        bad = [advantages[i] for i in places if scores[i] < 0.5]
        if good and bad:
            mixed += 1
            violated += min(good) <= max(bad)
    return mixed, violated


def _parts(prompts: int, count: int) -> Iterator[slice]:
    size = -(-prompts // count)
    for start in range(0, prompts, size):
        yield slice(start, min(prompts, start + size))


def _optimizer(policy: Policy, lr: float) -> torch.optim.Optimizer:
    # betas of recipes/quickstart.yaml's RL stage, weight decay of verl.
    return torch.optim.AdamW(policy.model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.01)


def _update(policy: Policy, optimizer: Any, loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(policy.model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
