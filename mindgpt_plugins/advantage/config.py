"""The keys ``advantage:`` and ``filter:`` of an RL stage."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field

from mindgpt_plugins.core.schedule import Ramp, Scheduled
from mindgpt_plugins.core.schema import Strict


class FilterConfig(Strict):
    """Which groups of replies a step does not train on."""

    epsilon: float = Field(1e-6, ge=0, description="Drop groups whose largest |advantage| is below.")
    keep_all_correct: float = Field(
        0.25, ge=0, le=1, description="Probability that an all-correct group stays; only with modulators."
    )


class AdvantageConfig(Strict):
    """How a group's scores become advantages."""

    name: str = Field(
        "modulated",
        description="modulated, grpo, dr_grpo, gdpo, reward_sum, pass_at_k, pass_at_k_analytic, grpo_passk, "
        "or a plugin's; docs/advantage.md compares them.",
    )
    k: int = Field(4, ge=1, description="Subset size of the pass@k part.")
    lam: Scheduled = Field(
        Ramp(kind="linear", start=0.5, end=0.0),
        validation_alias=AliasChoices("lambda", "lam"),
        description="Weight of pass@k beside the expected score, in [0, 1]; a number or a schedule. Write `lambda:`.",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Further options of the named advantage.")
    filter: FilterConfig | None = Field(None, description="Drop groups from the update; null: train on all.")
