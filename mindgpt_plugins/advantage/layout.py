"""From a flat list of replies to ``(groups, n)`` tensors and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key")


@dataclass(frozen=True)
class GroupLayout(Generic[Key]):
    """Which place of the list belongs to which group; groups in order of their first reply."""

    members: dict[Key, list[int]]
    """Group → places of its replies, in order."""

    @classmethod
    def of(cls, groups: Sequence[Key]) -> GroupLayout[Key]:
        """The layout of replies of which only the groups are known."""
        members: dict[Key, list[int]] = {}
        for place, group in enumerate(groups):
            members.setdefault(group, []).append(place)
        return cls(members)

    @property
    def mask(self) -> Tensor:
        """(groups, n) bool, n the size of the largest group."""
        sizes = torch.tensor([len(own) for own in self.members.values()])
        return torch.arange(int(sizes.max())) < sizes.unsqueeze(1)

    def spread(self, flat: Sequence[float]) -> Tensor:
        """(groups, n) float64 of one number per reply; 0 where a group has fewer."""
        mask = self.mask
        order = torch.tensor([place for own in self.members.values() for place in own])
        return torch.zeros(mask.shape, dtype=torch.float64).masked_scatter(
            mask, torch.tensor(flat, dtype=torch.float64)[order]
        )

    def flat(self, values: Tensor) -> list[float]:
        """One number per reply of (groups, n) or, the same for all replies of a group, (groups,)."""
        result = [0.0] * sum(map(len, self.members.values()))
        for own, row in zip(self.members.values(), values.tolist(), strict=True):
            for i, place in enumerate(own):
                result[place] = row[i] if values.ndim == 2 else row
        return result
