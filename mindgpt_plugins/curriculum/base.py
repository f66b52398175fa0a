"""What every curriculum sampler shares: which examples an epoch holds, and a state that survives a kill.

An order is a pure function of (seed, epoch, mixture state) over *global* positions: every rank computes the same list
and the host's batch sampler deals it out, so gradient accumulation, workers and ranks do not change what a step sees.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from mindgpt_plugins.curriculum.examples import Clock, CurriculumError, Examples, require_same_settings
from mindgpt_plugins.curriculum.mixture import Mixture, MixtureChange, Moving
from mindgpt_plugins.curriculum.weave import Weave, interleave_groups

__all__ = ["Clock", "CurriculumError", "Examples", "Mixture", "Sampler", "require_same_settings", "interleave_groups"]


class Sampler(ABC):
    """An iterable over example positions for one epoch. Subclasses take options as keyword-only arguments.

    Args:
        examples: the training set.
        seed: of every random choice.
        mixture: how many of each group an epoch holds; ``None``: every example exactly once.
    """

    needs_difficulty: ClassVar[bool] = False
    needs_length: ClassVar[bool] = False
    needs_clock: ClassVar[bool] = False
    """Must :meth:`attach` be called? A moving mixture needs it too."""
    needs_losses: ClassVar[bool] = False
    """Must :meth:`record` be called?"""
    measures: Literal["sample", "source"] | None = None
    """Whose losses it wants to hear of through :meth:`record`."""
    window: int | None = None
    """Steps whose samples :meth:`regroup` puts in order together; ``None``: it is not used."""

    def __init__(self, examples: Examples, seed: int, mixture: Mixture | None = None):
        if not len(examples):
            raise CurriculumError("there are no training examples")
        for needed, column in ((self.needs_difficulty, "difficulty"), (self.needs_length, "length")):
            if needed and getattr(examples, column) is None:
                raise CurriculumError(f"{type(self).__name__} needs a {column} for each example")
        self.examples, self.seed, self.mixture = examples, seed, mixture
        self.epoch = 0
        self.clock: Clock | None = None
        self._pools = examples.pools()
        self._fetched = 0

    @abstractmethod
    def arrange(self, selected: list[list[int]], epoch: int) -> list[int]:
        """Put an epoch's examples (positions by group) in order."""

    def lesson(self, items: Sequence[int], group: int, epoch: int) -> list[int]:
        """Put the examples of one group in order, for a mixture that decides step by step how many come next."""
        return self.arrange([list(items) if k == group else [] for k in range(len(self._pools))], epoch)

    def regroup(self, samples: list[int], epoch: int, index: int) -> list[int]:
        """Put the samples of one window of steps in their final order."""
        return samples

    def attach(self, clock: Clock) -> None:
        """Learn how samples become steps; called once before training.

        Raises:
            CurriculumError: the run does not fit what the sampler or its mixture does.
        """
        if clock.epoch_samples != len(self):
            raise CurriculumError(f"the clock counts {clock.epoch_samples} samples per epoch, the sampler {len(self)}")
        self.clock = clock
        if isinstance(self.mixture, Moving):
            self.mixture.attach(clock, self.window or 1)

    def order(self, epoch: int) -> list[int]:
        """Positions of the epoch's examples in the order they are trained on."""
        return [position for chunk in self._chunks(epoch) for position in chunk]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that ``__iter__`` walks; every epoch has its own order."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return self._walk(self.epoch)

    def __len__(self) -> int:
        return len(self.examples)

    def measured(self, done: int, values: Mapping[str, float]) -> MixtureChange | None:
        """Tell the mixture what was measured after ``done`` steps; the change of shares, if any.

        Raises:
            CurriculumError: the change would act on samples that were fetched already, so that the order would not be
                the declared one.
        """
        change = self.mixture.measured(done, values) if isinstance(self.mixture, Moving) else None
        if change is not None and change.from_step < self._fetched:
            raise CurriculumError(
                f"mixture: a change measured after step {done} acts from step {change.from_step + 1}, but the data "
                f"loader has already fetched up to step {self._fetched}; raise the mixture's delay"
            )
        return change

    def record(self, ids: Sequence[int], losses: Sequence[float]) -> None:
        """Hear of training losses of examples (or groups), in the same order on every rank.

        Raises:
            CurriculumError: the sampler did not ask for losses (``measures``).
        """
        raise CurriculumError(f"{type(self).__name__} has no use for losses")

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; orders follow from it, so positions inside an epoch need no saving."""
        return {
            "sampler": type(self).__name__,
            "options": self.options(),
            "seed": self.seed,
            "epoch": self.epoch,
            "examples": self.examples.digest(),
            "mixture": self.mixture.state_dict() if self.mixture else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore.

        Raises:
            CurriculumError: the checkpoint was written with another dataset, seed or setting.
        """
        mine = self.state_dict()
        fixed = ("sampler", "options", "seed", "examples")
        require_same_settings("curriculum", {k: mine[k] for k in fixed}, {k: state.get(k) for k in fixed})
        if (self.mixture is None) != (state.get("mixture") is None):
            raise CurriculumError("the checkpoint was written with and this run without a mixture, or the reverse")
        if self.mixture is not None:
            self.mixture.load_state_dict(state["mixture"])
        self.epoch = int(state["epoch"])

    def options(self) -> dict[str, Any]:
        """The settings that change the order, as JSON data."""
        return {}

    def random(self, *place: object) -> random.Random:
        """A generator that depends on the seed and ``place`` only (``str`` seeds are stable across processes)."""
        return random.Random("/".join(map(str, (self.seed, *place))))

    def _walk(self, epoch: int) -> Iterator[int]:
        """As :meth:`order`, but no further ahead than it is asked for; remembers how far that is."""
        self._fetched = 0
        for index, chunk in enumerate(self._chunks(epoch)):
            if self.clock is not None:
                within = min((index + 1) * (self.window or 1), self.clock.steps_per_epoch)  # the last may be shorter
                self._fetched = epoch * self.clock.steps_per_epoch + within
            yield from chunk

    def _chunks(self, epoch: int) -> Iterator[list[int]]:
        """The epoch's samples, window by window (a moving mixture: at least step by step)."""
        if isinstance(self.mixture, Moving):
            steps = Weave(self, self.mixture).steps(epoch)
            if self.window is None:
                yield from steps
                return
            held: list[list[int]] = []
            index = 0
            for step in steps:
                held.append(step)
                if len(held) == self.window:
                    yield self.regroup([position for one in held for position in one], epoch, index)
                    held, index = [], index + 1
            if held:
                yield self.regroup([position for one in held for position in one], epoch, index)
            return
        order = self.arrange(self._select(epoch), epoch)
        if self.window is None:
            yield order
            return
        size = self.window * self.required_clock().samples_per_step
        for index, start in enumerate(range(0, len(order), size)):
            yield self.regroup(order[start : start + size], epoch, index)

    def required_clock(self) -> Clock:
        """The run's clock.

        Raises:
            CurriculumError: :meth:`attach` was not called.
        """
        if self.clock is None:
            raise CurriculumError(f"{type(self).__name__} needs to know the samples per step; nobody told it")
        return self.clock

    def _select(self, epoch: int) -> list[list[int]]:
        if self.mixture is None:
            return [list(pool) for pool in self._pools]
        counts = self.mixture.counts(epoch, len(self))
        before = [sum(c) for c in zip(*(self.mixture.counts(e, len(self)) for e in range(epoch)), strict=True)]
        return [self.draw(k, start, counts[k]) for k, start in enumerate(before or [0] * len(counts))]

    def draw(self, group: int, start: int, count: int) -> list[int]:
        """The next ``count`` examples of a group's endless stream of reshuffled passes: use differs by at most one."""
        pool, drawn = self._pools[group], []
        cycle = -1
        for position in range(start, start + count):
            if position // len(pool) != cycle:
                cycle = position // len(pool)
                shuffled = list(pool)
                self.random("pass", group, cycle).shuffle(shuffled)
            drawn.append(shuffled[position % len(pool)])
        return drawn
