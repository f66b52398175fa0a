"""What happens to a chunk of logits between its matrix products: in torch, or in Triton on CUDA.

Both sides are one function, ``scores(logits, targets, *, bias, temperature, entropy, up, slope)``, see :func:`scores`;
the one in torch is the reference.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Protocol

import torch
from torch import Tensor


class Scores(Protocol):
    """Type of :func:`scores`."""

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
        """See :func:`scores`."""


def choose(triton: bool | None, device: torch.device, dtype: torch.dtype) -> tuple[Scores, bool]:
    """The function for tensors of this kind, and whether it takes logits in ``dtype`` itself (else in float32).

    Args:
        triton: ``True`` insists on the kernel, ``False`` on torch; ``None``: the kernel on CUDA where Triton imports,
            for float32 and 16-bit logits, unless the environment says ``MINDGPT_TRITON=0``.
        device: of the logits.
        dtype: of the matrix products.

    Raises:
        ValueError: ``True`` where the kernel cannot run.
    """
    obstacle = None
    if dtype == torch.float64:
        obstacle = "it computes in float32, these are float64"
    elif importlib.util.find_spec("triton") is None:
        obstacle = "triton is not installed"
    elif device.type != "cuda" and not (device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1"):
        obstacle = f"tensors are on {device.type}; it needs CUDA (or TRITON_INTERPRET=1, a slow check on CPU)"
    if triton and obstacle is not None:
        raise ValueError(f"triton=True: the kernel cannot run here: {obstacle}. Leave triton out to use torch")
    if triton is None:
        triton = obstacle is None and device.type == "cuda" and os.environ.get("MINDGPT_TRITON", "1") != "0"
    if not triton:
        return scores, False
    kernel: Scores = importlib.import_module("mindgpt_patches.triton_softmax").scores
    return kernel, True


def scores(
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
