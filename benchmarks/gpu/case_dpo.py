"""DPO log-probabilities of policy and reference: ours beside LLaMA-Factory's way (float32 logits, log_softmax)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from clock import compete, device, release
from mindgpt_patches.linear_cross_entropy import compute_linear_log_probs
from results import Budget, Results
from torch import Tensor
from torch.nn.functional import logsigmoid

SECTION = "dpo"
IGNORE = -100
LogProbs = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Any]]


def materialised(hidden: Tensor, weight: Tensor, labels: Tensor) -> tuple[Tensor, Any]:
    """Sum of log-probabilities per sequence, and the float32 logits, which LLaMA-Factory keeps for its metrics."""
    logits = (hidden @ weight.t()).float()
    targets = labels[:, 1:]
    kept = targets != IGNORE
    each = logits[:, :-1].log_softmax(-1).gather(2, targets.clamp(min=0)[..., None])[..., 0]
    return (each * kept).sum(-1), logits


def linear(hidden: Tensor, weight: Tensor, labels: Tensor) -> tuple[Tensor, Any]:
    """The same straight from hidden states."""
    return compute_linear_log_probs(hidden[:, :-1], weight, labels[:, 1:])[0].sum(-1), None


WAYS: dict[str, LogProbs] = {"LLaMA-Factory's way": materialised, "ours": linear}


def run(results: Results, budget: Budget, tiny: bool) -> None:
    """Policy alone, reference alone, and a whole loss; replies take 15 and 60 % of the sequence."""
    pairs, length, width, words = (2, 16, 32, 1000) if tiny else (2, 4096, 2048, 151_936)
    for reply in (0.6, 0.15):
        torch.manual_seed(0)
        make = {"device": device(), "dtype": torch.bfloat16}
        policy = torch.randn(2 * pairs, length, width, **make).requires_grad_()  # type: ignore[arg-type]
        reference = torch.randn(2 * pairs, length, width, **make)  # type: ignore[arg-type]
        weight = (torch.randn(words, width, device=device()) * 0.02).bfloat16()
        head, frozen = weight.clone().requires_grad_(), weight
        labels = torch.randint(0, words, (2 * pairs, length), device=device())
        labels[:, : length - int(reply * length)] = IGNORE
        for what in ("policy and reference, loss, backward", "policy, backward", "reference"):
            case = {"pairs": pairs, "length": length, "reply": reply, "what": what}
            if budget.spent(results, SECTION, **case):
                continue
            calls = {side: _call(what, way, (policy, head), (reference, frozen), labels) for side, way in WAYS.items()}
            with torch.no_grad():
                values = {side: way(reference, frozen, labels)[0] for side, way in WAYS.items()}
            base = values["LLaMA-Factory's way"]
            errors = {side: float((value - base).abs().max() / base.abs().max()) for side, value in values.items()}
            for side, row in compete(calls, 0.6, 10).items():
                results.add(SECTION, **case, side=side, difference=errors[side], **row)
            release()


def _call(
    what: str, way: LogProbs, policy: tuple[Tensor, Tensor], frozen: tuple[Tensor, Tensor], labels: Tensor
) -> Any:
    def call() -> None:
        for tensor in policy:
            tensor.grad = None
        if what == "reference":
            with torch.no_grad():
                way(*frozen, labels)
            return
        log_probs, kept = way(*policy, labels)
        if what.startswith("policy and reference"):
            with torch.no_grad():
                reference = way(*frozen, labels)[0]
            log_probs = log_probs - reference
        chosen, rejected = log_probs.chunk(2)
        # Sums over thousands of random tokens are far apart; a small β keeps the gradient of the loss away from 0.
        (-logsigmoid(1e-4 * (chosen - rejected)).mean()).backward()
        del kept
        for tensor in policy:
            tensor.grad = None

    return call
