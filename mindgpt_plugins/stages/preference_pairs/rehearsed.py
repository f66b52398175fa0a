"""Stage ``rehearsed_preference_pairs``, which only a rehearsal's recipe names and lists as a plugin."""

from __future__ import annotations

from typing import ClassVar, Literal

from mindgpt_plugins.core.registry import register
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.base import Command, Context
from mindgpt_plugins.stages.preference_pairs.config import PreferencePairsConfig
from mindgpt_plugins.stages.preference_pairs.stage import PreferencePairs
from mindgpt_plugins.stages.self_training.rehearsed import use_oracle_engine


class RehearsedPreferencePairsConfig(PreferencePairsConfig):
    """As ``preference_pairs``."""

    kind: Literal["rehearsed_preference_pairs"]  # type: ignore[assignment]


@register("stage", "rehearsed_preference_pairs")
class RehearsedPreferencePairs(PreferencePairs):
    """The same process with another engine."""

    Config: ClassVar[type[StageConfig]] = RehearsedPreferencePairsConfig

    def render(self, config: PreferencePairsConfig, context: Context) -> list[Command]:
        """As the stage's, in the process that knows the answers."""
        return use_oracle_engine(super().render(config, context), "mindgpt_plugins.stages.preference_pairs.run")
