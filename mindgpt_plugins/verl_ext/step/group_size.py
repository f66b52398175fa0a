"""How many replies a prompt gets, by its difficulty; imports no host."""

from __future__ import annotations

from collections.abc import Mapping


def choose_group_size(difficulty: float, default: int, by_difficulty: Mapping[float, int]) -> int:
    """The number at the highest threshold that ``difficulty`` reaches; ``default`` below all of them."""
    reached = [threshold for threshold in by_difficulty if difficulty >= threshold]
    return by_difficulty[max(reached)] if reached else default
