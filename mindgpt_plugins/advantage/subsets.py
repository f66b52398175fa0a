"""Expectations over all k-subsets of a group, without listing them.

With the group's scores sorted, g_(1) ≤ … ≤ g_(n), a k-subset has its maximum at rank j in C(j−1, k−1) of C(n, k) cases.
So each expectation is a sum over ranks with weights that depend on n and k alone.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from math import comb

import torch
from torch import Tensor


def compute_expected_max(scores: Tensor, k: int, mask: Tensor) -> Tensor:
    """Expected maximum of a random k-subset that contains reply i; (groups, n).

    Q_i = [C(r_i−1, k−1)·g_i + Σ_{j>r_i} C(j−2, k−2)·g_(j)] / C(n−1, k−1), r_i the rank of reply i. A group of at most
    ``k`` replies uses its own size, where all Q are equal, and warns.
    """
    order, ranked = _ranked(scores, mask)
    own, above = _weights_of(mask, k)
    weighted = above * ranked
    tail = weighted.flip(1).cumsum(1).flip(1) - weighted  # Σ over the ranks above one's own
    q = torch.empty_like(ranked).scatter_(1, order, own * ranked + tail)
    return q.masked_fill(~mask, 0.0)


def compute_max_moments(scores: Tensor, k: int, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the maximum over all k-subsets, each (groups, 1)."""
    _, ranked = _ranked(scores, mask)
    own, _ = _weights_of(mask, k)
    share = own * limit_subset_size(mask, k) / mask.sum(dim=1, keepdim=True).clamp(min=1)  # C(j−1, k−1) / C(n, k)
    mean = (share * ranked).sum(dim=1, keepdim=True)
    return mean, (share * (ranked - mean) ** 2).sum(dim=1, keepdim=True).sqrt()


def limit_subset_size(mask: Tensor, k: int) -> Tensor:
    """min(k, size) of each group as a (groups, 1) float64 column."""
    return mask.sum(dim=1, keepdim=True).clamp(max=k).to(torch.float64)


def _ranked(scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Ascending order of each group and its sorted scores."""
    # Missing replies sort behind all others, where their weights are 0.
    order = scores.masked_fill(~mask, float("inf")).argsort(dim=1, stable=True)
    return order, scores.masked_fill(~mask, 0.0).gather(1, order)


def _weights_of(mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Weights of a reply's own score and of the scores ranked above it, (groups, n), per group size."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    distinct, which = torch.unique(mask.sum(dim=1), return_inverse=True)
    sizes = [int(size) for size in distinct if 1 < int(size) <= k]
    for relation, small in (
        ("smaller than", [n for n in sizes if n < k]),
        ("as small as", [n for n in sizes if n == k]),
    ):
        if small:
            warnings.warn(
                f"groups of {small} replies are {relation} k={k}: their only k-subset is the group itself, "
                "so that pass@k pushes nothing in them; choose a smaller k or larger groups",
                stacklevel=4,
            )
    rows = [_weights(int(size), min(k, max(1, int(size))), mask.shape[1]) for size in distinct]
    table = torch.tensor(rows, dtype=torch.float64, device=mask.device).reshape(len(rows), 2, mask.shape[1])
    return table[which, 0], table[which, 1]


@lru_cache(maxsize=256)
def _weights(size: int, k: int, width: int) -> tuple[list[float], list[float]]:
    # Quotients of exact integers: no overflow and correctly rounded for any size.
    total = comb(size - 1, k - 1) if size else 1
    pad = [0.0] * (width - size)
    own = [comb(rank - 1, k - 1) / total for rank in range(1, size + 1)] + pad
    above = [comb(rank - 2, k - 2) / total if k > 1 and rank > 1 else 0.0 for rank in range(1, size + 1)] + pad
    return own, above
