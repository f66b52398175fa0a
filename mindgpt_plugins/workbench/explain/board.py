"""Recorded replies as ``(groups, n)`` tensors, steps one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from mindgpt_plugins.advantage.layout import GroupLayout
from mindgpt_plugins.rewards.recorded import Recorded
from mindgpt_plugins.rewards.sdk import Rollout


@dataclass(frozen=True)
class RolloutBatch:
    """Some or all groups of the recorded replies."""

    recorded: Sequence[Recorded]
    """Every reply, in order of steps; ``places`` points into it."""
    places: Tensor
    """(groups, n) of ints; 0 where masked."""
    mask: Tensor
    """(groups, n) bool."""
    progress: Tensor
    """(groups,) float64: share of the run."""

    @classmethod
    def of(cls, recorded: Sequence[Recorded]) -> RolloutBatch:
        """All replies, sorted by their step."""
        ordered = sorted(recorded, key=lambda one: one.rollout.progress)
        layout = GroupLayout.of([one.group for one in ordered])
        mask = layout.mask
        flat = torch.tensor([place for own in layout.members.values() for place in own])
        places = torch.zeros(mask.shape, dtype=torch.long).masked_scatter(mask, flat)
        first = [ordered[own[0]].rollout.progress for own in layout.members.values()]
        return cls(ordered, places, mask, torch.tensor(first, dtype=torch.float64))

    def take(self, groups: Sequence[int]) -> RolloutBatch:
        """Only these groups."""
        rows = torch.tensor(groups, dtype=torch.long)
        return replace(self, places=self.places[rows], mask=self.mask[rows], progress=self.progress[rows])

    def at(self, progress: float) -> RolloutBatch:
        """The same replies as if all were made at one share of the run."""
        return replace(self, progress=torch.full_like(self.progress, progress))

    def steps(self) -> list[slice]:
        """Groups of each step: the batches that an advantage sees."""
        _, sizes = torch.unique_consecutive(self.progress, return_counts=True)
        ends = sizes.cumsum(0).tolist()
        return [slice(end - size, end) for end, size in zip(ends, sizes.tolist(), strict=True)]

    def spread(self, flat: Tensor) -> Tensor:
        """(groups, n) of a number per recorded reply; 0 where masked."""
        return flat[self.places].masked_fill(~self.mask, 0.0)

    def members(self, group: int) -> list[int]:
        """Places of a group's replies."""
        found: list[int] = self.places[group][self.mask[group]].tolist()
        return found

    def rollouts(self, group: int) -> list[Rollout]:
        """A group's replies."""
        return [self.recorded[place].rollout for place in self.members(group)]

    @cached_property
    def tokens(self) -> Tensor:
        """(groups, n) float64: length of each reply; 0 where masked."""
        return self.spread(torch.tensor([float(one.rollout.length) for one in self.recorded], dtype=torch.float64))

    @cached_property
    def alpha(self) -> Tensor:
        """(groups, n) float64: recorded perception weight of each reply, 1 where none is recorded; 0 where masked."""
        weights = [1.0 if one.alpha is None else one.alpha for one in self.recorded]
        return self.spread(torch.tensor(weights, dtype=torch.float64))

    @cached_property
    def adversarial(self) -> Tensor:
        """(groups,) bool: prompts that must not be explored."""
        first = self.places[:, 0].tolist()
        return torch.tensor([self.recorded[place].rollout.type == "adversarial" for place in first])

    @property
    def replies(self) -> int:
        """How many."""
        return int(self.mask.sum())

    @property
    def sizes(self) -> Tensor:
        """(groups,) replies of each group."""
        return self.mask.sum(dim=1)


def sample_rollout_steps(board: RolloutBatch, replies: int) -> RolloutBatch:
    """Whole steps, evenly spread, with at least so many replies; of a single step, groups instead."""
    if board.replies <= replies:
        return board
    steps = board.steps()
    if len(steps) == 1:
        return board.take(_even(len(board.places), -(-len(board.places) * replies // board.replies)))
    wanted = _even(len(steps), max(1, -(-len(steps) * replies // board.replies)))
    return board.take([group for i in wanted for group in range(steps[i].start, steps[i].stop)])


def _even(n: int, wanted: int) -> list[int]:
    return sorted({round(i * (n - 1) / max(1, wanted - 1)) for i in range(wanted)})
