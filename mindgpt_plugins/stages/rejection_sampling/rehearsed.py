"""Stage ``rehearsed_rejection_sampling``, which only a rehearsal's recipe names and lists as a plugin."""

from __future__ import annotations

from typing import ClassVar, Literal

from mindgpt_plugins.core.registry import register
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.base import Command, Context
from mindgpt_plugins.stages.rejection_sampling.config import RejectionSamplingConfig
from mindgpt_plugins.stages.rejection_sampling.stage import RejectionSampling
from mindgpt_plugins.stages.self_training.rehearsed import use_oracle_engine


class RehearsedRejectionSamplingConfig(RejectionSamplingConfig):
    """As ``rejection_sampling``."""

    kind: Literal["rehearsed_rejection_sampling"]  # type: ignore[assignment]


@register("stage", "rehearsed_rejection_sampling")
class RehearsedRejectionSampling(RejectionSampling):
    """The same process with another engine."""

    Config: ClassVar[type[StageConfig]] = RehearsedRejectionSamplingConfig

    def render(self, config: RejectionSamplingConfig, context: Context) -> list[Command]:
        """As the stage's, in the process that knows the answers."""
        return use_oracle_engine(super().render(config, context), "mindgpt_plugins.stages.rejection_sampling.run")
