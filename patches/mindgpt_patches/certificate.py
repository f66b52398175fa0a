"""Parity certificate: how far a patch is from what it replaces, measured where it is about to be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mindgpt_patches import PatchRefused
from mindgpt_patches.guard import restore_function

TOLERANCE = 1e-4
"""Largest relative error in float32 that still counts as the same computation in another order."""

Run = Callable[[], tuple[Tensor, list[Tensor]]]


def measure_errors(owner: Any, name: str, run: Run) -> dict[str, float]:
    """Compare a replaced function with its original on the same small computation.

    Args:
        owner: module or class of the host.
        name: attribute that :func:`mindgpt_patches.guard.replace_function` has replaced.
        run: builds its inputs from torch's random numbers; returns a loss and what its gradient is taken of.

    Returns:
        As :func:`compare_gradients`.

    Raises:
        PatchRefused: an error is above :data:`TOLERANCE`; the original is back in place.
    """
    mine = getattr(owner, name)
    try:
        setattr(owner, name, mine.__wrapped__)
        want = compute_seeded_run(run)
    finally:
        setattr(owner, name, mine)
    try:
        return compare_gradients(compute_seeded_run(run), want)
    except PatchRefused:
        restore_function(owner, name)
        raise


def compute_seeded_run(run: Run) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients of ``run`` from a fixed seed; the process's own random numbers are left alone."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        loss, wanted = run()
        return loss.detach(), list(torch.autograd.grad(loss, wanted))


def compare_gradients(got: tuple[Tensor, list[Tensor]], want: tuple[Tensor, list[Tensor]]) -> dict[str, float]:
    """Relative error of the loss, and largest error of a gradient relative to that gradient's largest entry.

    Raises:
        PatchRefused: one is above :data:`TOLERANCE`.
    """
    found = {
        "loss": float((got[0] - want[0]).abs() / want[0].abs()),
        "gradients": max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(got[1], want[1], strict=True)),
    }
    if not max(found.values()) <= TOLERANCE:
        raise PatchRefused(f"it does not give the host's numbers here: relative errors {found}")
    return found
