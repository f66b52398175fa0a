"""``weighted_ce``: per-source weighted cross-entropy whose sum is exact under any split of the optimizer step.

L = Σ_i w_src(i) · n_i^-a Σ_t ce_it / Σ_i n_i^(1-a) over all samples i (n_i target tokens) of the optimizer step, all
micro-batches and ranks. a = 0 (``token``), ½ (``sqrt``, as in Qwen3-VL 2511.21631) or 1 (``sample``). Weights are
scaled to mean 1 over the declared mixture and not divided by Σw of the step, which would cancel them in a step that
holds one source (ours). In float32, from logits (only target positions are upcast) or straight from hidden states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mindgpt_plugins.curriculum.base import CurriculumError
from mindgpt_plugins.curriculum.fixed import check_weights
from mindgpt_plugins.losses.kl_anchor import KLAnchor, compute_reference_kl

if TYPE_CHECKING:
    from torch import Tensor

IGNORE = -100
EXPONENTS = {"token": 0.0, "sqrt": 0.5, "sample": 1.0}


@dataclass(frozen=True)
class Loss:
    """One micro-batch's part of the step's loss.

    Attributes:
        total: scalar with gradient; the parts of all micro-batches and ranks add up to the step's loss.
        sums: detached float64 (sources, 3): summed cross-entropy in nats, target tokens, summed KL in nats.
        samples: detached (batch,) mean cross-entropy of each sample in nats; NaN for one without a target.
    """

    total: Tensor
    sums: Tensor
    samples: Tensor | None = None


class WeightedCE:
    """Per-source weighted cross-entropy with an optional KL anchor.

    Args:
        names: source names; ``source`` ids index them.
        shares: share of each source in the declared mixture; sums to 1.
        anchor: adds β·KL(reference ‖ policy) on some sources.
        weights: source name → weight ≥ 0; sources not named get 1. Default: all 1.
        length_weighting: ``token``, ``sqrt`` or ``sample``: how a reply's length enters its weight.

    Raises:
        CurriculumError: unknown source, negative or all-zero weights, unknown length weighting.
    """

    def __init__(
        self,
        names: Sequence[str],
        shares: Sequence[float],
        anchor: KLAnchor | None = None,
        *,
        weights: Mapping[str, float] | None = None,
        length_weighting: Literal["token", "sqrt", "sample"] = "token",
    ):
        if length_weighting not in EXPONENTS:
            raise CurriculumError(f"loss: length_weighting {length_weighting!r} is none of {', '.join(EXPONENTS)}")
        if weights:
            check_weights("loss", weights, names)
        given = [float((weights or {}).get(name, 1.0)) for name in names]
        mean = sum(w * share for w, share in zip(given, shares, strict=True))
        if mean <= 0:
            raise CurriculumError("loss: every source of the mixture has weight 0; nothing would be learned")
        self.names, self.anchor = tuple(names), anchor
        self.scaled = [w / mean for w in given]
        """Weights actually used: mean 1 over the declared mixture."""
        self.exponent = EXPONENTS[length_weighting]

    def normaliser(self, labels: Tensor) -> Tensor:
        """This micro-batch's part of the denominator Σ n^(1-a): float64 scalar. ``labels`` (batch, length)."""
        lengths = (labels[:, 1:] != IGNORE).sum(1).double()
        return (lengths[lengths > 0] ** (1.0 - self.exponent)).sum()

    def __call__(
        self, logits: Tensor, labels: Tensor, source: Tensor, normaliser: Tensor, reference: Tensor | None = None
    ) -> Loss:
        """Compute one micro-batch's part.

        Args:
            logits: (batch, length, vocabulary) of the policy.
            labels: (batch, length), ``-100`` where there is no target; shifted here.
            source: (batch,) source ids.
            normaliser: :meth:`normaliser` summed over the step's micro-batches and ranks.
            reference: logits of the reference, shaped as ``logits``; needed when there is an anchor.
        """
        import torch
        import torch.nn.functional as F

        targets, is_target = _targets(labels, logits)
        row = is_target.nonzero()[:, 0]
        source_of = source.to(logits.device)[row]
        picked = logits[:, :-1][is_target].float()
        ce = F.cross_entropy(picked, targets[is_target], reduction="none")
        factor = is_target.sum(1).float()[row] ** -self.exponent
        weight = torch.tensor(self.scaled, device=ce.device)[source_of]
        total = (weight * factor * ce).sum()
        kl = torch.zeros_like(ce)
        if self.anchor is not None and reference is not None:
            beta = torch.tensor(self.anchor.betas, device=ce.device)[source_of]
            anchored = beta > 0
            kl[anchored] = compute_reference_kl(picked[anchored], reference[:, :-1][is_target][anchored].float())
            total = total + (beta * factor * kl).sum()
        exact = torch.float32 if ce.device.type == "mps" else torch.float64  # mps has no float64
        sums = torch.zeros(len(self.names), 3, dtype=exact, device=ce.device)
        columns = torch.stack([ce.detach(), torch.ones_like(kl), kl.detach()], 1).to(exact)
        sums.index_add_(0, source_of, columns)
        samples = torch.zeros(len(targets), device=ce.device).index_add_(0, row, ce.detach()) / is_target.sum(1)
        return Loss(_share(total, normaliser), sums, samples)

    def linear(
        self,
        hidden: Tensor,
        weight: Tensor,
        labels: Tensor,
        source: Tensor,
        normaliser: Tensor,
        bias: Tensor | None = None,
    ) -> Loss:
        """The same as :meth:`__call__` without ever holding logits; has no anchor, which needs them.

        Args:
            hidden: (batch, length, H) last hidden states of the policy.
            weight: (vocabulary, H) of its output head.
            labels: (batch, length), ``-100`` where there is no target; shifted here.
            source: (batch,) source ids.
            normaliser: as in :meth:`__call__`.
            bias: (vocabulary,) of the head.

        Raises:
            CurriculumError: there is an anchor.
            PatchRefused: the head is sharded.
        """
        import torch
        from mindgpt_patches.linear_cross_entropy import compute_linear_cross_entropy

        if self.anchor is not None:
            raise CurriculumError("kl: the anchor compares whole distributions and needs logits")
        targets, is_target = _targets(labels, hidden)
        source = source.to(hidden.device)
        lengths = is_target.sum(1)
        factor = lengths.float() ** -self.exponent
        got = compute_linear_cross_entropy(
            hidden[:, :-1],
            weight,
            targets,
            token_weights=(torch.tensor(self.scaled, device=hidden.device)[source] * factor)[:, None],
            source_ids=source[:, None],
            num_sources=len(self.names),
            bias=bias,
        )
        assert got.sums is not None
        sums = torch.stack([got.sums[:, 1], got.sums[:, 2], torch.zeros_like(got.sums[:, 0])], 1)
        return Loss(_share(got.loss, normaliser), sums, got.nll.sum(1) / lengths)


def _targets(labels: Tensor, beside: Tensor) -> tuple[Tensor, Tensor]:
    targets = labels[:, 1:].to(beside.device)
    return targets, targets != IGNORE


def _share(total: Tensor, normaliser: Tensor) -> Tensor:
    # A step without any target has loss 0, not 0/0; a sample with targets adds at least 1 to the normaliser.
    return total / normaliser.to(total.device, total.dtype).clamp(min=1.0)
