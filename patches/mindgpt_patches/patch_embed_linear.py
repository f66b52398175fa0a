"""Embeds vision patches by one matrix product instead of a three-dimensional convolution.

Why: Qwen3-VL's patch embedding is a ``Conv3d`` whose stride equals its kernel, applied to patches that are cut already:
a linear layer. As a convolution in bfloat16 it can take seconds per call on some pairs of torch and GPU
(huggingface/transformers#45750), and is several times slower on CPU. Weights stay the convolution's own, viewed as a
matrix, so checkpoints, optimizers and freezing do not notice.
"""

from __future__ import annotations

from typing import Any

from mindgpt_patches.guard import Place, list_method_places, replace_places

KNOWN = {"df8c03ef2bf7": "transformers 5.5.4"}
CLASSES = {
    "transformers.models.qwen3_vl.modeling_qwen3_vl": "Qwen3VLVisionPatchEmbed",
    "transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe": "Qwen3VLMoeVisionPatchEmbed",
}


def places() -> list[Place]:
    """What is replaced."""
    return list_method_places(CLASSES, "forward", KNOWN, _linear)


def apply() -> str:
    """Apply once, to the dense and the mixture-of-experts model.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: an embedding's forward is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def certify() -> dict[str, float]:
    """Largest relative errors on a small embedding, see :func:`mindgpt_patches.certificate.measure_errors`."""
    import torch
    from transformers.models.qwen3_vl import modeling_qwen3_vl as host
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig

    from mindgpt_patches.certificate import measure_errors

    def run() -> tuple[torch.Tensor, list[torch.Tensor]]:
        embed = host.Qwen3VLVisionPatchEmbed(Qwen3VLVisionConfig(hidden_size=64))
        return embed(torch.randn(32, 3 * 2 * 16 * 16)).square().mean(), list(embed.parameters())

    return measure_errors(host.Qwen3VLVisionPatchEmbed, "forward", run)


def _linear(original: Any) -> Any:
    import torch
    from torch.nn import functional

    def forward(self: Any, hidden_states: torch.Tensor) -> Any:
        convolution = self.proj
        weight = convolution.weight
        sharded = hasattr(weight, "placements") or hasattr(weight, "ds_id")
        if sharded or type(convolution) is not torch.nn.Conv3d:  # what a shard or an adapter does is not ours to repeat
            return original(self, hidden_states)
        patches = hidden_states.reshape(-1, weight[0].numel()).to(weight.dtype)
        return functional.linear(patches, weight.view(len(weight), -1), convolution.bias)

    return forward
