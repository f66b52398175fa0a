"""What an advantage is computed from: one row per prompt, ragged rows with a mask, everything in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Groups:
    """Scores of one batch, one row per prompt."""

    modulated: Tensor
    """(groups, n) float64: g."""
    raw: Tensor
    """(groups, n) float64: gated task score r."""
    mask: Tensor
    """(groups, n) bool."""
    components: Mapping[str, Tensor] = field(default_factory=dict)
    """Reward name → (groups, n) float64; NaN where it did not score."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Reward name → weight now; negative for penalties."""
    tokens: Tensor | None = None
    """(groups, n): length of each reply; None: all alike."""
    adversarial: Tensor | None = None
    """(groups,) bool: prompts that must not be explored (λ = 0); None: none."""


def prepare_scores(scores: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Scores in float64 with 0 where masked, and the mask.

    Raises:
        ValueError: wrong shapes, or scores that are not finite.
    """
    if scores.ndim != 2:
        raise ValueError(f"scores must have shape (groups, n), got {tuple(scores.shape)}")
    valid = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.to(torch.bool)
    if valid.shape != scores.shape:
        raise ValueError(f"mask has shape {tuple(valid.shape)}, scores {tuple(scores.shape)}; they must agree")
    wide = scores.to(torch.float64).masked_fill(~valid, 0.0)
    if not bool(torch.isfinite(wide).all()):
        raise ValueError("scores hold NaN or infinity; a reward that cannot score must return None instead")
    return wide, valid


def centre_groups(values: Tensor, mask: Tensor) -> Tensor:
    """Minus the group's mean; 0 where masked."""
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (values * mask).sum(dim=1, keepdim=True) / count
    return (values - mean) * mask


def compute_group_std(values: Tensor, mask: Tensor) -> Tensor:
    """Sample standard deviation of each group, (groups, 1); 0 for a group of one."""
    count = mask.sum(dim=1, keepdim=True)
    squares = (centre_groups(values, mask) ** 2).sum(dim=1, keepdim=True)
    return (squares / (count - 1).clamp(min=1)).sqrt()
