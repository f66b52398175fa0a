"""In which order the questions about one picture are tried."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from mindgpt_data.focus.weights import NEUTRAL, Focus
from mindgpt_data.teachers.slots import draw
from mindgpt_data.tree.model import Tree
from mindgpt_data.world.candidate import Candidate


def tried(
    candidates: list[Candidate],
    families: dict[str, int],
    tree: Tree,
    leaves: Counter[str],
    topics: Counter[str],
    answers: dict[str, Counter[str]],
    matched: list[str],
    rng: random.Random,
    focus: Focus | None,
) -> Iterator[Candidate]:
    """Candidates in the order they are tried: family quotas first, then leaves by their deficit (:func:`draw`)."""
    pool, quota = list(candidates), dict(families)
    heavy, about = (focus.capability, focus.knowledge) if focus else (NEUTRAL, NEUTRAL)
    while pool:
        families_left = {tree.nodes[c.capability].density for c in pool}
        open_ = [d for d in quota if quota[d] > 0 and d in families_left]
        family = max(open_, key=lambda d: quota[d]) if open_ else None
        choice = [c for c in pool if family is None or tree.nodes[c.capability].density == family]
        # Leaf first, then a candidate of it: a leaf with many candidates is not asked more often.
        capability = draw({c.capability for c in choice}, leaves, rng, weights=heavy)
        choice = [c for c in choice if c.capability == capability]
        fits = [c for c in choice if c.knowledge in matched] or choice
        topic = draw({c.knowledge or "" for c in fits}, topics, rng, weights=about)
        fits = [c for c in fits if (c.knowledge or "") == topic]
        # Rare answers first: guessing the commonest answer of a capability should not pay.
        answer = draw({c.answer for c in fits}, answers[capability], rng, power=-1.5)
        candidate = rng.choice([c for c in fits if c.answer == answer])
        pool.remove(candidate)
        if family is not None:
            quota[family] -= 1
        yield candidate
