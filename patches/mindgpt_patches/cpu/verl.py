"""Two fixes that verl 0.9 needs to train on CPU; called by the CPU platform, so only under ``VERL_PLATFORM=cpu``.

* Process group: ``verl.utils.distributed`` builds the backend string ``cpu:gloo,<device>:<backend>``, which torch
  refuses with "Duplicate device type cpu" when the device is the CPU itself.
* Pinned memory: the reference policy is offloaded with ``CPUOffloadPolicy(pin_memory=True)``; pinning raises without
  an accelerator.

Both keep the original and are idempotent.
"""

from __future__ import annotations

import inspect
from typing import Any

from mindgpt_patches import PatchRefused

SUPPORTED = "verl >=0.9.1,<0.10"
_MARK = "__mindgpt_patch__"


def apply() -> str:
    """Apply both.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: a name or parameter is missing.
    """
    _process_group()
    _pinned_memory()
    return "applied"


def _process_group() -> None:
    import verl.utils.distributed as module

    original = getattr(module, "initialize_global_process_group_ray", None)
    if getattr(original, _MARK, False):
        return
    if original is None or not {"timeout_second", "backend"} <= set(inspect.signature(original).parameters):
        raise PatchRefused(
            "verl.utils.distributed.initialize_global_process_group_ray(timeout_second, backend) is not there; "
            f"this patch supports {SUPPORTED}"
        )

    def initialize_global_process_group_ray(timeout_second: int | None = None, backend: str | None = None) -> Any:
        return original(timeout_second=timeout_second, backend=backend or "cpu:gloo")

    setattr(initialize_global_process_group_ray, _MARK, True)
    module.initialize_global_process_group_ray = initialize_global_process_group_ray


def _pinned_memory() -> None:
    from torch.distributed.fsdp import CPUOffloadPolicy

    original = CPUOffloadPolicy.__init__
    if getattr(original, _MARK, False):
        return

    def __init__(self: Any, pin_memory: bool = True) -> None:
        original(self, pin_memory=False)

    setattr(__init__, _MARK, True)
    CPUOffloadPolicy.__init__ = __init__  # type: ignore[method-assign]
