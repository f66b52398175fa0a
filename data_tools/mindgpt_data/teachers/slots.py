"""Which capability and topic each QA is about: family quotas first, then leaves that have had least (ours)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from mindgpt_data.focus.weights import NEUTRAL, Focus
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.teachers.base import Candidate, Job, Label, Slot

DEFICIT = -0.5
"""Sampling weight of a leaf with n items: (n + 1) to this power."""


class SlotError(ValueError):
    """The capability tree cannot serve the budget; the message names the family."""


def draw_option(
    options: Collection[str],
    counts: Mapping[str, int],
    rng: random.Random,
    power: float = DEFICIT,
    weights: Mapping[str, float] = NEUTRAL,
) -> str:
    """One of ``options`` with weight w·(n/w + 1)^power; independent of their order.

    With w = 1 for all that is (n + 1)^power; else what an option has so far is counted in units of its weight, so that
    in the long run it gets items in proportion to it.
    """
    names = sorted(options)
    return rng.choices(names, [weights[n] * (counts.get(n, 0) / weights[n] + 1) ** power for n in names])[0]


def group_by_family(capabilities: Mapping[str, Label], families: Mapping[str, int]) -> dict[str, list[str]]:
    """Family → its capability leaves.

    Raises:
        SlotError: a family with a quota has no leaf.
    """
    leaves: dict[str, list[str]] = {d: [] for d in SUB_SCORES}
    for label in capabilities.values():
        leaves[label.family].append(label.leaf)
    for family, wanted in families.items():
        if wanted and not leaves[family]:
            raise SlotError(
                f"{wanted} QA are budgeted for {family!r}, and no capability leaf has `density: {family}`; add one to "
                "the capability tree"
            )
    return leaves


def plan_slots(
    families: Mapping[str, int],
    topics: Sequence[str],
    leaves: Mapping[str, Sequence[str]],
    planned: Counter[str],
    rng: random.Random,
    *,
    open_share: float = 0.0,
    levels: Sequence[int] = (1, 2, 3, 4, 5),
    focus: Focus | None = None,
) -> tuple[Slot, ...]:
    """The slots of one image. ``planned`` counts what earlier images were promised and is updated.

    Args:
        families: quota per capability family.
        topics: matched knowledge leaves; every slot gets one of them, or None when there are none.
        leaves: family → capability leaves.
        planned: leaf → QA so far, both dimensions.
        rng: the only source of chance.
        open_share: chance that a slot is ``open``.
        levels: difficulties to request, each as often.
        focus: weights of the leaves.
    """
    slots: list[Slot] = []
    heavy, about = _weights(focus)
    for family in SUB_SCORES:
        for _ in range(families[family]):
            capability = draw_option(leaves[family], planned, rng, weights=heavy)
            topic = draw_option(topics, planned, rng, weights=about) if topics else None
            kind = "open" if rng.random() < open_share else "verifiable"
            slots.append(Slot(len(slots), capability, topic, kind, rng.choice(levels)))
            planned.update([capability] if topic is None else [capability, topic])
    return tuple(slots)


def choose_candidates(
    candidates: Sequence[Candidate],
    job: Job,
    used: Counter[str],
    answers: dict[str, Counter[str]],
    rng: random.Random,
    focus: Focus | None = None,
) -> list[Candidate]:
    """At most ``job.items + job.spare`` of what a local teacher proposed, those of the budget first.

    Family quotas come first, then leaf, topic and answer deficits. A question is taken once. ``used`` and ``answers``
    count what earlier images got and are updated; spares do not count, since most of them are never used.

    Args:
        candidates: in any order; the same list gives the same choice.
        job: its quotas.
        used: leaf → items so far, both dimensions.
        answers: capability → answers so far: guessing the commonest should not pay.
        rng: the only source of chance.
        focus: weights of the leaves.
    """
    heavy, about = _weights(focus)
    pool = list({c.question.casefold(): c for c in reversed(candidates)}.values())[::-1]
    quota, chosen = dict(job.families), list[Candidate]()
    while pool and len(chosen) < job.items + job.spare:
        there = {job.capabilities[c.capability].family for c in pool}
        open_ = [d for d in quota if quota[d] > 0 and d in there]
        family = max(open_, key=lambda d: quota[d]) if open_ else None
        fits = [c for c in pool if family is None or job.capabilities[c.capability].family == family]
        capability = draw_option({c.capability for c in fits}, used, rng, weights=heavy)
        fits = [c for c in fits if c.capability == capability]
        topic = draw_option({c.knowledge or "" for c in fits}, used, rng, weights=about)
        fits = [c for c in fits if (c.knowledge or "") == topic]
        given = answers.setdefault(capability, Counter())
        answer = draw_option({c.answer for c in fits}, given, rng, power=-1.5)
        candidate = rng.choice([c for c in fits if c.answer == answer])
        pool.remove(candidate)
        chosen.append(candidate)
        if len(chosen) > job.items:
            continue
        used.update([capability] if candidate.knowledge is None else [capability, candidate.knowledge])
        given[answer] += 1
        if family is not None:
            quota[family] -= 1
    return chosen


def _weights(focus: Focus | None) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Of capability leaves and of topics."""
    return (focus.capability, focus.knowledge) if focus else (NEUTRAL, NEUTRAL)
