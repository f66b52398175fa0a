"""Meets the budget exactly: spare questions make good for what an image cannot fill or a gate drops (ours)."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence


def choose_within_budget(
    asked: Sequence[tuple[str, str]], budget: Mapping[str, int], pool: Mapping[str, str], seed: int
) -> set[str]:
    """Uids of the questions that the budget has room for.

    Every image keeps its first questions, as many as are budgeted for it. What an image falls short of is taken from
    the questions that images of the same pool have beyond their budget: one each before two, in random order.

    Args:
        asked: (uid, image) of every question that may be used, best first within its image.
        budget: image → questions.
        pool: image → name of the total it shares; images without one share a total.
        seed: the only source of chance.
    """
    left = Counter(budget)
    missing: Counter[str] = Counter()
    for image, count in budget.items():
        missing[pool.get(image, "")] += count
    kept: set[str] = set()
    turns: Counter[str] = Counter()
    spare: defaultdict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for uid, image in asked:
        if left[image] > 0:
            left[image] -= 1
            missing[pool.get(image, "")] -= 1
            kept.add(uid)
        else:
            rank = hashlib.sha256(f"{seed} spare {uid}".encode()).hexdigest()
            spare[pool.get(image, "")].append((turns[image], rank, uid))
            turns[image] += 1
    for name, offered in spare.items():
        kept.update(uid for _, _, uid in sorted(offered)[: missing[name]])
    return kept
