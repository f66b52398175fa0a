"""The training set as samplers and mixtures see it, and the clock that turns samples into optimizer steps."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class CurriculumError(ValueError):
    """A sampler or mixture cannot do what was asked; the message says what to change."""


@dataclass(frozen=True)
class Examples:
    """The training set as a sampler sees it.

    Attributes:
        group: for each example the index of its group (source or dataset) in ``names``.
        names: group names.
        difficulty: for each example a number, larger is harder; ``None`` when no sampler needs it.
        length: for each example its length in tokens; ``None`` when no sampler needs it.
    """

    group: Sequence[int]
    names: tuple[str, ...]
    difficulty: Sequence[float] | None = None
    length: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.group)

    def pools(self) -> list[list[int]]:
        """Positions of the examples of each group."""
        pools: list[list[int]] = [[] for _ in self.names]
        for position, group in enumerate(self.group):
            pools[group].append(position)
        return pools

    def digest(self) -> str:
        """Changes when the examples, their groups, difficulties or lengths do."""
        sha = hashlib.sha256(repr(self.names).encode())
        sha.update(array("q", self.group).tobytes())
        sha.update(array("d", self.difficulty or ()).tobytes())
        if self.length is not None:
            sha.update(array("q", self.length).tobytes())
        return sha.hexdigest()[:16]


@dataclass(frozen=True)
class Clock:
    """How samples become optimizer steps; steps count from 0 over the whole run.

    Attributes:
        samples_per_step: over all micro-batches and ranks.
        epoch_samples: samples of one epoch.
        total_steps: steps of the run.
    """

    samples_per_step: int
    epoch_samples: int
    total_steps: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch; the last may be smaller than the others."""
        return -(-self.epoch_samples // self.samples_per_step)

    def size(self, step: int) -> int:
        """Samples of a step."""
        within = step % self.steps_per_epoch
        return min(self.samples_per_step, self.epoch_samples - within * self.samples_per_step)

    def window_start(self, step: int, window: int) -> int:
        """First step ≥ ``step`` at which a window of ``window`` steps begins; windows restart with each epoch."""
        epoch, within = divmod(step, self.steps_per_epoch)
        start = -(-within // window) * window
        return epoch * self.steps_per_epoch + min(start, self.steps_per_epoch)


def require_same_settings(what: str, mine: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
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
