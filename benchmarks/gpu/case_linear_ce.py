"""Linear cross-entropy, forward and backward, bfloat16: ours beside what else there is, and beside predicted bytes."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from clock import compete, device, release, state_of
from mindgpt_patches.linear_cross_entropy import compute_linear_cross_entropy
from mindgpt_patches.projection import CHUNK_BYTES
from results import Budget, Results
from torch import Tensor

SECTION = "linear_ce"
SIDES = ("ours", "ours, Triton", "hf", "liger", "verl", "cce")
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def run(results: Results, budget: Budget, tiny: bool) -> None:
    """All sides at every size; those that are absent are said to be, once."""
    losses: dict[str, Loss] = {}
    for side in SIDES:
        try:
            losses[side] = loss_of(side)
        except Exception as error:
            state = f"absent: {error}" if isinstance(error, ImportError) else state_of(error)
            results.add(SECTION, side=side, state=state)
    words = 1000 if tiny else 151_936
    # Sizes that tell most come first, should the time run out.
    for width, rows, valid in itertools.product(
        (32, 64) if tiny else (2048, 4096), (64, 256) if tiny else (4096, 16384, 32768), (0.47, 0.06, 1.0)
    ):
        case = {"hidden": width, "rows": rows, "valid": valid}
        if budget.spent(results, SECTION, **case):
            continue
        torch.manual_seed(0)
        hidden = torch.randn(rows, width, device=device(), dtype=torch.bfloat16).requires_grad_()
        weight = (torch.randn(words, width, device=device()) * 0.02).bfloat16().requires_grad_()
        labels = torch.randint(0, words, (rows,), device=device())
        labels[torch.rand(rows, device=device()) >= valid] = -100
        smallest = rows == (64 if tiny else 4096)
        errors = {side: _errors(f, hidden, weight, labels) for side, f in losses.items()} if smallest else {}
        release()
        found = compete({side: _call(f, hidden, weight, labels) for side, f in losses.items()}, 0.6, 10)
        kept = int((labels != -100).sum())
        for side, row in found.items():
            predicted = predict(side, rows, kept, width, words)
            results.add(SECTION, **case, side=side, predicted_bytes=predicted, **errors.get(side, {}), **row)
        del hidden, weight, labels
        release()


def loss_of(side: str) -> Loss:
    """Mean cross-entropy of rows with a label, labels aligned with hidden.

    Raises:
        ImportError: the package is not there.
    """
    if side == "ours, Triton" and not torch.cuda.is_available():
        raise ImportError("Triton needs a GPU")
    if side.startswith("ours"):
        triton = side != "ours"
        return lambda h, w, y: compute_linear_cross_entropy(h, w, y, triton=triton).loss / (y != -100).sum()
    if side == "hf":
        from transformers.loss.loss_utils import ForCausalLMLoss

        return lambda h, w, y: ForCausalLMLoss(h @ w.t(), y, len(w), shift_labels=y)
    if side == "liger":
        if not torch.cuda.is_available():
            raise ImportError("liger-kernel needs a GPU")
        from liger_kernel.transformers.fused_linear_cross_entropy import LigerFusedLinearCrossEntropyLoss

        fused = LigerFusedLinearCrossEntropyLoss()
        return lambda h, w, y: fused(w, h, y)
    if side == "verl":
        chunked = _verl().FusedLinearForPPO()

        def through_log_probs(h: Tensor, w: Tensor, y: Tensor) -> Tensor:
            kept = y != -100
            return -(chunked(h, w, y.clamp(min=0))[0] * kept).sum() / kept.sum()

        return through_log_probs
    if not torch.cuda.is_available():
        raise ImportError("cut-cross-entropy needs a GPU")
    cut = importlib.import_module("cut_cross_entropy").linear_cross_entropy
    return lambda h, w, y: cut(h, w, y)  # type: ignore[no-any-return]


def _verl() -> Any:
    """The one file of verl, which needs nothing but torch; the package itself would import ray and more."""
    package = importlib.util.find_spec("verl")
    if package is None or not package.submodule_search_locations:
        raise ImportError("No module named 'verl'")
    path = Path(package.submodule_search_locations[0]) / "utils" / "experimental" / "torch_functional.py"
    spec = importlib.util.spec_from_file_location("verl_torch_functional", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot read {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def predict(side: str, rows: int, kept: int, width: int, words: int) -> int | None:
    """Bytes above the start, gradients included.

    Ours: dW in float32 and once more in bfloat16, the gradient of hidden states, and a chunk of logits in both types
    (Triton: in bfloat16). Hugging Face: in the backward pass three float32 tensors of logits are alive
    (log-probabilities, the gradient of them, the gradient of the logits). Nothing is predicted for the others.
    """
    if side == "hf":
        return 12 * rows * words
    if not side.startswith("ours"):
        return None
    logit = 6 if side == "ours" else 2
    budget = CHUNK_BYTES.get(device().type, 1 << 30)
    most = max(1, budget // (logit * words))
    chunk = -(-kept // max(1, -(-kept // most))) if kept else 0
    return words * width * (4 + 2) + rows * width * 2 + chunk * words * logit


def _call(loss: Loss, hidden: Tensor, weight: Tensor, labels: Tensor) -> Any:
    def call() -> None:
        hidden.grad = weight.grad = None
        loss(hidden, weight, labels).backward()
        hidden.grad = weight.grad = None

    return call


def _errors(loss: Loss, hidden: Tensor, weight: Tensor, labels: Tensor) -> dict[str, Any]:
    """Relative errors of loss, dH and dW against float32 logits of the same bfloat16 inputs."""
    try:
        got = _gradients(loss, hidden, weight, labels)
        wide = hidden.detach().float().requires_grad_(), weight.detach().float().requires_grad_()
        want = _gradients(lambda h, w, y: torch.nn.functional.cross_entropy(h @ w.t(), y), *wide, labels)
    except Exception as error:
        release()
        return {"error": state_of(error)}
    return {
        f"error_{name}": float((a.float() - b).norm() / b.norm())
        for name, a, b in zip(("loss", "hidden", "weight"), got, want, strict=True)
    }


def _gradients(loss: Loss, hidden: Tensor, weight: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    value = loss(hidden, weight, labels)
    return (value.detach(), *torch.autograd.grad(value, (hidden, weight)))
