"""How often the policy refuses, and whether it should have: figures of steps that hold unanswerable prompts."""

from __future__ import annotations

from collections.abc import Sequence

from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.rewards.stance import classify_refusal, has_right_reason, read_gold_reason


def compute_refusal_figures(scored: Sequence[tuple[Rollout, float]]) -> dict[str, float]:
    """Shares of replies, read from the replies themselves whatever rewards a recipe has; empty without such prompts.

    ``refusal/refused``, ``refusal/right_reason`` and ``refusal/fabricated`` are shares of the replies to unanswerable
    prompts; ``refusal/false`` of the replies to answerable ones (not open) that refuse and are not correct.

    Args:
        scored: each reply with its gated task score.
    """
    asked = [(rollout, read_gold_reason(rollout.target) is not None, score) for rollout, score in scored]
    unanswered = [(rollout, classify_refusal(rollout.text)) for rollout, without, _ in asked if without]
    if not unanswered:
        return {}
    refusals = [(rollout, stance.reason) for rollout, stance in unanswered if stance.kind == "refuses"]
    total = len(unanswered)
    found = {
        "refusal/unanswerable": total / len(scored),
        "refusal/refused": len(refusals) / total,
        "refusal/right_reason": sum(has_right_reason(rollout, said) for rollout, said in refusals) / total,
        "refusal/fabricated": sum(stance.kind == "answers" for _, stance in unanswered) / total,
    }
    answerable = [(rollout, score) for rollout, without, score in asked if not without and rollout.type != "open"]
    if answerable:
        false = sum(score < 0.5 and classify_refusal(rollout.text).kind == "refuses" for rollout, score in answerable)
        found["refusal/false"] = false / len(answerable)
    return found
