"""Training without logits: for one call of the model, its output head computes a loss or log-probabilities instead.

The model is called as always, through every wrapper (DDP, FSDP, autocast, adapters): only what happens inside the
head's own ``forward`` is ours, where its weight is whole. What it returns comes out as ``outputs.logits``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mindgpt_patches import PatchOutcome, PatchRefused
from mindgpt_patches.linear_cross_entropy import certify
from mindgpt_patches.projection import get_plain_head
from torch import Tensor

NAME = "linear_cross_entropy"
LARGE = 1 << 30
"""``auto`` takes effect where float32 logits of one micro-batch would have so many bytes."""

Compute = Callable[[Tensor, Tensor, "Tensor | None"], Tensor]


def decide_hidden_loss(mode: str, network: Any, tokens: int, obstacle: str | None) -> PatchOutcome:
    """Whether a run computes its loss from hidden states.

    Args:
        mode: ``auto``, ``on`` or ``off``.
        network: the model without data-parallel wrappers.
        tokens: most tokens of a micro-batch.
        obstacle: what else speaks against it.

    Raises:
        PatchRefused: asked for with ``on`` and not possible.
    """
    if mode == "off":
        return PatchOutcome(NAME, "off", "patches: off")
    try:
        if obstacle is not None:
            raise PatchRefused(f"linear cross-entropy: {obstacle}")
        head = network.get_output_embeddings()
        weight, _ = get_plain_head(head)
        if "forward" in vars(head):
            raise PatchRefused("linear cross-entropy: another package has replaced the head's forward")
        if hasattr(weight, "ds_id"):
            raise PatchRefused("linear cross-entropy: not tried with DeepSpeed ZeRO-3, which shards the head")
    except PatchRefused as error:
        if mode == "on":
            raise PatchRefused(f"{error}. Set patches: {{{NAME}: off}}") from None
        return PatchOutcome(NAME, "refused", str(error))
    size = (
        f"{tokens} tokens x {head.out_features} words are {tokens * head.out_features * 4 / 2**20:,.0f} MiB of logits"
    )
    if mode == "auto" and tokens * head.out_features * 4 < LARGE:
        return PatchOutcome(NAME, "not needed", f"at most {size}; auto starts at {LARGE >> 20} MiB")
    return PatchOutcome(NAME, "applied", f"up to {size} per copy are not made", certify())


def run_headless_forward(model: Any, network: Any, inputs: dict[str, Any], compute: Compute) -> Tensor:
    """Run the model on ``inputs`` (without labels) and return what ``compute(hidden, weight, bias)`` gave.

    Args:
        model: as the trainer has it, wrapped or not.
        network: the same without wrappers.
        inputs: keyword arguments.
        compute: gets hidden states (batch, length, H) and the head's weight and bias; returns one tensor.

    Raises:
        PatchRefused: the head (of a reference model, say) is not plain, or the model changes its output, so that what
            it trains on is not softmax(x @ W.T).
    """
    head = network.get_output_embeddings()
    get_plain_head(head)
    made: list[Tensor] = []

    def forward(hidden: Tensor) -> Tensor:
        made.append(compute(hidden, head.weight, head.bias))
        return made[-1]

    with _replaced(head, forward):
        result = model(**inputs).logits
    if len(made) != 1 or result.shape != made[0].shape or not _same(result, made[0]):
        raise PatchRefused(
            f"linear cross-entropy: {type(network).__name__} changes its logits after the head (a soft cap or a "
            f"scale); set patches: {{{NAME}: off}}"
        )
    return result  # type: ignore[no-any-return]


@contextlib.contextmanager
def _replaced(head: torch.nn.Module, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
    head.forward = forward
    try:
        yield
    finally:
        del head.forward  # the class's own shows again


def _same(result: Tensor, made: Tensor) -> bool:
    # A wrapper may have changed the type. NaN is the trainer's business, as it always was.
    return torch.equal(result.detach().to(made.dtype).nan_to_num(), made.detach().nan_to_num())
