"""Scores recorded rollouts with a recipe's rewards, without training; an error costs only its own reply."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mindgpt_plugins.rewards.recorded import Recorded, group_recorded_rollouts
from mindgpt_plugins.rewards.sdk import Group, RewardError
from mindgpt_plugins.rewards.suite import SampleScores, Suite

AT_ONCE = 256
"""Replies under way; the rewards' own concurrency bounds what is asked of a server."""


@dataclass
class ScoredSample:
    """One reply with everything the rewards say about it."""

    recorded: Recorded
    score: float | None = None
    """Gated task score r; None when a reward failed."""
    modulated: float | None = None
    components: dict[str, float | None] = field(default_factory=dict)
    log: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def as_row(self) -> dict[str, Any]:
        """Plain data, one line of the output file."""
        r = self.recorded.rollout
        return {
            "uid": r.uid, "group": self.recorded.group, "step": r.step, "prompt": r.prompt, "text": r.text,
            "target": r.target, "type": r.type, "answer_type": r.answer_type, "source": r.source, "length": r.length,
            "score": self.score, "modulated": self.modulated, "components": self.components, "log": self.log,
            "error": self.error,
        }  # fmt: skip


@dataclass(frozen=True)
class Component:
    """One reward over all replies."""

    name: str
    role: str
    scored: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    errors: int
    """Replies it failed on where its policy is not to score them."""
    changed: int
    """Replies whose value is another one than the record's."""


def score_recorded_rollouts(suite: Suite, recorded: Sequence[Recorded]) -> list[ScoredSample]:
    """Score every reply, then every group over its replies that could be scored."""
    found = [ScoredSample(one) for one in recorded]
    for start in range(0, len(found), AT_ONCE):
        asyncio.run(_samples(suite, found[start : start + AT_ONCE]))
    for places in group_recorded_rollouts(list(recorded)):
        members = [found[place] for place in places if found[place].score is not None]
        if not members:
            continue
        group = Group([m.recorded.rollout for m in members], [m.score or 0.0 for m in members])
        try:
            (scores,) = suite.score_groups([group])
        except RewardError as error:
            for member in members:
                member.error = str(error)
            continue
        for i, member in enumerate(members):
            member.components |= {name: values[i] for name, values in scores.components.items()}
            member.log |= scores.log[i]
        combined = suite.combine([m.components for m in members], group.scores, group.rollouts[0].progress)
        for member, g in zip(members, combined.modulated.tolist(), strict=True):
            member.modulated = g
    return found


def summarise_components(suite: Suite, found: Sequence[ScoredSample]) -> list[Component]:
    """Figures of each reward, in recipe order."""
    result = []
    for entry in suite.entries:
        name = entry.spec.name
        values = [v for one in found if (v := one.components.get(name)) is not None]
        changed = sum(
            one.recorded.components[name] != one.components.get(name)
            for one in found
            if name in one.recorded.components and not one.error
        )
        result.append(
            Component(
                name,
                entry.spec.role,
                len(values),
                statistics.fmean(values) if values else None,
                statistics.pstdev(values) if values else None,
                min(values, default=None),
                max(values, default=None),
                sum(f"{name}.error" in one.log for one in found),
                changed,
            )
        )
    return result


def count_ambiguous_verdicts(found: Sequence[ScoredSample]) -> dict[str, int]:
    """Reward → replies whose verdict it calls ambiguous, the stricter reading being what counted; without zeros."""
    counts: Counter[str] = Counter()
    for one in found:
        counts.update(
            key.removesuffix(".ambiguous") for key, value in one.log.items() if key.endswith(".ambiguous") and value
        )
    return dict(counts)


async def _samples(suite: Suite, some: Sequence[ScoredSample]) -> None:
    async def one(scored: ScoredSample) -> None:
        try:
            scores: SampleScores = await suite.score_sample_async(scored.recorded.rollout)
        except RewardError as error:
            scored.error = str(error)
            return
        scored.score, scored.components, scored.log = scores.score, dict(scores.components), dict(scores.log)

    await asyncio.gather(*(one(scored) for scored in some))
