"""Recorded replies put through one recipe; what another recipe or option needs is computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mindgpt_plugins.rewards.algebra import CombinedScores
from mindgpt_plugins.rewards.suite import RewardConfig
from mindgpt_plugins.workbench.explain.algebra import (
    combine_batch_scores,
    compute_batch_advantages,
    compute_batch_task_scores,
    filter_batch_advantages,
)
from mindgpt_plugins.workbench.explain.board import RolloutBatch
from mindgpt_plugins.workbench.explain.scoring import (
    Components,
    Source,
    read_recorded_components,
    score_group_rewards,
    score_sample_rewards,
)
from mindgpt_plugins.workbench.explain.setup import Setup


@dataclass(frozen=True)
class RewardReplay:
    """One recipe on recorded replies."""

    setup: Setup
    board: RolloutBatch
    components: Components
    """(replies,) of each reward."""
    scores: CombinedScores
    advantage: Tensor
    """(groups, n), before perception weight and group filter."""

    @cached_property
    def weighted(self) -> Tensor:
        """(groups, n): times the recorded perception weight, when the recipe has one; what a run records as A."""
        return self.advantage * self.board.alpha if self.setup.perception else self.advantage

    @cached_property
    def trained(self) -> Tensor:
        """(groups, n): what the update sees, 0 in groups that the filter drops."""
        return filter_batch_advantages(self.setup, self.board, self.scores, self.weighted)


def replay_recipe(setup: Setup, board: RolloutBatch, source: Source = "local") -> RewardReplay:
    """Score everything that is not taken from the record.

    Raises:
        RewardError: a reward failed, or a reply that no task reward scored.
    """
    return _finish(setup, board, read_recorded_components(board, setup.suite, source), {}, None)


def replay_other_recipe(
    base: RewardReplay, setup: Setup, board: RolloutBatch | None = None, source: Source = "local"
) -> RewardReplay:
    """Another recipe on the same replies; rewards that are asked the same are not run again.

    Args:
        base: what is known.
        setup: the other recipe.
        board: some of the groups; default: all.
        source: of rewards that ``base`` does not have.

    Raises:
        RewardError: as :func:`replay_recipe`.
    """
    board = base.board if board is None else board
    same = {
        name
        for name, config in setup.rewards.items()
        if name in base.setup.rewards and _asked(name, config) == _asked(name, base.setup.rewards[name])
    }
    entries = {e.spec.name: e for e in setup.suite.entries}
    known = {name: flat for name, flat in base.components.items() if name in same}
    missing = {
        n: v for n, v in read_recorded_components(board, setup.suite, source).items() if n not in base.setup.rewards
    }
    judged = {name: flat for name, flat in known.items() if entries[name].spec.scope == "group"}
    samples = {name: flat for name, flat in known.items() if name not in judged}
    return _finish(setup, board, samples | missing, judged, base)


def _finish(
    setup: Setup,
    board: RolloutBatch,
    samples: Mapping[str, Tensor],
    judged: Mapping[str, Tensor],
    base: RewardReplay | None,
) -> RewardReplay:
    """Score what is not there.

    Args:
        setup: the recipe.
        board: the groups.
        samples: components that hold as they are.
        judged: components of group rewards, which hold where the task scores are those of ``base``.
        base: what they come from.
    """
    components: Components = dict(samples)
    for entry in setup.suite.entries:
        if entry.spec.scope == "sample" and entry.spec.name not in components:
            components[entry.spec.name] = score_sample_rewards(board, entry)
    raw = compute_batch_task_scores(setup.suite, board, components)
    moved = board
    if base is not None and judged:
        before = torch.zeros(len(board.recorded), dtype=torch.float64)
        before[base.board.places[base.board.mask]] = base.scores.raw[base.board.mask]
        rows = (board.spread(before) != raw).any(dim=1).nonzero().flatten().tolist()
        moved, fresh = board.take(rows), raw[rows]
    for entry in setup.suite.entries:
        name = entry.spec.name
        if entry.spec.scope == "group" and name not in components:
            if name not in judged:
                components[name] = score_group_rewards(board, entry, raw)
            elif len(moved.places):
                components[name] = score_group_rewards(moved, entry, fresh, judged[name])
            else:
                components[name] = judged[name]
    components = {name: components[name] for name in setup.suite.names()}
    scores = combine_batch_scores(setup, board, components, raw)
    return RewardReplay(setup, board, components, scores, compute_batch_advantages(setup, board, scores))


def _asked(name: str, config: RewardConfig) -> tuple[object, ...]:
    """What decides a component's values, as opposed to its weight."""
    return (config.reward or name, config.options, config.when, config.on_error)
