"""Cross-entropy and log-probabilities straight from hidden states, without a (tokens, vocabulary) tensor of logits.

Why: LLaMA-Factory's weighted and preference losses and Hugging Face's make one in float32, several times over; Liger's
fused loss has no weight per token (linkedin/Liger-Kernel#338) and projects ignored rows; verl's chunked one projects
prompts and sums dW in bfloat16. Here rows without a target are never projected, memory is a fixed budget beside the
gradients themselves, and dW is summed in float32. Between the multiplications chunks pass through torch, or on CUDA
through a Triton kernel; ours, after the idea of cut-cross-entropy (2411.09009) and Liger.

Labels are **aligned with hidden**: row i is scored against ``labels[i]``. Nothing is shifted here; for a causal model
pass ``hidden[:, :-1]`` and ``labels[:, 1:]``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mindgpt_patches.projection import Projection, check_head_tensors, choose_compute_dtype, find_target_rows
from mindgpt_patches.row_softmax import choose_row_softmax

IGNORE = -100


class LinearCrossEntropy(NamedTuple):
    """What :func:`compute_linear_cross_entropy` returns.

    Attributes:
        loss: scalar Σ w·ce in nats, with gradient; divide it as you like.
        nll: ce of every row in nats, shaped as the labels, 0 where there is none; without gradient.
        sums: float64 (sources, 3): Σ w·ce, Σ ce, rows with a target; ``None`` without ``source_ids``.
    """

    loss: Tensor
    nll: Tensor
    sums: Tensor | None


def compute_linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    token_weights: Tensor | None = None,
    source_ids: Tensor | None = None,
    num_sources: int | None = None,
    bias: Tensor | None = None,
    ignore_index: int = IGNORE,
    chunk_bytes: int | None = None,
    triton: bool | None = None,
) -> LinearCrossEntropy:
    """Weighted sum of cross-entropies. Gradients are made in the forward pass: three multiplications, not four.

    Args:
        hidden: (…, H) last hidden states, any float type.
        weight: (V, H) of the head, in the same type unless autocast is on.
        labels: (…) targets aligned with ``hidden``; ``ignore_index`` where there is none.
        token_weights: (…) weight of each row, no gradient; default 1.
        source_ids: (…) ids ≥ 0; sums are returned for each source.
        num_sources: rows of ``sums``; default: largest id + 1.
        bias: (V,) of the head.
        ignore_index: rows with this label are not computed at all.
        chunk_bytes: size of the logits buffer; default 64 MiB on CPU, 1 GiB elsewhere.
        triton: see :func:`mindgpt_patches.row_softmax.choose_row_softmax`.

    Raises:
        PatchRefused: a sharded weight.
        ValueError: tensors that do not fit, labels outside the vocabulary, weights that want a gradient.
    """
    check_head_tensors(hidden, weight, bias, labels)
    if token_weights is not None and token_weights.requires_grad:
        raise ValueError("token_weights get no gradient here; detach them, or weight linear_log_probs yourself")
    rows, targets = find_target_rows(labels, ignore_index, len(weight))
    math = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    weights = (
        torch.ones(len(rows), dtype=math, device=hidden.device)
        if token_weights is None
        else token_weights.detach().expand(labels.shape).reshape(-1)[rows].to(math)
    )
    loss, nll = _LossAndGradients.apply(  # type: ignore[no-untyped-call]
        hidden.reshape(-1, hidden.shape[-1]),
        weight,
        bias,
        rows,
        targets,
        weights,
        chunk_bytes,
        triton,
        torch.is_grad_enabled(),
    )
    sums = None
    if source_ids is not None:
        ids = source_ids.expand(labels.shape).reshape(-1).long()
        count = num_sources if num_sources is not None else int(ids.max()) + 1 if len(ids) else 0
        exact = torch.float32 if nll.device.type == "mps" else torch.float64  # mps has no float64
        columns = torch.stack([weights * nll, nll, torch.ones_like(nll)], 1).to(exact)
        sums = torch.zeros(count, 3, dtype=exact, device=nll.device).index_add_(0, ids[rows], columns)
    return LinearCrossEntropy(loss, _spread(nll, rows, labels), sums)


def compute_linear_log_probs(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    return_entropy: bool = False,
    bias: Tensor | None = None,
    ignore_index: int = IGNORE,
    chunk_bytes: int | None = None,
    triton: bool | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Log-probability of each label, and the entropy of each row's distribution, both with gradient.

    The gradient of each row is only known in the backward pass, so logits are computed once more there.

    Args:
        hidden: as in :func:`compute_linear_cross_entropy`, and so are the other tensors.
        weight: (V, H).
        labels: (…).
        temperature: logits are divided by it, > 0.
        return_entropy: also return entropies in nats.
        bias: (V,).
        ignore_index: rows with this label are not computed; they get 0.
        chunk_bytes: size of the logits buffer.
        triton: see :func:`mindgpt_patches.row_softmax.choose_row_softmax`.

    Returns:
        (…) log-probabilities in nats, and (…) entropies or ``None``.

    Raises:
        PatchRefused: a sharded weight.
        ValueError: tensors that do not fit, labels outside the vocabulary, a temperature that is not positive.
    """
    check_head_tensors(hidden, weight, bias, labels)
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    rows, targets = find_target_rows(labels, ignore_index, len(weight))
    log_probs, entropy = _LogProbs.apply(  # type: ignore[no-untyped-call]
        hidden.reshape(-1, hidden.shape[-1]),
        weight,
        bias,
        rows,
        targets,
        temperature,
        return_entropy,
        chunk_bytes,
        triton,
    )
    return _spread(log_probs, rows, labels), _spread(entropy, rows, labels) if return_entropy else None


