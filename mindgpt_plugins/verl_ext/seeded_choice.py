"""Sampling with one random stream per row: the Gumbel-max trick on a logits processor. Needs only torch."""

from __future__ import annotations

import torch
from torch import Tensor


class SeededChoice:
    """Chooses each row's next token and leaves it as the only possible one, so that greedy decoding takes it.

    argmax(log p + Gumbel noise) is a sample of p. The noise comes from the row's own generator, so a row's sample
    depends on its seed and its logits only, not on its neighbours.

    Args:
        seeds: one per row.
        temperature: 0 is greedy.
        top_k: keep the k most likely; ≤ 0 keeps all.
        top_p: keep the smallest set with this much probability.
        banned: token ids that are never chosen.
    """

    def __init__(self, seeds: list[int], *, temperature: float, top_k: int, top_p: float, banned: Tensor):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.temperature, self.top_k, self.top_p, self.banned = temperature, top_k, top_p, banned
        self._chosen: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Choose; ``scores`` are raw logits, (rows, vocabulary)."""
        logits = scores.to(torch.float32).clone()
        logits[:, self.banned] = -torch.inf
        if self.temperature > 0:
            logits = logits / self.temperature
        log_probs = logits.log_softmax(-1)
        choice = (self._noisy(log_probs) if self.temperature > 0 else log_probs).argmax(-1, keepdim=True)
        self._chosen.append(log_probs.gather(1, choice).squeeze(1))
        return torch.full_like(scores, -torch.inf).scatter_(1, choice, 0.0)

    def log_probs(self) -> list[list[float]]:
        """Log-probability of every choice so far at the sampling temperature, by row (before top-k and top-p)."""
        rows: list[list[float]] = torch.stack(self._chosen, dim=1).tolist()
        return rows

    def _noisy(self, log_probs: Tensor) -> Tensor:
        kept = log_probs
        if 0 < self.top_k < kept.shape[1]:
            kept = kept.masked_fill(kept < kept.topk(self.top_k, dim=1).values[:, -1:], -torch.inf)
        if self.top_p < 1.0:
            ranked, order = kept.softmax(-1).sort(dim=1, descending=True)
            beyond = ranked.cumsum(1) - ranked > self.top_p
            kept = kept.masked_fill(torch.zeros_like(beyond).scatter_(1, order, beyond), -torch.inf)
        uniform = torch.stack([torch.rand(kept.shape[1], generator=g) for g in self.generators])
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        return kept + gumbel
