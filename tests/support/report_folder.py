"""Builds a small work folder with every step's files, as the steps write them, for the tests of the data report."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from pathlib import Path
from typing import Any

from mindgpt_data.budget.density import density as by_density
from mindgpt_data.budget.split import split_image_budget
from mindgpt_data.client.request import Answer
from mindgpt_data.client.store import Record, Store
from mindgpt_data.density.pixels import pixels
from mindgpt_data.density.score import Picture, compute_information_density
from mindgpt_data.gates.duplicates import normalise_question
from mindgpt_data.io.work import BUDGET_COLUMNS, DENSITY_COLUMNS, Drop, Work
from mindgpt_data.pictures import KINDS
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row
from mindgpt_data.teachers.annotations import Annotations
from mindgpt_data.teachers.base import Candidate, Job
from mindgpt_data.teachers.plan import make_label
from mindgpt_data.world import domain, draw, general
from mindgpt_data.world.folder import make_manifest_line
from mindgpt_data.world.labels import load_world_tree
from mindgpt_data.world.scene import Scene
from PIL import Image

from mindgpt_plugins.core import files

ZOOM = 3
"""Scenes are laid out at 72 pixels and drawn three times as large."""


def build(folder: Path, images: int = 40, seed: int = 0) -> Work:
    """Write a complete work folder; two pictures are copies, one file is broken."""
    work, rng = Work(folder), random.Random(seed)
    scenes: dict[str, Scene] = {}
    records = []
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for i in range(images):
        sample = general.sample_general_scene if i % 3 == 0 else domain.sample_domain_scene
        scene = enlarged(sample(rng, rng.random(), 72))
        if i in (1, 2):  # a copy, and nearly one
            scene = scenes[records[0].image]
        name = f"{scene.world}/scene_{i:05d}.png"
        path = folder / "pictures" / f"{i:05d}.png"
        picture = draw.draw_scene(scene)
        if i == 2:
            picture.putpixel((0, 0), (1, 2, 3))
        picture.save(path)
        scenes[name] = scene
        content = f"{0 if i == 1 else i:04d}"
        record = ImageRecord(name, [str(path)], *picture.size, content=content, source=scene.world)
        records.append(record)
    files.write_jsonl(work.images, (r.to_json() for r in records))
    work.write_drops("images", [Drop("images", "read", "not an image", "broken.jpg", "no picture format is known")])
    work.write_summary("images", {"images": images, "seconds": 1.5, "dropped": {"not an image": 1}})

    scores: dict[str, dict[str, float]] = {}
    for record in records:
        sub = pixels(Picture(draw.draw_scene(scenes[record.image])))
        scores[record.image] = {**sub, "ids": compute_information_density(sub)}
    files.write_table(work.density, [{"image": i, **s} for i, s in scores.items()], DENSITY_COLUMNS)
    work.write_summary("density", {"images": images, "seconds": 12.0})

    answers = {record.image: proposals(record, scenes[record.image]) for record in records}
    topics = {
        name: list(dict.fromkeys(c.knowledge for c in found if c.knowledge))[:3] for name, found in answers.items()
    }
    files.write_jsonl(
        work.matches,
        (
            {"image": n, "topics": [{"leaf": t, "fit": 3, "evidence": "caption"} for t in ts]}
            for n, ts in topics.items()
        ),
    )
    work.write_drops(
        "match", [Drop("match", "text", "no topic is close enough", n) for n, t in topics.items() if not t]
    )
    work.write_summary("match", {"images": images, "seconds": 3.0})

    counts = by_density([s["ids"] for s in scores.values()], 4 * images)
    carry: dict[str, float] = {}
    budget = [
        {"image": image, "items": n, **split_image_budget(n, scores[image], carry)}
        for image, n in zip(scores, counts, strict=True)
    ]
    files.write_table(work.budget, budget, BUDGET_COLUMNS)
    work.write_summary(
        "budget", {"items": 4 * images, "seconds": 0.1, "settings": {"n_min": 1, "n_max": 8, "gamma": 1.0}}
    )

    rows = [r for entry in budget for r in _rows(entry, answers[entry["image"]], scores[entry["image"]], scenes, rng)]
    files.write_jsonl(work.candidates, (r.to_json() for r in rows))
    work.write_drops("generate", [Drop("generate", "teacher", "no valid answer", "domain/scene_00004.png", "timeout")])
    work.write_summary("generate", {"items": len(rows), "seconds": 240.0})

    kept, drops = _filter(rows, rng)
    files.write_jsonl(work.kept, (r.to_json() for r in kept))
    work.write_drops("filter", drops)
    work.write_summary("filter", {"kept": len(kept), "seconds": 95.0})
    with Store(work.store) as store:
        for step, model in (("generate", "teacher-8b"), ("filter", "judge-32b")):
            store.save(
                step,
                [
                    Record(f"{step} {i}", "f", Answer(("x",), 1200, 80, model), "", 1, 1200, 80, 0.0004, model, 0.5)
                    for i in range(images)
                ],
            )
    _export(work, kept, {record.image: Path(record.paths[0]) for record in records})
    return work


def _export(work: Work, kept: list[Row], pictures: dict[str, Path]) -> None:
    """One set, with a twin on a blank picture after every tenth row; the last twin's partner is left out."""
    folder = work.datasets / "images"
    folder.mkdir(parents=True)
    Image.new("RGB", (216, 216), "grey").save(folder / "blank.png")
    for path in pictures.values():
        (folder / path.name).write_bytes(path.read_bytes())
    rows = [dataclasses.replace(row, image=[f"images/{pictures[row.image[0]].name}"]) for row in kept]
    twins = [
        dataclasses.replace(
            row,
            uid=f"blank-{row.uid}",
            image=["images/blank.png"],
            answer="unanswerable: the picture is blank",
            answer_type="text",
            type="adversarial",
            twin_uid=row.uid,
        )
        for row in rows[::10]
    ]
    alone = twins[-1].twin_uid
    rows = [row for row in [*rows, *twins] if row.uid != alone]
    files.write_jsonl(work.datasets / "roads_train.jsonl", (row.to_json() for row in rows))
    sets = {"roads_train": {"items": len(rows), "images": len({row.image[0] for row in rows})}}
    work.write_summary("export", {"items": len(rows), "sets": sets, "seconds": 2.0})


