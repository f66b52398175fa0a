"""Renders scenes into a plain folder with a manifest of their exact truth: a corpus like any other."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from mindgpt_data import engines, pictures
from mindgpt_data.corpus.truth import add_article
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.pictures import KINDS
from mindgpt_data.world import domain, general
from mindgpt_data.world.config import Scenes
from mindgpt_data.world.draw import draw_scene
from mindgpt_data.world.scene import Scene, SceneThing
from mindgpt_plugins.core.files import read_jsonl, write_jsonl

SAMPLERS = {"general": general.sample_general_scene, "domain": domain.sample_domain_scene}
MANIFEST = "manifest.jsonl"
DRAWN = 96
"""Scenes are laid out at this size and scaled: the samplers' sizes are in pixels of it."""
INLINE = 64
"""Up to this many pictures are drawn in this process: starting workers would cost more."""
SMALLEST = 64
"""Side in pixels below which a scene cannot be drawn."""


def write_source_corpus(
    folder: Path,
    images: int,
    *,
    source: Literal["general", "domain"] = "domain",
    seed: int = 0,
    size: int = 96,
) -> Path:
    """Write a corpus of one source; see :func:`write_corpus`."""
    return write_corpus(folder, {source: Scenes(images=images)}, seed=seed, size=size)


def write_corpus(
    folder: Path,
    sources: Mapping[Literal["general", "domain"], Scenes],
    *,
    seed: int,
    size: int,
    name: str = "",
    taken: set[str] | None = None,
    progress: Progress = ignore_update,
) -> Path:
    """Write ``<name>-<source>-<number>.png`` and, last, ``manifest.jsonl``; no scene occurs twice.

    Args:
        folder: created when missing; its manifest is replaced.
        sources: how many pictures of what.
        seed: the only source of chance, with ``name``.
        size: side of the square pictures in pixels.
        name: of the set; begins the name of every picture, so that ids differ between sets.
        taken: groups that other corpora hold, which are not drawn again; those of this one are added.
        progress: told of the pictures drawn.

    Returns:
        The manifest: lines of ``image, objects, texts, boxes, tags, captions, source, difficulty, group``.

    Raises:
        ValueError: ``size`` is too small, or the world has not that many scenes that are new.
    """
    if size < SMALLEST:
        raise ValueError(f"size {size} is too small to draw in; at least {SMALLEST}")
    taken = set() if taken is None else taken
    folder.mkdir(parents=True, exist_ok=True)
    head = f"{name}-" if name else ""
    scenes: dict[Path, Scene] = {}
    lines: list[dict[str, Any]] = []
    for source, wanted in sources.items():
        for number, small in enumerate(_sample(source, wanted, random.Random(f"{seed}/{name}/{source}"), taken)):
            scene = scale_scene(small, size)
            image = f"{head}{source}-{number:05d}.png"
            scenes[folder / image] = scene
            lines.append(make_manifest_line(scene, image) | {"group": small.signature})
    for number, outcome in enumerate(engines.map_items(_save, scenes.items(), inline=INLINE), 1):
        if outcome.value is None:
            raise ValueError(f"a picture could not be drawn: {outcome.error}")
        progress({"stage": f"render {name}".strip(), "step": number, "total": len(scenes)})
    manifest = folder / MANIFEST
    write_jsonl(manifest, lines)
    return manifest


def read_groups(manifest: Path) -> set[str]:
    """The groups of the scenes that a manifest lists."""
    return {line["group"] for _, line in read_jsonl(manifest)}


def _sample(source: str, wanted: Scenes, rng: random.Random, taken: set[str]) -> Iterator[Scene]:
    """``wanted.images`` scenes that are not in ``taken``, which grows by them."""
    low, high = wanted.difficulty
    found = 0
    for _ in range(20 * wanted.images + 100):
        if found == wanted.images:
            return
        grade = round(low + (high - low) * rng.random() ** wanted.skew, 2)
        scene = SAMPLERS[source](rng, grade, DRAWN, rng.random() < wanted.unseen)
        if scene.signature not in taken:
            taken.add(scene.signature)
            found += 1
            yield scene
    if found < wanted.images:
        raise ValueError(
            f"only {found} different {source} scenes were found; ask for fewer than {wanted.images} pictures, or widen "
            "their range of difficulty"
        )


def _save(item: tuple[Path, Scene]) -> bool:
    path, scene = item
    draw_scene(scene).save(path)
    return True


def scale_scene(scene: Scene, size: int) -> Scene:
    """The same scene on a canvas of ``size`` pixels."""
    by = size / scene.size
    things = tuple(replace(t, x=round(t.x * by), y=round(t.y * by), size=round(t.size * by)) for t in scene.things)
    return replace(scene, size=size, things=things)


def make_manifest_line(scene: Scene, image: str) -> dict[str, Any]:
    """The manifest line of a scene, without its group. Words are texts; everything else is an object."""
    drawn = [thing for thing in scene.things if thing.family != "word"]
    words = scene.of("word")
    places = [f"{add_article(' '.join(filter(None, (t.colour, _label(t)))))} at the {t.position}" for t in drawn]
    places += [f"the word {thing.name!r} at the {thing.position}" for thing in words]
    return {
        "image": image,
        "objects": [
            {"label": _label(t), "box": locate_thing(t, scene.size), "attributes": _attributes(t)} for t in drawn
        ],
        "texts": [{"text": thing.name, "box": locate_thing(thing, scene.size)} for thing in words],
        "boxes": "pixels",
        "tags": sorted({_label(thing) for thing in drawn}),
        "captions": [f"a picture of {', '.join(places)}"] if places else [],
        "source": scene.world,
        "difficulty": scene.grade,
    }


def locate_thing(thing: SceneThing, size: int) -> list[int]:
    """Where a thing is drawn: ``[x0, y0, x1, y1]`` in pixels, inside the picture."""
    width = height = thing.size
    if thing.picture:
        picture = pictures.load_picture(thing.picture)
        scale = thing.size / max(picture.size)
        width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    elif thing.family == "word":
        columns = 4 * len(thing.name) - 1
        dot = max(1, thing.size // columns)
        width, height = dot * columns, dot * 5
    x0, y0 = thing.x - width // 2, thing.y - height // 2
    return [max(0, x0), max(0, y0), min(size, x0 + width), min(size, y0 + height)]


def _label(thing: SceneThing) -> str:
    return f"{thing.name.replace('_', ' ')} sign" if thing.family == "sign" else thing.name


def _attributes(thing: SceneThing) -> dict[str, str]:
    """What is seen of a thing, and what is known of it."""
    if thing.colour:
        return {"colour": thing.colour}
    kind = KINDS[thing.name]
    known = {"meaning": kind.means} if kind.means else {"way of travel": kind.travels}
    return {"category": kind.family, **known}
