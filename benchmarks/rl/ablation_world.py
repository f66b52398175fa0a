"""The prompts of one seed: questions about rendered scenes, and their unanswerable twins.

All pictures differ from set to set. Held-out sets hold combinations no training set has. Trained corruptions: the
picture is blank, another one, or the question names a thing that is not there. The corruptions of the evaluation are
not among them: a grey box over the evidence (the adversarial kind ``covered``), and a heavily blurred picture.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ablation_questions import Candidate, from_truth
from mindgpt_data import export
from mindgpt_data.adversarial import ANSWER_TYPES, make_twins
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row
from mindgpt_data.world import domain, general
from mindgpt_data.world.draw import COLOURS, draw_scene
from mindgpt_data.world.folder import make_manifest_line

SAMPLERS = {"general": general.sample_general_scene, "domain": domain.sample_domain_scene}
SIZE = 96
UNSEEN = 0.25
"""Share of held-out scenes with a combination that no training set has."""
VERBOSE = 0.5
"""Share of supervised replies that look before they answer: replies then differ in length."""


def make(folder: Path, seed: int, warm: int, train: int, test: int) -> None:
    """Write the sets ``warm``, ``train`` (with ``*_twins``), ``test``, ``covered`` and ``blurred`` to ``folder``.

    Args:
        folder: a datasets folder; left alone when it is finished.
        seed: the only source of chance.
        warm: questions of the supervised warm-up.
        train: questions of RL.
        test: held-out questions; a third of them get a covered and a blurred picture.
    """
    if (folder / "done.json").is_file():
        return
    seen: set[str] = set()
    for name, count in (("test", test), ("warm", warm), ("train", train)):
        rows, records = _questions(name, count, seed, folder, seen)
        export.write_set(rows, folder, name)
        # Every kind gets a quarter: a larger share would take questions that name a thing from the other kinds.
        made = make_twins(rows, records, folder, share=1.0 if name == "test" else 0.3, seed=seed)
        hidden = [row for row in made if row.uid.startswith("covered-")]
        if name == "test":
            export.write_set(hidden[: test // 3], folder, "covered")
            export.write_set(_blurred(rows, folder)[: test // 3], folder, "blurred")
        else:
            kept = [short(row) for row in made if row not in hidden]
            export.write_set(kept, folder, f"{name}_twins")
            # For a trainer that draws from one set: one prompt in eight is a twin, and its partner is there.
            export.write_set([*rows, *kept[: len(rows) // 7]], folder, f"{name}_mixed")
    (folder / "done.json").write_text(json.dumps({"seed": seed, "warm": warm, "train": train, "test": test}))


def short(twin: Row) -> Row:
    """A twin whose supervised reply gives its reason in few tokens; what is right does not change."""
    reason = twin.answer.removeprefix("unanswerable: ")
    label = reason.removeprefix("there is no ").removesuffix(" in the picture")
    told = "blank" if reason == "the picture is blank" else f"no {label}"
    return replace(twin, response=f"answer: unanswerable: {told}")


def _questions(
    name: str, count: int, seed: int, folder: Path, seen: set[str]
) -> tuple[list[Row], dict[str, ImageRecord]]:
    """One question about each of ``count`` new pictures, half general, half domain."""
    rng = random.Random(f"{seed}/rl_ablation/{name}")
    rows, records = list[Row](), dict[str, ImageRecord]()
    while len(rows) < count:
        source = ("general", "domain")[len(rows) % 2]
        scene = SAMPLERS[source](rng, round(rng.random(), 2), SIZE, name == "test" and rng.random() < UNSEEN)
        if scene.signature in seen:
            continue
        seen.add(scene.signature)
        picture = draw_scene(scene)
        image = export.save_image(picture, folder)
        asked = _choose(from_truth(scene), rng)
        rows.append(
            Row(
                uid=f"{name}-{len(rows):04d}",
                image=[image],
                question=asked.question,
                answer=asked.answer,
                response=asked.response(rng.random() < VERBOSE),
                answer_type=asked.answer_type,
                source=source,
                capability=asked.capability,
                knowledge=asked.knowledge,
                difficulty=scene.grade,
                split="test" if name == "test" else "train",
            )
        )
        told = make_manifest_line(scene, image)
        records[image] = ImageRecord(
            image,
            [str(folder / image)],
            SIZE,
            SIZE,
            export.hash_stored_picture(picture),
            **{key: told[key] for key in ("source", "captions", "tags", "objects", "texts", "difficulty")},
        )
    return rows, records


def _choose(candidates: Sequence[Candidate], rng: random.Random) -> Candidate:
    """A capability first, then a question of it: counting has the most questions and shall not have the most weight."""
    capability = rng.choice(sorted({c.capability for c in candidates}))
    return rng.choice([c for c in candidates if c.capability == capability])


def _blurred(rows: Sequence[Row], folder: Path) -> list[Row]:
    """Rows with their picture blurred beyond a thing's size; without questions that a tint could answer."""
    from PIL import Image, ImageFilter

    made = []
    for row in rows:
        if row.answer_type in ANSWER_TYPES and row.answer not in COLOURS:
            with Image.open(folder / row.image[0]) as picture:
                image = export.save_image(picture.convert("RGB").filter(ImageFilter.GaussianBlur(SIZE / 3)), folder)
            reason = "unanswerable: the picture is too blurred"
            made.append(replace(row, uid=f"blurred-{row.uid}", image=[image], answer=reason, type="adversarial"))
    return made
