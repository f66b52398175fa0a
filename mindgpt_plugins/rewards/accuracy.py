"""Task reward: the final answer is right. Shares its parser with the evaluator. Source: ours."""

from __future__ import annotations

from mindgpt_plugins.rewards.answers import extract_answer, match
from mindgpt_plugins.rewards.sdk import Rollout, Score, reward


@reward
def accuracy(r: Rollout, *, types: tuple[str, ...] = ("verifiable", "adversarial")) -> Score | None:
    """1 when the reply's final answer matches the gold one, else 0; not scored for other prompt types.

    Args:
        r: the reply.
        types: prompt types it scores; ``open`` prompts need a judge.
    """
    if r.type not in types:
        return None
    answer = extract_answer(r.text)
    return Score(float(match(answer, r.target, r.answer_type)), log={"answer": answer or ""})
