"""``fixed``: the same share of each group in every epoch, whatever the groups' sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mindgpt_plugins.curriculum.mixture import Mixture, check_weights

__all__ = ["Fixed", "check_weights"]


class Fixed(Mixture):
    """Constant shares. A small group is repeated, a large one spread over several epochs, each evenly.

    Args:
        names: group names.
        sizes: number of examples of each group.
        weights: group name → weight ≥ 0, proportional to the share of samples; groups not named get 0.

    Raises:
        CurriculumError: unknown group, negative or non-finite weight, all weights zero, or a weight on an empty group.
    """

    only_named = True

    def __init__(self, names: Sequence[str], sizes: Sequence[int], *, weights: Mapping[str, float]):
        super().__init__(names, sizes)
        check_weights("mixture", weights, names, sizes)
        total = sum(weights.values())
        self._shares = [weights.get(name, 0.0) / total for name in names]

    def shares(self, epoch: int) -> list[float]:
        """The declared shares, in every epoch."""
        return list(self._shares)

    def state_dict(self) -> dict[str, Any]:
        """Groups, sizes and shares; there is nothing else."""
        return {**super().state_dict(), "shares": self._shares}
