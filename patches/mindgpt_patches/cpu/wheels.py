"""Lets CUDA-built torchvision, torchaudio and torchcodec wheels be imported beside a CPU build of torch.

Why: the registries' torchvision and torchaudio wheels are CUDA builds. Beside CPU torch their native libraries cannot
be loaded and ``import torchvision`` dies (``operator torchvision::nms does not exist``), although nothing we run on CPU
needs those operators. For versions: torch 2.13, torchvision 0.28, torchaudio 2.11, torchcodec 0.17.

How: :func:`install_finder` adds one light import finder. It acts when one of the three packages is first imported, and
only if the mismatch really exists (a ``+cu…`` wheel beside a torch without CUDA or ROCm). It is loaded by
``site/sitecustomize.py`` in processes that ``mindgpt`` launches, and nowhere else.

This file is also loaded by path before any package is importable, so it imports only the standard library.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGES = ("torchvision", "torchaudio", "torchaudio._extension.utils", "torchcodec")
_libraries: list[Any] = []  # torch.library definitions live as long as the object does


class _Unavailable(importlib.machinery.SourceFileLoader):
    """Turns the OSError of a library that cannot load into the ImportError its importers are ready for."""

    def exec_module(self, module: ModuleType) -> None:
        raise ImportError(f"{module.__name__} is a CUDA build and torch is a CPU build; disabled in this process")


class CpuWheelFinder:
    """Meta path finder; see the module's docstring."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a changed spec for the packages concerned, ``None`` for everything else."""
        if name not in _PACKAGES:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.origin is None or not has_build_mismatch(Path(spec.origin).parent, name):
            return None
        if name == "torchvision":
            _declare_torchvision_operators()
            return None
        if name == "torchcodec":
            spec.loader = _Unavailable(name, spec.origin)
            return spec
        if name == "torchaudio._extension.utils" and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                # torchaudio treats "no library file" as "no extension"; a file that fails to load is fatal to it.
                module._LIB_DIR = Path(spec.origin or "").parent / "no-native-library"  # type: ignore[attr-defined]

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
            return spec
        return None


def has_build_mismatch(folder: Path, name: str) -> bool:
    """Is the package in ``folder`` a CUDA build while torch is a CPU build?"""
    import torch

    if torch.version.cuda is not None or torch.version.hip is not None:
        return False
    if name.startswith("torchcodec"):
        return True  # its wheels carry no build tag; on CPU torch the default wheel always fails to load
    package = folder.parent if name.endswith("._extension.utils") else folder
    version = package / "version.py"
    return version.is_file() and "+cu" in version.read_text(encoding="utf-8")


def _declare_torchvision_operators() -> None:
    """Declare the two schemas that torchvision registers fake kernels for unconditionally."""
    if _libraries:
        return
    import torch

    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)


def apply() -> str:
    """Install the finder where the mismatch exists.

    Returns:
        ``"applied"``, or ``"not needed: …"`` with the reason.
    """
    for name in ("torchvision", "torchaudio"):
        spec = PathFinder.find_spec(name)
        if spec is not None and spec.origin is not None and has_build_mismatch(Path(spec.origin).parent, name):
            install_finder()
            return "applied"
    return "not needed: torch, torchvision and torchaudio are builds of the same kind"


def install_finder() -> None:
    """Add the finder once. Costs microseconds; imports nothing."""
    if not any(type(finder).__name__ == CpuWheelFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, CpuWheelFinder())
