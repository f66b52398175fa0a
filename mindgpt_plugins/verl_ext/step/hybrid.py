"""From scored replies to advantages and figures, without the host: the trainer only fetches and stores."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.advantage.call import compute_advantage
from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.advantage.estimators import Groups, check_advantage_options, select_accepted_settings
from mindgpt_plugins.advantage.filter import find_dropped_groups
from mindgpt_plugins.advantage.layout import GroupLayout
from mindgpt_plugins.core.schedule import evaluate_schedule, find_schedule_extremes
from mindgpt_plugins.rewards.algebra import combine_scores, tabulate_components
from mindgpt_plugins.rewards.sdk import Group
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.verl_ext.step.figures import (
    ScoredStep,
    compute_alpha_figures,
    compute_share_figures,
    compute_step_figures,
)
from mindgpt_plugins.verl_ext.step.refusals import compute_refusal_figures
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply


class RolloutError(RuntimeError):
    """Replies are missing or unusable, or a reward failed; the step must not be trained on."""


@dataclass(frozen=True)
class HybridStep:
    """What one step's replies amount to; lists follow the order of the replies given."""

    advantages: list[float]
    components: list[dict[str, float | None]]
    modulated: list[float]
    log: list[dict[str, Any]]
    metrics: dict[str, float]
    dropped: list[bool]
    """The group filter takes the reply's group out of the update; its advantage is given all the same."""


class Hybrid:
    """Group rewards, modulated scores, advantages and their figures.

    Raises:
        RegistryError, RewardError: unknown names or options, or rewards that cannot be combined.
        ValueError: λ leaves [0, 1], or an option of the advantage has a value that it refuses.
    """

    def __init__(self, suite: Suite, advantage: AdvantageConfig):
        check_advantage_options(advantage.name, advantage.options)
        low, high = find_schedule_extremes(advantage.lam)
        if low < 0.0 or high > 1.0:
            raise ValueError(f"advantage.lambda runs from {low:g} to {high:g}; it must stay in [0, 1]")
        self.suite, self.config = suite, advantage
        self._try()

    def run(self, replies: Sequence[ScoredReply], *, alpha: Sequence[float] | None = None) -> HybridStep:
        """Score groups and compute advantages.

        Args:
            replies: of one step; groups in any order.
            alpha: perception weight of each reply; multiplies its advantage after centring.

        Raises:
            RewardError: a group reward failed.
            RolloutError: no replies, or a score or weight that is not finite.
            AdvantageError: an advantage that is not finite.
        """
        _refuse_unusable(replies, alpha)
        scored = self._scored(replies)
        progress = replies[0].rollout.progress
        lam = self.lam(progress)
        plain = self._advantage(scored.groups, lam)
        weight = None if alpha is None else scored.layout.spread(alpha)
        advantage = plain if weight is None else plain * weight
        dropped, filtered = self._filter(scored, advantage)
        metrics = {
            "advantage/lambda": lam,
            **compute_step_figures(scored, advantage, self.suite, self.config.k, progress),
            **compute_share_figures(scored, plain, lambda groups: self._advantage(groups, lam)),
            **filtered,
            **compute_refusal_figures([(r.rollout, r.score) for r in replies]),
        }
        if lam > 0 and select_accepted_settings(self.config.name, {"lam": lam}):
            total = float(plain.abs().sum())
            changed = float((plain - self._advantage(scored.groups, 0.0)).abs().sum())
            metrics["advantage/share/pass_at_k"] = changed / total if total else 0.0
        if weight is not None:
            metrics |= compute_alpha_figures(plain, weight, scored.groups.mask)
        return HybridStep(
            advantages=scored.layout.flat(advantage),
            components=scored.components,
            modulated=scored.layout.flat(scored.groups.modulated),
            log=scored.log,
            metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
            dropped=dropped,
        )

    def lam(self, progress: float) -> float:
        """λ at a share of the run."""
        return evaluate_schedule(self.config.lam, progress)

    def _scored(self, replies: Sequence[ScoredReply]) -> ScoredStep:
        layout = GroupLayout.of([reply.group for reply in replies])
        members = list(layout.members.values())
        components: list[dict[str, float | None]] = [dict(reply.components) for reply in replies]
        log = [dict(reply.log) for reply in replies]
        asked = [Group([replies[i].rollout for i in own], [replies[i].score for i in own]) for own in members]
        for own, found in zip(members, self.suite.score_groups(asked), strict=True):
            for column, i in enumerate(own):
                components[i] |= {name: values[column] for name, values in found.components.items()}
                log[i] |= found.log[column]
        scores = combine_scores(
            self.suite.roles,
            self.suite.signed_weights(replies[0].rollout.progress),
            {name: layout.spread(v) for name, v in tabulate_components(self.suite.roles, components).items()},
            layout.spread([reply.score for reply in replies]),
        )
        groups = Groups(
            modulated=scores.modulated,
            raw=scores.raw,
            mask=layout.mask,
            components=scores.components,
            weights=scores.weights,
            tokens=layout.spread([float(reply.rollout.length) for reply in replies]),
            adversarial=torch.tensor([replies[own[0]].rollout.type == "adversarial" for own in members]),
        )
        return ScoredStep(replies, layout, groups, scores, components, log)

    def _advantage(self, groups: Groups, lam: float) -> Tensor:
        return compute_advantage(self.config, groups, lam)

    def _filter(self, scored: ScoredStep, advantage: Tensor) -> tuple[list[bool], dict[str, float]]:
        config = self.config.filter
        if config is None:
            return [False] * len(scored.replies), {}
        first = [scored.replies[own[0]] for own in scored.layout.members.values()]
        dropped = find_dropped_groups(
            config,
            advantage,
            scored.scores.correct,
            scored.groups.mask,
            [(reply.rollout.step, reply.rollout.uid or reply.group) for reply in first],
            modulators=self.suite.has_modulators,
        )
        silent = advantage.abs().amax(dim=1) < config.epsilon
        share = {"filter/dropped": dropped, "filter/no_signal": silent}
        return [bool(v) for v in scored.layout.flat(dropped)], {n: float(v.double().mean()) for n, v in share.items()}

    def _try(self) -> None:
        """Refuse option values that the advantage cannot work with before anything is generated."""
        shape = (2, self.config.k + 1)
        scores = torch.zeros(shape, dtype=torch.float64)
        scores[0, 0] = 1.0
        components = dict.fromkeys(self.suite.names(), scores)
        mask = torch.ones(shape, dtype=torch.bool)
        adversarial = torch.tensor([False, True])
        weights = self.suite.signed_weights(0.0)
        try:
            self._advantage(
                Groups(scores, scores, mask, components, weights, mask.double(), adversarial), self.lam(0.0)
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"advantage {self.config.name!r}, options {self.config.options}: {error}") from error


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


def _refuse_unusable(replies: Sequence[ScoredReply], alpha: Sequence[float] | None) -> None:
    if not replies:
        raise RolloutError("there are no replies to compute advantages from")
    for reply in replies:
        if not math.isfinite(reply.score):
            raise RolloutError(
                f"reply {reply.session} to prompt {reply.rollout.uid or reply.group!r} has the score {reply.score}"
            )
    if alpha is not None and len(alpha) != len(replies):
        raise RolloutError(f"{len(alpha)} perception weights for {len(replies)} replies; there must be one for each")
    if alpha is not None and not all(math.isfinite(a) and a >= 0 for a in alpha):
        raise RolloutError("perception weights must be finite and not negative")
