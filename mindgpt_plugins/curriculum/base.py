"""What every curriculum sampler shares: which examples an epoch holds, and a state that survives a kill.

An order is a pure function of (seed, epoch, mixture state) over *global* positions: every rank computes the same list
and the host's batch sampler deals it out, so gradient accumulation, workers and ranks do not change what a step sees.
"""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class CurriculumError(ValueError):
    """A sampler or mixture cannot do what was asked; the message says what to change."""


@dataclass(frozen=True)
class Examples:
    """The training set as a sampler sees it.

    Attributes:
        group: for each example the index of its group (source or dataset) in ``names``.
        names: group names.
        difficulty: for each example a number, larger is harder; ``None`` when no sampler needs it.
    """

    group: Sequence[int]
    names: tuple[str, ...]
    difficulty: Sequence[float] | None = None

    def __len__(self) -> int:
        return len(self.group)

    def pools(self) -> list[list[int]]:
        """Positions of the examples of each group."""
        pools: list[list[int]] = [[] for _ in self.names]
        for position, group in enumerate(self.group):
            pools[group].append(position)
        return pools

    def digest(self) -> str:
        """Changes when the examples, their groups or their difficulties do."""
        sha = hashlib.sha256(repr(self.names).encode())
        sha.update(array("q", self.group).tobytes())
        sha.update(array("d", self.difficulty or ()).tobytes())
        return sha.hexdigest()[:16]


class Mixture(ABC):
    """Says how many examples of each group an epoch holds. Subclasses take options as keyword-only arguments."""

    def __init__(self, names: Sequence[str], sizes: Sequence[int]):
        self.names, self.sizes = tuple(names), tuple(sizes)

    @abstractmethod
    def shares(self, epoch: int) -> list[float]:
        """Share of each group in the epoch's samples; sums to 1."""

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
        require_same("mixture", self.state_dict(), state)


class Sampler(ABC):
    """An iterable over example positions for one epoch. Subclasses take options as keyword-only arguments.

    Args:
        examples: the training set.
        seed: of every random choice.
        mixture: how many of each group an epoch holds; ``None``: every example exactly once.
    """

    needs_difficulty: ClassVar[bool] = False

    def __init__(self, examples: Examples, seed: int, mixture: Mixture | None = None):
        if self.needs_difficulty and examples.difficulty is None:
            raise CurriculumError(f"{type(self).__name__} needs a difficulty for each example")
        self.examples, self.seed, self.mixture = examples, seed, mixture
        self.epoch = 0
        self._pools = examples.pools()

    @abstractmethod
    def arrange(self, selected: list[list[int]], epoch: int) -> list[int]:
        """Put an epoch's examples (positions by group) in order."""

    def order(self, epoch: int) -> list[int]:
        """Positions of the epoch's examples in the order they are trained on."""
        return self.arrange(self._select(epoch), epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that ``__iter__`` walks; every epoch has its own order."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(self.epoch))

    def __len__(self) -> int:
        return len(self.examples)

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
        require_same("curriculum", {k: mine[k] for k in fixed}, {k: state.get(k) for k in fixed})
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

    def _select(self, epoch: int) -> list[list[int]]:
        if self.mixture is None:
            return [list(pool) for pool in self._pools]
        counts = self.mixture.counts(epoch, len(self))
        before = [sum(c) for c in zip(*(self.mixture.counts(e, len(self)) for e in range(epoch)), strict=True)]
        return [self._draw(k, start, counts[k]) for k, start in enumerate(before or [0] * len(counts))]

    def _draw(self, group: int, start: int, count: int) -> list[int]:
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


def require_same(what: str, mine: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose settings differ from this run's, naming what differs.

    Raises:
        CurriculumError: at least one value differs.
    """
    different = [
        f"{key}: {saved.get(key)!r} then, {value!r} now" for key, value in mine.items() if saved.get(key) != value
    ]
    if different:
        raise CurriculumError(
            f"the checkpoint's {what} differs ({'; '.join(different)}); use the same data and settings, or a new "
            "output_dir to start afresh"
        )
