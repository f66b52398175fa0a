"""One reward of a recipe, ready to run, and the one reader of what reward functions return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.core.schedule import evaluate_schedule
from mindgpt_plugins.rewards.config import RewardConfig
from mindgpt_plugins.rewards.execution import Call
from mindgpt_plugins.rewards.options import coerce_reward_options
from mindgpt_plugins.rewards.sdk import (
    RewardError,
    Rollout,
    Score,
    Spec,
    check_reward_result,
    describe_sample_place,
    find_reward_spec,
)


@dataclass(frozen=True)
class RewardEntry:
    """A reward with the recipe's settings for it."""

    spec: Spec
    call: Call
    config: RewardConfig

    @classmethod
    def of(cls, name: str, config: RewardConfig) -> RewardEntry:
        """The reward that an entry of a recipe's ``rewards:`` asks for.

        Raises:
            RegistryError: unknown reward or option.
            RewardError: an option is missing or of another type.
        """
        registered = config.reward or name
        function = get_registered("reward", registered)
        # An entry point may offer a reward under another name than its decorator's; the recipe's name counts.
        spec = replace(find_reward_spec(registered, function), name=name)
        options = coerce_reward_options(registered, function, config.options)
        return cls(spec, Call(function, options, config.timeout, config.concurrency), config)

    def weight(self, progress: float) -> float:
        """Weight at a share of the run, never negative."""
        schedule = self.config.schedule
        return self.config.weight * (1.0 if schedule is None else evaluate_schedule(schedule, progress))

    def signed_weight(self, progress: float) -> float:
        """The same, negative for a penalty."""
        return self.weight(progress) * (-1.0 if self.spec.penalty else 1.0)

    def read_result(self, result_of: Callable[[], Any], rollouts: Sequence[Rollout]) -> tuple[list[Score | None], str]:
        """:func:`read_scores` under the recipe's ``on_error``.

        Returns:
            The scores; and what went wrong where the recipe does not stop then, in which case no reply is scored.

        Raises:
            RewardError: the reward failed, and the recipe stops then.
        """
        try:
            return read_scores(self.spec, result_of, rollouts), ""
        except RewardError as error:
            if self.config.on_error == "stop":
                raise
            return [None] * len(rollouts), str(error)


def read_scores(spec: Spec, result_of: Callable[[], Any], rollouts: Sequence[Rollout]) -> list[Score | None]:
    """Take the result of one call of a reward function and check it.

    Args:
        spec: the reward.
        result_of: gives what the function returned, or raises what it raised.
        rollouts: the one reply that a reward of scope ``sample`` was asked about, or all replies of the group.

    Returns:
        One score per reply; None: not scored.

    Raises:
        RewardError: the function raised, was too late, or returned something unusable; it names reward and sample.
    """
    try:
        result = result_of()
    except Exception as error:
        raise RewardError(
            f"{describe_sample_place(spec, rollouts[0])}: raised {type(error).__name__}: {error}"
        ) from error
    if spec.scope == "sample":
        result = [result]
    elif not isinstance(result, (list, tuple)) or len(result) != len(rollouts):
        raise RewardError(
            f"reward {spec.name!r}, group of {rollouts[0].uid!r}: returned {result!r:.120}; a group reward returns a "
            f"list with one Score or None per reply ({len(rollouts)} here)"
        )
    return [check_reward_result(spec, one, rollout) for one, rollout in zip(result, rollouts, strict=True)]
