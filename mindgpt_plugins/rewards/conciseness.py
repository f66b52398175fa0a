"""Modulator: among correct replies, shorter is better, pressed harder where the prompt is easy.

u = p̂ · clip((L − max(L_min, floor)) / budget, 0, 1) with L in tokens, L_min the shortest correct reply of the group and
p̂ the share of correct replies. Absolute on purpose: standardising lengths inside a group would make a 3-token gap push
like a 300-token one. Source: ours; the factor p̂ after arXiv 2506.05256.
"""

from __future__ import annotations

from mindgpt_plugins.rewards.sdk import Group, Score, reward


@reward(role="modulator", scope="group", penalty=True)
def conciseness(group: Group, *, budget: int = 256, floor: int = 0) -> list[Score | None]:
    """Length pressure of each reply; 0 for a wrong one (only correct replies are modulated).

    Args:
        group: all replies to one prompt.
        budget: tokens above the shortest correct reply at which the pressure is full.
        floor: below this length there is no pressure, against over-compression.

    Raises:
        ValueError: ``budget`` is not positive.
    """
    if budget <= 0:
        raise ValueError(f"conciseness: budget must be positive, got {budget}")
    correct = group.correct
    lengths = [r.length for r in group.rollouts]
    shortest = min((n for n, good in zip(lengths, correct, strict=True) if good), default=0)
    start = max(shortest, floor)
    ease = group.share_correct
    return [
        Score(
            ease * min(1.0, max(0.0, (n - start) / budget)) if good else 0.0, log={"excess_tokens": max(0, n - start)}
        )
        for n, good in zip(lengths, correct, strict=True)
    ]
