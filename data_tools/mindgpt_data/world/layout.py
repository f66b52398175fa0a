"""Places things on a 3 × 3 grid of cells with jitter that never leaves the cell's meaning in doubt."""

from __future__ import annotations

import random


def draw_free_cells(rng: random.Random) -> list[int]:
    """The nine cells in random order, to be popped."""
    return rng.sample(range(9), 9)


def draw_centre(rng: random.Random, cell: int, size: int, jitter: float) -> tuple[int, int]:
    """A centre inside ``cell`` of a picture ``size`` pixels wide, at most ``jitter`` pixels off the cell's middle."""
    side = size / 3
    jitter = min(jitter, side / 2 - 1)
    return (
        round((cell % 3 + 0.5) * side + rng.uniform(-jitter, jitter)),
        round((cell // 3 + 0.5) * side + rng.uniform(-jitter, jitter)),
    )


def interpolate_grade(easy: float, hard: float, grade: float) -> float:
    """``easy`` at grade 0, ``hard`` at grade 1."""
    return easy + (hard - easy) * grade
