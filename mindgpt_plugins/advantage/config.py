"""The key ``advantage:`` of an RL stage: how a group's scores become advantages, and which groups are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from mindgpt_plugins.core.choice import Choice, format_flow_yaml
from mindgpt_plugins.core.schedule import Ramp, Scheduled
from mindgpt_plugins.core.schema import Strict


class GroupFilterConfig(Strict):
    """Which groups of replies a step does not train on."""

    epsilon: float = Field(1e-6, ge=0, description="Groups whose largest |advantage| is below this are left out.")
    keep_all_correct: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Probability that a group of right replies only stays in the update; it acts only where a reward "
        "modulates the scores, because without one such a group has no signal anyway.",
    )


class AdvantageConfig(Choice):
    """How a group's scores become advantages.

    ``k`` and ``lambda`` stand beside the options of the named function, because they are the run's: pass@k is also a
    figure of runs whose advantage does not use it, and λ may follow a schedule, of which a function sees one number.
    """

    of: ClassVar[str] = "advantage"
    key: ClassVar[str] = "advantage"

    name: str = Field(
        "modulated", description="A registered advantage; docs/advantage.md compares those that are built in."
    )
    k: int = Field(4, ge=1, description="Replies per subset of the pass@k part, at most the smallest group's size.")
    lam: Scheduled = Field(
        Ramp(kind="linear", start=0.5, end=0.0),
        validation_alias="lambda",
        description="Weight λ of pass@k beside the expected score, in [0, 1]: a number, or a schedule over the run.",
    )
    filter: GroupFilterConfig | None = Field(
        None, description="Groups that are left out of the update; null: every group is trained on."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_the_run(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        options = value.get("options")
        inside = {key: options[key] for key in ("k", "lambda", "lam") if key in options} if options else {}
        if inside or "lam" in value:
            own = {key: one for key, one in value.items() if key not in ("options", "lam")}
            own |= {{"lam": "lambda"}.get(key, key): one for key, one in inside.items()}
            own |= {"lambda": value["lam"]} if "lam" in value else {}
            left = {key: one for key, one in (options or {}).items() if key not in inside}
            own |= {"options": left} if left else {}
            raise ValueError(f"k and lambda are keys of the section; write {cls.key}: {format_flow_yaml(own)}")
        return value

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # `lambda` is a keyword of Python, so the attribute has another name; a recipe written back must not.
        data = handler(self)
        return {{"lam": "lambda"}.get(key, key): value for key, value in data.items()}
