"""A number that changes over the run, as data in the recipe.

``0.2``, ``{kind: linear, start: 0.5, end: 0.0}``, ``{kind: cosine, start: 0, end: 1, begin: 0.2, finish: 0.6}`` or
``{kind: piecewise, points: [[0, 0], [0.5, 0.2], [1, 0.2]]}``. Positions are shares of the run: 0 is the first step,
1 the last.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import Strict

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Ramp(Strict):
    """From ``start`` to ``end`` between the shares ``begin`` and ``finish`` of the run; flat outside."""

    kind: Literal["linear", "cosine"]
    start: float = Field(description="Value up to `begin`.")
    end: float = Field(description="Value from `finish` on.")
    begin: Share = Field(0.0, description="Share of the run at which it leaves `start`.")
    finish: Share = Field(1.0, description="Share of the run at which it reaches `end`.")

    @model_validator(mode="after")
    def _ordered(self) -> Ramp:
        if self.begin >= self.finish:
            raise ValueError(
                f"begin ({self.begin:g}) must lie before finish ({self.finish:g}); both are shares of the run"
            )
        return self

    def at(self, progress: float) -> float:
        """Value at a share of the run."""
        x = min(1.0, max(0.0, (progress - self.begin) / (self.finish - self.begin)))
        if self.kind == "cosine":
            x = (1.0 - math.cos(math.pi * x)) / 2.0
        return self.start + (self.end - self.start) * x

    def extremes(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return min(self.start, self.end), max(self.start, self.end)


class Piecewise(Strict):
    """Straight lines between ``[share, value]`` points; flat outside."""

    kind: Literal["piecewise"]
    points: list[tuple[Share, float]] = Field(
        min_length=1, description="Points [share of the run, value] with increasing shares."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Piecewise:
        shares = [share for share, _ in self.points]
        if shares != sorted(set(shares)):
            raise ValueError(f"points must have increasing shares of the run, got {shares}")
        return self

    def at(self, progress: float) -> float:
        """Value at a share of the run."""
        before = self.points[0]
        for point in self.points:
            if progress < point[0]:
                span = point[0] - before[0]
                return point[1] if span == 0 else before[1] + (point[1] - before[1]) * (progress - before[0]) / span
            before = point
        return before[1]

    def extremes(self) -> tuple[float, float]:
        """Smallest and largest value."""
        values = [value for _, value in self.points]
        return min(values), max(values)


class Constant(Strict):
    """The same value all the time; a bare number means the same."""

    kind: Literal["constant"]
    value: float = Field(description="Value during the whole run.")

    def at(self, progress: float) -> float:
        """The value, whatever the share of the run."""
        return self.value

    def extremes(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.value, self.value


Schedule = Annotated[Constant | Ramp | Piecewise, Field(discriminator="kind")]
Scheduled = float | Schedule
"""A number, or a schedule of one."""


def evaluate_schedule(scheduled: float | Constant | Ramp | Piecewise, progress: float) -> float:
    """The number at a share of the run."""
    return scheduled.at(progress) if isinstance(scheduled, Strict) else float(scheduled)


def find_schedule_extremes(scheduled: float | Constant | Ramp | Piecewise) -> tuple[float, float]:
    """Smallest and largest value over the run."""
    return scheduled.extremes() if isinstance(scheduled, Strict) else (float(scheduled), float(scheduled))


def compute_progress(step: int, total: int) -> float:
    """Share of the run at a step counted from 1: 0 at the first, 1 at the last."""
    return min(1.0, max(0.0, (step - 1) / max(1, total - 1)))
