"""Evaluates a recipe's rewards and combines them by role.

r = (weighted mean of the task scores that scored) × gates; a reply is correct when r ≥ 0.5. For correct replies
g = r·(1 − Σ w·u over penalties + Σ w·u over bonuses), else g = r. So a modulator cannot turn wrong into right, and
with right/wrong scores a correct reply always beats a wrong one. A closed gate makes min(r, 0): 0, or the punishment.
Source: ours (role algebra), see the method notes in the documentation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from mindgpt_plugins.core.registry import get
from mindgpt_plugins.core.schedule import extremes, value_at
from mindgpt_plugins.rewards.config import RewardConfig
from mindgpt_plugins.rewards.execution import Call
from mindgpt_plugins.rewards.options import prepared
from mindgpt_plugins.rewards.sdk import Group, RewardError, Rollout, Score, Spec, checked, place, spec_of

__all__ = ["GroupScores", "RewardConfig", "SampleScores", "Suite"]

logger = logging.getLogger(__name__)


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
    call: Call
    config: RewardConfig

    def weight(self, progress: float) -> float:
        schedule = self.config.schedule
        return self.config.weight * (1.0 if schedule is None else value_at(schedule, progress))


_Started = list[tuple[_Entry, Future[Any]]]


class Suite:
    """The rewards of one recipe.

    Args:
        rewards: recipe name → configuration. Plugins that register further names must be loaded before.

    Raises:
        RegistryError: unknown reward or option.
        RewardError: an option is missing or of another type, no task reward, or modulators strong enough to make a
            right reply lose to a wrong one.
    """

    def __init__(self, rewards: Mapping[str, RewardConfig]):
        self.entries: list[_Entry] = []
        for name, config in rewards.items():
            registered = config.reward or name
            function = get("reward", registered)
            # An entry point may offer a reward under another name than its decorator's; the recipe's name counts.
            spec = replace(spec_of(registered, function), name=name)
            call = Call(function, prepared(registered, function, config.options), config.timeout, config.concurrency)
            self.entries.append(_Entry(spec, call, config))
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
        """Run the sample-scope rewards on one reply; async ones and those with a time limit run side by side.

        Raises:
            RewardError: a reward raised, was too late or returned something unusable, or no task reward scored the
                reply.
        """
        return self._sample(rollout, self._start("sample", rollout, rollout))

    async def score_sample_async(self, rollout: Rollout) -> SampleScores:
        """The same without holding a thread while async rewards wait: for many replies at once.

        Raises:
            RewardError: as :meth:`score_sample`.
        """
        started = await asyncio.to_thread(self._start, "sample", rollout, rollout)
        waiting = [asyncio.wrap_future(future) for _, future in started if not future.done()]
        if waiting:
            await asyncio.wait(waiting)
        return self._sample(rollout, started)

    def score_group(
        self, rollouts: Sequence[Rollout], scores: Sequence[float], samples: Sequence[Mapping[str, float | None]]
    ) -> GroupScores:
        """Run the group-scope rewards and combine everything into the modulated scores g.

        Args:
            rollouts: all replies to one prompt.
            scores: their gated task scores r.
            samples: their sample-scope components, by reward name.

        Raises:
            RewardError: a reward failed, or returned something unusable or the wrong number of scores.
        """
        return self.score_groups([(Group(rollouts, scores), samples)])[0]

    def score_groups(self, groups: Sequence[tuple[Group, Sequence[Mapping[str, float | None]]]]) -> list[GroupScores]:
        """The same for many groups, whose async rewards then run side by side.

        Args:
            groups: each group with its replies' sample-scope components.

        Raises:
            RewardError: as :meth:`score_group`.
        """
        started = [self._start("group", group, group.rollouts[0]) for group, _ in groups]
        try:
            return [self._group(group, samples, own) for (group, samples), own in zip(groups, started, strict=True)]
        except RewardError:
            _cancel([pair for own in started for pair in own])
            raise

    def _start(self, scope: str, subject: Rollout | Group, first: Rollout) -> _Started:
        entries = [e for e in self.entries if e.spec.scope == scope and e.config.when.fits(first)]
        # Those that wait for something go first, so that the others fill their time.
        futures = {e.spec.name: e.call.start(subject) for e in sorted(entries, key=lambda e: not e.call.deferred)}
        return [(e, futures[e.spec.name]) for e in entries]

    def _sample(self, rollout: Rollout, started: _Started) -> SampleScores:
        components: dict[str, float | None] = dict.fromkeys(self.names("sample"))
        log: dict[str, Any] = {}
        for entry, future in started:
            name = entry.spec.name
            try:
                score = checked(entry.spec, _result(entry, future, rollout), rollout)
            except RewardError as error:
                if entry.config.on_error == "stop":
                    _cancel(started)
                    raise
                log[f"{name}.error"] = _noted(error)
                continue
            if score is not None:
                components[name] = score.value
                log.update({f"{name}.{key}": value for key, value in score.log.items()})
        return SampleScores(self._gated(components, rollout), components, log)

    def _group(self, group: Group, samples: Sequence[Mapping[str, float | None]], started: _Started) -> GroupScores:
        components: dict[str, list[float | None]] = {n: [None] * len(group.rollouts) for n in self.names("group")}
        log: list[dict[str, Any]] = [{} for _ in group.rollouts]
        for entry, future in started:
            name = entry.spec.name
            try:
                found = _group_scores(entry, future, group)
            except RewardError as error:
                if entry.config.on_error == "stop":
                    raise
                for own in log:
                    own[f"{name}.error"] = str(error)
                _noted(error)
                continue
            components[name] = [None if s is None else s.value for s in found]
            for own, score in zip(log, found, strict=True):
                own.update({f"{name}.{k}": v for k, v in (score.log if score else {}).items()})
        effects: dict[str, list[float]] = {}
        for entry in self.entries:
            if entry.spec.role != "modulator":
                continue
            name = entry.spec.name
            values = components[name] if name in components else [sample.get(name) for sample in samples]
            weight = entry.weight(group.rollouts[0].progress) * (-1.0 if entry.spec.penalty else 1.0)
            effects[name] = [
                weight * (v or 0.0) if good else 0.0 for v, good in zip(values, group.correct, strict=True)
            ]
        modulated = [float(r) * (1.0 + sum(own[i] for own in effects.values())) for i, r in enumerate(group.scores)]
        return GroupScores(modulated, components, log, effects)

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
        return r if open_gates else min(r, 0.0)


def _result(entry: _Entry, future: Future[Any], rollout: Rollout) -> Any:
    try:
        return future.result()
    except Exception as error:
        raise RewardError(f"{place(entry.spec, rollout)}: raised {type(error).__name__}: {error}") from error


def _group_scores(entry: _Entry, future: Future[Any], group: Group) -> list[Score | None]:
    found = _result(entry, future, group.rollouts[0])
    if not isinstance(found, (list, tuple)) or len(found) != len(group.rollouts):
        raise RewardError(
            f"reward {entry.spec.name!r}, group of {group.rollouts[0].uid!r}: returned {found!r:.120}; a group "
            f"reward returns a list with one Score or None per reply ({len(group.rollouts)} here)"
        )
    return [checked(entry.spec, score, rollout) for score, rollout in zip(found, group.rollouts, strict=True)]


def _cancel(started: _Started) -> None:
    for _, future in started:
        future.cancel()


def _noted(error: RewardError) -> str:
    logger.warning("not scored (on_error: none): %s", error)
    return str(error)
