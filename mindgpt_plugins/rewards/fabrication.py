"""Task reward: punishes an invented answer to a question that has none; says nothing about anything else. Source: ours.

For recipes whose refusals are graded by something else (a judge): a reply that does not invent is not scored by it.
``refusal`` has the same punishment in its table.
"""

from __future__ import annotations

from mindgpt_plugins.rewards.sdk import Rollout, Score, reward
from mindgpt_plugins.rewards.stance import classify_refusal, read_gold_reason


@reward(signed=True)
def fabrication(r: Rollout, *, value: float = -1.0) -> Score | None:
    """``value`` for a final answer to an unanswerable prompt; None for a refusal, no answer, and answerable prompts.

    Args:
        r: the reply.
        value: score of an invented answer.
    """
    if read_gold_reason(r.target) is None or classify_refusal(r.text).kind != "answers":
        return None
    return Score(value, log={"fabricated": 1})
