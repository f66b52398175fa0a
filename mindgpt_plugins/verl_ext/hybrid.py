"""From scored replies to advantages and figures, without the host: the trainer only fetches and stores."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.advantage.estimators import Groups, accepted, check
from mindgpt_plugins.recipe.rl import AdvantageConfig
from mindgpt_plugins.registry import get
from mindgpt_plugins.rewards.schedule import extremes, value_at
from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.rewards.suite import GroupScores, Suite


class RolloutError(RuntimeError):
    """Replies are missing or a reward failed; the step must not be trained on."""


@dataclass(frozen=True)
class Reply:
    """One scored reply."""

    group: str
    """Prompt id of this step."""
    session: int
    rollout: Rollout
    score: float
    components: Mapping[str, float | None]
    log: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What one step's replies amount to; lists follow the order of the replies given."""

    advantages: list[float]
    components: list[dict[str, float | None]]
    modulated: list[float]
    log: list[dict[str, Any]]
    metrics: dict[str, float]


class Hybrid:
    """Group rewards, modulated scores, advantages and their figures.

    Raises:
        RegistryError, RewardError: unknown names or options, or rewards that cannot be combined.
        ValueError: λ leaves [0, 1].
    """

    def __init__(self, suite: Suite, advantage: AdvantageConfig):
        check(advantage.name, advantage.options)
        low, high = extremes(advantage.lam)
        if low < 0.0 or high > 1.0:
            raise ValueError(f"advantage.lambda runs from {low:g} to {high:g}; it must stay in [0, 1]")
        self.suite, self.config = suite, advantage

    def run(self, replies: Sequence[Reply]) -> Step:
        """Score groups and compute advantages.

        Args:
            replies: of one step; groups in any order.
        """
        groups: dict[str, list[int]] = {}
        for position, reply in enumerate(replies):
            groups.setdefault(reply.group, []).append(position)
        progress = replies[0].rollout.progress
        scored = [self._score([replies[i] for i in members]) for members in groups.values()]
        shape = (len(groups), max(map(len, groups.values())))
        raw, modulated = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
        mask = torch.zeros(shape, dtype=torch.bool)
        for row, (members, scores) in enumerate(zip(groups.values(), scored, strict=True)):
            n = len(members)
            raw[row, :n] = torch.tensor([replies[i].score for i in members], dtype=torch.float64)
            modulated[row, :n] = torch.tensor(scores.modulated, dtype=torch.float64)
            mask[row, :n] = True
        advantage = self._advantage(Groups(modulated, raw, mask), progress)
        metrics = self._figures(replies, groups, scored, Groups(modulated, raw, mask), advantage, progress)
        order = [(i, row, column) for row, members in enumerate(groups.values()) for column, i in enumerate(members)]
        order.sort()
        return Step(
            advantages=[float(advantage[row, column]) for _, row, column in order],
            components=[
                dict(replies[i].components) | {name: values[column] for name, values in scored[row].components.items()}
                for i, row, column in order
            ],
            modulated=[float(modulated[row, column]) for _, row, column in order],
            log=[dict(replies[i].log) | scored[row].log[column] for i, row, column in order],
            metrics=metrics,
        )

    def lam(self, progress: float) -> float:
        """λ at a share of the run."""
        return value_at(self.config.lam, progress)

    def _score(self, replies: list[Reply]) -> GroupScores:
        return self.suite.score_group(
            [r.rollout for r in replies], [r.score for r in replies], [r.components for r in replies]
        )

    def _advantage(self, groups: Groups, progress: float, lam: float | None = None) -> Tensor:
        lam = self.lam(progress) if lam is None else lam
        options = accepted(self.config.name, {"k": self.config.k, "lam": lam}) | self.config.options
        result: Tensor = get("advantage", self.config.name)(groups, **options)
        return result

    def _figures(
        self,
        replies: Sequence[Reply],
        groups: Mapping[str, list[int]],
        scored: Sequence[GroupScores],
        batch: Groups,
        advantage: Tensor,
        progress: float,
    ) -> dict[str, float]:
        mask, lam = batch.mask, self.lam(progress)
        total = float(advantage.abs().sum())
        right = (batch.raw >= 0.5) & mask
        count, size = right.sum(1).tolist(), mask.sum(1).tolist()
        k = self.config.k
        figures: dict[str, float] = {
            "advantage/lambda": lam,
            "advantage/abs_mean": total / max(1, int(mask.sum())),
            "advantage/order_violations": float(_violations(advantage, right, mask)),
            "advantage/correct_pushed_down": float(((advantage < 0) & right).sum() / max(1, int(right.sum()))),
            "group/pass@1": _mean([c / n for c, n in zip(count, size, strict=True)]),
            f"group/pass@{k}": _mean(
                [_pass_at(int(n), int(c), min(k, int(n))) for c, n in zip(count, size, strict=True)]
            ),
            "group/all_correct": _mean([float(c == n) for c, n in zip(count, size, strict=True)]),
            "group/all_wrong": _mean([float(c == 0) for c in count]),
            "group/size": _mean([float(n) for n in size]),
            "score/mean": _mean([r.score for r in replies]),
            "score/modulated_mean": float(batch.modulated[mask].mean()),
            "reply/tokens": _mean([float(r.rollout.length) for r in replies]),
            "reply/tokens_correct": _mean([float(r.rollout.length) for r in replies if r.score >= 0.5]),
            "prompt/difficulty": _mean([r.rollout.difficulty for r in replies]),
        }
        for name in self.suite.names():
            values = [r.components[name] for r in replies if name in r.components]
            values += [v for s in scored for v in s.components.get(name, [])]
            known = [v for v in values if v is not None]
            figures[f"reward/{name}/mean"], figures[f"reward/{name}/std"] = _mean(known), _std(known)
            figures[f"reward/{name}/scored"] = len(known) / max(1, len(values))
        for name, weight in self.suite.weights(progress).items():
            figures[f"reward/{name}/weight"] = weight
        # How much of the push comes from a part: what changes in A when the part is left out.
        for name in scored[0].effects:
            without = batch.modulated.clone()
            for row, (members, s) in enumerate(zip(groups.values(), scored, strict=True)):
                effect = torch.tensor(s.effects[name], dtype=torch.float64)
                without[row, : len(members)] -= batch.raw[row, : len(members)] * effect
            changed = self._advantage(Groups(without, batch.raw, mask), progress)
            figures[f"advantage/share/{name}"] = float((advantage - changed).abs().sum()) / total if total else 0.0
        if lam > 0 and accepted(self.config.name, {"lam": lam}):
            changed = self._advantage(batch, progress, lam=0.0)
            figures["advantage/share/pass_at_k"] = float((advantage - changed).abs().sum()) / total if total else 0.0
        return {name: value for name, value in figures.items() if math.isfinite(value)}


