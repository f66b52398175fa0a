"""The role algebra and the advantage over whole runs at once; agrees with ``Suite`` and ``Hybrid`` (tested)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.advantage.estimators import Groups, accepted
from mindgpt_plugins.advantage.filter import draw, dropped_groups
from mindgpt_plugins.core.registry import get
from mindgpt_plugins.core.schedule import value_at
from mindgpt_plugins.rewards.sdk import RewardError
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.workbench.explain.board import Board
from mindgpt_plugins.workbench.explain.setup import Setup


@dataclass(frozen=True)
class Combined:
    """What the rewards say about every group; tensors are (groups, n) float64."""

    raw: Tensor
    modulated: Tensor
    components: Mapping[str, Tensor]
    """NaN where not scored."""
    effects: Mapping[str, Tensor]
    """Modulator → what it adds to the factor of the score; 0 for wrong replies."""
    weights: Mapping[str, Tensor]
    """(groups, 1), negative for penalties."""

    @property
    def right(self) -> Tensor:
        """Correct replies; False where masked."""
        return self.raw >= 0.5


def weights(suite: Suite, board: Board) -> dict[str, Tensor]:
    """(groups, 1) of every reward, gates included; negative for penalties."""
    shares, which = torch.unique(board.progress, return_inverse=True)
    found = {}
    for entry in suite.entries:
        values = torch.tensor([entry.weight(p) for p in shares.tolist()], dtype=torch.float64)
        found[entry.spec.name] = values[which].unsqueeze(1) * (-1.0 if entry.spec.penalty else 1.0)
    return found


def task_scores(
    suite: Suite, board: Board, spread: Mapping[str, Tensor], weight: Mapping[str, Tensor], without: str = ""
) -> Tensor:
    """(groups, n) gated task scores r.

    Args:
        suite: the rewards.
        board: the groups.
        spread: reward → (groups, n).
        weight: reward → (groups, 1).
        without: a task that is taken to give 0, or a gate to be open.

    Raises:
        RewardError: a reply that no task reward scored.
    """
    total = torch.zeros(board.mask.shape, dtype=torch.float64)
    scale, opened = torch.zeros_like(total), torch.ones_like(board.mask)
    for entry in suite.entries:
        name = entry.spec.name
        if entry.spec.role == "task":
            scale = scale + weight[name] * ~spread[name].isnan()
            if name != without:
                total = total + weight[name] * spread[name].nan_to_num(0.0)
        elif entry.spec.role == "gate" and name != without:
            opened &= spread[name] != 0.0
    unscored = (scale <= 0.0) & board.mask
    if bool(unscored.any()):
        one = board.recorded[int(board.places[unscored][0])].rollout
        raise RewardError(
            f"no task reward scored {int(unscored.sum())} replies, the first to {one.uid!r} of type {one.type!r}; "
            "a run would stop. Add a reward for this type, or leave such lines out"
        )
    raw = total / scale.masked_fill(scale == 0.0, 1.0)
    return torch.where(opened, raw, raw.clamp(max=0.0)) * board.mask


def combine(setup: Setup, board: Board, components: Mapping[str, Tensor], raw: Tensor | None = None) -> Combined:
    """Components to scores.

    Args:
        setup: the rewards.
        board: the groups.
        components: reward → (replies,).
        raw: the gated task scores, when they are known.
    """
    weight = weights(setup.suite, board)
    spread = {name: board.spread(flat) for name, flat in components.items()}
    if raw is None:
        raw = task_scores(setup.suite, board, spread, weight)
    effects = {
        entry.spec.name: weight[entry.spec.name] * spread[entry.spec.name].nan_to_num(0.0) * (raw >= 0.5)
        for entry in setup.suite.entries
        if entry.spec.role == "modulator"
    }
    factor = 1.0 + sum(effects.values(), torch.zeros_like(raw))
    return Combined(raw, raw * factor, spread, effects, weight)


def without(setup: Setup, board: Board, full: Combined, name: str) -> Combined:
    """What is left when one reward does nothing; the figure ``advantage/share/…`` of a run means the same."""
    weight = dict(full.weights) | {name: torch.zeros_like(full.weights[name])}
    if name in full.effects:
        return replace(full, modulated=full.modulated - full.raw * full.effects[name], weights=weight)
    raw = task_scores(setup.suite, board, full.components, full.weights, without=name)
    factor = 1.0 + sum(full.effects.values(), torch.zeros_like(raw))
    return replace(full, raw=raw, modulated=raw * factor, weights=weight)


def advantages(setup: Setup, board: Board, scores: Combined, *, lam: float | None = None) -> Tensor:
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
        share = value_at(config.lam, progress) if lam is None else lam
        groups = Groups(
            modulated=scores.modulated[step],
            raw=scores.raw[step],
            mask=board.mask[step],
            components={name: values[step] for name, values in scores.components.items()},
            weights={name: float(values[step.start, 0]) for name, values in scores.weights.items()},
            tokens=board.tokens[step],
            adversarial=board.adversarial[step],
        )
        parts.append(estimate(setup, groups, share))
    return torch.cat(parts)


def estimate(setup: Setup, groups: Groups, lam: float) -> Tensor:
    """Advantages of one batch by the recipe's estimator."""
    config = setup.advantage
    options: dict[str, Any] = accepted(config.name, {"k": config.k, "lam": lam}) | config.options
    result: Tensor = get("advantage", config.name)(groups, **options)
    return result


def filtered(setup: Setup, board: Board, scores: Combined, advantage: Tensor) -> Tensor:
    """Advantages with 0 in the groups that the recipe's filter takes out of the update."""
    config = setup.advantage.filter
    if config is None:
        return advantage
    modulators = any(e.spec.role == "modulator" and e.config.weight > 0 for e in setup.suite.entries)
    all_right = (scores.right | ~board.mask).all(dim=1)
    parts = []
    for step in board.steps():
        first = [board.recorded[p] for p in board.places[step, 0].tolist()]
        dropped = dropped_groups(
            advantage[step],
            all_right[step],
            [draw(one.rollout.step, one.rollout.uid or one.group) for one in first],
            epsilon=config.epsilon,
            keep_all_correct=config.keep_all_correct if modulators else 1.0,
        )
        parts.append(advantage[step] * ~dropped.unsqueeze(1))
    return torch.cat(parts)


def scalar(value: float | Tensor) -> float | None:
    """A number for JSON; None for what is not finite."""
    found = float(value)
    return found if math.isfinite(found) else None
