"""Is every group of a step whole, and were its replies drawn apart? verl trains on if not. Imports no host."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindgpt_plugins.verl_ext.step.hybrid import RolloutError

CAUSE = (
    "generation or the reward worker failed for them. The cause is the first 'Error in _run_prompt' above in the log. "
    "No update was made."
)


@dataclass(frozen=True)
class Sibling:
    """One reply of a step, as far as it belongs to a group."""

    group: str
    """Prompt id."""
    session: int
    asked: int
    """Replies this prompt was to get."""
    submitted: int
    """Step at which the prompt was sent to generation."""


def refuse_incomplete_groups(replies: Sequence[Sibling], prompts: int) -> None:
    """Stop when replies of a step are missing or left over from an earlier attempt.

    Args:
        replies: one for each session found.
        prompts: prompts the step needs.

    Raises:
        RolloutError: with what is wrong and where to look.
    """
    groups: defaultdict[str, list[Sibling]] = defaultdict(list)
    for reply in replies:
        groups[reply.group].append(reply)
    short = {name: len(found) for name, found in groups.items() if len(found) < found[0].asked}
    if short or len(groups) < prompts:
        examples = {name: f"{found} of {groups[name][0].asked}" for name, found in list(short.items())[:3]}
        raise RolloutError(
            f"{max(0, prompts - len(groups))} of {prompts} prompts have no reply at all and {len(short)} lack replies "
            f"({examples}): {CAUSE}"
        )
    for name, found in groups.items():
        steps = sorted({reply.submitted for reply in found})
        if len(found) > found[0].asked or len(steps) > 1:
            raise RolloutError(
                f"prompt {name} has {len(found)} replies of {found[0].asked} asked for, submitted in steps {steps}: "
                "some are left over from an earlier attempt. No update was made. Start the same command again; it "
                "goes on from the last checkpoint"
            )


_CHANCE = math.log(1e-9)
"""Log-probability below which equal replies are no chance: a thousand runs of a million steps may not meet it."""


@dataclass(frozen=True)
class Drawn:
    """A reply and how likely it was.

    Attributes:
        group: prompt id.
        tokens: of the reply.
        log_prob: of all its tokens together, at the temperature it was sampled at.
    """

    group: str
    tokens: tuple[int, ...]
    log_prob: float


def has_contrast(groups: Sequence[str], replies: Sequence[tuple[int, ...]]) -> bool:
    """Whether some group has two different replies, or none has two at all.

    Args:
        groups: of each reply.
        replies: their tokens.
    """
    distinct: defaultdict[str, set[tuple[int, ...]]] = defaultdict(set)
    for group, reply in zip(groups, replies, strict=True):
        distinct[group].add(reply)
    return len(distinct) == len(groups) or any(len(found) > 1 for found in distinct.values())


def refuse_equal_siblings(replies: Sequence[Drawn]) -> None:
    """Stop when in every group all replies are one, which by their own probabilities cannot be chance.

    A policy that has become certain also repeats itself; its replies have a probability of almost 1, and pass.

    Args:
        replies: of one step, sampled at a temperature above 0 from the whole distribution.

    Raises:
        RolloutError: siblings were given the same random numbers, so that no group can ever have a contrast.
    """
    groups: defaultdict[str, list[Drawn]] = defaultdict(list)
    for reply in replies:
        groups[reply.group].append(reply)
    several = [found for found in groups.values() if len(found) > 1]
    if not several or any(reply.tokens != found[0].tokens for found in several for reply in found):
        return
    chance = sum((len(found) - 1) * min(0.0, max(reply.log_prob for reply in found)) for found in several)
    if chance < _CHANCE:
        raise RolloutError(
            f"all replies of each of {len(several)} groups are equal, which by their own probabilities happens once in "
            f"1e{-chance / math.log(10):.0f} steps: siblings get the same random numbers, and nothing can be learnt "
            "from them. No update was made. Remove the fixed seed from the agent loop or the rollout engine, or use "
            "the agent loop mindgpt_single_turn, which seeds every reply"
        )


def compute_version_figures(tags: Sequence[Mapping[str, Any]], step: int) -> dict[str, float]:
    """How old the weights are that the replies of an asynchronous step come from.

    Args:
        tags: verl's, of each reply: ``min_global_steps`` and ``max_global_steps``, the weights it was begun and ended
            with.
        step: that trains on them.
    """
    spans = [(int(tag["min_global_steps"]), int(tag["max_global_steps"])) for tag in tags]
    return {
        "reply/weight_versions/mean": sum(last - first + 1 for first, last in spans) / len(spans),
        "reply/weight_versions/max": float(max(last - first + 1 for first, last in spans)),
        "reply/steps_behind/mean": sum(step - 1 - first for first, _ in spans) / len(spans),
        "reply/steps_behind/max": float(max(step - 1 - first for first, _ in spans)),
    }
