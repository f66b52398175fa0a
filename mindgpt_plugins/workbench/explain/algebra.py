"""Rewards, advantage and group filter over whole runs at once: the same functions as in training, on a board."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mindgpt_plugins.advantage.call import compute_advantage
from mindgpt_plugins.advantage.estimators import Groups
from mindgpt_plugins.advantage.filter import find_dropped_groups
from mindgpt_plugins.core.schedule import evaluate_schedule
from mindgpt_plugins.rewards.algebra import CombinedScores, combine_scores, compute_task_scores
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.workbench.explain.board import RolloutBatch
from mindgpt_plugins.workbench.explain.setup import Setup


def compute_reward_weights(suite: Suite, board: RolloutBatch) -> dict[str, Tensor]:
    """(groups, 1) of every reward, gates included; negative for penalties."""
    shares, which = torch.unique(board.progress, return_inverse=True)
    found = {}
    for entry in suite.entries:
        values = torch.tensor([entry.signed_weight(p) for p in shares.tolist()], dtype=torch.float64)
        found[entry.spec.name] = values[which].unsqueeze(1)
    return found


def compute_batch_task_scores(suite: Suite, board: RolloutBatch, components: Mapping[str, Tensor]) -> Tensor:
    """(groups, n) gated task scores r.

    Args:
        suite: the rewards.
        board: the groups.
        components: reward → (replies,); group rewards are not needed.

    Raises:
        RewardError: a reply that no task reward scored.
    """
    spread = {name: board.spread(flat) for name, flat in components.items()}
    raw: Tensor = compute_task_scores(suite.roles, compute_reward_weights(suite, board), spread)
    unscored = raw.isnan() & board.mask
    if bool(unscored.any()):
        raise suite.unscored_error(board.recorded[int(board.places[unscored][0])].rollout)
    return raw.masked_fill(~board.mask, 0.0)  # where every weight is 0, padding counts as not scored


def combine_batch_scores(
    setup: Setup, board: RolloutBatch, components: Mapping[str, Tensor], raw: Tensor | None = None
) -> CombinedScores:
    """Components to scores; arrays are (groups, n), weights (groups, 1).

    Args:
        setup: the rewards.
        board: the groups.
        components: reward → (replies,).
        raw: the gated task scores, when they are known.
    """
    suite = setup.suite
    spread = {name: board.spread(flat) for name, flat in components.items()}
    raw = compute_batch_task_scores(suite, board, components) if raw is None else raw
    return combine_scores(suite.roles, compute_reward_weights(suite, board), spread, raw)


def compute_batch_advantages(
    setup: Setup, board: RolloutBatch, scores: CombinedScores, *, lam: float | None = None
) -> Tensor:
    """(groups, n) advantages, step by step; before the group filter.

    Args:
        setup: the advantage.
        board: the groups.
        scores: what the rewards say.
        lam: instead of the recipe's λ.
    """
    config = setup.advantage
    parts = []
    for step in board.steps():
        progress = float(board.progress[step.start])
        share = evaluate_schedule(config.lam, progress) if lam is None else lam
        groups = Groups(
            modulated=scores.modulated[step],
            raw=scores.raw[step],
            mask=board.mask[step],
            components={name: values[step] for name, values in scores.components.items()},
            weights={name: float(values[step.start, 0]) for name, values in scores.weights.items()},
            tokens=board.tokens[step],
            adversarial=board.adversarial[step],
        )
        parts.append(compute_advantage(config, groups, share))
    return torch.cat(parts)


def filter_batch_advantages(setup: Setup, board: RolloutBatch, scores: CombinedScores, advantage: Tensor) -> Tensor:
    """Advantages with 0 in the groups that the recipe's filter takes out of the update."""
    config = setup.advantage.filter
    if config is None:
        return advantage
    parts = []
    for step in board.steps():
        first = [board.recorded[p] for p in board.places[step, 0].tolist()]
        dropped = find_dropped_groups(
            config,
            advantage[step],
            scores.correct[step],
            board.mask[step],
            [(one.rollout.step, one.rollout.uid or one.group) for one in first],
            modulators=setup.suite.has_modulators,
        )
        parts.append(advantage[step] * ~dropped.unsqueeze(1))
    return torch.cat(parts)


def convert_to_json_number(value: float | Tensor) -> float | None:
    """A number for JSON; None for what is not finite."""
    found = float(value)
    return found if math.isfinite(found) else None
