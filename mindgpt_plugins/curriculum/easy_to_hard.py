"""``easy_to_hard``: competence-paced curriculum over difficulty.

In the spirit of competence-based curriculum learning (1903.09848): at progress t of an epoch only the easiest c(t) of
each source are open. Ours: drawing is without replacement, so that every example is still trained on once per epoch,
and sources advance side by side, so that a batch's mixture stays what the data or the recipe says.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, Literal

from mindgpt_plugins.curriculum.base import CurriculumError, Examples, Mixture, Sampler, interleave_groups

__all__ = ["EasyToHard", "Pacing", "compute_competence", "draw_paced_order", "interleave_groups"]

Pacing = Literal["linear", "root"]


def compute_competence(progress: float, start: float, pacing: Pacing) -> float:
    """Share of the easiest examples that is open at ``progress`` ∈ [0, 1]; ``start`` is the share open at 0.

    ``linear``: c0 + (1 − c0)·t. ``root``: sqrt(c0² + (1 − c0²)·t), which opens faster and dwells on the hard end
    (1903.09848). Both are ≥ t, so drawing one example per slot without replacement never runs dry.
    """
    if pacing == "linear":
        return start + (1.0 - start) * progress
    return math.sqrt(start * start + (1.0 - start * start) * progress)


def draw_paced_order(ranked: Sequence[int], start: float, pacing: Pacing, rng: random.Random) -> list[int]:
    """Draw every item of ``ranked`` (easiest first) once, each at random from those open at its slot."""
    n = len(ranked)
    opened = 0
    open_now: list[int] = []
    order: list[int] = []
    for slot in range(n):
        limit = max(slot + 1, min(n, math.ceil(n * compute_competence(slot / n, start, pacing))))
        open_now += ranked[opened:limit]
        opened = limit
        pick = rng.randrange(len(open_now))
        open_now[pick], open_now[-1] = open_now[-1], open_now[pick]
        order.append(open_now.pop())
    return order


class EasyToHard(Sampler):
    """Easy examples first, within each group, opening up as competence grows.

    Args:
        examples: with difficulties.
        seed: of every random choice.
        mixture: how many of each group an epoch holds; ``None``: every example exactly once.
        pacing: ``linear`` or ``root``.
        start: share of the easiest examples open at the beginning, in (0, 1]; 1 is a plain shuffle.
        paced_epochs: the first so many epochs run easy → hard, later ones are shuffled (competence has reached 1);
            ``None``: every epoch starts easy again.
    """

    needs_difficulty = True

    def __init__(
        self,
        examples: Examples,
        seed: int,
        mixture: Mixture | None = None,
        *,
        pacing: Pacing = "root",
        start: float = 0.1,
        paced_epochs: int | None = 1,
    ):
        if pacing not in ("linear", "root"):
            raise CurriculumError(f"easy_to_hard: pacing {pacing!r} is neither 'linear' nor 'root'")
        if not 0.0 < start <= 1.0:
            raise CurriculumError(f"easy_to_hard: start must be in (0, 1], got {start}")
        if paced_epochs is not None and paced_epochs < 1:
            raise CurriculumError(f"easy_to_hard: paced_epochs must be at least 1 or null, got {paced_epochs}")
        super().__init__(examples, seed, mixture)
        self.pacing, self.start, self.paced_epochs = pacing, start, paced_epochs

    def arrange(self, selected: list[list[int]], epoch: int) -> list[int]:
        """Order each group by :meth:`lesson` and interleave the groups."""
        return interleave_groups([self.lesson(group, k, epoch) for k, group in enumerate(selected)])

    def lesson(self, items: Sequence[int], group: int, epoch: int) -> list[int]:
        """Rank a group by difficulty (ties at random) and draw by competence."""
        difficulty = self.examples.difficulty
        assert difficulty is not None  # checked in __init__
        rng = self.random("paced", group, epoch)
        ranked = list(items)
        rng.shuffle(ranked)
        if self.paced_epochs is not None and epoch >= self.paced_epochs:
            return ranked
        ranked.sort(key=lambda position: difficulty[position])
        return draw_paced_order(ranked, self.start, self.pacing, rng)

    def options(self) -> dict[str, Any]:
        """The settings that change the order."""
        return {"pacing": self.pacing, "start": self.start, "paced_epochs": self.paced_epochs}
