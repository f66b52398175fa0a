"""Advantages of groups of rollouts, vectorised in float64; ragged groups carry a mask.

The objective is J = (1−λ)·E[g] + λ·E[max of k]: expected score plus pass@k, so exploration is an explicit weight on
hard prompts. With ranks r_i ascending and g_(j) the sorted scores of a group of n,

    Q_i = E[max over a k-subset | i in it] = [C(r_i−1, k−1)·g_i + Σ_{j>r_i} C(j−2, k−2)·g_(j)] / C(n−1, k−1)
    A_i = (1−λ)·(g_i − mean g) + λ·k·(Q_i − mean Q)

Source: ours, of the PKPO family (arXiv 2505.15201).
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from math import comb
from typing import Literal

import torch
from torch import Tensor

Normalise = Literal["none", "group_std"]


def pass_at_k_advantage(rewards: Tensor, k: int, mask: Tensor | None = None) -> Tensor:
    """Advantage of the objective E[max of k]: k·(Q_i − mean Q).

    Args:
        rewards: (groups, n) scores of the replies to each prompt.
        k: subset size; a group smaller than ``k`` uses its own size and warns.
        mask: (groups, n) bool, true where a reply exists; default: everywhere.

    Returns:
        (groups, n) float64; 0 where masked and in groups of one.

    Raises:
        ValueError: wrong shapes, ``k`` < 1 or scores that are not finite.
    """
    scores, valid = _checked(rewards, mask)
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return k_of_group(valid, k) * _centre(expected_max_with(scores, k, valid), valid)


def modulated_advantage(
    scores: Tensor, *, k: int = 4, lam: float = 0.5, mask: Tensor | None = None, normalise: Normalise = "none"
) -> Tensor:
    """The default: (1−λ) parts expected score, λ parts pass@k, on modulated scores.

    Without modulators and with λ = 0 this is GRPO without division by the standard deviation. Nothing is divided by a
    standard deviation unless asked: in groups that are all correct |A| then stays within the modulators' weights,
    whereas rescaling would blow them up once prompts saturate.

    Args:
        scores: (groups, n) modulated scores g.
        k: subset size of the pass@k part.
        lam: weight λ of the pass@k part, in [0, 1].
        mask: (groups, n) bool, true where a reply exists.
        normalise: ``none``, or ``group_std`` (divide by the group's sample standard deviation + 1e-6) for ablation.

    Returns:
        (groups, n) float64.

    Raises:
        ValueError: wrong shapes, or ``k``, ``lam`` or ``normalise`` out of range.
    """
    g, valid = _checked(scores, mask)
    if not 0.0 <= lam <= 1.0:
        raise ValueError(f"lambda must lie in [0, 1], got {lam}")
    if normalise not in ("none", "group_std"):
        raise ValueError(f"normalise must be 'none' or 'group_std', got {normalise!r}")
    advantage = (1.0 - lam) * _centre(g, valid)
    if lam > 0.0:
        advantage = advantage + lam * pass_at_k_advantage(g, k, valid)
    return advantage / (_std(g, valid) + 1e-6) if normalise == "group_std" else advantage


def grpo_advantage(rewards: Tensor, mask: Tensor | None = None, *, norm_by_std: bool = True) -> Tensor:
    """GRPO: centred in the group, by default divided by the group's sample standard deviation + 1e-6.

    Unlike verl's, a group of one gets 0. Source: arXiv 2402.03300; without the division Dr.GRPO, arXiv 2503.20783.
    """
    g, valid = _checked(rewards, mask)
    advantage = _centre(g, valid)
    return advantage / (_std(g, valid) + 1e-6) if norm_by_std else advantage


def expected_max_with(scores: Tensor, k: int, mask: Tensor) -> Tensor:
    """Q_i: expected maximum of a random k-subset of the group that contains reply i; (groups, n)."""
    n = scores.shape[1]
    # Missing replies sort behind all others, where their weights are 0.
    order = scores.masked_fill(~mask, float("inf")).argsort(dim=1, stable=True)
    ranked = scores.masked_fill(~mask, 0.0).gather(1, order)
    own, above = _weights_of(mask.sum(dim=1), n, k)
    weighted = above * ranked
    tail = weighted.flip(1).cumsum(1).flip(1) - weighted  # Σ over the ranks above one's own
    q = torch.empty_like(ranked).scatter_(1, order, own * ranked + tail)
    return q.masked_fill(~mask, 0.0)


def k_of_group(mask: Tensor, k: int) -> Tensor:
    """min(k, size) of each group as a (groups, 1) float64 column."""
    return mask.sum(dim=1, keepdim=True).clamp(max=k).to(torch.float64)


def _weights_of(sizes: Tensor, n: int, k: int) -> tuple[Tensor, Tensor]:
    """Weights of a reply's own score and of the scores ranked above it, (groups, n), per group size."""
    distinct, which = torch.unique(sizes, return_inverse=True)
    small = [int(size) for size in distinct if 1 < int(size) < k]
    if small:
        warnings.warn(f"groups of {small} replies are smaller than k={k}; they use their own size as k", stacklevel=4)
    rows = [_weights(int(size), min(k, max(1, int(size))), n) for size in distinct]
    own = torch.tensor([row[0] for row in rows], dtype=torch.float64, device=sizes.device)
    above = torch.tensor([row[1] for row in rows], dtype=torch.float64, device=sizes.device)
    return own[which], above[which]


@lru_cache(maxsize=256)
def _weights(size: int, k: int, width: int) -> tuple[list[float], list[float]]:
    # Quotients of exact integers: no overflow and correctly rounded for any size.
    total = comb(size - 1, k - 1) if size else 1
    pad = [0.0] * (width - size)
    own = [comb(rank - 1, k - 1) / total for rank in range(1, size + 1)] + pad
    above = [comb(rank - 2, k - 2) / total if k > 1 and rank > 1 else 0.0 for rank in range(1, size + 1)] + pad
    return own, above


def _centre(values: Tensor, mask: Tensor) -> Tensor:
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (values * mask).sum(dim=1, keepdim=True) / count
    return (values - mean) * mask


def _std(values: Tensor, mask: Tensor) -> Tensor:
    count = mask.sum(dim=1, keepdim=True)
    squares = (_centre(values, mask) ** 2).sum(dim=1, keepdim=True)
    return (squares / (count - 1).clamp(min=1)).sqrt()


def _checked(scores: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    if scores.ndim != 2:
        raise ValueError(f"scores must have shape (groups, n), got {tuple(scores.shape)}")
    valid = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.to(torch.bool)
    if valid.shape != scores.shape:
        raise ValueError(f"mask has shape {tuple(valid.shape)}, scores {tuple(scores.shape)}; they must agree")
    wide = scores.to(torch.float64).masked_fill(~valid, 0.0)
    if not bool(torch.isfinite(wide).all()):
        raise ValueError("scores hold NaN or infinity; a reward that cannot score must return None instead")
    return wide, valid
