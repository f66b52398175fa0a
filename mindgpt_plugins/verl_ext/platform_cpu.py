"""A CPU platform for verl 0.9, which has none. Active only under ``VERL_PLATFORM=cpu``.

verl counts accelerators and not CPUs when it places its workers, so this platform calls its slots "GPU": start Ray with
``num_gpus`` = number of training ranks, a logical number that needs no hardware.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_ZERO = ("memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved")
_NOTHING = ("empty_cache", "ipc_collect", "reset_peak_memory_stats", "set_device", "synchronize", "manual_seed")


def install_cpu_platform() -> None:
    """Register the platform and apply the CPU patches.

    Raises:
        RuntimeError: verl has already chosen another platform in this process.
    """
    from verl.plugin.platform import platform_manager

    chosen = platform_manager._current_platform
    if chosen is not None and chosen.device_name != "cpu":
        raise RuntimeError(
            f"verl chose platform {chosen.device_name!r} before VERL_PLATFORM=cpu was seen; set it before `import verl`"
        )
    platform_manager.PlatformRegistry.register("cpu")(_platform_class())
    os.environ.setdefault("VERL_ENGINE_DEVICE", "cuda")  # the FSDP engine verl registers for "cuda" is device neutral
    from mindgpt_patches.cpu import verl, vllm

    verl.apply()
    vllm.apply()


def make_device_module() -> ModuleType:
    """``torch.cpu`` plus the memory and generator calls verl makes on a ``torch.<device>`` module."""
    import torch

    module = ModuleType("mindgpt_torch_cpu")
    for name in dir(torch.cpu):
        if not name.startswith("__"):
            setattr(module, name, getattr(torch.cpu, name))
    for name in _ZERO:
        setattr(module, name, lambda *a, **k: 0)
    for name in (*_NOTHING, "manual_seed_all"):
        setattr(module, name, lambda *a, **k: None)
    extras: dict[str, Any] = {
        "mem_get_info": lambda *a, **k: (0, 0),
        "is_available": lambda: False,
        "get_device_name": lambda *a, **k: "CPU",
        "current_device": lambda: torch.device("cpu"),
        "get_rng_state": lambda *a, **k: torch.get_rng_state(),
        "set_rng_state": lambda state, *a, **k: torch.set_rng_state(state),
    }
    for name, value in extras.items():
        setattr(module, name, value)
    return module


def _platform_class() -> type:
    import torch
    from verl.plugin.platform import PlatformBase

    class PlatformCPU(PlatformBase):  # type: ignore[misc]
        device_name = "cpu"
        vendor_name = "cpu"
        device_module = make_device_module()

        def is_available(self) -> bool:
            return True

        def is_platform_available(self, use_smi_check: bool = False) -> bool:
            return not torch.cuda.is_available()

        def current_device(self) -> Any:
            return torch.device("cpu")  # verl does `tensor.to(get_device_id())`; an index would mean cuda:0

        def device_count(self) -> int:
            return 1

        def set_device(self, device_index: int) -> None:
            return None

        def synchronize(self, device_index: int | None = None) -> None:
            return None

        def manual_seed(self, seed: int) -> None:
            torch.manual_seed(seed)

        def manual_seed_all(self, seed: int) -> None:
            torch.manual_seed(seed)

        def set_allocator_settings(self, settings: str) -> None:
            return None

        def empty_cache(self) -> None:
            return None

        def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
            return None, None

        def communication_backend_name(self) -> str:
            return "gloo"

        def visible_devices_envvar(self) -> str:
            return "CUDA_VISIBLE_DEVICES"

        @contextmanager
        def nvtx_range(self, msg: str) -> Iterator[None]:
            yield

        def profiler_start(self) -> None:
            return None

        def profiler_stop(self) -> None:
            return None

        def ray_resource_name(self) -> str:
            return "GPU"

        def ray_noset_envvars(self) -> list[str]:
            return []

        def is_ipc_supported(self) -> bool:
            return False

        def cudart(self) -> Any:
            return None

    return PlatformCPU
