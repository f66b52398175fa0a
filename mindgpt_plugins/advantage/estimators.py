"""Advantages a recipe can name, as functions of one :class:`Groups`; keyword-only arguments are their options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.advantage.components import compute_gdpo_advantage, compute_reward_sum_advantage
from mindgpt_plugins.advantage.core import (
    Normalise,
    compute_analytic_pass_at_k_advantage,
    compute_best_minus_second_advantage,
    compute_grpo_advantage,
    compute_modulated_advantage,
    compute_pass_at_k_advantage,
)
from mindgpt_plugins.advantage.groups import Groups
from mindgpt_plugins.core.registry import check_options, get_registered, register

__all__ = ["Groups", "select_accepted_settings", "check_advantage_options"]


@register("advantage")
def modulated(groups: Groups, *, k: int = 4, lam: float = 0.5, normalise: Normalise = "none") -> Tensor:
    """Expected score plus pass@k on the modulated scores (ours); adversarial groups have λ = 0.

    Source: :func:`mindgpt_plugins.advantage.core.compute_modulated_advantage`.

    Args:
        groups: the scores.
        k: replies per subset of the pass@k part; the recipe's ``advantage.k``.
        lam: weight of the pass@k part at this step; the recipe's ``advantage.lambda``.
        normalise: ``none``, or ``group_std`` to divide by the group's standard deviation.
    """
    share: float | Tensor = lam
    if groups.adversarial is not None:
        share = lam * (~groups.adversarial).to(torch.float64)
    return compute_modulated_advantage(groups.modulated, k=k, lam=share, mask=groups.mask, normalise=normalise)


@register("advantage")
def grpo(groups: Groups, *, norm_by_std: bool = True) -> Tensor:
    """GRPO on the modulated scores (arXiv 2402.03300).

    Args:
        groups: the scores.
        norm_by_std: divide by the standard deviation.
    """
    return compute_grpo_advantage(groups.modulated, groups.mask, norm_by_std=norm_by_std)


@register("advantage")
def dr_grpo(groups: Groups) -> Tensor:
    """GRPO without division by the standard deviation, on the modulated scores (arXiv 2503.20783)."""
    return compute_grpo_advantage(groups.modulated, groups.mask, norm_by_std=False)


@register("advantage")
def reward_sum(groups: Groups, *, norm_by_std: bool = True) -> Tensor:
    """GRPO on the plain weighted sum of all components: no gates, no modulation.

    Args:
        groups: the scores.
        norm_by_std: divide by the standard deviation.
    """
    return compute_reward_sum_advantage(groups.components, groups.weights, groups.mask, norm_by_std=norm_by_std)


@register("advantage")
def gdpo(groups: Groups, *, norm_by_std: bool = True) -> Tensor:
    """Stock GDPO: components normalised one by one, weighted sum, batch whitening (arXiv 2601.05242).

    Args:
        groups: the scores.
        norm_by_std: divide by the standard deviation.
    """
    return compute_gdpo_advantage(
        groups.components, groups.weights, groups.mask, tokens=groups.tokens, norm_by_std=norm_by_std
    )


@register("advantage")
def pass_at_k(groups: Groups, *, k: int = 4) -> Tensor:
    """Pure pass@k on the modulated scores: the default with λ = 1.

    Args:
        groups: the scores.
        k: replies per subset; the recipe's ``advantage.k``.
    """
    return compute_pass_at_k_advantage(groups.modulated, k, groups.mask)


@register("advantage")
def pass_at_k_analytic(groups: Groups, *, k: int = 4) -> Tensor:
    """Pass@k in closed form, divided by its own standard deviation, on the modulated scores (arXiv 2508.10751).

    Args:
        groups: the scores.
        k: replies per subset; the recipe's ``advantage.k``.
    """
    return compute_analytic_pass_at_k_advantage(groups.modulated, k, groups.mask)


@register("advantage")
def grpo_passk(groups: Groups, *, norm_by_std: bool = True) -> Tensor:
    """verl's: only the best reply, by its lead over the second best, on the modulated scores (arXiv 2503.19595).

    Args:
        groups: the scores.
        norm_by_std: divide by the standard deviation.
    """
    return compute_best_minus_second_advantage(groups.modulated, groups.mask, norm_by_std=norm_by_std)


def select_accepted_settings(name: str, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings every run has (``k``, ``lam``), those that the named advantage takes."""
    known = inspect.signature(get_registered("advantage", name)).parameters
    return {key: value for key, value in offered.items() if key in known}


def check_advantage_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse an unknown advantage or option.

    Raises:
        RegistryError: naming the nearest known name or option.
    """
    get_registered("advantage", name)
    check_options("advantage", name, options)
