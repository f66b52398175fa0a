"""How fast saved weights are looked through for inf and NaN, beside torch's own way, in processor seconds.

    python benchmarks/saved_weights.py --gigabytes 2

Both read the same shard from the page cache: ours with numpy on the raw integers, the other one with ``safe_open`` and
``torch.isfinite(tensor).all()`` on one thread. Medians of five, in turn; the machine may do other work beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mindgpt_plugins.guards.weights import find_bad_weights

REPEATS = 5
"""Measurements of each way."""


def look_with_torch(folder: Path) -> None:
    """The obvious way."""
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - no mapping
                if not torch.isfinite(opened.get_tensor(name)).all():
                    raise SystemExit(f"{name} is not finite")


def look_with_ours(folder: Path) -> None:
    """What the runner does."""
    if find_bad_weights(folder) is not None:
        raise SystemExit("the weights are not sound")


def measure_rate(look: Callable[[Path], None], folder: Path, size: float) -> float:
    """Gigabytes per processor second."""
    before = time.process_time()
    look(folder)
    return size / (time.process_time() - before)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    wanted = parser.parse_args().gigabytes
    torch.set_num_threads(1)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; ", end="")
    print(f"Python {platform.python_version()}, numpy {numpy.__version__}, torch {torch.__version__}\n")
    print("| type | ours, GB/s | torch, GB/s |\n|---|---|---|")
    for kind in (torch.bfloat16, torch.float32):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rows = int(wanted * 1e9 / kind.itemsize / 8 / 4096)
            tensors = {f"layers.{i}.weight": torch.randn(rows, 4096).to(kind) for i in range(8)}
            save_file(tensors, folder / "model.safetensors")
            size = (folder / "model.safetensors").stat().st_size / 1e9
            del tensors
            rates = [
                [measure_rate(look, folder, size) for look in (look_with_ours, look_with_torch)] for _ in range(REPEATS)
            ]
        shown = [
            f"{statistics.median(found):.2f} ({min(found):.2f}–{max(found):.2f})" for found in zip(*rates, strict=True)
        ]
        print(f"| {str(kind).removeprefix('torch.')} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
