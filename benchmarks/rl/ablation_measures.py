"""What is measured of a trained policy: sampled replies on held-out prompts, at temperature 1."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from ablation_arms import Settings
from ablation_policy import Policy
from ablation_prompts import Prompts
from mindgpt_data.adversarial import ANSWER_TYPES
from mindgpt_data.schema.rows import Row

from mindgpt_plugins.answers import judge_answer
from mindgpt_plugins.rewards.stance import classify_refusal
from mindgpt_plugins.stages.evaluate.scoring import estimate_pass_at_k
from mindgpt_plugins.verl_ext.step.seeds import derive_sample_seed

CHUNK = 512
"""Replies that are sampled together."""


def measure(policy: Policy, prompts: Prompts, settings: Settings, seed: int) -> dict[str, Any]:
    """All figures of one policy; shares in [0, 1], ``right`` and ``right_tokens`` per test question."""
    test, n, few = prompts.sets["test"], settings.samples, settings.few_samples
    replies = _replies(policy, prompts, test, n, seed)
    blank = _replies(policy, prompts, test, few, seed, blank=True)
    verdicts = [[_right(row, text) for text, _ in own] for row, own in zip(test, replies, strict=True)]
    right = [sum(own) for own in verdicts]
    refusals = [
        classify_refusal(text).kind == "refuses" and not good
        for own, goods in zip(replies, verdicts, strict=True)
        for (text, _), good in zip(own, goods, strict=True)
    ]
    sighted = statistics.mean(c / n for c in right)
    blind = statistics.mean(_right(row, text) for row, own in zip(test, blank, strict=True) for text, _ in own)
    unanswerable = [own for row, own in zip(test, blank, strict=True) if row.answer_type in ANSWER_TYPES]
    return {
        **{f"pass@{k}": statistics.mean(estimate_pass_at_k(n, c, k) for c in right) for k in (1, 8, 16) if k <= n},
        "tokens": statistics.mean(length for own in replies for _, length in own),
        "distinct": statistics.mean(len({text for text, _ in own}) for own in replies),
        "false_refusal": statistics.mean(refusals),
        "fabricated_covered": _fabricated(_replies(policy, prompts, prompts.sets["covered"], few, seed)),
        "fabricated_blurred": _fabricated(_replies(policy, prompts, prompts.sets["blurred"], few, seed)),
        "fabricated_blank": _fabricated(unanswerable),
        "blank_pass@1": blind,
        "sight": sighted - blind,
        "right": right,
        "right_tokens": [
            sum(length for (_, length), good in zip(own, goods, strict=True) if good)
            for own, goods in zip(replies, verdicts, strict=True)
        ],
    }


def _replies(
    policy: Policy, prompts: Prompts, rows: Sequence[Row], n: int, seed: int, blank: bool = False
) -> list[list[tuple[str, int]]]:
    """Per row ``n`` replies: text and tokens. The draws depend on seed, row and number only, so arms share them."""
    found: list[list[tuple[str, int]]] = []
    size = max(1, CHUNK // n)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        seeds = [derive_sample_seed(seed, f"{row.uid}/test", number, 0) for row in part for number in range(n)]
        texts = [(policy.text(ids), len(ids)) for ids in policy.sample(prompts.encoded(part, blank), seeds)[0]]
        found += [texts[i : i + n] for i in range(0, len(texts), n)]
    return found


def _right(row: Row, text: str) -> bool:
    return judge_answer(row.question, row.answer, text, row.answer_type).right


def _fabricated(replies: Sequence[Sequence[tuple[str, int]]]) -> float:
    """Share of replies that answer what cannot be answered."""
    return statistics.mean(classify_refusal(text).kind == "answers" for own in replies for text, _ in own)
