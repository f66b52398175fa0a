"""The keys ``curriculum:`` and ``mixture:`` of a training stage."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mindgpt_plugins.core.choice import Choice


class SamplerChoice(Choice):
    """In which order the samples come."""

    of: ClassVar[str] = "sampler"
    key: ClassVar[str] = "curriculum"


class MixtureChoice(Choice):
    """Which share of the samples each source gets."""

    of: ClassVar[str] = "mixture"
    key: ClassVar[str] = "mixture"


class GroupedMixtureChoice(MixtureChoice):
    """A mixture and what its weights name: LLaMA-Factory knows the rows' sources and the entries of ``dataset:``."""

    by: Literal["source", "dataset"] = Field(
        "source", description="What the weights of the mixture name: sources of rows, or data sets of the stage."
    )
