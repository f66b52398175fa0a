"""The arms of the supervised step: what each installs in the host, and how it computes its loss."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mindgpt_patches import PatchRefused, patch_embed_linear, pos_embed_cache
from mindgpt_patches.guard import restore_function
from mindgpt_patches.linear_cross_entropy import compute_linear_cross_entropy
from mindgpt_patches.row_softmax import choose_row_softmax
from torch import Tensor

Loss = Callable[[Any, dict[str, Any], Tensor, int], Tensor]
HOST = "transformers.models.qwen3_vl.modeling_qwen3_vl"


@dataclass(frozen=True)
class Arm:
    """One way to take a step.

    Attributes:
        name: in the table.
        packed: whether samples are packed, or padded.
        loss: from model, inputs, labels and the step's supervised tokens to this micro-batch's part of the loss.
        patches: whether ours are installed.
        liger: options for Liger's Qwen3-VL patch; ``None``: without.
    """

    name: str
    packed: bool
    loss: Loss
    patches: bool = False
    liger: dict[str, bool] | None = None

    @contextlib.contextmanager
    def installed(self, model: Any) -> Iterator[dict[str, str]]:
        """Install what the arm needs and take it out again; yields patch → ``applied`` or why it was refused."""
        outcome: dict[str, str] = {}
        with contextlib.ExitStack() as stack:
            if self.liger is not None:
                stack.enter_context(_liger(model, self.liger))
                outcome["liger"] = "applied"
            if self.patches:
                for patch, method in ((patch_embed_linear, "forward"), (pos_embed_cache, "fast_pos_embed_interpolate")):
                    name = patch.__name__.rsplit(".", 1)[-1]
                    stack.callback(remove, patch, method)
                    try:
                        outcome[name] = patch.apply()
                    except (PatchRefused, AttributeError) as error:
                        outcome[name] = f"refused: {error}"
                fused = choose_row_softmax(None, model.lm_head.weight.device, torch.bfloat16)[1]
                outcome["linear_cross_entropy"] = f"applied ({'Triton' if fused else 'torch'})"
            yield outcome


def from_logits(model: Any, inputs: dict[str, Any], labels: Tensor, supervised: int) -> Tensor:
    """The host's own loss on its own logits."""
    from transformers.loss.loss_utils import ForCausalLMLoss

    logits = model(**inputs, use_cache=False).logits
    return ForCausalLMLoss(logits, labels, logits.shape[-1], num_items_in_batch=supervised)  # type: ignore[no-any-return]


def from_liger(model: Any, inputs: dict[str, Any], labels: Tensor, supervised: int) -> Tensor:
    """Liger's forward, which computes the loss without logits."""
    return model(**inputs, labels=labels, num_items_in_batch=supervised, use_cache=False).loss  # type: ignore[no-any-return]


def from_hidden(model: Any, inputs: dict[str, Any], labels: Tensor, supervised: int) -> Tensor:
    """Ours on the inner model's hidden states."""
    hidden = model.model(**inputs, use_cache=False).last_hidden_state
    return compute_linear_cross_entropy(hidden[:, :-1], model.lm_head.weight, labels[:, 1:]).loss / supervised


ARMS = (
    Arm("stock, padded", False, from_logits),
    Arm("stock + packing", True, from_logits),
    Arm("HF + Liger + packing", True, from_liger, liger={"fused_linear_cross_entropy": True}),
    Arm("ours + packing", True, from_hidden, patches=True),
    Arm("ours + Liger norms and RoPE + packing", True, from_hidden, True, {"fused_linear_cross_entropy": False}),
)


def remove(patch: Any, method: str) -> None:
    """Put the host's own method back, where the patch had been applied."""
    for module, name in patch.CLASSES.items():
        with contextlib.suppress(ImportError, AttributeError):
            restore_function(getattr(importlib.import_module(module), name), method)


@contextlib.contextmanager
def _liger(model: Any, options: dict[str, bool]) -> Iterator[None]:
    """Liger's patch on this model; what it changes in the module and in instances is put back."""
    if not torch.cuda.is_available():
        raise ImportError("liger-kernel needs a GPU")
    from liger_kernel.transformers.monkey_patch import apply_liger_kernel_to_qwen3_vl

    host = importlib.import_module(HOST)
    before = dict(vars(host))
    instances = [(module, dict(vars(module))) for module in model.modules()]
    forward = host.Qwen3VLForConditionalGeneration.forward
    try:
        apply_liger_kernel_to_qwen3_vl(model=model, **options)
        yield
    finally:
        vars(host).update(before)
        host.Qwen3VLForConditionalGeneration.forward = forward
        for module, attributes in instances:
            vars(module).clear()
            vars(module).update(attributes)
