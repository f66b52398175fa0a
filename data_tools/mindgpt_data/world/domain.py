"""Samples domain scenes: vehicles and road signs, composed from the shipped pictures on road-like backgrounds."""

from __future__ import annotations

import random

from mindgpt_data.pictures import KINDS, SIGNS, VEHICLES
from mindgpt_data.world.layout import draw_centre, draw_free_cells, interpolate_grade
from mindgpt_data.world.scene import Scene, SceneThing

UNSEEN = frozenset({("bus", "stop"), ("car", "cattle"), ("truck", "parking"), ("plane", "bend"), ("tram", "cycles")})
"""(vehicle, sign) combinations that only test sets may hold."""


def sample_domain_scene(rng: random.Random, grade: float, size: int, unseen: bool = False) -> Scene:
    """A domain scene.

    Args:
        rng: the only source of chance.
        grade: in [0, 1]: 0 is one large thing, 1 is four small ones that may overlap.
        size: side in pixels.
        unseen: put in one of the :data:`UNSEEN` combinations; otherwise none occurs.
    """
    sky, road = rng.randint(185, 235), rng.randint(150, 190)
    background = ((sky - 15, sky, min(255, sky + 12)), (road, road, road))
    count = 1 + round(3 * grade)
    names: list[str] = []
    if unseen:
        names += rng.choice(sorted(UNSEEN))
        count = max(2, count)
    if not names and rng.random() < 0.35:
        # Counting needs repeats: the same kind two or more times.
        names += [rng.choice(VEHICLES)] * min(count, rng.randint(2, 3))
    while len(names) < count:
        # One sign at most, so that "the sign" is never in doubt.
        room = [] if any(name in SIGNS for name in names) else [rng.choice(SIGNS)]
        name = rng.choice([rng.choice(VEHICLES), *room, *room])
        if unseen or not any((v, s) in UNSEEN for v in {*names, name} for s in {*names, name}):
            names.append(name)
    cells = draw_free_cells(rng)
    things = []
    for name in names:
        cell = cells.pop()
        x, y = draw_centre(rng, cell, size, interpolate_grade(3, 6, grade))
        side = round(interpolate_grade(38, 28, grade) * rng.uniform(0.9, 1.1))
        half = side // 2
        x, y = (min(max(v, half), size - half) for v in (x, y))
        kind = KINDS[name]
        things.append(SceneThing(kind.family, name, "", cell, x, y, side, rng.choice(kind.files)))
    return Scene("domain", size, grade, background, tuple(things), unseen)
