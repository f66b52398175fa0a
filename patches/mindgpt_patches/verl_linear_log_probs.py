"""verl's fused log-probabilities (``use_fused_kernels``, torch backend) with dW summed in float32.

Why: ``FusedLinearForPPOFunction.backward`` (verl 0.9.1) adds each chunk's dW into a tensor of the weights' own type: in
bfloat16 the error grows with the number of chunks. Ours (:func:`linear_log_probs`) sums in float32, sizes its chunks by
bytes, and computes nothing for the entropy's gradient when nobody asks for it.
"""

from __future__ import annotations

from typing import Any

from mindgpt_patches.guard import Place, replace_places

KNOWN = {"854d0375c82c": "verl 0.9.1"}


def places() -> list[Place]:
    """What is replaced."""
    import verl.utils.experimental.torch_functional as module

    return [Place(module.FusedLinearForPPO, "forward", KNOWN, _ours)]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: ``FusedLinearForPPO.forward`` is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def certify() -> dict[str, float]:
    """Largest relative errors in float32, see :func:`mindgpt_patches.certificate.measure_errors`."""
    import torch
    from verl.utils.experimental.torch_functional import FusedLinearForPPO

    from mindgpt_patches.certificate import measure_errors

    def run() -> tuple[torch.Tensor, list[torch.Tensor]]:
        tensors = [torch.randn(48, 32).requires_grad_(), torch.randn(500, 32).requires_grad_()]
        log_probs, entropy = FusedLinearForPPO(chunk_size=16)(*tensors, torch.randint(0, 500, (48,)), temperature=0.9)
        return (log_probs - 0.01 * entropy).mean(), tensors

    return measure_errors(FusedLinearForPPO, "forward", run)


def _ours(original: Any) -> Any:
    from mindgpt_patches.linear_cross_entropy import compute_linear_log_probs

    def forward(self: Any, hidden_states: Any, vocab_weights: Any, input_ids: Any, temperature: float = 1.0) -> Any:
        if self.impl_backend != "torch":
            return original(self, hidden_states, vocab_weights, input_ids, temperature)
        log_probs, entropy = compute_linear_log_probs(
            hidden_states, vocab_weights, input_ids, temperature=temperature, return_entropy=True
        )
        assert entropy is not None
        return log_probs, entropy.to(hidden_states.dtype)

    return forward
