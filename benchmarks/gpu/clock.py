"""Milliseconds and memory of calls on one GPU; on CPU a call is run once and nothing is claimed."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

Call = Callable[[], Any]
OUT_OF_MEMORY = "out of memory"


def device() -> torch.device:
    """The GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def state_of(error: BaseException) -> str:
    """A row's state after an exception: running out of memory is a result like another."""
    if isinstance(error, torch.OutOfMemoryError):
        return OUT_OF_MEMORY
    return f"failed: {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"[:300]


def release() -> None:
    """Give freed memory back, so that one side's leftovers are not in the way of the next."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def peak(call: Call) -> int | None:
    """Bytes allocated at most during a call above what was there at its start; ``None`` on CPU."""
    if not torch.cuda.is_available():
        call()
        return None
    release()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def milliseconds(call: Call, inner: int = 1) -> float:
    """Time on the GPU between two events around ``inner`` calls, divided by it."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(inner):
        call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / inner


def compete(calls: Mapping[str, Call], seconds: float, rounds: int = 20) -> dict[str, dict[str, Any]]:
    """Memory and interleaved times of several ways to do the same thing.

    Args:
        calls: side → one complete call.
        seconds: about how long one side may be timed; at least three rounds are.
        rounds: at most so many.

    Returns:
        side → ``state``, and where it is ``ok`` and there is a GPU, ``ms`` of each round and ``extra_bytes``.
    """
    found: dict[str, dict[str, Any]] = {}
    warm: dict[str, float] = {}
    for side, call in calls.items():
        try:
            call()  # compiles, tunes, fills the allocator
            found[side] = {"state": "ok", "extra_bytes": peak(call)}
            if torch.cuda.is_available():
                warm[side] = milliseconds(call)
                found[side]["ms"] = []
        except Exception as error:
            found[side] = {"state": state_of(error)}
            del error
            release()
    if not warm:
        return found
    # Small calls are timed several at once, or the events themselves would be what is measured.
    inner = max(1, min(20, int(2.0 / max(1e-3, max(warm.values())))))
    rounds = max(3, min(rounds, int(seconds * 1e3 / (inner * max(warm.values())))))
    stop = time.monotonic() + 3 * seconds * len(warm)
    for round_ in range(rounds):
        if round_ >= 3 and time.monotonic() > stop:
            break
        for side in list(warm):
            try:
                found[side]["ms"].append(milliseconds(calls[side], inner))
            except Exception as error:
                found[side] = {"state": state_of(error)}
                del warm[side], error
                release()
    return found


def matmul_rate(size: int = 8192) -> float:
    """TFLOP/s of a bfloat16 matrix product of random numbers: what this GPU gives, beside its data sheet."""
    left, right = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        left @ right
    times = [milliseconds(lambda: left @ right, 5) for _ in range(5)]
    return 2 * size**3 / statistics.median(times) / 1e9
