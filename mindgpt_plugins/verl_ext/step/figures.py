"""Figures of one step, for logs and the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.advantage.groups import Groups
from mindgpt_plugins.advantage.layout import GroupLayout
from mindgpt_plugins.rewards.algebra import CombinedScores
from mindgpt_plugins.rewards.sdk import CORRECT
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply

ROUNDING = 1e-12
"""Advantages closer than this count as equal."""


@dataclass(frozen=True)
class ScoredStep:
    """One step's replies with all that the rewards say about them."""

    replies: Sequence[ScoredReply]
    layout: GroupLayout[str]
    groups: Groups
    scores: CombinedScores
    """(groups, n) tensors, 0 where masked."""
    components: list[dict[str, float | None]]
    log: list[dict[str, Any]]


def compute_step_figures(
    scored: ScoredStep, advantage: Tensor, suite: Suite, k: int, progress: float
) -> dict[str, float]:
    """Means over replies or groups; ``nan`` where there is nothing to average.

    Args:
        scored: the step.
        advantage: (groups, n), as it is trained on.
        suite: the rewards.
        k: of pass@k; a smaller group uses its own size.
        progress: share of the run.
    """
    replies, mask, right = scored.replies, scored.groups.mask, scored.scores.correct
    count, size = right.sum(1).tolist(), mask.sum(1).tolist()
    lengths = [float(r.rollout.length) for r in replies]
    found: dict[str, float] = {
        "advantage/abs_mean": float(advantage.abs().sum()) / max(1, int(mask.sum())),
        "advantage/order_violations": float(_violations(advantage, right, mask)),
        "advantage/correct_pushed_down": float(((advantage < 0) & right).sum() / max(1, int(right.sum()))),
        "group/pass@1": _mean([c / n for c, n in zip(count, size, strict=True)]),
        f"group/pass@{k}": _mean([_pass_at(n, c, min(k, n)) for c, n in zip(count, size, strict=True)]),
        "group/all_correct": _mean([float(c == n) for c, n in zip(count, size, strict=True)]),
        "group/all_wrong": _mean([float(c == 0) for c in count]),
        "group/size": _mean([float(n) for n in size]),
        "score/mean": _mean([r.score for r in replies]),
        "score/modulated_mean": float(scored.groups.modulated[mask].mean()),
        "reply/tokens": _mean(lengths),
        "reply/tokens_correct": _mean([n for n, r in zip(lengths, replies, strict=True) if r.score >= CORRECT]),
        "prompt/difficulty": _mean([r.rollout.difficulty for r in replies]),
    }
    for entry in suite.entries:
        name = entry.spec.name
        values = [own[name] for own in scored.components if name in own]
        known = [v for v in values if v is not None]
        found[f"reward/{name}/mean"], found[f"reward/{name}/std"] = _mean(known), _std(known)
        found[f"reward/{name}/scored"] = len(known) / max(1, len(values))
        doubted = [bool(own[key]) for own in scored.log if (key := f"{name}.ambiguous") in own]
        if doubted:
            found[f"reward/{name}/ambiguous"] = _mean([float(one) for one in doubted])
        wanted = scored.groups.components[name] * (-1.0 if entry.spec.penalty else 1.0)
        judged = right if entry.spec.role == "modulator" else mask  # a wrong reply is not modulated
        found[f"reward/{name}/order_violations"] = _opposed(advantage, wanted, judged)
    for name, weight in suite.weights(progress).items():
        found[f"reward/{name}/weight"] = weight
    return found


def compute_share_figures(scored: ScoredStep, advantage: Tensor, again: Callable[[Groups], Tensor]) -> dict[str, float]:
    """How much of the push comes from each reward: Σ|A − A without it| / Σ|A|.

    The only task has a share of 1; parts that pull against each other add up to more than 1.

    Args:
        scored: the step.
        advantage: (groups, n), before any perception weight.
        again: computes advantages of changed groups.
    """
    total = float(advantage.abs().sum())
    found = {}
    for name in scored.scores.roles:
        rest = scored.scores.without(name)
        changed = again(replace(scored.groups, raw=rest.raw, modulated=rest.modulated, weights=rest.weights))
        found[f"advantage/share/{name}"] = float((advantage - changed).abs().sum()) / total if total else 0.0
    return found


def compute_alpha_figures(advantage: Tensor, alpha: Tensor, mask: Tensor) -> dict[str, float]:
    """Of the perception weight: its range, its share of the push, and what its groups no longer sum to.

    Args:
        advantage: (groups, n) before the weight.
        alpha: (groups, n).
        mask: (groups, n) bool.
    """
    weighted, known = advantage * alpha, alpha[mask]
    total = float(weighted.abs().sum())
    return {
        "advantage/alpha_mean": float(known.mean()),
        "advantage/alpha_min": float(known.min()),
        "advantage/alpha_max": float(known.max()),
        "advantage/alpha_residual": float(weighted.sum(dim=1).abs().mean()),
        "advantage/share/alpha": float((weighted - advantage).abs().sum()) / total if total else 0.0,
    }


def _opposed(advantage: Tensor, values: Tensor, mask: Tensor) -> float:
    """Share of the pairs in a group that ``values`` order and the advantage orders the other way; nan without pairs."""
    scored = mask & ~values.isnan()
    better = (values.unsqueeze(2) > values.unsqueeze(1)) & scored.unsqueeze(2) & scored.unsqueeze(1)
    worse = advantage.unsqueeze(2) < advantage.unsqueeze(1) - ROUNDING
    pairs = int(better.sum())
    return int((better & worse).sum()) / pairs if pairs else math.nan


def _violations(advantage: Tensor, right: Tensor, mask: Tensor) -> int:
    """Groups in which some wrong reply's advantage is at least that of some right one."""
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
