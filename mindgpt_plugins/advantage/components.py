"""Advantages of reward components that are neither gated nor modulated: what most recipes do with several rewards."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mindgpt_plugins.advantage.core import compute_grpo_advantage
from mindgpt_plugins.advantage.groups import prepare_scores
from mindgpt_plugins.core.registry import hint_nearest


def compute_reward_sum_advantage(
    components: Mapping[str, Tensor],
    weights: Mapping[str, float],
    mask: Tensor | None = None,
    *,
    norm_by_std: bool = True,
) -> Tensor:
    """GRPO on the plain weighted sum of all components; one that did not score a reply adds nothing to its sum.

    Args:
        components: reward name → (groups, n); NaN where it did not score.
        weights: reward name → weight; negative for what is to be avoided.
        mask: (groups, n) bool, true where a reply exists.
        norm_by_std: divide by the group's sample standard deviation + 1e-6.

    Returns:
        (groups, n) float64.

    Raises:
        ValueError: names that do not match, a reply that nothing scored, infinities or wrong shapes.
    """
    parts, valid = _checked(components, weights, mask)
    total = sum((weights[name] * values for name, (values, _) in parts.items()), torch.zeros(()))
    return compute_grpo_advantage(total, valid, norm_by_std=norm_by_std)


def compute_gdpo_advantage(
    components: Mapping[str, Tensor],
    weights: Mapping[str, float],
    mask: Tensor | None = None,
    *,
    tokens: Tensor | None = None,
    norm_by_std: bool = True,
) -> Tensor:
    """Stock GDPO: each component normalised in its group, weighted sum, whitened over the batch.

    As verl computes it: mean and variance of the whitening count every token, so long replies weigh more, and a group
    in which nothing differs still gets minus the mean. Unlike verl's, a component that did not score a reply adds
    nothing to it, and a group of one has 0 before the whitening. Source: arXiv 2601.05242.

    Args:
        components: reward name → (groups, n); NaN where it did not score.
        weights: reward name → weight; negative for what is to be avoided.
        mask: (groups, n) bool, true where a reply exists.
        tokens: (groups, n) lengths for the whitening; None: every reply counts as one.
        norm_by_std: divide each component by its standard deviation in the group.

    Returns:
        (groups, n) float64.

    Raises:
        ValueError: names that do not match, a reply that nothing scored, infinities or wrong shapes.
    """
    parts, valid = _checked(components, weights, mask)
    if tokens is not None and tokens.shape != valid.shape:
        raise ValueError(f"tokens have shape {tuple(tokens.shape)}, components {tuple(valid.shape)}; they must agree")
    total = torch.zeros(valid.shape, dtype=torch.float64, device=valid.device)
    for name, (values, scored) in parts.items():
        total = total + weights[name] * compute_grpo_advantage(values, scored, norm_by_std=norm_by_std)
    return _whitened(total, valid.to(torch.float64) if tokens is None else tokens.to(torch.float64) * valid) * valid


def _whitened(values: Tensor, count: Tensor) -> Tensor:
    size = count.sum()
    if float(size) <= 1.0:
        return torch.zeros_like(values)
    mean = (values * count).sum() / size
    variance = ((values - mean) ** 2 * count).sum() / (size - 1)
    return (values - mean) * torch.rsqrt(variance + 1e-8)


def _checked(
    components: Mapping[str, Tensor], weights: Mapping[str, float], mask: Tensor | None
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Name → (values with 0 where not scored, where scored), and the mask."""
    if not components:
        raise ValueError("this advantage is computed from reward components, and none were given")
    for name in weights:
        if name not in components:
            raise ValueError(f"there is a weight for {name!r} but no such component{hint_nearest(name, components)}")
    for name in components:
        if name not in weights:
            raise ValueError(f"component {name!r} has no weight; give it one, 0 to leave it out")
    parts: dict[str, tuple[Tensor, Tensor]] = {}
    first = next(iter(components.values()))
    valid = torch.ones_like(first, dtype=torch.bool) if mask is None else mask.to(torch.bool)
    for name, values in components.items():
        try:
            prepare_scores(torch.zeros_like(values), valid)
            parts[name] = prepare_scores(values, valid & ~values.isnan())
        except ValueError as error:
            raise ValueError(f"component {name!r}: {error}") from None
    unscored = valid & ~torch.stack([scored for _, scored in parts.values()]).any(dim=0)
    if bool(unscored.any()):
        row, column = (int(i) for i in unscored.nonzero()[0])
        raise ValueError(f"no component scored reply {column} of group {row}; give its prompt a reward that does")
    return parts, valid
