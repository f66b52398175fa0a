"""Is there an accelerator? Answered from the driver's files, because the base install has no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/dev/kfd"), Path("/dev/davinci_manager"))


def resolve_device(device: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """``auto`` becomes ``cuda`` when an accelerator's driver is loaded (NVIDIA, ROCm, Ascend), else ``cpu``."""
    if device != "auto":
        return device
    return "cuda" if any(path.exists() for path in _DRIVERS) else "cpu"
