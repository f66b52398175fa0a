"""Puts a curriculum sampler of ours behind verl's stateful data loader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch.utils.data import Sampler

from mindgpt_plugins.curriculum.base import Examples
from mindgpt_plugins.registry import get


class CurriculumSampler(Sampler[int]):
    """Yields dataset rows in curriculum order, one epoch per iteration.

    When the run draws fewer prompts than the dataset holds, a seeded random subset of that size is used, so that "easy
    to hard" spans the run and not a part of it. State: epoch and position; orders follow from the seed.

    Args:
        difficulty: of each row, larger is harder.
        source: of each row.
        name: a registered sampler.
        options: its keyword-only options.
        seed: of every random choice.
        draws: prompts the whole run asks for.
    """

    def __init__(
        self,
        difficulty: Sequence[float],
        source: Sequence[str],
        *,
        name: str,
        options: Mapping[str, Any],
        seed: int,
        draws: int,
    ):
        if len(difficulty) != len(source):
            raise ValueError(f"{len(difficulty)} difficulties for {len(source)} rows")
        self.rows = _subset(len(difficulty), draws, seed)
        names = tuple(sorted(set(source)))
        examples = Examples(
            group=[names.index(source[row]) for row in self.rows],
            names=names,
            difficulty=[float(difficulty[row]) for row in self.rows],
        )
        kind = get("sampler", name)
        for attribute, what in (("needs_losses", "training losses"), ("needs_clock", "token lengths")):
            if getattr(kind, attribute, False):
                raise ValueError(f"curriculum {name!r} needs {what}, which are not known in RL; use easy_to_hard")
        self.inner = kind(examples, seed, **options)
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        return _Walk(self)


class _Walk(Iterator[int]):
    """One epoch; knows its place, as torchdata's stateful loader asks for it."""

    def __init__(self, sampler: CurriculumSampler):
        self.sampler = sampler
        self._start(sampler.epoch, 0)

    def _start(self, epoch: int, position: int) -> None:
        self.epoch, self.position = epoch, position
        self.sampler.epoch = epoch
        self.sampler.inner.set_epoch(epoch)
        self.order = [self.sampler.rows[i] for i in self.sampler.inner]

    def __next__(self) -> int:
        if self.position >= len(self.order):
            self.sampler.epoch = self.epoch + 1
            raise StopIteration
        self.position += 1
        row: int = self.order[self.position - 1]
        return row

    def state_dict(self) -> dict[str, Any]:
        """Where this walk is, and what its order follows from."""
        return {"epoch": self.epoch, "position": self.position, "inner": self.sampler.inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another walk was; refuses other data, seed or options."""
        self.sampler.inner.load_state_dict(state["inner"])
        self._start(int(state["epoch"]), int(state["position"]))


def _subset(size: int, draws: int, seed: int) -> list[int]:
    import random

    if draws >= size:
        return list(range(size))
    return sorted(random.Random(f"{seed}/subset").sample(range(size), draws))
