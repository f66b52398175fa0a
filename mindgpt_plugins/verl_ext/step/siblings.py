"""Is every group of a step whole? verl trains on without replies that failed; we do not. Imports no host."""

from __future__ import annotations

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
