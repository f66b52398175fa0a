"""How much each token of a reply hangs on the picture, and what that does to its advantage. Imports no host.

The same replies are scored twice: with the picture, and with most of its visual tokens blacked out. Where the two
disagree the reply depends on what is seen. Source: VPPO (arXiv 2510.09285), both halves, with a bounded estimator of
ours; the bonus is ours, after PAPO (arXiv 2507.06448).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mindgpt_plugins.advantage.perception_config import PerceptionConfig

LOG_RATIO, DIVERGENCE = 20.0, 10.0
"""Bounds of δ and of D_t, in nats."""
EQUAL = 1e-8
"""Dependences closer than this (nats) are equal: min-max scaling would blow numerical noise up to full weights."""


def draw_patch_mask(grid: Sequence[Sequence[int]], merge: int, share: float, rng: random.Random) -> Tensor:
    """Choose the visual tokens that are blacked out, for each picture by itself.

    Args:
        grid: (time, height, width) in patches of each picture or video, as the processor's ``image_grid_thw``.
        merge: patches per side of one visual token (2 for Qwen-VL).
        share: of each picture's visual tokens, rounded to the nearest count and at least one.
        rng: decides which.

    Returns:
        (rows of ``pixel_values``,) bool. The processor writes the merge·merge patches of a visual token one after the
        other, so that a token is a run of rows.
    """
    chosen: list[bool] = []
    for time, height, width in grid:
        tokens = int(time) * (int(height) // merge) * (int(width) // merge)
        count = min(tokens, max(1, math.floor(share * tokens + 0.5)))
        black = set(rng.sample(range(tokens), count))
        chosen += [token in black for token in range(tokens)]
    return torch.tensor(chosen, dtype=torch.bool).repeat_interleave(merge * merge)


def blacken_patches(pixel_values: Tensor, mask: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """A copy of ``pixel_values`` with the masked rows at what the processor makes of black.

    Args:
        pixel_values: (rows, channels · frames · patch · patch), channels outermost.
        mask: (rows,) bool.
        mean: of each channel, as the processor subtracts it (zeros where it does not normalise).
        std: of each channel, as it divides.

    Raises:
        ValueError: the rows cannot have that many channels, or the mask has another length.
    """
    rows, size = pixel_values.shape
    if size % len(mean) or mask.shape != (rows,):
        raise ValueError(
            f"pixel_values of shape {tuple(pixel_values.shape)} do not hold {len(mean)} channels in {mask.numel()} "
            "patches; the mask knows the layout of Qwen-VL processors"
        )
    black = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], dtype=pixel_values.dtype)
    masked = pixel_values.clone()
    masked[mask] = black.repeat_interleave(size // len(mean)).to(pixel_values.device)
    return masked


def compute_log_ratio(masked: Tensor, plain: Tensor) -> Tensor:
    """δ_t = log π(o_t | masked picture) − log π(o_t | picture), within ±20; float64."""
    return (masked.to(torch.float64) - plain.to(torch.float64)).clamp(-LOG_RATIO, LOG_RATIO)


def compute_image_dependence(delta: Tensor) -> Tensor:
    """D_t = e^δ − δ − 1 within [0, 10]: the k3 estimate of KL(π(·| picture) ‖ π(·| masked picture)) at one token."""
    return (delta.exp() - delta - 1.0).clamp(0.0, DIVERGENCE)


def weigh_replies(means: Tensor, *, base: float = 0.9, largest: float = 2.0) -> Tensor:
    """α_i of each reply from its mean D_t: z = minmax over the batch, α = b + z·(b_max − b), mean α = 1.

    b_max = b + (1 − b)/mean z. Where that passes ``largest`` (few replies see, the others do not), b_max is ``largest``
    and b rises so far that the mean stays 1.

    Args:
        means: (replies,) mean D_t; NaN where it was not measured (no picture, adversarial prompt, no token).
        base: b, what the reply that sees least keeps, in (0, 1].
        largest: bound of b_max.

    Returns:
        (replies,) float64, mean 1; 1 where not measured, and everywhere when all are equal.

    Raises:
        ValueError: ``base`` or ``largest`` out of range.
    """
    if not 0.0 < base <= 1.0 or largest < 1.0:
        raise ValueError(f"base must lie in (0, 1] and largest be at least 1, got {base} and {largest}")
    alpha = torch.ones_like(means, dtype=torch.float64)
    known = ~means.isnan()
    values = means[known].to(torch.float64)
    if not len(values) or float(values.max() - values.min()) <= EQUAL:
        return alpha
    z = (values - values.min()) / (values.max() - values.min())
    share = float(z.mean())
    top = base + (1.0 - base) / share
    if top > largest:
        top, base = largest, (1.0 - largest * share) / (1.0 - share)
    alpha[known] = base + z * (top - base)
    return alpha


def select_top_tokens(divergence: Tensor, valid: Tensor, share: float) -> Tensor:
    """VPPO's token half: true for the ⌈share·T⌉ of the T valid tokens with the largest D_t; ties to earlier ones.

    Args:
        divergence: (tokens,) D_t.
        valid: (tokens,) bool, false for tokens the model did not write.
        share: in (0, 1].
    """
    kept = torch.zeros_like(valid, dtype=torch.bool)
    places = valid.nonzero().flatten()
    order = divergence[places].argsort(descending=True, stable=True)
    kept[places[order[: math.ceil(share * len(places) - 1e-9)]]] = True
    return kept


def compute_perception_bonus(deltas: Sequence[Tensor], *, weight: float, clip: float) -> list[Tensor]:
    """Per-token advantages that raise KL(π(·| picture) ‖ π(·| masked picture)), the masked policy held fixed.

    The policy gradient of that KL at a token is E[−δ_t · ∇log π(o_t)], so weight·(clip(−δ_t) − its mean over the batch)
    is added to the advantage: the mean is a baseline. Source: ours; PAPO has the same objective as a loss term.

    Args:
        deltas: δ of the valid tokens of each measured reply.
        weight: γ.
        clip: bound of |δ_t| in nats.
    """
    seen = [-delta.clamp(-clip, clip) for delta in deltas]
    count = sum(map(len, seen))
    mean = sum(float(one.sum()) for one in seen) / count if count else 0.0
    return [weight * (one - mean) for one in seen]


@dataclass(frozen=True)
class Seen:
    """One trajectory that was scored with and without its picture."""

    reply: int
    """Place of its reply in the step; several trajectories of a session belong to one."""
    delta: Tensor
    """(tokens,) δ of the response."""
    valid: Tensor
    """(tokens,) bool: the model wrote it and it is trained on."""


@dataclass(frozen=True)
class Perception:
    """What the pass amounts to; without one, nothing changes."""

    alpha: list[float] = field(default_factory=list)
    """Of each reply of the step."""
    dependence: dict[int, float] = field(default_factory=dict)
    """Place of each reply that was measured → its mean D_t."""
    kept: dict[str, Tensor] = field(default_factory=dict)
    added: dict[str, Tensor] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    def shape(self, key: str, mask: Tensor, advantage: float) -> Tensor:
        """Per-token advantages of one trajectory.

        Args:
            key: the trajectory.
            mask: (tokens,) its response mask; all 0 takes it out.
            advantage: of its reply, α included.
        """
        weight = mask.to(torch.float32)
        tokens = weight * advantage
        if key in self.added:
            tokens = tokens + weight * self.added[key]
        return tokens * self.kept[key] if key in self.kept else tokens


def derive_perception_weights(config: PerceptionConfig, seen: Mapping[str, Seen], replies: int) -> Perception:
    """Turn δ into weights of replies and tokens.

    Args:
        config: what was asked for.
        seen: trajectory → its δ; those without a picture and of adversarial prompts are left out.
        replies: how many the step has.
    """
    divergence = {key: compute_image_dependence(one.delta) for key, one in seen.items()}
    total, count = torch.zeros(replies, dtype=torch.float64), torch.zeros(replies, dtype=torch.float64)
    for key, one in seen.items():
        total[one.reply] += divergence[key][one.valid].sum()
        count[one.reply] += one.valid.sum()
    means = total / count  # 0 / 0 is NaN: not measured
    known = ~means.isnan()
    alpha = weigh_replies(means, base=config.base, largest=config.max) if config.weight else torch.ones_like(means)
    metrics = {"perception/measured": float(known.to(torch.float64).mean())}
    if bool(known.any()):
        metrics |= {
            "perception/D_mean": float(means[known].mean()),
            "perception/D_min": float(means[known].min()),
            "perception/D_max": float(means[known].max()),
            "perception/alpha_min": float(alpha.min()),
            "perception/alpha_max": float(alpha.max()),
            "perception/alpha_std": float(alpha[known].std(correction=0)),
        }
    kept: dict[str, Tensor] = {}
    if config.token_share is not None:
        kept = {key: select_top_tokens(divergence[key], one.valid, config.token_share) for key, one in seen.items()}
        written = sum(int(one.valid.sum()) for one in seen.values())
        metrics["perception/tokens_kept"] = sum(int(k.sum()) for k in kept.values()) / max(1, written)
    added: dict[str, Tensor] = {}
    if config.papo is not None:
        extra = compute_perception_bonus(
            [o.delta[o.valid] for o in seen.values()], weight=config.papo.weight, clip=config.papo.clip
        )
        for (key, one), values in zip(seen.items(), extra, strict=True):
            added[key] = torch.zeros(len(one.valid)).masked_scatter(one.valid, values.to(torch.float32))
        flat = torch.cat(extra) if extra else torch.zeros(1)
        metrics["perception/papo_abs_mean"] = float(flat.abs().mean())
    return Perception(
        alpha=alpha.tolist(),
        dependence={i: float(means[i]) for i in known.nonzero().flatten().tolist()},
        kept={key: k.to(torch.float32) for key, k in kept.items()},
        added=added,
        metrics=metrics,
    )
