"""Advantages a recipe can name, as functions of one :class:`Groups`; keyword-only arguments are their options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mindgpt_plugins.advantage.core import Normalise, grpo_advantage, modulated_advantage, pass_at_k_advantage
from mindgpt_plugins.registry import check_options, get, register


@dataclass(frozen=True)
class Groups:
    """Scores of one batch, one row per prompt."""

    modulated: Tensor
    """(groups, n) float64: g."""
    raw: Tensor
    """(groups, n) float64: gated task score r."""
    mask: Tensor
    """(groups, n) bool."""


@register("advantage")
def modulated(groups: Groups, *, k: int = 4, lam: float = 0.5, normalise: Normalise = "none") -> Tensor:
    """The default; see :func:`mindgpt_plugins.advantage.core.modulated_advantage`."""
    return modulated_advantage(groups.modulated, k=k, lam=lam, mask=groups.mask, normalise=normalise)


@register("advantage")
def grpo(groups: Groups, *, norm_by_std: bool = True) -> Tensor:
    """GRPO on the modulated scores."""
    return grpo_advantage(groups.modulated, groups.mask, norm_by_std=norm_by_std)


@register("advantage")
def dr_grpo(groups: Groups) -> Tensor:
    """GRPO without division by the standard deviation (arXiv 2503.20783)."""
    return grpo_advantage(groups.modulated, groups.mask, norm_by_std=False)


@register("advantage")
def pass_at_k(groups: Groups, *, k: int = 4) -> Tensor:
    """Pure pass@k on the modulated scores."""
    return pass_at_k_advantage(groups.modulated, k, groups.mask)


def accepted(name: str, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings every run has (``k``, ``lam``), those that the named advantage takes."""
    known = inspect.signature(get("advantage", name)).parameters
    return {key: value for key, value in offered.items() if key in known}


def check(name: str, options: Mapping[str, Any]) -> None:
    """Refuse an unknown advantage or option.

    Raises:
        RegistryError: naming the nearest known name or option.
    """
    get("advantage", name)
    check_options("advantage", name, options)
