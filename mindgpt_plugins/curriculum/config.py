"""The keys ``curriculum:`` and ``mixture:`` of a training stage."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mindgpt_plugins.core.choice import Choice
from mindgpt_plugins.core.schema import Strict


class Mixing(Choice):
    """A mixture and what its weights name: the rows' sources, or the entries of ``dataset:``."""

    by: Literal["source", "dataset"] = "source"


class CurriculumConfig(Strict):
    """In which order the prompts come."""

    name: str = Field("easy_to_hard", description="A registered sampler: easy_to_hard, shuffled, or a plugin's.")
    options: dict[str, Any] = Field(default_factory=dict)
    mixture: Choice | None = Field(
        None, description="Share of each source: {name: fixed, weights: {domain: 3, general: 1}}, or scheduled."
    )
