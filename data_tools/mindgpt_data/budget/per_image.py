"""Budget of one image when there is no corpus budget (form: ours)."""

from __future__ import annotations


def per_image(score: float, *, n_min: int = 1, n_max: int = 8, gamma: float = 1.0) -> int:
    """Return n = clip(round(n_min + (n_max − n_min)·IDS^γ), n_min, n_max)."""
    wanted = round(n_min + (n_max - n_min) * float(score**gamma))
    return min(n_max, max(n_min, wanted))
