"""What length costs: how many tokens a recipe trades for one point of accuracy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.rewards.recorded import Recorded
from mindgpt_plugins.workbench.explain.algebra import combine_batch_scores, compute_batch_advantages
from mindgpt_plugins.workbench.explain.board import RolloutBatch
from mindgpt_plugins.workbench.explain.replay import RewardReplay
from mindgpt_plugins.workbench.explain.scoring import score_group_rewards, score_sample_rewards

COPIES = 20_000
"""Replies in the copies that are scored, about: it decides how many groups are looked at, evenly spread."""
BANDS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 0.999), (0.999, 1.0))
"""Shares of right replies, above … to."""
POINT = 0.01
FREE = 1e-12
"""A cost below this is rounding."""
RESAMPLES = 1000


def measure_exchange_rate(replay: RewardReplay) -> dict[str, Any]:
    """Tokens that right replies may grow by before it costs as much as one point of accuracy brings.

    Every right reply is made one token longer, alone, and scored again (its text stays). With p the share of right
    replies, ḡ their mean modulated score and s what they lose per token, a prompt is worth p·ḡ; so a point of accuracy
    brings 0.01·ḡ, a token costs p·s, and the rate is 0.01·ḡ / (p·s). Weights are those of the reply's own step
    (``recorded``) and of the last step (``end``); intervals come from resampling groups.

    Returns:
        ``applies``: the advantage looks at modulated scores at all; ``recorded`` and ``end``: {``rate`` (tokens per
        point; None: length is free), ``low`` and ``high`` (its 95 % interval; None: no end, or too few groups),
        ``cost`` (mean of p·s), ``by``: reward → its part of the cost, ``bands``: [{above, to, groups, rate, low,
        high}]}; ``tokens`` mean length of the right replies looked at; ``replies`` of them.
    """
    groups = replay.scores.correct.any(dim=1).nonzero().flatten().tolist()
    most = max(10, COPIES // replay.board.mask.shape[1] ** 2)
    chosen = [groups[i * len(groups) // most] for i in range(most)] if len(groups) > most else groups
    if not chosen:
        nothing: dict[str, Any] = {"rate": None, "low": None, "high": None, "cost": 0.0, "by": {}, "bands": []}
        return {"applies": _applies(replay), "recorded": nothing, "end": nothing, "tokens": None, "replies": 0}
    short, right = replay.board.take(chosen), replay.scores.correct[chosen]
    row, column = right.nonzero(as_tuple=True)
    long, components = _lengthened(replay, short, row.tolist(), column.tolist())
    result: dict[str, Any] = {
        "applies": _applies(replay),
        "tokens": float(short.tokens[right].mean()),
        "replies": len(row),
    }
    each, share = torch.arange(len(row)), right.sum(dim=1) / short.sizes
    for when in ("recorded", "end"):
        boards = (short, long) if when == "recorded" else (short.at(1.0), long.at(1.0))
        old, new = (
            combine_batch_scores(replay.setup, b, c)
            for b, c in zip(boards, (replay.components, components), strict=True)
        )
        lost = old.modulated[row, column] - new.modulated[each, column]
        by = {
            name: old.raw[row, column] * (effect[row, column] - new.effects[name][each, column])
            for name, effect in old.effects.items()
        }
        by["task scores"] = lost - sum(by.values(), torch.zeros_like(lost))
        worth = (old.modulated * right).sum(dim=1) / right.sum(dim=1)
        result[when] = _rates(lost, by, row, share, worth)
    return result


def _applies(replay: RewardReplay) -> bool:
    """Do advantages change with the modulated scores?"""
    scores = replace(replay.scores, modulated=torch.zeros_like(replay.scores.modulated))
    return not torch.equal(compute_batch_advantages(replay.setup, replay.board, scores), replay.advantage)


def _lengthened(
    replay: RewardReplay, short: RolloutBatch, row: list[int], column: list[int]
) -> tuple[RolloutBatch, dict[str, Tensor]]:
    """One copy of its group for each right reply, in which it is a token longer; scored."""
    recorded: list[Recorded] = []
    origin: list[int] = []
    longer: list[int] = []
    for copy, (g, j) in enumerate(zip(row, column, strict=True)):
        for k, place in enumerate(short.members(g)):
            one = replace(short.recorded[place], group=str(copy))
            if k == j:
                longer.append(len(recorded))
                one = replace(one, rollout=replace(one.rollout, length=one.rollout.length + 1))
            recorded.append(one)
            origin.append(place)
    board = RolloutBatch.of(recorded)
    components = {name: flat[origin] for name, flat in replay.components.items()}
    entries = [e for e in replay.setup.suite.entries if not e.call.is_async]  # a server is not asked about lengths
    alone = RolloutBatch(
        recorded, torch.tensor(longer).unsqueeze(1), torch.ones(len(longer), 1, dtype=torch.bool), board.progress
    )
    for entry in entries:
        if entry.spec.scope == "sample":
            components[entry.spec.name] = score_sample_rewards(alone, entry, components[entry.spec.name])
    raw = combine_batch_scores(replay.setup, board, components).raw
    for entry in entries:
        if entry.spec.scope == "group":
            components[entry.spec.name] = score_group_rewards(board, entry, raw)
    return board, components


def _rates(lost: Tensor, by: dict[str, Tensor], row: Tensor, share: Tensor, worth: Tensor) -> dict[str, Any]:
    """Means over groups; a group's cost is p times the mean loss of its right replies."""
    count = torch.bincount(row, minlength=len(share)).to(torch.float64)

    def cost(values: Tensor) -> Tensor:
        return share * torch.bincount(row, values, minlength=len(share)) / count

    total = cost(lost)
    bands = []
    for above, to in BANDS:
        own = (share > above) & (share <= to)
        if bool(own.any()):
            bands.append({"above": above, "to": to, "groups": int(own.sum()), **_rate(worth[own], total[own])})
    return {
        **_rate(worth, total),
        "cost": float(total.mean()),
        "by": {name: float(cost(values).mean()) for name, values in by.items() if float(values.abs().max()) > 1e-12},
        "bands": bands,
    }


def _rate(worth: Tensor, cost: Tensor) -> dict[str, float | None]:
    """Rate and its 95 % interval over groups; of less than five groups there is none."""
    rate = POINT * float(worth.mean()) / float(cost.mean()) if float(cost.mean()) > FREE else None
    if rate is None or len(cost) < 5:
        return {"rate": rate, "low": None, "high": None}
    drawn = torch.randint(len(cost), (RESAMPLES, len(cost)), generator=torch.Generator().manual_seed(0))
    # Points per token: what costs nothing is 0 there, not infinite.
    dear = torch.quantile(
        cost[drawn].mean(dim=1) / worth[drawn].mean(dim=1) / POINT, torch.tensor([0.025, 0.975]).double()
    )
    low, high = (None if float(one) < FREE else 1.0 / float(one) for one in dear.flip(0))
    return {"rate": rate, "low": low, "high": high}
