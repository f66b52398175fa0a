"""``shuffled``: a uniformly random order, another one each epoch."""

from __future__ import annotations

from mindgpt_plugins.curriculum.base import Sampler


class Shuffled(Sampler):
    """Every example once per epoch (or as a mixture says), in random order."""

    def arrange(self, selected: list[list[int]], epoch: int) -> list[int]:
        """Shuffle the epoch's examples of all groups together."""
        order = [position for group in selected for position in group]
        self.random("order", epoch).shuffle(order)
        return order
