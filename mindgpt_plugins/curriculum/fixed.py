"""``fixed``: the same share of each group in every epoch, whatever the groups' sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mindgpt_plugins.curriculum.base import CurriculumError, Mixture
from mindgpt_plugins.registry import nearest


class Fixed(Mixture):
    """Constant shares. A small group is repeated, a large one spread over several epochs, each evenly.

    Args:
        names: group names.
        sizes: number of examples of each group.
        weights: group name → weight ≥ 0, proportional to the share of samples; groups not named get 0.

    Raises:
        CurriculumError: unknown group, negative or non-finite weight, all weights zero, or a weight on an empty group.
    """

    def __init__(self, names: Sequence[str], sizes: Sequence[int], *, weights: Mapping[str, float]):
        super().__init__(names, sizes)
        check_weights("mixture", weights, names)
        for name, size in zip(names, sizes, strict=True):
            if weights.get(name, 0.0) > 0 and size == 0:
                raise CurriculumError(f"mixture: {name!r} has weight {weights[name]} but no examples")
        total = sum(weights.values())
        self._shares = [weights.get(name, 0.0) / total for name in names]

    def shares(self, epoch: int) -> list[float]:
        """The declared shares, in every epoch."""
        return list(self._shares)

    def state_dict(self) -> dict[str, Any]:
        """Groups, sizes and shares; there is nothing else."""
        return {**super().state_dict(), "shares": self._shares}


def check_weights(what: str, weights: Mapping[str, float], names: Sequence[str]) -> None:
    """Refuse weights that cannot be meant.

    Raises:
        CurriculumError: unknown name (with the nearest known one), negative or non-finite weight, or all zero.
    """
    for name, weight in weights.items():
        if name not in names:
            raise CurriculumError(
                f"{what}: no examples come from {name!r}{nearest(name, names)} Known: {', '.join(names)}"
            )
        if not math.isfinite(weight) or weight < 0:
            raise CurriculumError(f"{what}: the weight of {name!r} must be a number >= 0, got {weight}")
    if not any(weights.values()):
        raise CurriculumError(f"{what}: all weights are zero; at least one must be positive")
