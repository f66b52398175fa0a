"""Evaluates a recipe's rewards and combines them by role.

r = (weighted mean of the task scores that scored) × gates; a reply is correct when r ≥ 0.5. For correct replies
g = r·(1 − Σ w·u over penalties + Σ w·u over bonuses), else g = r. So a modulator cannot turn wrong into right, and
with right/wrong scores a correct reply always beats a wrong one. A closed gate makes r = 0; on an adversarial prompt
min(r, 0).
Source: ours (role algebra), see the method notes in the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from mindgpt_plugins.recipe.base import Strict
from mindgpt_plugins.registry import check_options, get
from mindgpt_plugins.rewards.schedule import Schedule, extremes, value_at
from mindgpt_plugins.rewards.sdk import (
    Group,
    RewardError,
    RewardFunction,
    Rollout,
    Score,
    Spec,
    checked,
    spec_of,
)


class RewardConfig(Strict):
    """One entry of a recipe's ``rewards:``."""

    weight: float = Field(
        1.0, ge=0.0, description="Share among task scores, or strength of a modulator; unused by gates."
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the reward function.")
    schedule: Schedule | None = Field(None, description="Multiplies the weight over the run.")


@dataclass(frozen=True)
class SampleScores:
    """What the sample-scope rewards say about one reply."""

    score: float
    """Gated task score r."""
    components: dict[str, float | None]
    """Reward name → value; ``None`` where it did not score."""
    log: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupScores:
    """What all rewards say about one group; lists follow the group's order."""

    modulated: list[float]
    """g, what the advantage is computed from."""
    components: dict[str, list[float | None]]
    """Group-scope rewards only."""
    log: list[dict[str, Any]]
    effects: dict[str, list[float]]
    """Modulator name → what it adds to the factor of each reply's score; 0 for wrong replies."""


@dataclass(frozen=True)
class _Entry:
    spec: Spec
    function: RewardFunction
    config: RewardConfig

    def weight(self, progress: float) -> float:
        schedule = self.config.schedule
        return self.config.weight * (1.0 if schedule is None else value_at(schedule, progress))

    def run(self, subject: Rollout | Group) -> Any:
        return self.function(subject, **self.config.options)


class Suite:
    """The rewards of one recipe.

    Args:
        rewards: recipe name → configuration. Plugins that register further names must be loaded before.

    Raises:
        RegistryError: unknown reward or option.
        RewardError: no task reward, or modulators strong enough to make a right reply lose to a wrong one.
    """

    def __init__(self, rewards: Mapping[str, RewardConfig]):
        self.entries: list[_Entry] = []
        for name, config in rewards.items():
            function = get("reward", name)
            check_options("reward", name, config.options)
            # An entry point may offer a reward under another name than its decorator's; the recipe's name counts.
            self.entries.append(_Entry(replace(spec_of(name, function), name=name), function, config))
        if not any(e.spec.role == "task" and e.config.weight > 0 for e in self.entries):
            raise RewardError(
                "no task reward with a positive weight: add one, for example `rewards: {accuracy: {weight: 1.0}}`"
            )
        strongest = {
            e.spec.name: e.config.weight * (1.0 if e.config.schedule is None else extremes(e.config.schedule)[1])
            for e in self.entries
            if e.spec.penalty
        }
        if sum(strongest.values()) >= 1.0:
            raise RewardError(
                f"the penalties {strongest} add up to {sum(strongest.values()):g}; keep their sum below 1, "
                "else a right reply can lose to a wrong one"
            )
        for e in self.entries:
            if e.config.schedule is not None and extremes(e.config.schedule)[0] < 0:
                raise RewardError(f"reward {e.spec.name!r}: its schedule goes below 0; a weight must not be negative")

    def names(self, scope: str | None = None) -> list[str]:
        """Reward names in recipe order, optionally of one scope."""
        return [e.spec.name for e in self.entries if scope in (None, e.spec.scope)]

    def weights(self, progress: float) -> dict[str, float]:
        """Weight of every task and modulator at a share of the run."""
        return {e.spec.name: e.weight(progress) for e in self.entries if e.spec.role != "gate"}

    def score_sample(self, rollout: Rollout) -> SampleScores:
        """Run the sample-scope rewards on one reply.

        Raises:
            RewardError: a reward returned something unusable, or no task reward scored the reply.
        """
        components: dict[str, float | None] = {}
        log: dict[str, Any] = {}
        for entry in self.entries:
            if entry.spec.scope != "sample":
                continue
            score = checked(entry.spec, entry.run(rollout), rollout)
            components[entry.spec.name] = None if score is None else score.value
            if score is not None:
                log.update({f"{entry.spec.name}.{key}": value for key, value in score.log.items()})
        return SampleScores(self._gated(components, rollout), components, log)

    def score_group(
        self, rollouts: Sequence[Rollout], scores: Sequence[float], samples: Sequence[Mapping[str, float | None]]
    ) -> GroupScores:
        """Run the group-scope rewards and combine everything into the modulated scores g.

        Args:
            rollouts: all replies to one prompt.
            scores: their gated task scores r.
            samples: their sample-scope components, by reward name.

        Raises:
            RewardError: a reward returned something unusable or the wrong number of scores.
        """
        group = Group(rollouts, scores)
        progress = rollouts[0].progress
        effects: dict[str, list[float]] = {}
        components: dict[str, list[float | None]] = {}
        log: list[dict[str, Any]] = [{} for _ in rollouts]
        for entry in self.entries:
            if entry.spec.role != "modulator":
                continue
            name = entry.spec.name
            if entry.spec.scope == "group":
                found = self._run_group(entry, group)
                components[name] = [None if s is None else s.value for s in found]
                for own, score in zip(log, found, strict=True):
                    own.update({f"{name}.{k}": v for k, v in (score.log if score else {}).items()})
                values = components[name]
            else:
                values = [sample.get(name) for sample in samples]
            weight = entry.weight(progress) * (-1.0 if entry.spec.penalty else 1.0)
            effects[name] = [
                weight * (v or 0.0) if good else 0.0 for v, good in zip(values, group.correct, strict=True)
            ]
        modulated = [float(r) * (1.0 + sum(own[i] for own in effects.values())) for i, r in enumerate(scores)]
        return GroupScores(modulated, components, log, effects)

    def _run_group(self, entry: _Entry, group: Group) -> list[Score | None]:
        found = entry.run(group)
        if not isinstance(found, (list, tuple)) or len(found) != len(group.rollouts):
            raise RewardError(
                f"reward {entry.spec.name!r}, group of {group.rollouts[0].uid!r}: returned {found!r:.120}; a group "
                f"reward returns a list with one Score or None per reply ({len(group.rollouts)} here)"
            )
        return [checked(entry.spec, score, rollout) for score, rollout in zip(found, group.rollouts, strict=True)]

    def _gated(self, components: Mapping[str, float | None], rollout: Rollout) -> float:
        total = weights = 0.0
        open_gates = True
        for entry in self.entries:
            value = components.get(entry.spec.name)
            if value is None:
                continue
            if entry.spec.role == "task":
                weight = entry.weight(rollout.progress)
                total, weights = total + weight * value, weights + weight
            elif entry.spec.role == "gate" and value == 0.0:
                open_gates = False
        if weights <= 0.0:
            tasks = [e.spec.name for e in self.entries if e.spec.role == "task"]
            raise RewardError(
                f"no task reward scored sample {rollout.uid!r} of type {rollout.type!r} (asked: {', '.join(tasks)}); "
                "add a reward for this type or drop such prompts from the dataset"
            )
        r = total / weights
        if open_gates:
            return r
        return min(r, 0.0) if rollout.type == "adversarial" else 0.0
