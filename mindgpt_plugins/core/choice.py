"""The one notation for a registered name with its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import Strict


class Choice(Strict):
    """A registered name with its options: ``easy_to_hard`` or ``{name: easy_to_hard, pacing: root}``."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping):
            own = {k: v for k, v in value.items() if k in cls.model_fields}
            rest = {k: v for k, v in value.items() if k not in cls.model_fields}
            return {**own, "options": {**own.get("options", {}), **rest}}
        return value

    def flat(self) -> dict[str, Any]:
        """As it is written in YAML."""
        return {**self.model_dump(mode="json", exclude={"options"}), **self.options}
