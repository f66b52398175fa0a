"""What mixtures share: how much of each group, by epoch or from step to step, in whole samples."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.curriculum.examples import Clock, CurriculumError, require_same_settings


class Mixture(ABC):
    """Says how many examples of each group an epoch holds. Subclasses take options as keyword-only arguments."""

    moves: ClassVar[bool] = False
    """Do the shares change from step to step? Then it is a :class:`Moving` mixture."""
    only_named: ClassVar[bool] = False
    """Does a group that the option ``weights`` does not name get nothing? Then a recipe must name every one."""
    signal: str | None = None
    """What must be measured for it while training: ``train_loss``, ``eval_loss``, ``eval_accuracy`` or nothing."""

    def __init__(self, names: Sequence[str], sizes: Sequence[int]):
        self.names, self.sizes = tuple(names), tuple(sizes)

    @abstractmethod
    def shares(self, epoch: int) -> list[float]:
        """Share of each group in the epoch's samples; sums to 1."""

    def declared(self) -> list[float]:
        """Shares of the run as a whole, which loss weights are scaled to."""
        return self.shares(0)

    def counts(self, epoch: int, total: int) -> list[int]:
        """Whole numbers with sum ``total``, nearest to ``shares`` (largest remainder, ties to the earlier group)."""
        exact = [share * total for share in self.shares(epoch)]
        counts = [int(x) for x in exact]
        by_remainder = sorted(range(len(exact)), key=lambda k: (counts[k] - exact[k], k))
        for k in by_remainder[: total - sum(counts)]:
            counts[k] += 1
        return counts

    def state_dict(self) -> dict[str, Any]:
        """What must be saved so that a resumed run goes on exactly."""
        return {"names": list(self.names), "sizes": list(self.sizes)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore.

        Raises:
            CurriculumError: the checkpoint was written with other groups or settings.
        """
        require_same_settings("mixture", self.state_dict(), state)


@dataclass(frozen=True)
class MixtureChange:
    """New shares of a dynamic mixture.

    Attributes:
        measured: steps done when it was decided.
        from_step: first step (counted from 0) that follows the new shares.
        shares: by group, sum 1.
    """

    measured: int
    from_step: int
    shares: tuple[float, ...]


class Moving(Mixture):
    """A mixture whose shares change from step to step; it needs to know the run's clock."""

    moves = True

    def __init__(self, names: Sequence[str], sizes: Sequence[int]):
        super().__init__(names, sizes)
        self._clock: Clock | None = None
        self.window = 1

    @property
    def clock(self) -> Clock:
        """The run's clock.

        Raises:
            CurriculumError: it was not given.
        """
        if self._clock is None:
            raise CurriculumError(
                f"mixture {type(self).__name__} changes from step to step and so needs the number of steps of the run; "
                "use `fixed` where that is not known"
            )
        return self._clock

    def attach(self, clock: Clock, window: int) -> None:
        """Learn the run's clock, and of how many steps the sampler plans a window at a time."""
        self._clock, self.window = clock, window

    @abstractmethod
    def shares_at(self, step: int) -> list[float]:
        """Share of each group in a step (counted from 0); sums to 1."""

    def planned_at(self, step: int) -> list[float]:
        """Shares as far as they are known before the run."""
        return self.shares_at(step)

    def shares(self, epoch: int) -> list[float]:
        """Mean share of each group over an epoch's steps, as planned before the run."""
        steps = self.clock.steps_per_epoch
        return self._mean(range(epoch * steps, (epoch + 1) * steps))

    def declared(self) -> list[float]:
        """Mean share of each group over the run, as planned before it."""
        return self._mean(range(self.clock.total_steps))

    def measured(self, done: int, values: Mapping[str, float]) -> MixtureChange | None:
        """Hear of a measurement after ``done`` steps; the change it leads to, if any."""
        return None

    def _mean(self, steps: range) -> list[float]:
        sums = [0.0] * len(self.names)
        for step in steps:
            sums = [a + b for a, b in zip(sums, self.planned_at(step), strict=True)]
        return [value / max(1, len(steps)) for value in sums]


class Rounding:
    """Turns shares into whole samples step by step, carrying what is owed.

    Each step gives a group the floor or the ceiling of share · size, so it is within 1 sample of its share in every
    step; the rounding up goes to the groups that are owed most, so errors do not add up over steps.
    """

    def __init__(self, groups: int):
        self.owed = [0.0] * groups
        """Share · size summed over the steps so far, minus what was given."""

    def counts(self, shares: Sequence[float], size: int) -> list[int]:
        """Samples of each group in the next step; sums to ``size``."""
        exact = [share * size for share in shares]
        counts = [math.floor(x + 1e-9) for x in exact]
        self.owed = [owed + x - n for owed, x, n in zip(self.owed, exact, counts, strict=True)]
        open_to = [k for k, x in enumerate(exact) if x - counts[k] > 1e-9]
        for k in sorted(open_to, key=lambda k: (-self.owed[k], k))[: size - sum(counts)]:
            counts[k] += 1
            self.owed[k] -= 1.0
        return counts


def check_weights(
    what: str, weights: Mapping[str, float], names: Sequence[str], sizes: Sequence[int] | None = None
) -> None:
    """Refuse weights that cannot be meant.

    Args:
        what: named in the message.
        weights: group name → weight.
        names: known groups.
        sizes: number of examples of each group, to refuse a weight on an empty one.

    Raises:
        CurriculumError: unknown name (with the nearest known one), negative or non-finite weight, all zero, or a
            positive weight on a group without examples.
    """
    for name, weight in weights.items():
        if name not in names:
            raise CurriculumError(
                f"{what}: no examples come from {name!r}{hint_nearest(name, names)} Known: {', '.join(names)}"
            )
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            raise CurriculumError(f"{what}: the weight of {name!r} must be a number, got {weight!r}")
        if not math.isfinite(weight) or weight < 0:
            raise CurriculumError(f"{what}: the weight of {name!r} must be a number >= 0, got {weight}")
    if not any(weights.values()):
        raise CurriculumError(f"{what}: all weights are zero; at least one must be positive")
    for name, size in zip(names, sizes or [1] * len(names), strict=True):
        if weights.get(name, 0.0) > 0 and size == 0:
            raise CurriculumError(f"{what}: {name!r} has weight {weights[name]} but no examples")


def require_every_weight(build: Any, options: Mapping[str, Any], names: Sequence[str], sizes: Sequence[int]) -> None:
    """Refuse a recipe's mixture that would leave rows out without having been told to.

    Args:
        build: what is registered under the mixture's name.
        options: its options.
        names: groups of the data.
        sizes: number of examples of each.

    Raises:
        CurriculumError: a group has examples and no weight, e.g. for a misspelling in a few rows.
    """
    weights = options.get("weights")
    if not getattr(build, "only_named", False) or not isinstance(weights, Mapping):
        return
    for name, size in zip(names, sizes, strict=True):
        if size and name not in weights:
            raise CurriculumError(
                f"mixture: {size} of {sum(sizes)} rows come from {name!r}, which no weight names, so they would never "
                f"be trained on{hint_nearest(name, weights) or '.'} Give {name!r} a weight; 0 leaves it out on purpose"
            )
