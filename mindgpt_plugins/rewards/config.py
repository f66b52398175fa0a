"""One entry of a recipe's ``rewards:``: which reward, how strong, on which prompts, and what if it fails."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from mindgpt_plugins.core.schedule import Schedule
from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.rewards.sdk import Rollout

Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else value, json_schema_input_type=str | tuple[str, ...]
    ),
]


class When(Strict):
    """Which prompts a reward looks at; every key that is given must fit, with ``*`` as in file names."""

    type: Patterns = Field((), description="Prompt types: verifiable, open, adversarial. Empty: all.")
    answer_type: Patterns = Field((), description="Answer types, e.g. [number, unit]. Empty: all.")
    source: Patterns = Field((), description="Sources of the row, e.g. 'chart_*'. Empty: all.")

    def fits(self, rollout: Rollout) -> bool:
        """Does the reward look at this reply's prompt?"""
        asked = ((self.type, rollout.type), (self.answer_type, rollout.answer_type), (self.source, rollout.source))
        return all(not patterns or any(fnmatchcase(value, p) for p in patterns) for patterns, value in asked)


class RewardConfig(Strict):
    """One entry of a recipe's ``rewards:``."""

    of: ClassVar[str] = "reward"
    """Kind of the registry that the entry's name belongs to."""

    weight: float = Field(
        1.0, ge=0.0, description="Share among task scores, or strength of a modulator; unused by gates."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the reward; what is not given keeps its default."
    )
    schedule: Schedule | None = Field(None, description="Factor of the weight over the run; null: 1 throughout.")
    reward: str | None = Field(
        None, description="Registered name, when the entry has another: one reward twice, with different settings."
    )
    when: When = Field(When(), description="Prompts it scores; elsewhere its component is null, as if it were absent.")
    timeout: float | None = Field(None, gt=0, description="Seconds for one reply (or group); null: no limit.")
    on_error: Literal["stop", "none"] = Field(
        "stop", description="When it raises, is too late or returns NaN: stop the run, or log it and do not score."
    )
    concurrency: int = Field(
        16, ge=1, description="Calls under way at once in one process; of async rewards and those with a timeout."
    )
