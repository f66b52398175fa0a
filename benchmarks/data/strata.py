"""Renders pictures of known density: subjects, relations, characters and topics are set independently of each other.

Truths (ours):

* ``subjects``: how many shapes are drawn, 3 to 9.
* ``spatial``: effective number of relation kinds over all pairs of subjects, ``exp(entropy)`` of the shares of beside,
  above, diagonal, overlap and inside, from the true boxes. One row of things has 1, whatever their number; a nested,
  scattered arrangement has up to 5. The renderer draws a target and rejects layouts until the truth is near it, so it
  does not depend on the number of subjects.
* ``text``: characters written, 30 to 190.
* ``knowledge``: distinct topics named by a word of their own in the text, 0 to 4; the rest are everyday words, so the
  number of characters does not tell it.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from mindgpt_data.density.relations import count_effective_kinds
from mindgpt_data.pictures import KINDS, load_picture
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 1000
CUT_OUTS = 0.3
"""Share of free-standing subjects that are shipped pictures of vehicles and signs instead of shapes."""
BACKGROUNDS = ("flat", "gradient", "stripes", "weave", "sky", "meadow")
DAMAGES = ("none", "noise", "blur", "lighting")
TOPICS = {
    "cars": ("carburetor", "gearbox", "sedan", "piston"),
    "medicine": ("aorta", "diagnosis", "surgeon", "insulin"),
    "chemistry": ("molecule", "benzene", "catalyst", "isotope"),
    "music": ("violin", "symphony", "saxophone", "melody"),
    "astronomy": ("galaxy", "telescope", "asteroid", "nebula"),
    "animals": ("giraffe", "leopard", "mammal", "dolphin"),
    "law": ("lawsuit", "attorney", "verdict", "statute"),
    "finance": ("dividend", "mortgage", "investor", "inflation"),
    "food": ("noodles", "casserole", "dessert", "cuisine"),
    "geography": ("peninsula", "volcano", "glacier", "continent"),
}
_WORDS = """
the and then they went here some of this with that again all day very soon most were just now only over there
about many after such also once more quite those into other between each while both
"""
EVERYDAY = _WORDS.split()
COLOURS = (
    (214, 40, 40), (29, 78, 216), (22, 140, 70), (245, 190, 20), (126, 34, 180), (236, 110, 20), (20, 160, 170),
    (230, 70, 150), (110, 62, 30), (25, 25, 30), (240, 240, 240),
)  # fmt: skip
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Stratum:
    """One rendered picture and its truths."""

    image: Image.Image
    truth: dict[str, float]
    background: str
    damage: str
    boxes: list[Box]


def render(seed: int, damage: str | None = None) -> Stratum:
    """The picture of a seed: every truth is drawn on its own; ``damage`` overrides the seed's."""
    chance = random.Random(seed)
    count, topics = chance.randint(3, 9), chance.randint(0, 4)
    characters, target = chance.randint(50, 190), chance.uniform(1.0, 3.6)
    background = BACKGROUNDS[seed % len(BACKGROUNDS)]
    damage = damage or DAMAGES[seed // len(BACKGROUNDS) % len(DAMAGES)]
    image = backdrop(background, chance)
    boxes = arrange(count, target, chance)
    plain = np.asarray(image).reshape(-1, 3).mean(axis=0)
    for i, (box, colour) in enumerate(zip(boxes, _colours(boxes, plain, chance), strict=True)):
        alone = all(_apart(box, other) for j, other in enumerate(boxes) if j != i)
        if alone and chance.random() < CUT_OUTS:
            _cut_out(image, box, chance)
        else:
            _subject(image, box, colour, chance)
    written = _write(image, characters, topics, chance)
    truth = {"subjects": count, "spatial": count_effective_kinds(boxes), "text": written, "knowledge": topics}
    return Stratum(damaged(image, damage, chance), truth, background, damage, boxes)


def backdrop(kind: str, chance: random.Random) -> Image.Image:
    """An empty background; ``sky`` and ``meadow`` imitate photographs: light, horizon, 1/f texture, lens blur."""
    make = np.random.default_rng(chance.getrandbits(32))
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    tint = np.array([chance.uniform(130, 235) for _ in range(3)])
    if kind == "flat":
        values = np.broadcast_to(tint, (SIDE, SIDE, 3))
    elif kind == "gradient":
        angle = chance.uniform(0, 2 * math.pi)
        t = (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + 0.5
        other = np.array([chance.uniform(60, 250) for _ in range(3)])
        values = tint + t[..., None] * (other - tint)
    elif kind == "stripes":
        wave = np.sin(2 * math.pi * (x * chance.uniform(10, 40) + y * chance.uniform(10, 40)))
        values = tint + 14 * wave[..., None] + make.normal(0, 6, (SIDE, SIDE, 1))
    elif kind == "weave":
        period = chance.choice((8, 12, 16))
        checks = ((np.arange(SIDE)[:, None] // period + np.arange(SIDE)[None] // period) % 2) * 2 - 1
        values = tint + 13 * checks[..., None] + 12 * fractal(make, 6)[..., None]
    else:
        horizon = chance.uniform(0.3, 0.7) + 0.03 * fractal(make, 3)[0]
        low = (y > horizon[None])[..., None]
        sky = np.array([150, 190, 235]) - 45 * (1 - y[..., None]) + 10 * fractal(make, 2)[..., None]
        ground = np.array([120, 150, 80]) if kind == "meadow" else np.array([196, 178, 140])
        ground = ground * (0.75 + 0.35 * y[..., None]) + 9 * fractal(make, 7)[..., None] * np.array([1, 1.2, 0.8])
        values = np.where(low, ground, sky)
    image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(1.2)) if kind in ("sky", "meadow") else image


def fractal(make: np.random.Generator, start: int) -> np.ndarray:
    """1/f noise [SIDE, SIDE] with standard deviation about 1; ``start`` is the coarsest octave's cells per side."""
    total, weight, cells = np.zeros((SIDE, SIDE)), 1.0, start
    while cells < SIDE // 2:
        octave = Image.fromarray(make.normal(0, 1, (cells, cells)).astype(np.float32), "F")
        total += weight * np.asarray(octave.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        weight, cells = weight * 0.6, cells * 2
    return total / total.std()


def arrange(count: int, target: float, chance: random.Random) -> list[Box]:
    """Boxes of ``count`` subjects with an effective number of relation kinds as near to ``target`` as 400 tries get."""
    best: tuple[float, list[Box]] = (math.inf, [])
    for _ in range(400):
        boxes = _layout(count, chance)
        if boxes is None:
            continue
        miss = abs(count_effective_kinds(boxes) - target)
        if miss < best[0]:
            best = (miss, boxes)
        if miss < 0.05:
            break
    return best[1]


def _layout(count: int, chance: random.Random) -> list[Box] | None:
    """A row, column or scatter with some overlapping and some nested subjects; None when it does not fit."""
    flat, partners = chance.choice((0.0, 0.0, 0.15, 0.5, 1.0)), chance.choice((0.0, 0.2, 0.5))
    upright = chance.random() < 0.5
    size = chance.uniform(70, 95) if flat < 0.2 else chance.uniform(80, 150)
    boxes: list[Box] = []
    hosts: list[int] = []
    for _ in range(count):
        for _ in range(60):
            w, h = size * chance.uniform(0.85, 1.2), size * chance.uniform(0.85, 1.2)
            free = [i for i in range(len(boxes)) if i not in hosts]
            if free and chance.random() < partners:
                host = chance.choice(free)
                a = boxes[host]
                if chance.random() < 0.4 and a[2] - a[0] >= 80:
                    w, h = (a[2] - a[0]) * chance.uniform(0.35, 0.45), (a[3] - a[1]) * chance.uniform(0.35, 0.45)
                    cx, cy = (a[0] + a[2]) / 2, (a[1] + a[3]) / 2
                else:
                    angle = chance.choice((0.25, 0.75, 1.25, 1.75)) * math.pi
                    cx = (a[0] + a[2]) / 2 + math.cos(angle) * (w + a[2] - a[0]) * 0.33
                    cy = (a[1] + a[3]) / 2 + math.sin(angle) * (h + a[3] - a[1]) * 0.33
                box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                others = [b for i, b in enumerate(boxes) if i != host]
            else:
                host = -1
                along, across = chance.uniform(90, 910), 420 + flat * chance.uniform(-330, 330)
                cx, cy = (across + 80, along * 0.72) if upright else (along, across * 0.85)
                box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                others = boxes
            inside = box[0] > 25 and box[1] > 25 and box[2] < SIDE - 25 and box[3] < 730
            if inside and all(_apart(box, other) for other in others):
                boxes.append(box)
                if host >= 0:
                    hosts += [host, len(boxes) - 1]
                break
        else:
            return None
    return boxes


def _apart(a: Box, b: Box, gap: float = 12) -> bool:
    return a[2] + gap < b[0] or b[2] + gap < a[0] or a[3] + gap < b[1] or b[3] + gap < a[1]


def _colours(boxes: list[Box], plain: np.ndarray, chance: random.Random) -> list[tuple[int, int, int]]:
    """A colour that stands out from the background, and from every subject it touches."""
    chosen: list[tuple[int, int, int]] = []
    for i, box in enumerate(boxes):
        touching = [chosen[j] for j in range(i) if not _apart(box, boxes[j])]
        fit = [c for c in COLOURS if np.linalg.norm(plain - c) > 110 and all(math.dist(c, t) > 120 for t in touching)]
        chosen.append(chance.choice(fit or [c for c in COLOURS if c not in touching]))
    return chosen


def _subject(image: Image.Image, box: Box, colour: tuple[int, int, int], chance: random.Random) -> None:
    """A shaded shape: disc, block, hexagon or barrel, lit from one side, with faint grain."""
    w, h = round(box[2] - box[0]), round(box[3] - box[1])
    mask = Image.new("L", (4 * w, 4 * h))
    draw, kind = ImageDraw.Draw(mask), chance.choice(("disc", "block", "hexagon", "barrel"))
    if kind == "disc":
        draw.ellipse((0, 0, 4 * w - 1, 4 * h - 1), fill=255)
    elif kind == "block":
        draw.rectangle((0, 0, 4 * w, 4 * h), fill=255)
    elif kind == "barrel":
        draw.rounded_rectangle((0, 0, 4 * w - 1, 4 * h - 1), radius=w, fill=255)
    else:
        corners = [(0, 0.5), (0.2, 0), (0.8, 0), (1, 0.5), (0.8, 1), (0.2, 1)]
        draw.polygon([(x * 4 * w, y * 4 * h) for x, y in corners], fill=255)
    make = np.random.default_rng(chance.getrandbits(32))
    light = np.linspace(1.1, 0.85, w)[None, :, None] * np.linspace(1.05, 0.92, h)[:, None, None]
    values = np.array(colour) * light + make.normal(0, 4, (h, w, 1))
    texture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    image.paste(texture, (round(box[0]), round(box[1])), mask.resize((w, h), Image.Resampling.LANCZOS))


def _cut_out(image: Image.Image, box: Box, chance: random.Random) -> None:
    """A shipped picture of a vehicle or sign, as large as fits into the box."""
    kind = KINDS[chance.choice(sorted(KINDS))]
    picture = load_picture(chance.choice(kind.files))
    scale = min((box[2] - box[0]) / picture.width, (box[3] - box[1]) / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    image.paste(picture, (round(box[0]), round(box[1])), picture)


def _write(image: Image.Image, characters: int, topics: int, chance: random.Random) -> int:
    """Write lines of words below the subjects; returns the characters written, spaces not counted."""
    words = [chance.choice(TOPICS[topic]) for topic in chance.sample(sorted(TOPICS), topics)]
    while sum(map(len, words)) < characters:
        words.append(chance.choice(EVERYDAY))
    chance.shuffle(words)
    font = ImageFont.load_default(28)
    draw = ImageDraw.Draw(image)
    under = np.asarray(image)[750:980, 30:970].mean()
    ink = (15, 15, 25) if under > 110 else (245, 245, 240)
    x, y = 40, 755
    for word in words:
        width = draw.textlength(word + " ", font=font)
        if x + width > SIDE - 40:
            x, y = 40, y + 44
        draw.text((x, y), word, font=font, fill=ink)
        x += int(width)
    return sum(map(len, words))


def damaged(image: Image.Image, kind: str, chance: random.Random) -> Image.Image:
    """The picture with sensor noise, lens blur or uneven light."""
    if kind == "blur":
        return image.filter(ImageFilter.GaussianBlur(2.0))
    values = np.asarray(image).astype(np.float64)
    if kind == "noise":
        values = values + np.random.default_rng(chance.getrandbits(32)).normal(0, 14, values.shape)
    elif kind == "lighting":
        values = values * np.linspace(1.1, 0.75, SIDE)[:: chance.choice((1, -1)), None, None]
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def sheet(strata: list[Stratum], columns: int = 6, side: int = 320) -> Image.Image:
    """A contact sheet with the truths written under each picture."""
    rows = -(-len(strata) // columns)
    page = Image.new("RGB", (columns * side, rows * (side + 20)), "white")
    draw = ImageDraw.Draw(page)
    for i, stratum in enumerate(strata):
        at = (i % columns * side, i // columns * (side + 20))
        page.paste(stratum.image.resize((side, side)), at)
        note = " ".join(f"{name[:4]} {value:.3g}" for name, value in stratum.truth.items())
        draw.text((at[0] + 4, at[1] + side + 4), f"{stratum.background} {stratum.damage} {note}", fill="black")
    return page
