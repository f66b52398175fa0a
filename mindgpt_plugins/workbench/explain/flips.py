"""Where the order of replies is turned around: against what is right, and between two recipes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.workbench.explain.algebra import convert_to_json_number
from mindgpt_plugins.workbench.explain.replay import RewardReplay

EQUAL = 1e-9
"""Advantages closer than this count as equal."""
EXAMPLES = 8


def find_order_violations(replay: RewardReplay) -> dict[str, Any]:
    """Within one recipe: a wrong reply at or above a right one, and correct replies pushed down.

    Returns:
        ``mixed`` groups; ``order`` groups of them where some wrong reply's A is at least some right one's;
        ``pushed_down`` right replies with A < 0 and ``right`` replies; ``pushed_down_mixed`` those in mixed groups;
        ``no_signal`` groups whose A is 0 throughout; ``examples``.
    """
    right, mask, advantage = replay.scores.correct, replay.board.mask, replay.weighted
    wrong = ~right & mask
    mixed = right.any(dim=1) & wrong.any(dim=1)
    margin = advantage.masked_fill(~right, torch.inf).amin(1) - advantage.masked_fill(~wrong, -torch.inf).amax(1)
    turned = mixed & (margin <= 0)
    down = right & (advantage < -EQUAL)
    worst = [g for g in margin.argsort().tolist() if bool(turned[g])][:EXAMPLES]
    return {
        "mixed": int(mixed.sum()),
        "order": int(turned.sum()),
        "pushed_down": int(down.sum()),
        "pushed_down_mixed": int((down & mixed.unsqueeze(1)).sum()),
        "right": int(right.sum()),
        "no_signal": int((advantage.abs().amax(dim=1) <= EQUAL).sum()),
        "groups": len(mask),
        "examples": [
            _example(
                replay,
                g,
                int(advantage[g].masked_fill(~right[g], torch.inf).argmin()),
                int(advantage[g].masked_fill(~wrong[g], -torch.inf).argmax()),
                {"A": advantage[g]},
            )
            for g in worst
        ],
    }


def find_order_flips(one: RewardReplay, two: RewardReplay) -> dict[str, Any]:
    """Pairs of replies to one prompt that the first recipe orders one way and the second the other.

    Returns:
        ``pairs`` that either orders, ``flipped``, ``groups`` with a flip; ``kinds``: of the flipped, how many are
        between two right, two wrong, and a right and a wrong reply (by the first recipe); ``tied`` pairs that only one
        of them orders; ``signs`` replies pushed up by one and down by the other; ``correlation`` of A; ``push`` = mean
        |A| of each; ``examples``, the largest first.
    """
    mask = one.board.mask
    a, b = one.weighted, two.weighted
    both = (mask.unsqueeze(2) & mask.unsqueeze(1)).triu(1)
    first, second = a.unsqueeze(2) - a.unsqueeze(1), b.unsqueeze(2) - b.unsqueeze(1)
    ordered, also = first.abs() > EQUAL, second.abs() > EQUAL
    flipped = both & ordered & also & (first * second < 0)
    right = one.scores.correct
    of_two = right.unsqueeze(2).int() + right.unsqueeze(1).int()
    size = torch.minimum(first.abs(), second.abs()) * flipped
    n = mask.shape[1]
    # One pair of a group is enough to look at.
    largest, where = size.flatten(1).max(dim=1)
    worst = [g for g in largest.argsort(descending=True).tolist() if float(largest[g]) > 0][:EXAMPLES]
    return {
        "pairs": int((both & (ordered | also)).sum()),
        "flipped": int(flipped.sum()),
        "groups": int(flipped.flatten(1).any(dim=1).sum()),
        "kinds": {name: int((flipped & (of_two == k)).sum()) for k, name in ((2, "right"), (0, "wrong"), (1, "mixed"))},
        "tied": int((both & (ordered ^ also)).sum()),
        "signs": int((mask & (a.abs() > EQUAL) & (b.abs() > EQUAL) & (a * b < 0)).sum()),
        "correlation": convert_to_json_number(torch.corrcoef(torch.stack([a[mask], b[mask]]))[0, 1])
        if int(mask.sum()) > 1
        else None,
        "push": [float(a[mask].abs().mean()), float(b[mask].abs().mean())],
        "examples": [
            _example(one, g, int(where[g]) // n, int(where[g]) % n, {"A": a[g], "A_against": b[g]}) for g in worst
        ],
    }


def _example(replay: RewardReplay, group: int, i: int, j: int, values: dict[str, Tensor]) -> dict[str, Any]:
    """Two replies to one prompt, with their advantages."""
    members = replay.board.members(group)
    replies = []
    for place in (i, j):
        rollout = replay.board.recorded[members[place]].rollout
        replies.append(
            {
                "text": rollout.text,
                "tokens": rollout.length,
                "right": bool(replay.scores.correct[group, place]),
                "components": {n: convert_to_json_number(v[group, place]) for n, v in replay.scores.components.items()},
                **{name: float(own[place]) for name, own in values.items()},
            }
        )
    first = replay.board.recorded[members[0]]
    return {
        "group": first.group,
        "step": first.rollout.step,
        "prompt": first.rollout.prompt,
        "target": first.rollout.target,
        "replies": replies,
    }
