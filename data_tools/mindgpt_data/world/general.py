"""Samples general scenes: coloured shapes and short words on a plain or graded background."""

from __future__ import annotations

import random

from mindgpt_data.world.draw import COLOURS
from mindgpt_data.world.layout import draw_centre, draw_free_cells, interpolate_grade
from mindgpt_data.world.scene import Scene, SceneThing

SHAPES = ("circle", "square", "triangle", "cross")
WORDS = ("cat", "dog", "sun", "map", "key", "box", "hat", "cup")
UNSEEN = frozenset({("red", "cross"), ("blue", "triangle"), ("yellow", "square"), ("green", "circle")})
"""(colour, shape) combinations that only test sets may hold."""


def sample_general_scene(rng: random.Random, grade: float, size: int, unseen: bool = False) -> Scene:
    """A general scene.

    Args:
        rng: the only source of chance.
        grade: in [0, 1]: 0 is one large shape, 1 is four smaller ones; some scenes also hold a word.
        size: side in pixels.
        unseen: put in one of the :data:`UNSEEN` combinations; otherwise none occurs.
    """
    low = round(interpolate_grade(245, 215, grade))
    light = [tuple(rng.randint(low, 255) for _ in range(3)) for _ in range(2)]
    cells = draw_free_cells(rng)
    things: list[SceneThing] = []
    # A visual token is one cell wide at the default size: easy things lie inside one, hard ones may straddle two.
    jitter = interpolate_grade(2, 6, grade)
    if rng.random() < 0.4:
        cell = cells.pop()
        x, y = draw_centre(rng, cell, size, jitter / 3)
        things.append(SceneThing("word", rng.choice(WORDS), "", cell, x, y, 33 if grade < 0.5 else 22))
    pairs = [(c, s) for c in COLOURS for s in SHAPES if (c, s) not in UNSEEN]
    for i in range(1 + round(3 * grade)):
        colour, shape = rng.choice(sorted(UNSEEN)) if unseen and i == 0 else rng.choice(pairs)
        cell = cells.pop()
        x, y = draw_centre(rng, cell, size, jitter)
        side = round(interpolate_grade(23, 18, grade) * rng.uniform(0.9, 1.15))
        things.append(SceneThing("shape", shape, colour, cell, x, y, side))
    return Scene("general", size, grade, (light[0], light[1]), tuple(things), unseen)  # type: ignore[arg-type]