def certify() -> dict[str, float]:
    """Largest relative errors against ``torch.nn.functional.cross_entropy``: 64 weighted rows, 500 words, 5 chunks.

    On the GPU where there is one, so that what is about to be used is what is measured.
    """
    from mindgpt_patches.certificate import compare_gradients, compute_seeded_run

    device = "cuda" if torch.cuda.is_available() else "cpu"

    def run(ours: bool) -> tuple[Tensor, list[Tensor]]:
        hidden, weight = (torch.randn(rows, 32).to(device).requires_grad_() for rows in (64, 500))
        labels, weights = torch.randint(0, 500, (64,)).to(device), torch.rand(64).to(device)
        labels[::4] = IGNORE
        if ours:
            loss = compute_linear_cross_entropy(hidden, weight, labels, token_weights=weights, chunk_bytes=20_000).loss
        else:
            each = torch.nn.functional.cross_entropy(hidden @ weight.t(), labels, reduction="none")
            loss = (weights * each).sum()
        return loss, [hidden, weight]

    return compare_gradients(compute_seeded_run(lambda: run(True)), compute_seeded_run(lambda: run(False)))


class _LossAndGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden, weight, bias, rows, targets, weights, chunk_bytes, triton, grad):  # type: ignore[no-untyped-def]
        d_hidden, d_weight, d_bias = (grad and need for need in ctx.needs_input_grad[:3])
        dtype = choose_compute_dtype(hidden, weight)
        scores, fused = choose_row_softmax(triton, hidden.device, dtype)
        with torch.autocast(hidden.device.type, enabled=False):
            size = {"fused": fused, "d_weight": d_weight, "d_bias": d_bias}
            work = Projection(weight, bias, dtype, len(rows), chunk_bytes, **size)
            # The gradients of 16-bit inputs are made for weights of size 1 and scaled in the backward pass, where the
            # caller's own scale (such as fp16's loss scaling) comes in; 1/N alone would underflow.
            scale = weights.abs().max() if len(weights) else weights.new_ones(())
            scale = torch.where(scale > 0, scale, 1.0)
            nll = torch.empty(len(rows), dtype=work.math, device=hidden.device)
            of_hidden = torch.zeros_like(hidden, memory_format=torch.contiguous_format) if d_hidden else None
            for start in range(0, len(rows), work.size):
                piece = slice(start, start + work.size)
                x = hidden.index_select(0, rows[piece]).to(dtype)
                logits = work.logits(x)
                up = -(weights[piece] / scale).to(work.math) if d_hidden or d_weight or d_bias else None
                nll[piece] = scores(logits, targets[piece], bias=work.bias, up=up)[0].neg_()
                if up is None:
                    continue
                d_x = work.backward(logits, x, d_x=d_hidden)
                if of_hidden is not None and d_x is not None:
                    of_hidden.index_copy_(0, rows[piece], d_x.to(of_hidden.dtype))
            ctx.save_for_backward(
                of_hidden,
                work.d_weight.to(weight.dtype) if work.d_weight is not None else None,
                work.d_bias.to(bias.dtype) if work.d_bias is not None else None,
                scale,
            )
        ctx.mark_non_differentiable(nll)
        return (weights.to(work.math) * nll).sum(), nll

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Any, ...]:
        _refuse_second_derivative()
        *gradients, scale = ctx.saved_tensors
        factor = d_loss * scale
        # In place, or dW would exist twice; unless the graph is kept for another pass, which needs them unscaled.
        scaled = torch.Tensor.mul if torch._C._autograd._get_current_graph_task_keep_graph() else torch.Tensor.mul_
        return *(None if g is None else scaled(g, factor) for g in gradients), *(None,) * 6


