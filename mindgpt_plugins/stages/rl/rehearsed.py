"""A reward that only a rehearsal's recipe names and lists as a plugin: it differs between random replies."""

from __future__ import annotations

from mindgpt_plugins.rewards.sdk import Rollout, reward


@reward(name="rehearsed_spread", signed=True)
def rehearsed_spread(r: Rollout) -> float:
    """In [-6/7, 0] by the reply's tokens: below 0 it also counts where a gate such as ``format`` is closed."""
    return -(sum(r.token_ids) % 7) / 7
