"""The key ``patches:`` of sft, dpo and rl stages: patch → auto, on or off."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator


def _word(value: Any) -> Any:
    # YAML reads a bare `on` and `off` as booleans.
    if isinstance(value, dict):
        return {name: ("on" if mode else "off") if isinstance(mode, bool) else mode for name, mode in value.items()}
    return value


Patches = Annotated[
    dict[str, Literal["auto", "on", "off"]],
    BeforeValidator(_word, json_schema_input_type=dict[str, Literal["auto", "on", "off"] | bool]),
]
"""Names are those of ``mindgpt list patches``; what is not named is ``auto``."""