def proposals(record: ImageRecord, scene: Scene) -> list[Candidate]:
    """What teacher ``annotations`` asks about a scene, with the topics that it truly shows."""
    told = make_manifest_line(scene, record.image)
    known = dataclasses.replace(record, **{key: told[key] for key in ("objects", "texts", "tags", "captions")})
    shown = {KINDS[t.name].leaf: f"{t.name} sign".replace("_", " ") if t.family == "sign" else t.name
             for t in scene.things if t.name in KINDS}  # fmt: skip
    topics = tuple(make_label(load_world_tree("knowledge"), leaf) for leaf in shown)
    capabilities = {
        leaf: make_label(load_world_tree("capability"), leaf) for leaf in load_world_tree("capability").leaves
    }
    job = Job(known, 0.5, {}, 1, {}, topics=topics, evidence=shown, capabilities=capabilities)
    return Annotations().propose(job)


def enlarged(scene: Scene) -> Scene:
    """The same scene, three times as large."""
    things = tuple(dataclasses.replace(t, x=t.x * ZOOM, y=t.y * ZOOM, size=t.size * ZOOM) for t in scene.things)
    return dataclasses.replace(scene, size=scene.size * ZOOM, things=things)


def _rows(
    entry: dict[str, Any], possible: list[Any], scores: dict[str, float], scenes: dict[str, Scene], rng: random.Random
) -> list[Row]:
    """A teacher that repeats itself and errs now and then."""
    image, made = entry["image"], []
    for i in range(entry["items"]):
        candidate = rng.choice(possible)
        wrong = rng.random() < 0.12
        row = Row(
            uid=f"{image}#{i}",
            image=[image],
            question=candidate.question,
            answer="purple" if wrong else candidate.answer,
            response=candidate.response(True),
            answer_type="text" if wrong else candidate.answer_type,
            source=scenes[image].world,
            capability=candidate.capability,
            knowledge=candidate.knowledge,
            ids=scores["ids"],
            sub_scores={k: v for k, v in scores.items() if k != "ids"},
            difficulty=min(1.0, max(0.0, rng.gauss(0.35, 0.2))),
        )
        made.append(row)
    return made


def _filter(rows: list[Row], rng: random.Random) -> tuple[list[Row], list[Drop]]:
    kept, drops, asked = [], [], Counter[tuple[str, str]]()
    for row in rows:
        question = (row.image[0], normalise_question(row.question))
        detail = f"{row.question} → {row.answer}"
        if not row.response.endswith(f"answer: {row.answer}"):
            drops.append(Drop("filter", "rules", "reply does not end with its answer", row.uid, detail))
        elif asked[question]:
            drops.append(Drop("filter", "duplicates", "question already asked about this image", row.uid, detail))
        elif rng.random() < 0.06:
            drops.append(Drop("filter", "judge", "grounding below 3", row.uid, f"{detail}; grounding 2, clarity 4"))
        else:
            asked[question] += 1
            kept.append(row)
    return kept, drops