class _LogProbs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden, weight, bias, rows, targets, temperature, with_entropy, chunk_bytes, triton):  # type: ignore[no-untyped-def]
        ctx.dtype = choose_compute_dtype(hidden, weight)
        ctx.kernel = scores, fused = choose_row_softmax(triton, hidden.device, ctx.dtype)
        with torch.autocast(hidden.device.type, enabled=False):
            size = {"copies": 1 + with_entropy, "fused": fused}
            work = Projection(weight, bias, ctx.dtype, len(rows), chunk_bytes, **size)
            log_probs = torch.empty(len(rows), dtype=work.math, device=hidden.device)
            entropy = torch.zeros_like(log_probs)
            for start in range(0, len(rows), work.size):
                piece = slice(start, start + work.size)
                logits = work.logits(hidden.index_select(0, rows[piece]).to(ctx.dtype))
                options = {"bias": work.bias, "temperature": temperature, "entropy": with_entropy}
                log_probs[piece], own = scores(logits, targets[piece], **options)
                if own is not None:
                    entropy[piece] = own
        ctx.save_for_backward(hidden, weight, bias, rows, targets)
        ctx.options = temperature, chunk_bytes
        ctx.set_materialize_grads(False)
        if not with_entropy:
            ctx.mark_non_differentiable(entropy)
        return log_probs, entropy

    @staticmethod
    def backward(ctx: Any, d_log_probs: Tensor | None, d_entropy: Tensor | None) -> tuple[Any, ...]:
        _refuse_second_derivative()
        hidden, weight, bias, rows, targets = ctx.saved_tensors
        temperature, chunk_bytes = ctx.options
        scores, fused = ctx.kernel
        if d_log_probs is None:
            d_log_probs = torch.zeros(len(rows), device=hidden.device)
        d_hidden, d_weight, d_bias = ctx.needs_input_grad[:3]
        with torch.autocast(hidden.device.type, enabled=False):
            size = {"copies": 1 if d_entropy is None else 2, "fused": fused, "d_weight": d_weight, "d_bias": d_bias}
            work = Projection(weight, bias, ctx.dtype, len(rows), chunk_bytes, **size)
            of_hidden = torch.zeros_like(hidden, memory_format=torch.contiguous_format) if d_hidden else None
            for start in range(0, len(rows), work.size):
                piece = slice(start, start + work.size)
                x = hidden.index_select(0, rows[piece]).to(ctx.dtype)
                logits = work.logits(x)
                up = (d_log_probs[piece] / temperature).to(work.math)
                slope = None if d_entropy is None else (d_entropy[piece] / temperature).to(work.math)
                scores(logits, targets[piece], bias=work.bias, temperature=temperature, up=up, slope=slope)
                d_x = work.backward(logits, x, d_x=d_hidden)
                if of_hidden is not None and d_x is not None:
                    of_hidden.index_copy_(0, rows[piece], d_x.to(of_hidden.dtype))
        return (
            of_hidden,
            work.d_weight.to(weight.dtype) if work.d_weight is not None else None,
            work.d_bias.to(bias.dtype) if work.d_bias is not None else None,
            *(None,) * 6,
        )


def _refuse_second_derivative() -> None:
    if torch.is_grad_enabled():  # only with create_graph=True
        raise RuntimeError(
            "linear cross-entropy has no second derivative: call backward without create_graph, or use "
            "torch.nn.functional.cross_entropy on logits"
        )


def _spread(values: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
    """Values of the computed rows at their places, 0 elsewhere, shaped as ``labels``."""
    return values.new_zeros(labels.numel()).index_copy(0, rows, values).view(labels.shape)
