"""The key ``guard:`` of sft, dpo and rl stages: what happens when a curve goes wrong although its numbers are finite.

The default is ``warn``: it costs nothing and changes no number, so that a run is looked at before it is over, while a
threshold that is wrong for somebody's data stops nothing. Numbers that are not finite always stop a run.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mindgpt_plugins.core.schema import Strict

Action = Literal["ignore", "warn", "stop"]
"""``ignore`` and not ``off``, which YAML reads as false."""


class LossGuard(Strict):
    """Guard of supervised and preference training."""

    loss_spike: Action = Field(
        "warn",
        description="A loss far above the running median: ignore, warn or stop. A loss that is not finite always "
        "stops.",
    )
    deviations: float = Field(
        10.0,
        gt=0,
        description="How far: in robust standard deviations (1.4826 × MAD), each 5 % of the median at least.",
    )
    window: int = Field(50, ge=20, description="Lines of metrics that the median is taken over; the first 20 are free.")


class RolloutGuard(Strict):
    """Guard of RL."""

    reward_collapse: Action = Field(
        "warn",
        description="Every group's replies have equal advantages, so that nothing is learnt: ignore, warn, stop.",
    )
    entropy_collapse: Action = Field(
        "warn", description="The policy's entropy falls below `entropy_share` of its start: ignore, warn or stop."
    )
    length_explosion: Action = Field(
        "warn", description="Replies grow longer than `length_factor` times their start: ignore, warn or stop."
    )
    steps: int = Field(
        10, ge=1, description="Steps in a row before any of them counts, and steps whose median is the start."
    )
    entropy_share: float = Field(0.1, gt=0, lt=1, description="Share of the first steps' entropy, in nats per token.")
    length_factor: float = Field(3.0, gt=1, description="Multiple of the first steps' mean reply length, in tokens.")
