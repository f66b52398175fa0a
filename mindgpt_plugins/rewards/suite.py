"""Runs a recipe's rewards; how their values are combined is :mod:`mindgpt_plugins.rewards.algebra`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from mindgpt_plugins.core.schedule import find_schedule_extremes
from mindgpt_plugins.rewards.algebra import (
    Array,
    CombinedScores,
    combine_scores,
    compute_task_scores,
    tabulate_components,
)
from mindgpt_plugins.rewards.config import RewardConfig
from mindgpt_plugins.rewards.entry import RewardEntry
from mindgpt_plugins.rewards.sdk import Group, RewardError, Rollout

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
    """What the group-scope rewards say about one group; lists follow the group's order."""

    components: dict[str, list[float | None]]
    """Reward name → values; ``None`` where it did not score."""
    log: list[dict[str, Any]]


_Started = list[tuple[RewardEntry, Future[Any]]]


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
        self.entries = [RewardEntry.of(name, config) for name, config in rewards.items()]
        self.roles = {e.spec.name: e.spec.role for e in self.entries}
        self.has_modulators = any(e.spec.role == "modulator" and e.config.weight > 0 for e in self.entries)
        if not any(e.spec.role == "task" and e.config.weight > 0 for e in self.entries):
            raise RewardError(
                "no task reward with a positive weight: add one, for example `rewards: {accuracy: {weight: 1.0}}`"
            )
        strongest = {
            e.spec.name: e.config.weight
            * (1.0 if e.config.schedule is None else find_schedule_extremes(e.config.schedule)[1])
            for e in self.entries
            if e.spec.penalty
        }
        if sum(strongest.values()) >= 1.0:
            raise RewardError(
                f"the penalties {strongest} add up to {sum(strongest.values()):g}; keep their sum below 1, "
                "else a right reply can lose to a wrong one"
            )
        for e in self.entries:
            if e.config.schedule is not None and find_schedule_extremes(e.config.schedule)[0] < 0:
                raise RewardError(f"reward {e.spec.name!r}: its schedule goes below 0; a weight must not be negative")

    def names(self, scope: str | None = None) -> list[str]:
        """Reward names in recipe order, optionally of one scope."""
        return [e.spec.name for e in self.entries if scope in (None, e.spec.scope)]

    def weights(self, progress: float) -> dict[str, float]:
        """Weight of every task and modulator at a share of the run."""
        return {e.spec.name: e.weight(progress) for e in self.entries if e.spec.role != "gate"}

    def signed_weights(self, progress: float) -> dict[str, float]:
        """Weight of every reward at a share of the run, negative for penalties; a plain sum counts gates too."""
        return {e.spec.name: e.signed_weight(progress) for e in self.entries}

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

    def score_groups(self, groups: Sequence[Group]) -> list[GroupScores]:
        """Run the group-scope rewards on many groups; async ones run side by side.

        Raises:
            RewardError: a reward failed, or returned something unusable or the wrong number of scores.
        """
        started = [self._start("group", group, group.rollouts[0]) for group in groups]
        try:
            return [
                GroupScores(*self._read("group", group.rollouts, own))
                for group, own in zip(groups, started, strict=True)
            ]
        except RewardError:
            _cancel([pair for own in started for pair in own])
            raise

    def combine(
        self, components: Sequence[Mapping[str, float | None]], scores: Sequence[float], progress: float
    ) -> CombinedScores:
        """Combine all components of some replies at one share of the run.

        Args:
            components: of each reply, by reward name; one that is missing did not score.
            scores: gated task score of each reply.
            progress: share of the run.

        Returns:
            NumPy arrays, (replies,).
        """
        return combine_scores(self.roles, self.signed_weights(progress), self._arrays(components), _array(scores))

    def unscored_error(self, rollout: Rollout) -> RewardError:
        """The error of a reply that no task reward scored: a run stops with it."""
        tasks = [name for name, role in self.roles.items() if role == "task"]
        return RewardError(
            f"no task reward scored sample {rollout.uid!r} of type {rollout.type!r} (asked: {', '.join(tasks)}); "
            "add a reward for this type or drop such prompts from the dataset"
        )

    def _start(self, scope: str, subject: Rollout | Group, first: Rollout) -> _Started:
        entries = [e for e in self.entries if e.spec.scope == scope and e.config.when.fits(first)]
        # Those that wait for something go first, so that the others fill their time.
        futures = {e.spec.name: e.call.start(subject) for e in sorted(entries, key=lambda e: not e.call.deferred)}
        return [(e, futures[e.spec.name]) for e in entries]

    def _sample(self, rollout: Rollout, started: _Started) -> SampleScores:
        try:
            columns, (log,) = self._read("sample", [rollout], started)
        except RewardError:
            _cancel(started)
            raise
        components = {name: values[0] for name, values in columns.items()}
        weights = self.signed_weights(rollout.progress)
        score = float(compute_task_scores(self.roles, weights, self._arrays([components]))[0])
        if score != score:  # NaN
            raise self.unscored_error(rollout)
        return SampleScores(score, components, log)

    def _read(
        self, scope: str, rollouts: Sequence[Rollout], started: _Started
    ) -> tuple[dict[str, list[float | None]], list[dict[str, Any]]]:
        """Values of the rewards of a scope, None where not scored, and what they log about each reply."""
        components: dict[str, list[float | None]] = {name: [None] * len(rollouts) for name in self.names(scope)}
        log: list[dict[str, Any]] = [{} for _ in rollouts]
        for entry, future in started:
            name = entry.spec.name
            scores, error = entry.read_result(future.result, rollouts)
            if error:
                logger.warning("not scored (on_error: none): %s", error)
            components[name] = [None if score is None else score.value for score in scores]
            for own, score in zip(log, scores, strict=True):
                own |= {f"{name}.error": error} if error else {}
                own |= {f"{name}.{key}": value for key, value in (score.log if score else {}).items()}
        return components, log

    def _arrays(self, components: Sequence[Mapping[str, float | None]]) -> dict[str, Array]:
        return {name: _array(values) for name, values in tabulate_components(self.roles, components).items()}


def _array(values: Sequence[float]) -> Array:
    import numpy as np

    return np.array(values, dtype=np.float64)


def _cancel(started: _Started) -> None:
    for _, future in started:
        future.cancel()
