"""Whose push is it: the share of |A| that goes when a part is left out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.advantage.estimators import select_accepted_settings
from mindgpt_plugins.workbench.explain.algebra import compute_batch_advantages
from mindgpt_plugins.workbench.explain.board import RolloutBatch
from mindgpt_plugins.workbench.explain.replay import RewardReplay

BINS = 12
"""Points of a curve over the run."""


def measure_push_shares(replay: RewardReplay) -> dict[str, Any]:
    """Σ|A − A without the part| / Σ|A|, over the run and along it; before the perception weight, which is a part too.

    Returns:
        ``parts``: name → {role, share, curve: [[share of the run, share of |A|], …]} and ``abs_mean`` of |A|.
    """
    setup, board, advantage = replay.setup, replay.board, replay.advantage
    parts: dict[str, Any] = {}
    for entry in setup.suite.entries:
        name = entry.spec.name
        changed = compute_batch_advantages(setup, board, replay.scores.without(name))
        parts[name] = {"role": entry.spec.role, **_share(board, advantage, changed)}
    if select_accepted_settings(setup.advantage.name, {"lam": 0.0}):
        changed = compute_batch_advantages(setup, board, replay.scores, lam=0.0)
        parts["pass@k"] = {"role": "advantage", **_share(board, advantage, changed)}
    if setup.perception:
        parts["perception α"] = {"role": "weight", **_share(board, replay.weighted, advantage)}
    return {"parts": parts, "abs_mean": float(replay.weighted.abs().sum()) / board.replies}


def _share(board: RolloutBatch, full: Tensor, changed: Tensor) -> dict[str, Any]:
    moved, total = (full - changed).abs().sum(dim=1), full.abs().sum(dim=1)
    curve = []
    shares = board.progress
    if float(shares[-1]) > float(shares[0]):
        for rows in torch.arange(len(shares)).chunk(BINS):
            if float(total[rows].sum()):
                curve.append([float(shares[rows].mean()), float(moved[rows].sum() / total[rows].sum())])
    return {"share": float(moved.sum() / total.sum()) if float(total.sum()) else 0.0, "curve": curve}
