"""Advantages of groups of rollouts, vectorised in float64; ragged groups carry a mask.

The objective is J = (1−λ)·E[g] + λ·E[max of k]: expected score plus pass@k, so exploration is an explicit weight on
hard prompts. With Q_i = E[max over a k-subset | i in it] (see :mod:`mindgpt_plugins.advantage.subsets`),

    A_i = (1−λ)·(g_i − mean g) + λ·k·(Q_i − mean Q)

Centring in the group scales the two parts of the expected update: mean of A_i·∇log π is (1−λ)·(1−1/n)·∇E[g] +
λ·(1−k/n)·∇E[max of k]. With k = n the second is 0.

Source: ours, of the PKPO family (arXiv 2505.15201).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mindgpt_plugins.advantage.groups import centre_groups, compute_group_std, prepare_scores
from mindgpt_plugins.advantage.subsets import compute_expected_max, compute_max_moments, limit_subset_size

Normalise = Literal["none", "group_std"]


def compute_pass_at_k_advantage(rewards: Tensor, k: int, mask: Tensor | None = None) -> Tensor:
    """Advantage of the objective E[max of k]: k·(Q_i − mean Q).

    Args:
        rewards: (groups, n) scores of the replies to each prompt.
        k: subset size; a group of at most ``k`` replies uses its own size, gets 0 and warns.
        mask: (groups, n) bool, true where a reply exists; default: everywhere.

    Returns:
        (groups, n) float64; 0 where masked and in groups of one.

    Raises:
        ValueError: wrong shapes, ``k`` < 1 or scores that are not finite.
    """
    scores, valid = prepare_scores(rewards, mask)
    return centre_groups(compute_expected_max(scores, k, valid), valid) * limit_subset_size(valid, k)


def compute_modulated_advantage(
    scores: Tensor, *, k: int = 4, lam: float | Tensor = 0.5, mask: Tensor | None = None, normalise: Normalise = "none"
) -> Tensor:
    """The default: (1−λ) parts expected score, λ parts pass@k, on modulated scores.

    Without modulators and with λ = 0 this is GRPO without division by the standard deviation. Nothing is divided by a
    standard deviation unless asked: a group that is all correct is then pushed as little as its modulators differ,
    whereas rescaling would blow them up once prompts saturate.

    Args:
        scores: (groups, n) modulated scores g.
        k: subset size of the pass@k part, which is 0 in groups of at most ``k`` replies (a warning says so).
        lam: weight λ of the pass@k part, in [0, 1]: one for all, or (groups,).
        mask: (groups, n) bool, true where a reply exists.
        normalise: ``none``, or ``group_std`` (divide by the group's sample standard deviation + 1e-6) for ablation.

    Returns:
        (groups, n) float64; 0 where masked and in groups of one.

    Raises:
        ValueError: wrong shapes, scores that are not finite, or ``k``, ``lam`` or ``normalise`` out of range.
    """
    g, valid = prepare_scores(scores, mask)
    share = torch.as_tensor(lam, dtype=torch.float64, device=g.device)
    if not bool(((share >= 0.0) & (share <= 1.0)).all()):
        raise ValueError(f"lambda must lie in [0, 1], got {lam}")
    if share.ndim and share.shape != (len(g),):
        raise ValueError(f"lambda has shape {tuple(share.shape)}; give one number or one per group ({len(g)} here)")
    if normalise not in ("none", "group_std"):
        raise ValueError(f"normalise must be 'none' or 'group_std', got {normalise!r}")
    share = share.reshape(-1, 1)
    advantage = (1.0 - share) * centre_groups(g, valid)
    if bool((share > 0.0).any()):
        advantage = advantage + share * compute_pass_at_k_advantage(g, k, valid)
    return advantage / (compute_group_std(g, valid) + 1e-6) if normalise == "group_std" else advantage


def compute_grpo_advantage(rewards: Tensor, mask: Tensor | None = None, *, norm_by_std: bool = True) -> Tensor:
    """GRPO: centred in the group, by default divided by the group's sample standard deviation + 1e-6.

    Unlike verl's, a group of one gets 0. Source: arXiv 2402.03300; without the division Dr.GRPO, arXiv 2503.20783.
    """
    g, valid = prepare_scores(rewards, mask)
    advantage = centre_groups(g, valid)
    return advantage / (compute_group_std(g, valid) + 1e-6) if norm_by_std else advantage


def compute_analytic_pass_at_k_advantage(rewards: Tensor, k: int, mask: Tensor | None = None) -> Tensor:
    """Pass@k advantage in closed form: (Q_i − μ)/σ, μ and σ over the maxima of all k-subsets; 0 where σ < 1e-8.

    For right/wrong scores with N of n wrong and ρ = 1 − C(N, k)/C(n, k) this is sqrt((1−ρ)/ρ) for a right reply and
    (1 − ρ − C(N−1, k−1)/C(n−1, k−1)) / sqrt(ρ(1−ρ)) for a wrong one; all are 0 once fewer than k are wrong.
    Source: arXiv 2508.10751; any scores instead of right/wrong: ours.

    Args:
        rewards: (groups, n) scores.
        k: subset size; a group of at most ``k`` replies uses its own size, gets 0 and warns.
        mask: (groups, n) bool, true where a reply exists.

    Returns:
        (groups, n) float64; 0 where masked and in groups of one.

    Raises:
        ValueError: wrong shapes, ``k`` < 1 or scores that are not finite.
    """
    g, valid = prepare_scores(rewards, mask)
    mean, spread = compute_max_moments(g, k, valid)
    advantage = (compute_expected_max(g, k, valid) - mean) * valid
    return torch.where(spread < 1e-8, 0.0, advantage / spread.clamp(min=1e-8))


def compute_best_minus_second_advantage(
    rewards: Tensor, mask: Tensor | None = None, *, norm_by_std: bool = True
) -> Tensor:
    """Of verl, ``grpo_passk``: the best reply gets its lead over the second best, all others 0.

    Unlike verl's, a group of one gets 0 instead of an error. Source: arXiv 2503.19595.

    Args:
        rewards: (groups, n) scores.
        mask: (groups, n) bool, true where a reply exists.
        norm_by_std: divide by the group's sample standard deviation + 1e-6.

    Returns:
        (groups, n) float64.

    Raises:
        ValueError: wrong shapes, or scores that are not finite.
    """
    g, valid = prepare_scores(rewards, mask)
    advantage = torch.zeros_like(g)
    if g.shape[1] > 1:
        best = g.masked_fill(~valid, -torch.inf).topk(2, dim=1)
        lead = torch.where(valid.sum(dim=1) > 1, best.values[:, 0] - best.values[:, 1], 0.0)
        advantage.scatter_(1, best.indices[:, :1], lead.unsqueeze(1))
    return advantage / (compute_group_std(g, valid) + 1e-6) if norm_by_std else advantage
