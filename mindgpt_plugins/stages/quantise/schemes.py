"""The schemes a recipe can name, and what is never quantised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Scheme:
    """How llm-compressor makes it and where the result runs."""

    method: str
    """Module and class of the modifier, below ``llmcompressor.modifiers``."""
    preset: str
    """Name of the preset scheme in compressed-tensors."""
    calibrated: bool
    """Does it look at data?"""
    cpu: bool
    """Can vLLM serve it on CPU?"""
    options: dict[str, Any] = field(default_factory=dict)


_PLAIN, _GPTQ = "quantization:QuantizationModifier", "quantization:GPTQModifier"
SCHEMES: dict[str, Scheme] = {
    "fp8_dynamic": Scheme(_PLAIN, "FP8_DYNAMIC", calibrated=False, cpu=True),
    "int8_w8a8": Scheme(_GPTQ, "W8A8", calibrated=True, cpu=True),
    "w4a16_gptq": Scheme(_GPTQ, "W4A16", calibrated=True, cpu=True),
    "w4a16_autoround": Scheme("autoround:AutoRoundModifier", "W4A16", calibrated=True, cpu=True),
    "nvfp4a16": Scheme(_PLAIN, "NVFP4A16", calibrated=False, cpu=False),
}
FP8_CACHE = {
    "num_bits": 8,
    "type": "float",
    "strategy": "tensor",
    "dynamic": False,
    "symmetric": True,
}


def list_kept_modules(model_type: str, more: Sequence[str] = ()) -> list[str]:
    """Module names and ``re:`` patterns that stay as they are.

    The output head, everything visual (small, and not divisible by the kernels' blocks) and routers of experts.
    """
    routers = ["re:.*mlp.gate$"] if model_type.endswith("_moe") else []
    return ["re:.*lm_head", "re:.*visual.*", *routers, *more]
