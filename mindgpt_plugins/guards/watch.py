"""Watches the figures of a training step by step: which are not finite, and which curves have gone wrong.

A watch has no state of its own in a checkpoint: a resumed run shows it the lines of ``metrics.jsonl`` again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, Protocol

from mindgpt_plugins.guards.config import Action, LossGuard, RolloutGuard

FREE = 20
"""Lines before a loss can be a spike: a median over fewer says little, and the first losses fall steeply."""
NO_ADVANTAGE = 1e-12
"""Mean absolute advantage up to which no reply is pushed anywhere."""


@dataclass(frozen=True)
class Alarm:
    """A guard has found something.

    Attributes:
        guard: name of its key.
        action: what the recipe wants.
        text: what was found, with the numbers.
    """

    guard: str
    action: Literal["warn", "stop"]
    text: str


class Watch(Protocol):
    """What a trainer shows its figures to."""

    def observe(self, figures: Mapping[str, Any]) -> list[Alarm]:
        """Look at the next step's figures."""
        ...


def find_unfinite_figure(figures: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, float] | None:
    """The first named figure that is not finite, with its value; ``None``: all are, or are not there.

    A negative gradient norm counts: DeepSpeed's ZeRO reports −1 where the norm is inf or NaN.
    """
    for name in names:
        number = _number(figures, name)
        if number is None:
            continue
        if not math.isfinite(number) or (number < 0 and name.rpartition("/")[2] == "grad_norm"):
            return name, number
    return None


class LossWatch:
    """Finds a loss far above the running median, in robust standard deviations (median absolute deviation)."""

    def __init__(self, settings: LossGuard):
        self.settings = settings
        self._recent: deque[float] = deque(maxlen=settings.window)
        self._above = False

    def observe(self, figures: Mapping[str, Any]) -> list[Alarm]:
        """Look at the next line's ``loss``; a spike is reported where it begins."""
        loss = _finite_number(figures, "loss")
        if self.settings.loss_spike == "ignore" or loss is None:
            return []
        found: list[Alarm] = []
        above = False
        if len(self._recent) >= FREE:
            middle = median(self._recent)
            spread = max(1.4826 * median(abs(one - middle) for one in self._recent), 0.05 * abs(middle))
            limit = middle + self.settings.deviations * spread
            above = loss > limit
            if above and not self._above:
                text = f"loss {loss:.4g} is a spike: the running median is {middle:.4g}, and up to {limit:.4g} is usual"
                found.append(Alarm("loss_spike", self.settings.loss_spike, text))
        self._above = above
        self._recent.append(loss)
        return found


class RolloutWatch:
    """Finds rewards without contrast, a policy that has become certain, and replies that grow without end."""

    def __init__(self, settings: RolloutGuard):
        self.settings = settings
        self._flat = _Streak(settings.steps)
        self._certain = _Streak(settings.steps)
        self._long = _Streak(settings.steps)
        self._entropy = _Start(settings.steps)
        self._length = _Start(settings.steps)

    def observe(self, figures: Mapping[str, Any]) -> list[Alarm]:
        """Look at the next step's figures; each alarm is given once, until its figure has recovered."""
        asked, found = self.settings, list[Alarm]()

        def add(guard: str, action: Action, text: str) -> None:
            if action != "ignore":
                found.append(Alarm(guard, action, text))

        push = _finite_number(figures, "advantage/abs_mean")
        if self._flat.extend(push is not None and push <= NO_ADVANTAGE):
            text = f"no reply had an advantage for {asked.steps} steps: in every group all replies scored the same"
            add("reward_collapse", asked.reward_collapse, text)
        entropy = _finite_number(figures, "actor/entropy")
        start = self._entropy.settle(entropy)
        if self._certain.extend(entropy is not None and start is not None and entropy < asked.entropy_share * start):
            text = (
                f"entropy {entropy:.4g} nats per token: below {asked.entropy_share:g} of its start ({start:.4g}) "
                f"for {asked.steps} steps"
            )
            add("entropy_collapse", asked.entropy_collapse, text)
        length = _finite_number(figures, "reply/tokens")
        start = self._length.settle(length)
        if self._long.extend(length is not None and start is not None and length > asked.length_factor * start):
            text = (
                f"replies of {length:.4g} tokens: more than {asked.length_factor:g} times their start ({start:.4g}) "
                f"for {asked.steps} steps"
            )
            add("length_explosion", asked.length_explosion, text)
        return found


class _Streak:
    """Counts steps in a row."""

    def __init__(self, wanted: int):
        self.wanted, self.count = wanted, 0

    def extend(self, holds: bool) -> bool:
        """Has it just held for as many steps as are wanted?"""
        self.count = self.count + 1 if holds else 0
        return self.count == self.wanted


class _Start:
    """Median of a figure over the first steps in which it was there."""

    def __init__(self, steps: int):
        self.steps = steps
        self.values: list[float] = []

    def settle(self, value: float | None) -> float | None:
        """Take the next value; the median once there are enough of them."""
        if len(self.values) == self.steps:
            return median(self.values)
        if value is not None:
            self.values.append(value)
        return None


def _number(figures: Mapping[str, Any], name: str) -> float | None:
    value: Any = figures.get(name)  # hosts' logs hold numpy's and torch's scalars, and texts
    return float(value) if hasattr(value, "__float__") else None


def _finite_number(figures: Mapping[str, Any], name: str) -> float | None:
    number = _number(figures, name)
    return number if number is not None and math.isfinite(number) else None
