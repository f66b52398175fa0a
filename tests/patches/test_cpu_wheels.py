"""The wheel shim chains to the user's own sitecustomize and stays out of CUDA builds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mindgpt_patches.cpu import SITE, wheels


def test_an_existing_sitecustomize_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('the user was here')")
    code = "import sys; print([type(f).__name__ for f in sys.meta_path])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SITE), str(tmp_path)])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert "the user was here" in done.stdout and "CpuWheelFinder" in done.stdout


def test_never_on_a_cuda_build_of_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    (tmp_path / "version.py").write_text("__version__ = '0.28.0+cu130'")
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert wheels.has_build_mismatch(tmp_path, "torchvision")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert not wheels.has_build_mismatch(tmp_path, "torchvision")