def refuse_errors(errors: Sequence[str]) -> None:
    """Stop on the first reply whose reward raised.

    Raises:
        RolloutError: with the cause, the sample and the traceback.
    """
    failed = [json.loads(error) for error in errors if error]
    if failed:
        first = failed[0]
        raise RolloutError(
            f"a reward failed on {len(failed)} of {len(errors)} replies; the first: {first['cause']}\n"
            f"sample: {json.dumps(first['sample'], ensure_ascii=False)}\n{first['traceback']}"
            "No update was made. Fix the reward and start the same command again; it goes on from the last checkpoint."
        )


def refuse_missing(sessions: Mapping[str, int], prompts: int, expected: int) -> None:
    """Stop when replies are missing; verl would train on without them.

    Args:
        sessions: replies found for each prompt.
        prompts: prompts asked for.
        expected: replies asked for each.

    Raises:
        RolloutError: with what is missing and where to look.
    """
    short = {prompt: found for prompt, found in sessions.items() if found < expected}
    if short or len(sessions) < prompts:
        raise RolloutError(
            f"{prompts - len(sessions)} of {prompts} prompts have no reply at all and {len(short)} have fewer than "
            f"{expected} ({dict(list(short.items())[:3])}): generation or the reward worker failed for them. The cause "
            "is the first 'Error in _run_prompt' above in the log. No update was made."
        )


def _violations(advantage: Tensor, right: Tensor, mask: Tensor) -> int:
    wrong = ~right & mask
    lowest = advantage.masked_fill(~right, torch.inf).min(1).values
    highest = advantage.masked_fill(~wrong, -torch.inf).max(1).values
    return int(((lowest <= highest) & right.any(1) & wrong.any(1)).sum())


def _pass_at(n: int, c: int, k: int) -> float:
    return 1.0 - comb(n - c, k) / comb(n, k)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _std(values: Sequence[float]) -> float:
    if not values:
        return math.nan
    mean = _mean(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
