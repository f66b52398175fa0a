"""Draws a scene: coloured shapes, words in a pixel font, and the shipped pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindgpt_data import pictures
from mindgpt_data.world.scene import Scene, SceneThing

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 35, 35),
    "green": (35, 160, 60),
    "blue": (45, 75, 225),
    "yellow": (240, 215, 30),
    "purple": (150, 45, 180),
    "orange": (245, 135, 20),
}
INK = (20, 20, 20)

# 3x5 pixel letters, one string of five rows each: no font file, the same pixels everywhere.
_FONT = {
    "a": "010101111101101", "b": "110101110101110", "c": "011100100100011", "d": "110101101101110",
    "e": "111100110100111", "f": "111100110100100", "g": "011100101101011", "h": "101101111101101",
    "i": "111010010010111", "k": "101101110101101", "m": "101111111101101", "n": "110101101101101",
    "o": "010101101101010", "p": "110101110100100", "s": "011100010001110", "t": "111010010010010",
    "u": "101101101101111", "x": "101101010101101", "y": "101101010010010",
}  # fmt: skip


def draw_scene(scene: Scene) -> Image:
    """Render a scene as an RGB image of ``scene.size`` × ``scene.size`` pixels. Deterministic in the scene."""
    from PIL import Image, ImageDraw

    size, (top, bottom) = scene.size, scene.background
    colours = ([round(a + (b - a) * (y / (size - 1))) for a, b in zip(top, bottom, strict=True)] for y in range(size))
    image = Image.frombytes("RGB", (size, size), b"".join(bytes(colour) * size for colour in colours))
    pen = ImageDraw.Draw(image)
    if scene.world == "domain":
        _road(pen, scene.size)
    for thing in scene.things:
        if thing.picture:
            _paste(image, thing)
        elif thing.family == "word":
            _word(pen, thing)
        else:
            _shape(pen, thing)
    return image


def _road(pen: ImageDraw, size: int) -> None:
    """Two lane marks, so that the background looks like a road without naming anything that is asked about."""
    for x in range(size // 12, size, size // 4):
        for y in (size // 3, 2 * size // 3):
            pen.rectangle([x, y - 1, x + size // 10, y], fill=(235, 235, 225))


def _paste(image: Image, thing: SceneThing) -> None:
    picture = pictures.load_picture(thing.picture)
    scale = thing.size / max(picture.size)
    small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    image.paste(small, (thing.x - small.width // 2, thing.y - small.height // 2), small)


def _word(pen: ImageDraw, thing: SceneThing) -> None:
    dot = max(1, thing.size // (4 * len(thing.name) - 1))
    left = thing.x - dot * (4 * len(thing.name) - 1) // 2
    top = thing.y - dot * 5 // 2
    for i, letter in enumerate(thing.name):
        for j, bit in enumerate(_FONT[letter]):
            if bit == "1":
                x, y = left + dot * (4 * i + j % 3), top + dot * (j // 3)
                pen.rectangle([x, y, x + dot - 1, y + dot - 1], fill=INK)


def _shape(pen: ImageDraw, thing: SceneThing) -> None:
    fill, r = COLOURS[thing.colour], thing.size / 2
    x, y = thing.x, thing.y
    box = (x - r, y - r, x + r, y + r)
    if thing.name == "circle":
        pen.ellipse(box, fill=fill)
    elif thing.name == "square":
        pen.rectangle(box, fill=fill)
    elif thing.name == "cross":
        w = r / 2.6
        pen.rectangle((x - r, y - w, x + r, y + w), fill=fill)
        pen.rectangle((x - w, y - r, x + w, y + r), fill=fill)
    elif thing.name == "triangle":
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=fill)
    else:
        raise ValueError(f"cannot draw shape {thing.name!r}")
