"""Patch embedding: the host's Conv3d beside one matrix product, at the sizes of Qwen3-VL-2B."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from arms import remove
from clock import compete, device
from mindgpt_patches import PatchRefused, patch_embed_linear
from results import Budget, Results

SECTION = "patch_embed"
HOST = "Conv3d (transformers)"
PATCH = "Linear (patch)"
OP = "Linear (op alone)"


def run(results: Results, budget: Budget, tiny: bool) -> None:
    """Forward, and forward with backward, in bfloat16 and float32."""
    from transformers.models.qwen3_vl import modeling_qwen3_vl as host
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig

    embed_class, refusal = host.Qwen3VLVisionPatchEmbed, ""
    try:
        patch_embed_linear.apply()
    except PatchRefused as error:
        refusal = str(error)
    mine = embed_class.forward
    forwards = {HOST: getattr(mine, "__wrapped__", mine)} | ({} if refusal else {PATCH: mine}) | {OP: _linear}
    config = Qwen3VLVisionConfig(hidden_size=64 if tiny else 1024)
    for dtype, backward in itertools.product((torch.bfloat16, torch.float32), (False, True)):
        for patches in (16, 64) if tiny else (1024, 4096, 16384):
            what = "forward + backward" if backward else "forward"
            case = {"dtype": str(dtype).removeprefix("torch."), "what": what, "patches": patches}
            if budget.spent(results, SECTION, **case):
                continue
            torch.manual_seed(0)
            embed = embed_class(config).to(device(), dtype)
            # The next picture is new to a trainer's caches too.
            pictures = itertools.cycle([torch.randn(patches, 1536, device=device(), dtype=dtype) for _ in range(8)])
            error = _errors(embed, forwards, next(pictures))
            found = compete({side: _call(f, embed, pictures, backward) for side, f in forwards.items()}, 0.5)
            for side, row in found.items():
                results.add(SECTION, **case, side=side, error=error[side], **row)
            if refusal:
                results.add(SECTION, **case, side=PATCH, state=f"refused: {refusal}")
    remove(patch_embed_linear, "forward")


def _linear(embed: Any, patches: torch.Tensor) -> torch.Tensor:
    weight = embed.proj.weight
    return torch.nn.functional.linear(patches.to(weight.dtype), weight.view(len(weight), -1), embed.proj.bias)


def _call(forward: Any, embed: Any, pictures: Any, backward: bool) -> Any:
    def call() -> None:
        if not backward:
            with torch.no_grad():
                forward(embed, next(pictures))
            return
        for parameter in embed.parameters():
            parameter.grad = None
        out = forward(embed, next(pictures))
        out.backward(out.detach())

    return call


def _errors(embed: Any, forwards: dict[str, Any], patches: torch.Tensor) -> dict[str, float]:
    """Relative error of each forward against float64."""
    weight, bias = embed.proj.weight.double(), embed.proj.bias.double()
    with torch.no_grad():
        want = torch.nn.functional.linear(patches.double(), weight.view(len(weight), -1), bias)
        return {side: float((f(embed, patches).double() - want).norm() / want.norm()) for side, f in forwards.items()}
