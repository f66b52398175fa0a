"""What a scene is. Everything that is drawn is listed, so everything that is asked about it has an exact answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mindgpt_plugins.core.files import dump_json_line

POSITIONS = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")
"""Names of the nine cells of the picture, row by row."""


@dataclass(frozen=True)
class SceneThing:
    """One drawn thing.

    Attributes:
        family: ``shape``, ``word``, ``vehicle`` or ``sign``.
        name: which one: ``square``, ``cat``, ``bus``, ``stop``.
        colour: colour name for shapes and words, else empty.
        cell: index into :data:`POSITIONS` of the cell that holds its centre.
        x: centre, pixels from the left.
        y: centre, pixels from the top.
        size: longer side in pixels.
        picture: shipped picture file for vehicles and signs, else empty.
    """

    family: str
    name: str
    colour: str
    cell: int
    x: int
    y: int
    size: int
    picture: str = ""

    @property
    def row(self) -> int:
        """0 top, 1 middle, 2 bottom."""
        return self.cell // 3

    @property
    def column(self) -> int:
        """0 left, 1 middle, 2 right."""
        return self.cell % 3

    @property
    def position(self) -> str:
        """The cell in words, e.g. ``top left``."""
        return POSITIONS[self.cell]


@dataclass(frozen=True)
class Scene:
    """A picture before it is drawn.

    Attributes:
        world: ``general`` or ``domain``.
        size: side in pixels; the picture is square.
        grade: difficulty in [0, 1]: more things, smaller, overlapping.
        background: (red, green, blue) of the upper and the lower end of the background.
        things: drawn in this order.
        unseen: holds a combination that training sets never contain.
    """

    world: str
    size: int
    grade: float
    background: tuple[tuple[int, int, int], tuple[int, int, int]]
    things: tuple[SceneThing, ...]
    unseen: bool = False

    def of(self, family: str) -> list[SceneThing]:
        """The things of one family, in drawing order."""
        return [thing for thing in self.things if thing.family == family]

    @property
    def signature(self) -> str:
        """What the scene shows, to a coarse position: two scenes alike to the eye share it (background aside)."""
        shown = sorted((t.family, t.name, t.colour, t.picture, t.x // 6, t.y // 6, t.size // 6) for t in self.things)
        return hashlib.sha256(dump_json_line(shown).encode()).hexdigest()[:16]
