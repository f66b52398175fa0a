"""A vocabulary projection ``x @ W.T + b`` and its gradients, a few rows at a time, in buffers that are made once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mindgpt_patches import PatchRefused

CHUNK_BYTES = {"cpu": 64 << 20}
"""Default bytes of the buffers; devices not named get 1 GiB, because a GPU's matrix units want hundreds of rows."""


class Projection:
    """Workspace for one pass over the rows.

    Inputs are multiplied in their own type (under autocast, in autocast's) as ``torch.nn.functional.linear`` does;
    everything between the multiplications, and the sum that becomes dW, is float32 (float64 for float64 inputs).

    Args:
        weight: (vocabulary, hidden).
        bias: (vocabulary,) or ``None``.
        dtype: type of the multiplications, see :func:`choose_compute_dtype`.
        rows: how many rows will pass.
        chunk_bytes: upper limit for the buffers; one row is always taken.
        copies: how many tensors of logits in float32 the caller holds at a time; without a meaning when ``fused``.
        fused: logits and their gradients stay in ``dtype``: what comes between does float32 in registers.
        d_weight: whether :attr:`d_weight` is wanted.
        d_bias: whether :attr:`d_bias` is wanted.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        dtype: torch.dtype,
        rows: int,
        chunk_bytes: int | None,
        *,
        copies: int = 1,
        fused: bool = False,
        d_weight: bool = False,
        d_bias: bool = False,
    ):
        self.dtype = dtype
        self.math = torch.float64 if dtype == torch.float64 else torch.float32
        self.weight = weight.to(dtype)
        self.bias = None if bias is None else bias.to(self.math)
        budget = CHUNK_BYTES.get(weight.device.type, 1 << 30) if chunk_bytes is None else chunk_bytes
        narrow = dtype != self.math and not fused
        row_bytes = len(weight) * (
            dtype.itemsize if fused else copies * self.math.itemsize + (dtype.itemsize if narrow else 0)
        )
        most = max(1, budget // max(1, row_bytes))
        self.size = max(1, -(-rows // max(1, -(-rows // most))))
        """Rows per chunk: as even as the budget allows."""
        device = weight.device
        shape = self.size, len(weight)
        self._logits = torch.empty(shape, dtype=dtype if fused else self.math, device=device)
        self._narrow = torch.empty(shape, dtype=dtype, device=device) if narrow else None
        self.d_weight = torch.zeros(weight.shape, dtype=self.math, device=device) if d_weight else None
        """Sum over the chunks so far, (vocabulary, hidden)."""
        self.d_bias = torch.zeros(len(weight), dtype=self.math, device=device) if d_bias else None
        """Sum over the chunks so far, (vocabulary,)."""

    def logits(self, x: Tensor) -> Tensor:
        """``x @ W.T`` of ``x`` (rows ≤ :attr:`size`, hidden): a view of the buffer, valid until the next call."""
        out = self._logits[: len(x)]
        if self._narrow is None:
            return torch.mm(x, self.weight.t(), out=out)
        return out.copy_(torch.mm(x, self.weight.t(), out=self._narrow[: len(x)]))

    def backward(self, d_logits: Tensor, x: Tensor, *, d_x: bool) -> Tensor | None:
        """Add this chunk to dW and db; return d_x (rows, hidden) in ``x``'s type when it is wanted."""
        if self.d_bias is not None:
            self.d_bias += d_logits.sum(0, dtype=self.math)
        narrow = d_logits if self._narrow is None else self._narrow[: len(x)].copy_(d_logits)
        if self.d_weight is not None:
            if self.dtype == self.math or x.device.type == "cpu":
                self.d_weight.addmm_(d_logits.t().to(self.math), x.to(self.math))
            else:  # float32 products would leave the matrix units idle: short products in 16 bits, summed in float32
                add_products(self.d_weight, narrow, x)
        return narrow @ self.weight if d_x else None


def add_products(total: Tensor, left: Tensor, right: Tensor, block: int = 16384) -> None:
    """``total += left.T @ right`` where ``total`` is wider than the factors; ``block`` rows of it at a time."""
    for start in range(0, len(total), block):
        total[start : start + block] += left[:, start : start + block].t() @ right


def choose_compute_dtype(hidden: Tensor, weight: Tensor) -> torch.dtype:
    """Type in which a linear layer would multiply these two here, autocast considered.

    Raises:
        ValueError: the types differ and autocast is off.
    """
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind) and torch.float64 not in (hidden.dtype, weight.dtype):
        return torch.get_autocast_dtype(kind)
    if hidden.dtype != weight.dtype:
        raise ValueError(f"hidden is {hidden.dtype} and weight {weight.dtype}; convert one, or use autocast")
    return hidden.dtype


def check_head_tensors(hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> None:
    """Refuse tensors that do not belong together, and sharded weights.

    Raises:
        PatchRefused: the weight is one rank's part of a tensor-parallel or ZeRO-3 head.
        ValueError: shapes, devices or types do not fit.
    """
    for name, tensor in (("weight", weight), ("bias", bias), ("hidden", hidden)):
        if hasattr(tensor, "placements"):
            raise PatchRefused(
                f"linear cross-entropy: {name} is a DTensor ({tensor.placements}); tensor-parallel heads "  # type: ignore[union-attr]
                "need sums over ranks, which this op does not make. Use the plain loss, or do not shard the head"
            )
        if hasattr(tensor, "ds_id"):
            raise PatchRefused(f"linear cross-entropy: {name} is sharded by DeepSpeed ZeRO-3; use the plain loss")
    if weight.dim() != 2 or hidden.shape[-1:] != weight.shape[1:] or hidden.shape[:-1] != labels.shape:
        raise ValueError(
            f"hidden {tuple(hidden.shape)}, weight {tuple(weight.shape)} and labels {tuple(labels.shape)} do not fit: "
            "want (…, H), (V, H) and (…)"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias {tuple(bias.shape)} does not fit weight {tuple(weight.shape)}")
    if labels.dtype not in (torch.long, torch.int):
        raise ValueError(f"labels must be integers, not {labels.dtype}")


def find_target_rows(labels: Tensor, ignore_index: int, words: int) -> tuple[Tensor, Tensor]:
    """Positions (n,) of the rows that have a target, and their targets (n,).

    Raises:
        ValueError: a label outside the vocabulary.
    """
    flat = labels.reshape(-1).long()
    rows = (flat != ignore_index).nonzero()[:, 0]
    targets = flat[rows]
    if len(targets) and (int(targets.min()) < 0 or int(targets.max()) >= words):
        raise ValueError(f"labels reach from {int(targets.min())} to {int(targets.max())}; the vocabulary has {words}")
    return rows, targets


def get_plain_head(head: Any) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of an output head that does nothing but ``x @ W.T + b``.

    Raises:
        PatchRefused: it does more, such as a LoRA layer, or does not exist.
    """
    if head is None:
        raise PatchRefused("linear cross-entropy: the model has no output embeddings")
    if type(head) is not torch.nn.Linear:
        kind = type(head)
        cause = (
            "an adapter acts inside it" if kind.__module__.split(".")[0] == "peft" else "it may do more than x @ W.T"
        )
        raise PatchRefused(f"linear cross-entropy: the head is {kind.__module__}.{kind.__qualname__}; {cause}")
    return head.weight, head.bias
