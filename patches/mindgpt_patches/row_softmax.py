"""What happens to a chunk of logits between its matrix products: in torch, or in Triton on CUDA.

Both sides are one function, ``scores(logits, targets, *, bias, temperature, entropy, up, slope)``, see
:func:`compute_row_scores`; the one in torch is the reference.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from typing import Any, Protocol

import torch
from torch import Tensor

KERNEL = "mindgpt_patches.triton_softmax"


class Scores(Protocol):
    """Type of :func:`compute_row_scores`."""

    def __call__(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        bias: Tensor | None = None,
        temperature: float = 1.0,
        entropy: bool = False,
        up: Tensor | None = None,
        slope: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """See :func:`compute_row_scores`."""


def choose_row_softmax(triton: bool | None, device: torch.device, dtype: torch.dtype) -> tuple[Scores, bool]:
    """The function for tensors of this kind, and whether it takes logits in ``dtype`` itself (else in float32).

    Args:
        triton: ``True`` insists on the kernel, ``False`` on torch; ``None``: the kernel on CUDA where Triton imports,
            for float32 and 16-bit logits, unless the environment says ``MINDGPT_TRITON=0``. If
            :func:`find_kernel_fault` finds one, a warning says so and it is torch.
        device: of the logits.
        dtype: of the matrix products.

    Raises:
        ValueError: ``True`` where the kernel cannot run or is at fault.
    """
    obstacle = ""
    if dtype == torch.float64:
        obstacle = "it computes in float32, these are float64"
    elif device.type != "cuda" and not (device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1"):
        obstacle = f"tensors are on {device.type}; it needs CUDA (or TRITON_INTERPRET=1, a slow check on CPU)"
    elif importlib.util.find_spec("triton") is None:
        obstacle = "triton is not installed"
    by_default = not obstacle and device.type == "cuda" and os.environ.get("MINDGPT_TRITON", "1") != "0"
    if triton or (triton is None and by_default):
        obstacle = obstacle or find_kernel_fault(device, dtype)
        if not obstacle:
            kernel: Scores = importlib.import_module(KERNEL).compute_triton_scores
            return kernel, True
        if triton:
            raise ValueError(f"triton=True: the kernel cannot run here: {obstacle}. Leave triton out to use torch")
        warnings.warn(f"linear cross-entropy uses torch, not Triton: {obstacle}", RuntimeWarning, stacklevel=2)
    return compute_row_scores, False


@functools.cache
def find_kernel_fault(device: torch.device, dtype: torch.dtype) -> str:
    """What is wrong with the kernel on a device, found by comparing it with torch on four rows; empty: nothing."""
    try:
        kernel: Scores = importlib.import_module(KERNEL).compute_triton_scores
        random = torch.Generator().manual_seed(0)
        logits = (3 * torch.randn(4, 5003, generator=random)).to(device, dtype)
        targets = torch.tensor([0, 4095, 4096, 5002], device=device)
        bias, up, slope = (torch.randn(n, generator=random).to(device) for n in (5003, 4, 4))
        cases: list[dict[str, Any]] = [
            {"up": up},
            {"bias": bias, "temperature": 0.7, "entropy": True},
            {"bias": bias, "temperature": 0.7, "up": up, "slope": slope},
        ]
        for options in cases:
            wide, own = logits.float(), logits.clone()
            want, got = compute_row_scores(wide, targets, **options), kernel(own, targets, **options)
            pairs = [(a, b) for a, b in zip(got, want, strict=True) if a is not None and b is not None]
            if "up" in options:
                pairs.append((own.float(), wide))
            errors = [float((a - b).abs().max() / b.abs().max()) for a, b in pairs]
            bounds = [1e-4] * (len(errors) - 1) + [1e-4 if dtype == torch.float32 or "up" not in options else 2**-7]
            if not all(error <= bound for error, bound in zip(errors, bounds, strict=True)):
                return f"its numbers are not torch's: relative errors {errors}"
    except Exception as error:  # whatever compiling a kernel on a new machine may raise
        return f"{type(error).__name__}: {error}"
    return ""


def compute_row_scores(
    logits: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    entropy: bool = False,
    up: Tensor | None = None,
    slope: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Log-probability of each row's target under softmax((logits + bias) / temperature); logits are used up.

    With ``up``, ``logits`` then hold the gradient ``up·(onehot - p) - slope·p·(log p + entropy)``: that of
    Σ up·log p(target) + slope·entropy with respect to the argument of the softmax. ``up = -1`` is cross-entropy's.

    Args:
        logits: (rows, V), overwritten.
        targets: (rows,).
        bias: (V,), added first.
        temperature: divides.
        entropy: whether entropies are wanted.
        up: (rows,).
        slope: (rows,), with ``up``.

    Returns:
        (rows,) log-probabilities in nats; (rows,) entropies in nats, or ``None``.
    """
    if bias is not None:
        logits.add_(bias)
    if temperature != 1:
        logits.div_(temperature)
    if entropy or slope is not None:
        log_p, probs, own = _distribution(logits)
        chosen = log_p.gather(1, targets[:, None])[:, 0]
        if up is not None:
            if slope is not None:
                log_p.add_(own[:, None]).mul_(slope[:, None]).add_(up[:, None])
                _at(torch.mul(probs, log_p, out=logits).neg_(), targets, up)
            else:
                _at(torch.mul(probs, -up[:, None], out=logits), targets, up)
        return chosen, own
    exponentials, nll = _exponentials(logits, targets)
    if up is not None:
        exponentials.mul_((-up / exponentials.sum(-1))[:, None])
        _at(exponentials, targets, up)
    return nll.neg_(), None


def _exponentials(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """``exp(logits - max)`` in the logits' own memory, and each row's cross-entropy."""
    largest = logits.amax(-1, keepdim=True)
    chosen = (logits.gather(1, targets[:, None]) - largest)[:, 0]
    exponentials = logits.sub_(largest).exp_()
    return exponentials, exponentials.sum(-1).log_() - chosen


def _distribution(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities in the logits' own memory, probabilities, and each row's entropy."""
    shifted = logits.sub_(logits.amax(-1, keepdim=True))
    probs = shifted.exp()
    total = probs.sum(-1, keepdim=True)
    log_p = shifted.sub_(total.log())
    return log_p, probs.div_(total), -torch.einsum("ij,ij->i", probs, log_p)


def _at(matrix: Tensor, columns: Tensor, values: Tensor) -> None:
    """Add one value to each row."""
    matrix[torch.arange(len(matrix), device=matrix.device), columns] += values
