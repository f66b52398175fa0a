"""What only a rehearsal has: self-training in which one reply per prompt is the set's own, and a reward that varies.

The rehearsal's recipe lists this module as a plugin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from mindgpt_plugins.core.registry import register
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.rewards.sdk import Rollout, reward
from mindgpt_plugins.stages.base import Command, Context
from mindgpt_plugins.stages.preference_pairs.config import PreferencePairsConfig
from mindgpt_plugins.stages.preference_pairs.stage import PreferencePairs
from mindgpt_plugins.stages.rejection_sampling.config import RejectionSamplingConfig
from mindgpt_plugins.stages.rejection_sampling.stage import RejectionSampling


class RehearsedRejectionSamplingConfig(RejectionSamplingConfig):
    """As ``rejection_sampling``."""

    kind: Literal["rehearsed_rejection_sampling"]  # type: ignore[assignment]


class RehearsedPreferencePairsConfig(PreferencePairsConfig):
    """As ``preference_pairs``."""

    kind: Literal["rehearsed_preference_pairs"]  # type: ignore[assignment]


@register("stage", "rehearsed_rejection_sampling")
class RehearsedRejectionSampling(RejectionSampling):
    """The same process with another engine."""

    Config: ClassVar[type[StageConfig]] = RehearsedRejectionSamplingConfig
    entries: ClassVar[tuple[str, ...]] = ("mindgpt_plugins.workbench.rehearse.gold",)

    def render(self, config: RejectionSamplingConfig, context: Context) -> list[Command]:
        """As the stage's, in our process."""
        return _ours(super().render(config, context))


@register("stage", "rehearsed_preference_pairs")
class RehearsedPreferencePairs(PreferencePairs):
    """The same process with another engine."""

    Config: ClassVar[type[StageConfig]] = RehearsedPreferencePairsConfig
    entries: ClassVar[tuple[str, ...]] = ("mindgpt_plugins.workbench.rehearse.gold",)

    def render(self, config: PreferencePairsConfig, context: Context) -> list[Command]:
        """As the stage's, in our process."""
        return _ours(super().render(config, context))


@reward(name="rehearsed_spread", signed=True)
def spread(r: Rollout) -> float:
    """In [-6/7, 0] by the reply's tokens: below 0 it also counts where a gate such as ``format`` is closed."""
    return -(sum(r.token_ids) % 7) / 7


def _ours(commands: list[Command]) -> list[Command]:
    return [replace(one, argv=("-m", "mindgpt_plugins.workbench.rehearse.gold", *one.argv[2:])) for one in commands]
