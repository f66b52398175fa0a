"""``scheduled``: shares that change over the run as declared beforehand, within epochs too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mindgpt_plugins.core.schedule import Scheduled as Number
from mindgpt_plugins.core.schedule import compute_progress, evaluate_schedule, find_schedule_extremes
from mindgpt_plugins.curriculum.examples import Clock, CurriculumError
from mindgpt_plugins.curriculum.mixture import Moving, check_weights


class Scheduled(Moving):
    """Each group's weight is a number or a schedule of one; shares are proportional to the weights of the moment.

    ``weights: {domain: {kind: linear, start: 3, end: 1}, general: 1}``. Schedules are those of the rewards: ``linear``
    and ``cosine`` with ``start``, ``end``, ``begin``, ``finish``, and ``piecewise`` with ``points``; positions are
    shares of the run, 0 the first step and 1 the last. Each step holds the nearest whole samples (ours).

    Args:
        names: group names.
        sizes: number of examples of each group.
        weights: group name → weight ≥ 0 or a schedule of one; groups not named get 0.

    Raises:
        CurriculumError: unknown group, a schedule that is wrong or falls below 0, a moment with all weights zero, or a
            weight on an empty group.
    """

    only_named = True

    def __init__(self, names: Sequence[str], sizes: Sequence[int], *, weights: Mapping[str, Any]):
        super().__init__(names, sizes)
        self._given = dict(weights)
        self._weights = {name: _number(name, value) for name, value in weights.items()}
        limits = {name: find_schedule_extremes(weight) for name, weight in self._weights.items()}
        check_weights("mixture", {name: high for name, (_, high) in limits.items()}, names, sizes)
        for name, (low, _) in limits.items():
            if not low >= 0:
                raise CurriculumError(f"mixture: the weight of {name!r} must be a number >= 0, but it reaches {low}")

    def attach(self, clock: Clock, window: int) -> None:
        """Learn the run's clock.

        Raises:
            CurriculumError: all weights are zero at some step.
        """
        super().attach(clock, window)
        self.declared()

    def shares_at(self, step: int) -> list[float]:
        """The schedules' weights at the step, scaled to sum 1."""
        progress = compute_progress(step + 1, self.clock.total_steps)
        weights = [
            evaluate_schedule(self._weights[name], progress) if name in self._weights else 0.0 for name in self.names
        ]
        total = sum(weights)
        if total <= 0:
            raise CurriculumError(f"mixture: all weights are zero at step {step + 1}; at least one must be positive")
        return [weight / total for weight in weights]

    def state_dict(self) -> dict[str, Any]:
        """Groups, sizes, schedules and the length of the run that they are shares of."""
        return {**super().state_dict(), "weights": self._given, "total_steps": self.clock.total_steps}


def _number(name: str, value: Any) -> Any:
    try:
        return TypeAdapter(Number).validate_python(value)
    except ValidationError as error:
        # A union reports every branch; the mapping's own branch is the one that was meant.
        said = [e["msg"] for e in error.errors() if not (isinstance(value, Mapping) and e["loc"][:1] == ("float",))]
        raise CurriculumError(
            f"mixture: the weight of {name!r} ({value!r}) is no schedule: {'; '.join(said)}"
        ) from None
