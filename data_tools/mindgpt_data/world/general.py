"""Samples general scenes: coloured shapes and short words on a plain or graded background."""

from __future__ import annotations

import random

from mindgpt_data.world.draw import COLOURS
from mindgpt_data.world.layout import centre, free_cells, lerp
from mindgpt_data.world.scene import Scene, Thing

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
WORDS = ("cat", "dog", "sun", "map", "key", "box", "hat", "cup", "egg", "fox")
UNSEEN = frozenset({("red", "star"), ("blue", "cross"), ("yellow", "ring"), ("green", "triangle"), ("pink", "square")})
"""(colour, shape) combinations that only test sets may hold."""


def sample(rng: random.Random, grade: float, size: int, unseen: bool = False) -> Scene:
    """A general scene.

    Args:
        rng: the only source of chance.
        grade: in [0, 1]: 0 is one large shape, 1 is five small ones that may touch, and a word.
        size: side in pixels.
        unseen: put in one of the :data:`UNSEEN` combinations; otherwise none occurs.
    """
    light = [tuple(rng.randint(215, 255) for _ in range(3)) for _ in range(2)]
    background = (light[0], light[1] if grade > 0.5 else light[0])
    cells = free_cells(rng)
    things: list[Thing] = []
    if rng.random() < 0.3:
        row = rng.randrange(3)
        cells = [cell for cell in cells if cell // 3 != row]
        x, y = centre(rng, 3 * row + 1, size)
        things.append(
            Thing("word", rng.choice(WORDS), rng.choice(("black", "blue", "red", "purple")), 3 * row + 1, x, y,
                  rng.choice((22, 33) if grade > 0.5 else (33, 44)))
        )  # fmt: skip
    pairs = [(c, s) for c in COLOURS for s in SHAPES if (c, s) not in UNSEEN]
    for i in range(1 + round(4 * grade)):
        colour, shape = rng.choice(sorted(UNSEEN)) if unseen and i == 0 else rng.choice(pairs)
        cell = cells.pop()
        x, y = centre(rng, cell, size)
        side = round(lerp(26, 17, grade) * rng.uniform(0.9, 1.15))
        things.append(Thing("shape", shape, colour, cell, x, y, side))
    return Scene("general", size, grade, background, tuple(things), unseen)  # type: ignore[arg-type]
