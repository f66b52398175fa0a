"""``bucketed``: easy to hard, with samples of like length in the same batch, so that less is padding.

The order of ``easy_to_hard`` is cut into windows of some steps; inside a window samples are sorted by length, so that
each step (and within it each micro-batch) holds like lengths, and the steps are shuffled. A window holds the same
samples as without grouping: the curriculum holds from window to window and a mixture's shares hold per window (ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mindgpt_plugins.curriculum.base import CurriculumError, Examples, Mixture
from mindgpt_plugins.curriculum.easy_to_hard import EasyToHard, Pacing


class Bucketed(EasyToHard):
    """Length grouping inside difficulty windows.

    Args:
        examples: with difficulties and lengths.
        seed: of every random choice.
        mixture: how many of each group an epoch holds; ``None``: every example exactly once.
        pacing: as in ``easy_to_hard``.
        start: as in ``easy_to_hard``.
        paced_epochs: as in ``easy_to_hard``.
        window: steps per window; 1 only sorts inside a step.
    """

    needs_length = True
    needs_clock = True

    def __init__(
        self,
        examples: Examples,
        seed: int,
        mixture: Mixture | None = None,
        *,
        pacing: Pacing = "root",
        start: float = 0.1,
        paced_epochs: int | None = 1,
        window: int = 50,
    ):
        if window < 1:
            raise CurriculumError(f"bucketed: window is a number of steps, at least 1; got {window}")
        super().__init__(examples, seed, mixture, pacing=pacing, start=start, paced_epochs=paced_epochs)
        self.window = window

    def regroup(self, samples: list[int], epoch: int, index: int) -> list[int]:
        """Sort by length (ties at random), cut into steps, shuffle the steps; an incomplete one stays last."""
        length = self.examples.length
        assert length is not None  # checked in __init__
        size = self.required_clock().samples_per_step
        rng = self.random("window", epoch, index)
        ranked = list(samples)
        rng.shuffle(ranked)
        ranked.sort(key=lambda position: length[position])
        # Cut the longest first, so that an incomplete step is one of the shortest samples.
        ranked.reverse()
        steps = [ranked[start : start + size] for start in range(0, len(ranked), size)]
        rest = steps.pop() if len(steps[-1]) < size else []
        rng.shuffle(steps)
        return [position for step in [*steps, rest] for position in step]

    def options(self) -> dict[str, Any]:
        """The settings that change the order."""
        return {**super().options(), "window": self.window}


def measure_padding_share(order: Sequence[int], length: Sequence[int], batch: int) -> float:
    """Share of padding among all tokens when ``order`` is cut into micro-batches of ``batch`` samples."""
    used = padded = 0
    for start in range(0, len(order), batch):
        lengths = [length[position] for position in order[start : start + batch]]
        used += sum(lengths)
        padded += max(lengths) * len(lengths)
    return 1.0 - used / padded if padded else 0.0
