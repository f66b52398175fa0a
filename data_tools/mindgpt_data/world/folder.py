"""Renders world scenes into a plain folder with a manifest of their exact truth: a corpus to try every verb on."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from mindgpt_data import pictures
from mindgpt_data.pictures import KINDS
from mindgpt_data.teachers.truth import article
from mindgpt_data.world import domain, general
from mindgpt_data.world.draw import draw
from mindgpt_data.world.scene import Scene, Thing
from mindgpt_plugins.core.files import write_jsonl

SAMPLERS = {"general": general.sample, "domain": domain.sample}
DRAWN = 96
"""Scenes are laid out at this size and scaled: the samplers' sizes are in pixels of it."""


def write(
    folder: Path,
    images: int,
    *,
    source: Literal["general", "domain"] = "domain",
    seed: int = 0,
    size: int = 96,
) -> Path:
    """Write ``<source>-<number>.png`` and ``manifest.jsonl``; no scene occurs twice.

    Args:
        folder: created when missing; one source per folder, because its manifest is replaced.
        images: how many.
        source: ``general``: shapes and words; ``domain``: vehicles and road signs.
        seed: the only source of chance.
        size: side of the square pictures in pixels, at least 64.

    Returns:
        The manifest: lines of ``image, objects, texts, tags, captions, source, difficulty, group``, boxes in pixels.

    Raises:
        ValueError: ``size`` is too small, or the world has not that many different scenes.
    """
    if size < 64:
        raise ValueError(f"size {size} is too small to draw in; at least 64")
    rng = random.Random(f"{seed}/folder/{source}")
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    lines: list[dict[str, Any]] = []
    for _ in range(20 * images + 100):
        if len(lines) == images:
            break
        small = SAMPLERS[source](rng, round(rng.random(), 2), DRAWN)
        if small.signature in seen:
            continue
        seen.add(small.signature)
        scene = scaled(small, size)
        name = f"{source}-{len(lines):05d}.png"
        draw(scene).save(folder / name)
        lines.append(truth(scene, name) | {"group": small.signature})
    if len(lines) < images:
        raise ValueError(f"only {len(lines)} different {source} scenes were found; ask for fewer than {images}")
    manifest = folder / "manifest.jsonl"
    write_jsonl(manifest, lines)
    return manifest


def scaled(scene: Scene, size: int) -> Scene:
    """The same scene on a canvas of ``size`` pixels."""
    by = size / scene.size
    things = tuple(replace(t, x=round(t.x * by), y=round(t.y * by), size=round(t.size * by)) for t in scene.things)
    return replace(scene, size=size, things=things)


def truth(scene: Scene, image: str) -> dict[str, Any]:
    """The manifest line of a scene, without its group. Words are texts; everything else is an object."""
    objects = [_object(thing, scene.size) for thing in scene.things if thing.family != "word"]
    named = [" ".join([*o["attributes"].values(), o["label"]]) for o in objects]
    words = scene.of("word")
    places = [f"{article(n)} at the {t.position}" for n, t in zip(named, _drawn(scene), strict=True)]
    places += [f"the word {thing.name!r} at the {thing.position}" for thing in words]
    return {
        "image": image,
        "objects": objects,
        "texts": [{"text": thing.name, "box": box(thing, scene.size)} for thing in words],
        "tags": sorted({o["label"] for o in objects}),
        "captions": [f"a picture of {', '.join(places)}"] if places else [],
        "source": scene.world,
        "difficulty": scene.grade,
    }


def box(thing: Thing, size: int) -> list[int]:
    """Where a thing is drawn: ``[x0, y0, x1, y1]`` in pixels, inside the picture."""
    width = height = thing.size
    if thing.picture:
        picture = pictures.load(thing.picture)
        scale = thing.size / max(picture.size)
        width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    elif thing.family == "word":
        columns = 4 * len(thing.name) - 1
        dot = max(1, thing.size // columns)
        width, height = dot * columns, dot * 5
    x0, y0 = thing.x - width // 2, thing.y - height // 2
    return [max(0, x0), max(0, y0), min(size, x0 + width), min(size, y0 + height)]


def _drawn(scene: Scene) -> list[Thing]:
    return [thing for thing in scene.things if thing.family != "word"]


def _object(thing: Thing, size: int) -> dict[str, Any]:
    label = f"{KINDS[thing.name].name.replace('_', ' ')} sign" if thing.family == "sign" else thing.name
    attributes = {"colour": thing.colour} if thing.colour else {}
    return {"label": label, "box": box(thing, size), "attributes": attributes}
