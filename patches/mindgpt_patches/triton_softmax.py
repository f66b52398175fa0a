"""The scores of :mod:`mindgpt_patches.row_softmax` in one Triton kernel: no float32 copy of 16-bit logits.

One program per row. A first sweep over the vocabulary keeps a running maximum, the sum of exponentials below it and,
for the entropy, their sum weighted by the distance to the maximum (online softmax, 1805.02867); a second one turns the
logits into their gradient where they lie. Everything is float32 in registers. Never run on a GPU by us: checked in
Triton's interpreter against torch, and compiled for sm_90 (``tests/patches/test_triton_softmax.py``).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 4096
"""Most words a program looks at together."""


def compute_triton_scores(
    logits: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    entropy: bool = False,
    up: Tensor | None = None,
    slope: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """As :func:`mindgpt_patches.row_softmax.compute_row_scores`; logits of at most 32 bits stay if ``up`` is None.

    Raises:
        ValueError: the rows of ``logits`` are not contiguous, or a slope without ``up``.
    """
    if logits.stride(-1) != 1 and logits.shape[-1] != 1:
        raise ValueError(f"rows of logits must be contiguous, strides are {logits.stride()}")
    if slope is not None and up is None:
        raise ValueError("a slope is for the gradient, which is made with up only")
    rows, words = logits.shape
    found = torch.empty(rows, dtype=torch.float32, device=logits.device)
    own = torch.empty_like(found) if entropy else None
    if rows:
        block = min(BLOCK, max(128, triton.next_power_of_2(words)))
        with torch.cuda.device_of(logits):  # type: ignore[no-untyped-call]
            _rows[(rows,)](
                logits,
                logits.stride(0),
                words,
                targets.contiguous(),
                _floats(bias),
                _floats(up),
                _floats(slope),
                found,
                own,
                temperature,
                BLOCK=block,
                num_warps=4 if block < 2048 else 8,
            )
    return found, own


def _floats(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.float().contiguous()


@triton.jit  # type: ignore[untyped-decorator]
def _rows(logits, stride, words, targets, bias, up, slope, found, own, temperature, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    """Pointers that are None switch their part of the program off when it is compiled."""
    row = tl.program_id(0).to(tl.int64)  # rows x words can pass 2**31
    logits += row * stride
    target = tl.load(targets + row)
    largest = -1.0e38  # finite, so that a block of -inf changes nothing instead of making NaN
    total = 0.0
    spread = 0.0  # sum of exp(x - largest) (x - largest)
    chosen = tl.load(logits + target).to(tl.float32)
    if bias is not None:
        chosen += tl.load(bias + target)
    chosen = chosen / temperature
    for start in range(0, words, BLOCK):
        column = start + tl.arange(0, BLOCK)
        x = tl.load(logits + column, mask=column < words, other=float("-inf")).to(tl.float32)
        if bias is not None:
            x += tl.load(bias + column, mask=column < words, other=0.0)
        x = x / temperature
        higher = tl.maximum(largest, tl.max(x, 0))
        drop = largest - higher
        power = tl.exp(x - higher)
        if own is not None or slope is not None:
            weighted = tl.where(power > 0, power * (x - higher), 0.0)
            spread = tl.exp(drop) * (spread + total * drop) + tl.sum(weighted, 0)
        total = tl.exp(drop) * total + tl.sum(power, 0)
        largest = higher
    log_total = tl.log(total)
    entropy = log_total - spread / total
    tl.store(found + row, chosen - largest - log_total)
    if own is not None:
        tl.store(own + row, entropy)
    if up is not None:
        gain = tl.load(up + row)
        for start in range(0, words, BLOCK):
            column = start + tl.arange(0, BLOCK)
            inside = column < words
            x = tl.load(logits + column, mask=inside, other=float("-inf")).to(tl.float32)
            if bias is not None:
                x += tl.load(bias + column, mask=inside, other=0.0)
            log_p = x / temperature - largest - log_total
            p = tl.exp(log_p)
            gradient = tl.where(column == target, gain, 0.0) - gain * p
            if slope is not None:
                gradient -= tl.load(slope + row) * tl.where(p > 0, p * (log_p + entropy), 0.0)
            tl.store(logits + column, gradient.to(logits.dtype.element_ty), mask=inside)
