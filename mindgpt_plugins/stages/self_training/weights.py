"""How often each prompt enters the restoration set: shrunk solve rates, weights, and seeded apportionment (ours)."""

from __future__ import annotations

import random
from collections.abc import Mapping


def shrink_solve_rates(
    correct: Mapping[str, int], samples: int, group: Mapping[str, str], strength: float
) -> dict[str, float]:
    """Solve rate per prompt, pulled towards the mean of its group: (c + s·p̄) / (K + s).

    Args:
        correct: prompt → right answers.
        samples: K, answers per prompt.
        group: prompt → group (its capability).
        strength: s, in pseudo-answers; 0 gives the raw rate.
    """
    totals: dict[str, list[int]] = {}
    for prompt, count in correct.items():
        totals.setdefault(group[prompt], []).append(count)
    means = {g: sum(counts) / (samples * len(counts)) for g, counts in totals.items()}
    return {p: (c + strength * means[group[p]]) / (samples + strength) for p, c in correct.items()}


def apportion_copies(weights: Mapping[str, float], total: int, most: int, seed: int) -> dict[str, int]:
    """Copies per prompt: expected ∝ weight, none above ``most``, together exactly ``total``.

    Excess over the cap is redistributed; fractions are settled by systematic sampling from one seeded offset, which
    keeps every expectation exact.

    Raises:
        ValueError: ``total`` is more than ``most`` copies of every prompt.
    """
    if total > most * len(weights):
        raise ValueError(f"{total} rows were asked for, but {len(weights)} prompts × {most} copies are fewer")
    share: dict[str, float] = {}
    free, left = dict(weights), float(total)
    while free:
        scale = left / sum(free.values())
        full = [p for p, w in free.items() if w * scale >= most]
        if not full:
            share |= {p: w * scale for p, w in free.items()}
            break
        for p in full:
            share[p] = float(most)
            left -= most
            del free[p]
    order = sorted(weights)
    rng = random.Random(seed)
    rng.shuffle(order)
    offset, passed = rng.random(), 0.0
    copies: dict[str, int] = {}
    taken = 0
    for i, p in enumerate(order):
        passed += share[p]
        # The last prompt closes the sum exactly, whatever floating point did on the way.
        upto = total if i == len(order) - 1 else min(total, int(passed + offset))
        copies[p] = min(most, upto - taken)
        taken += copies[p]
    return copies
