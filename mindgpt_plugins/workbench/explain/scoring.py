"""Runs each reward once over recorded replies; everything else reuses the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from mindgpt_plugins.rewards.algebra import tabulate_components
from mindgpt_plugins.rewards.entry import RewardEntry
from mindgpt_plugins.rewards.sdk import Group, Rollout
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.workbench.explain.board import RolloutBatch

Source = Literal["local", "all", "missing"]
"""What is scored anew: ``local``, rewards that ask no server; ``all``; ``missing``, what the record lacks."""
Components = dict[str, Tensor]
"""Reward → (replies,) float64, NaN where it did not score; replies in the board's order."""
AT_ONCE = 256
T = TypeVar("T")


def read_recorded_components(board: RolloutBatch, suite: Suite, source: Source) -> Components:
    """The columns that are taken from the record: complete ones only."""
    found = {}
    for entry in suite.entries:
        wanted = source == "missing" or (source == "local" and entry.call.is_async)
        name = entry.spec.name
        if wanted and all(name in one.components for one in board.recorded):
            rows = [one.components for one in board.recorded]
            found[name] = torch.tensor(tabulate_components([name], rows)[name], dtype=torch.float64)
    return found


def score_sample_rewards(board: RolloutBatch, entry: RewardEntry, old: Tensor | None = None) -> Tensor:
    """One sample-scope reward over the board's replies.

    Args:
        board: which replies; others keep what ``old`` holds.
        entry: of a suite.
        old: (replies,).

    Raises:
        RewardError: it failed, and its policy is to stop.
    """
    result = torch.full((len(board.recorded),), math.nan, dtype=torch.float64) if old is None else old.clone()
    places = board.places[board.mask].tolist()
    asked = ((p, board.recorded[p].rollout) for p in places)
    values: dict[int, float] = dict.fromkeys(places, math.nan)
    for some in _batches(((p, r) for p, r in asked if entry.config.when.fits(r)), AT_ONCE):
        started = [(p, r, _begun(entry, r)) for p, r in some]
        for p, r, result_of in started:
            (values[p],) = _values(entry, result_of, [r])
    result[places] = torch.tensor([values[p] for p in places], dtype=torch.float64)
    return result


def score_group_rewards(board: RolloutBatch, entry: RewardEntry, raw: Tensor, old: Tensor | None = None) -> Tensor:
    """One group-scope reward over the board's groups.

    Args:
        board: which groups; replies of others keep what ``old`` holds.
        entry: of a suite.
        raw: (groups, n) gated task scores.
        old: (replies,).

    Raises:
        RewardError: it failed, and its policy is to stop.
    """
    result = torch.full((len(board.recorded),), math.nan, dtype=torch.float64) if old is None else old.clone()
    scores, sizes = raw.tolist(), board.sizes.tolist()
    for some in _batches(iter(range(len(board.places))), AT_ONCE):
        started = []
        for i in some:
            rollouts = board.rollouts(i)
            if entry.config.when.fits(rollouts[0]):
                started.append((i, rollouts, _begun(entry, Group(rollouts, scores[i][: sizes[i]]))))
        for i, rollouts, result_of in started:
            result[board.members(i)] = torch.tensor(_values(entry, result_of, rollouts), dtype=torch.float64)
    return result


def _begun(entry: RewardEntry, subject: Rollout | Group) -> Callable[[], Any]:
    """Start what waits for something; what does not is run when asked for, without a future: there are many."""
    if entry.call.deferred:
        return entry.call.start(subject).result
    return lambda: entry.call.function(subject, **entry.call.options)


def _values(entry: RewardEntry, result_of: Callable[[], Any], rollouts: Sequence[Rollout]) -> list[float]:
    scores, _ = entry.read_result(result_of, rollouts)
    return [math.nan if score is None else score.value for score in scores]


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while some := list(islice(items, size)):
        yield some
