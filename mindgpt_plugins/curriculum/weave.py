"""Weaves the groups of a moving mixture into one order, step by step.

Each group walks its own endless sequence of lessons; the mixture only decides how many samples of each the next step
takes. Lesson e of a group holds as many examples as the mixture plans for epoch e beforehand, drawn evenly from its
pool and put in order by the sampler. So what has been yielded never depends on shares that come later.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Protocol

from mindgpt_plugins.curriculum.mixture import Moving, Rounding


class Lessons(Protocol):
    """What a sampler gives its mixture: a group's examples, drawn and put in order."""

    def draw(self, group: int, start: int, count: int) -> list[int]:
        """The next ``count`` examples of a group, from the ``start``-th on."""
        ...

    def lesson(self, items: Sequence[int], group: int, epoch: int) -> list[int]:
        """The examples in the order in which they are to be learnt."""
        ...


def interleave_groups(groups: Sequence[Sequence[int]]) -> list[int]:
    """Interleave groups in proportion to their sizes, keeping each group's own order."""
    lanes = (_lane(k, group) for k, group in enumerate(groups))
    return [item for _, _, item in heapq.merge(*lanes)]


def _lane(k: int, group: Sequence[int]) -> Iterator[tuple[float, int, int]]:
    size = len(group)
    return (((place + 0.5) / size, k, item) for place, item in enumerate(group))


class Weave:
    """Orders of a sampler with a moving mixture.

    Args:
        sampler: gives each group's lessons.
        mixture: gives each step's shares.
    """

    def __init__(self, sampler: Lessons, mixture: Moving):
        self.sampler, self.mixture, self.clock = sampler, mixture, mixture.clock

    def steps(self, epoch: int) -> Iterator[list[int]]:
        """The samples of each step of an epoch; a step's shares are looked up when it is asked for."""
        per_epoch = self.clock.steps_per_epoch
        rounding = Rounding(len(self.mixture.names))
        taken = [0] * len(self.mixture.names)
        for step in range(epoch * per_epoch):
            counts = rounding.counts(self.mixture.shares_at(step), self.clock.size(step))
            taken = [a + b for a, b in zip(taken, counts, strict=True)]
        lessons = [_Lessons(self, k, taken[k]) for k in range(len(taken))]
        for step in range(epoch * per_epoch, (epoch + 1) * per_epoch):
            counts = rounding.counts(self.mixture.shares_at(step), self.clock.size(step))
            yield interleave_groups([lesson.take(count) for lesson, count in zip(lessons, counts, strict=True)])

    def planned(self) -> Iterator[list[int]]:
        """Samples of each group in each epoch, without end, as planned before the run."""
        rounding = Rounding(len(self.mixture.names))
        epoch = 0
        while True:
            totals = [0] * len(self.mixture.names)
            for step in range(epoch * self.clock.steps_per_epoch, (epoch + 1) * self.clock.steps_per_epoch):
                counts = rounding.counts(self.mixture.planned_at(step), self.clock.size(step))
                totals = [a + b for a, b in zip(totals, counts, strict=True)]
            yield totals
            epoch += 1


class _Lessons:
    """One group's endless sequence of lessons, from a position on."""

    def __init__(self, weave: Weave, group: int, position: int):
        self.weave, self.group = weave, group
        self._sizes = (counts[group] for counts in weave.planned())
        self._number, self._start = -1, 0
        self._left: list[int] = []
        self._to_skip = position

    def take(self, count: int) -> list[int]:
        """The next ``count`` examples."""
        taken: list[int] = []
        while len(taken) < count:
            if not self._left:
                self._open_next()
                continue
            part = self._left[-(count - len(taken)) :]
            del self._left[-len(part) :]
            taken += reversed(part)
        return taken

    def _open_next(self) -> None:
        size = next(self._sizes)
        self._number += 1
        start, self._start = self._start, self._start + size
        if self._to_skip >= size:
            self._to_skip -= size
            return
        sampler = self.weave.sampler
        lesson = sampler.lesson(sampler.draw(self.group, start, size), self.group, self._number)
        self._left = lesson[self._to_skip :][::-1]
        self._to_skip = 0
